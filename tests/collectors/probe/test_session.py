"""A session's accounts, with a clock given by the test and packets built from byte positions."""

import struct

import pytest

from collectors.probe import session as sessions
from collectors.probe.clocks import Instant
from collectors.probe.outcome import Outcome
from collectors.probe.session import Session
from collectors.probe.stamp import ErrorEstimate, Reply, decode_request, encode_reply, to_stamp
from collectors.probe.timekeeping import ClockState

MS = 1_000_000
START = Instant(1_763_780_000_000_000_000, 5_000_000_000)


def later(milliseconds: float) -> Instant:
    return Instant(START.real_ns + int(milliseconds * MS), START.mono_ns + int(milliseconds * MS))


def ntp(time_ns: int) -> bytes:
    return struct.pack(">II", time_ns // 10**9 + 2_208_988_800, -(-(time_ns % 10**9 << 32) // 10**9))


def answer(request: bytes, received: Instant, sent: Instant, **changes: bytes) -> bytes:
    """What a stateless reflector says, by RFC 8762's table."""
    fields = {
        "sequence": request[0:4],
        "t3": ntp(sent.real_ns),
        "error": b"\x80\x01",
        "ssid": request[14:16],
        "t2": ntp(received.real_ns),
        "echo": request[0:14],
    } | changes
    return b"".join(fields.values()) + bytes(6)


def test_round_trip_without_the_reflectors_time() -> None:
    """RTT is (T4 − T1) − (T3 − T2): 30 ms with 4 ms in the reflector is 26 ms, whatever its clock says."""
    session = Session(1000 * MS)
    request = session.request(START)
    hours = 7 * 3600 * 1000
    assert session.reply(answer(request, later(hours), later(hours + 4)), later(30)) is None
    assert session.outcomes() == [Outcome(0, START.real_ns, later(30).real_ns, 26 * MS)]


def test_lost_after_timeout() -> None:
    """A packet is under way until the timeout has passed, then lost, once; its late answer is counted and no more."""
    session = Session(100 * MS)
    request = session.request(START)
    session.expire(later(100))
    assert session.outcomes() == []
    session.expire(later(100.1))
    assert [outcome.rtt_ns for outcome in session.outcomes()] == [None]
    assert session.reply(answer(request, later(50), later(50)), later(101)) is None
    assert session.outcomes() == []
    assert session.counts["late"] == 1


def test_an_answer_read_late_is_judged_by_its_arrival() -> None:
    """An answer that the kernel had in time is no loss although the process was stalled for longer than the timeout."""
    session = Session(100 * MS)
    request = session.request(START)
    session.reply(answer(request, later(20), later(20)), later(40))
    session.expire(later(5000))
    assert [outcome.rtt_ns for outcome in session.outcomes()] == [40 * MS]


def test_an_answer_after_the_timeout_is_a_loss() -> None:
    """An answer that arrives after the timeout does not count, even before the packet was given up."""
    session = Session(100 * MS)
    request = session.request(START)
    session.reply(answer(request, later(20), later(20)), later(100.5))
    assert [outcome.rtt_ns for outcome in session.outcomes()] == [None]
    assert session.counts["late"] == 1


def test_duplicates() -> None:
    """The second copy of an answer is a duplicate, not a second measurement."""
    session = Session(100 * MS)
    packet = answer(session.request(START), later(5), later(5))
    session.reply(packet, later(10))
    session.reply(packet, later(11))
    assert len(session.outcomes()) == 1
    assert session.counts["duplicate"] == 1


def test_answers_out_of_order() -> None:
    """Answers to packets 0, 2, 1 and 3: that to 1 came after one to a later packet, that to 2 did not (RFC 4737)."""
    session = Session(100 * MS)
    packets = [answer(session.request(later(n)), later(5), later(5)) for n in range(4)]
    for at, number in enumerate((0, 2, 1, 3)):
        session.reply(packets[number], later(10 + at))
    assert session.counts["reordered"] == 1
    assert session.counts["answered"] == 4


def test_altered_and_replayed_answers() -> None:
    """An answer that echoes another T1 than ours is set apart, before and after the true one."""
    session = Session(100 * MS)
    request = session.request(START)
    forged = answer(request, later(1), later(1), echo=request[0:4] + ntp(START.real_ns - 1) + request[12:14])
    assert "T1" in (session.reply(forged, later(2)) or "")
    session.reply(answer(request, later(5), later(5)), later(10))
    assert "T1" in (session.reply(forged, later(12)) or "")
    stranger = answer(request, later(1), later(1), echo=(999).to_bytes(4, "big") + request[4:14])
    assert "not sent" in (session.reply(stranger, later(13)) or "")
    assert session.counts["altered"] == 2
    assert session.counts["foreign"] == 1
    assert [outcome.rtt_ns for outcome in session.outcomes()] == [10 * MS]


def test_truncated_answer() -> None:
    """An answer cut short is refused with its length, and its packet stays under way."""
    session = Session(100 * MS)
    request = session.request(START)
    assert "20 bytes" in (session.reply(answer(request, later(1), later(1))[:20], later(2)) or "")
    assert session.under_way == 1


def test_t3_before_t2() -> None:
    """A reflector whose T3 lies before its T2 is counted as odd, and its time is not taken off."""
    session = Session(100 * MS)
    request = session.request(START)
    session.reply(answer(request, later(9), later(5)), later(20))
    assert session.counts["odd_clock"] == 1
    assert session.outcomes()[0].rtt_ns == 20 * MS


def test_equal_t2_and_t3() -> None:
    """A TWAMP-Light reflector that writes T3 = T2 is taken at its word: no time in the reflector."""
    session = Session(100 * MS)
    request = session.request(START)
    session.reply(answer(request, later(5), later(5)), later(20))
    assert session.counts["odd_clock"] == 0
    assert session.outcomes()[0].rtt_ns == 20 * MS


def test_a_step_of_the_wall_clock() -> None:
    """The wall clock is set back an hour while a packet is under way: the round trip is what the monotonic clock says,
    and packets keep the time they were sent at."""
    session = Session(1000 * MS)
    request = session.request(START)
    stepped = Instant(later(30).real_ns - 3600 * 10**9, later(30).mono_ns)
    session.reply(answer(request, later(10), later(10)), stepped)
    assert session.outcomes() == [Outcome(0, START.real_ns, stepped.real_ns, 30 * MS)]


def test_sequence_wrap() -> None:
    """After 4,294,967,295 comes 0 on the wire, and the count goes on."""
    session = Session(100 * MS, first=2**32 - 1)
    first, second = session.request(START), session.request(later(1))
    assert (first[:4].hex(), second[:4].hex()) == ("ffffffff", "00000000")
    session.reply(answer(second, later(2), later(2)), later(3))
    session.reply(answer(first, later(2), later(2)), later(4))
    assert [outcome.sequence for outcome in session.outcomes()] == [2**32, 2**32 - 1]


def test_kernel_transmit_time() -> None:
    """The kernel's transmit time replaces ours; one that cannot be is ignored."""
    session = Session(100 * MS)
    request = session.request(START)
    session.left(0, later(2))
    session.left(0, later(-5))
    session.left(99, later(1))
    session.reply(answer(request, later(5), later(5)), later(20))
    assert session.outcomes()[0].rtt_ns == 18 * MS


def test_withdrawn_packet() -> None:
    """A packet that our own full buffers refused was not sent: neither answered nor lost."""
    session = Session(100 * MS)
    session.request(START)
    session.withdraw()
    session.expire(later(500))
    assert session.outcomes() == []
    assert (session.counts["sent"], session.counts["not_sent"]) == (0, 1)


def test_unique_times() -> None:
    """Three packets at the same reading of a coarse clock keep three identities."""
    session = Session(100 * MS)
    for _ in range(3):
        session.request(START)
    session.expire(later(200))
    assert len({outcome.sent_ns for outcome in session.outcomes()}) == 3


def test_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of finished packets is bounded; an answer older than that is foreign."""
    monkeypatch.setattr(sessions, "REMEMBERED", 10)
    session = Session(1 * MS)
    first = session.request(START)
    for n in range(1, 30):
        session.expire(later(2 * n))
        session.request(later(2 * n))
    session.reply(answer(first, later(1), later(1)), later(70))
    assert session.counts["foreign"] == 1


KEPT = ClockState(True, 0.0001, "the test")  # 100 µs


def test_one_way_delays_with_good_clocks() -> None:
    """With both clocks synchronised each way is T2 − T1 and T4 − T3, and the errors of both add up."""
    session = Session(1000 * MS)
    session.keep_time(KEPT)
    request = session.request(START)
    error = ErrorEstimate.of(0.0002, synchronised=True).bits.to_bytes(2, "big")
    session.reply(answer(request, later(12), later(13), error=error), later(20))
    (outcome,) = session.outcomes()
    assert outcome.up_ns is not None
    assert outcome.down_ns is not None
    assert outcome.up_ns == pytest.approx(12 * MS)
    assert outcome.down_ns == pytest.approx(7 * MS)
    assert session.one_way_refusal == ""
    assert session.clock_error_ns == pytest.approx(300_000, rel=0.02)


@pytest.mark.parametrize(
    ("clock", "error", "received", "reason"),
    [
        (ClockState(False, 1.0, "chrony"), b"\x80\x01", 12, "our clock is not synchronised, says chrony"),
        (KEPT, b"\x00\x01", 12, "the reflector says that its clock is not synchronised"),
        (KEPT, b"\xa0\x01", 12, "may be 1e+03 ms apart, and 1 are allowed"),
        (KEPT, b"\x80\x01", -5, "arrived 5 ms before it was sent: a clock is worse than it says"),
    ],
)
def test_one_way_delays_are_kept_back(clock: ClockState, error: bytes, received: float, reason: str) -> None:
    """With a clock that is not good enough there is a round trip, no one-way delay, and the reason."""
    session = Session(1000 * MS)
    session.keep_time(clock)
    request = session.request(START)
    session.reply(answer(request, later(received), later(received + 1), error=error), later(20))
    (outcome,) = session.outcomes()
    assert (outcome.rtt_ns, outcome.up_ns, outcome.down_ns) == (19 * MS, None, None)
    assert reason in session.one_way_refusal


def test_one_way_delays_of_a_ptp_reflector() -> None:
    """Times in PTP format, which may count in TAI, give the time in the reflector and no one-way delays."""
    session = Session(1000 * MS)
    session.keep_time(KEPT)
    request = session.request(START)
    seconds, nanoseconds = divmod(START.real_ns, 10**9)
    times = [struct.pack(">II", seconds + 37, nanoseconds + shift * MS) for shift in (5, 8)]
    session.reply(answer(request, START, START, t2=times[0], t3=times[1], error=b"\xc0\x01"), later(20))
    (outcome,) = session.outcomes()
    assert (outcome.rtt_ns, outcome.up_ns) == (17 * MS, None)
    assert "PTP" in session.one_way_refusal


def test_no_one_way_delays_across_a_step() -> None:
    """The clock is set while a packet is under way: no one-way delay is made of two different clocks."""
    session = Session(1000 * MS)
    session.keep_time(KEPT)
    request = session.request(START)
    stepped = Instant(later(20).real_ns + 50 * MS, later(20).mono_ns)
    session.reply(answer(request, later(10), later(10)), stepped)
    assert session.outcomes()[0].up_ns is None
    assert "was set" in session.one_way_refusal


def lost_ways(stateful: bool | None, fates: str) -> list[str]:
    """Directions told for packets 10 ms apart: `u` and `d` are lost on the way up or down, `.` answered, `r`: the
    reflector starts again and answers. Its numbers are counted here, as RFC 8762 says a stateful one does."""
    session = Session(50 * MS, stateful=stateful)
    count = 0
    for n, fate in enumerate(fates):
        request = session.request(later(10 * n))
        count = 0 if fate == "r" else count
        number, count = count, count + (fate != "u")
        if fate in ".r":
            reply = answer(request, later(10 * n), later(10 * n), sequence=number.to_bytes(4, "big"))
            session.reply(reply, later(10 * n + 5))
    session.expire(later(10 * len(fates) + 60))
    assert session.counts["lost"] == sum(fate in "ud" for fate in fates)
    return [outcome.lost_way for outcome in sorted(session.outcomes()) if outcome.rtt_ns is None]


@pytest.mark.parametrize(
    ("fates", "told"),
    [
        (".u.d.", ["up", "down"]),
        (".uuu.ddd.", ["up"] * 3 + ["down"] * 3),
        (".udu.", ["up", "up", "down"]),  # two of three up: which of them is not known, the first are named
        ("..d..", ["down"]),
        (".u..u", ["up", ""]),  # nothing was answered behind the last
        ("u.u.", ["", "up"]),  # nothing was answered before the first
        ("....uur..u.", ["", "", "up"]),  # the reflector started again during the outage
    ],
)
def test_direction_of_losses(fates: str, told: list[str]) -> None:
    """A stateful reflector's numbers tell how many of a run were lost each way, and nothing where they cannot."""
    assert lost_ways(True, fates) == told


def test_direction_before_the_reflector_is_known() -> None:
    """Without being told, a reflector is believed to be stateful from its first number that differs from ours on."""
    assert lost_ways(None, ".d.u.d.") == ["", "up", "down"]
    assert lost_ways(False, ".d.u.d.") == ["", "", ""]


def test_authenticated_session() -> None:
    """With a key only answers signed with it count; an unsigned one and one of another key are refused and counted."""
    session = Session(100 * MS, key=b"0123456789abcdef")
    packet = session.request(START)
    request = decode_request(packet, b"0123456789abcdef")
    at = to_stamp(later(5).real_ns)
    reply = Reply(0, at, ErrorEstimate(False, False, 0, 1), 0, at, request.sequence, request.stamp)
    assert len(packet) == 112
    assert "112" in (session.reply(encode_reply(reply), later(10)) or "")
    assert "HMAC" in (session.reply(encode_reply(reply, 112, b"another"), later(10)) or "")
    assert session.reply(encode_reply(reply, 112, b"0123456789abcdef"), later(10)) is None
    assert session.counts["malformed"] == 2
    assert [outcome.rtt_ns for outcome in session.outcomes()] == [10 * MS]

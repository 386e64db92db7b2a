"""A session's accounts, with a clock given by the test and packets built from byte positions."""

import struct

import pytest

from collectors.probe import session as sessions
from collectors.probe.clocks import Instant
from collectors.probe.session import Outcome, Session

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
        "sent": ntp(sent.real_ns),
        "error": b"\x80\x01",
        "ssid": request[14:16],
        "received": ntp(received.real_ns),
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

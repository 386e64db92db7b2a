"""What a sender asks for by extensions of RFC 8972: bytes written out, our reflector, and one that knows none."""

import hmac

import pytest

from collectors.probe.asked import NOTHING, Answered, Asked, Extension
from collectors.probe.clocks import Instant
from collectors.probe.reflector import Reflector, ReflectorConfig
from collectors.probe.session import Session
from collectors.probe.wire import Datagram
from simulators.echo_reflector import EchoReflector
from tests.collectors.probe.test_hostile import later, packets, probing

KEY = b"0123456789abcdef"
BASE = (5).to_bytes(4, "big") + bytes(40)
BOTH: tuple[Extension, ...] = ("direct-measurement", "class-of-service")
MS = 1_000_000


def test_what_is_sent() -> None:
    """Direct Measurement is type 5 with our count, Class of Service type 4 with the DSCP asked for, each flagged
    "not recognised"; Extra Padding, type 1, makes up the size."""
    chain = Asked(BOTH, 46).encode(BASE, 7, 0)
    assert chain.hex() == "8005000c" + "00000007" + "00" * 8 + "80040004" + f"{46 << 26:08x}"
    padded = Asked(BOTH, 46).encode(BASE, 7, 100)
    assert padded[:24] == chain
    assert padded[24:].hex() == "8001001c" + "00" * 28
    assert len(BASE + padded) == 100
    assert Asked().encode(BASE, 7, 100) == bytes(56)


def test_signed_with_the_key() -> None:
    """With a key an HMAC extension, type 8, stands last and covers the sequence number and what is before it."""
    sent = Asked(("direct-measurement",), key=KEY).encode(BASE, 1, 0)
    assert sent[16:20].hex() == "80080010"
    assert sent[20:] == hmac.digest(KEY, BASE[:4] + sent[:16], "sha256")[:16]


@pytest.mark.parametrize(
    ("extensions", "told"),
    [
        ("0005000c" + "00000007" + "00000006" + "00000006" + "00040004" + f"{46 << 26 | 10 << 20 | 1 << 16:08x}",
         Answered(6, 10, False)),
        ("00040004" + f"{46 << 26 | 46 << 20:08x}", Answered(None, 46, True)),
        ("8005000c" + "00" * 12 + "80040004" + "00" * 4, NOTHING),  # it knows neither
        ("4005000c" + "00" * 12, NOTHING),  # it took ours for malformed
        ("00050004" + "00000006", NOTHING),  # not as long as it should be
        ("0005000c" + "00" * 4, NOTHING),  # cut off
        ("00" * 24, NOTHING),  # it returns zeros
        ("", NOTHING),
    ],
)  # fmt: skip
def test_what_is_read(extensions: str, told: Answered) -> None:
    """What an answer tells, and what it does not."""
    assert Asked(BOTH, 46).read(BASE + bytes.fromhex(extensions), len(BASE)) == told


def test_extensions_that_are_not_signed_tell_nothing() -> None:
    """With a key, an answer's extensions count when their HMAC is right, and only then."""
    asked = Asked(("direct-measurement",), key=KEY)
    chain = bytes.fromhex("0005000c" + "00000007" + "00000006" + "00000006")
    right = hmac.digest(KEY, BASE[:4] + chain, "sha256")[:16]
    head = bytes.fromhex("00080010")
    assert asked.read(BASE + chain + head + right, 44).received == 6
    assert asked.read(BASE + chain + head + right[:-1] + b"\0", 44) == NOTHING
    assert asked.read(BASE + chain, 44) == NOTHING
    assert asked.read(BASE + chain + bytes.fromhex("20080010") + right, 44) == NOTHING  # ours was wrong, it says


def run(fates: str, key: bytes | None = None, dscp: int = 0, **reflector: object) -> Session:
    """Packets 10 ms apart to our own reflector: `u` and `d` are lost on the way up or down, `.` answered."""
    at = [later(0)]
    far = Reflector(ReflectorConfig(**reflector), key, clock=lambda: at[0])  # type: ignore[arg-type]  # settings
    session = Session(50 * MS, key=key, extensions=BOTH, dscp=dscp)
    for n, fate in enumerate(fates):
        at[0] = later(10 * n)
        request = session.request(at[0])
        if fate == "u":
            continue
        reply = far.answer(Datagram(request, ("192.0.2.1", 5000), at[0].real_ns, 61, 46 << 2))
        assert reply is not None
        assert len(reply) == len(request)
        if fate == ".":
            assert session.reply(reply, Instant(at[0].real_ns + 5 * MS, at[0].mono_ns + 5 * MS)) is None
    session.expire(later(10 * len(fates) + 100))
    return session


@pytest.mark.parametrize("key", [None, KEY])
def test_directions_from_a_stateless_reflector(key: bytes | None) -> None:
    """A reflector that copies our numbers still counts our packets, and says so when asked: losses have a direction."""
    session = run(".u.d.uu.", key, stateful=False)
    ways = [outcome.lost_way for outcome in sorted(session.outcomes()) if outcome.rtt_ns is None]
    assert ways == ["up", "down", "up", "up"]


def test_a_dscp_that_was_changed() -> None:
    """Packets arrive with DSCP 46: those sent with it were not changed on the way up, those sent with 10 were. The
    reflector answers with its own DSCP, 0, and says that it does."""
    kept = run("....", dscp=46)
    assert (kept.counts["remarked_up"], kept.counts["remarked_down"]) == (0, 4)
    assert run("....", dscp=10).counts["remarked_up"] == 4


async def test_a_reflector_without_extensions() -> None:
    """A peer that knows no extensions is measured all the same; its losses have no direction."""
    with EchoReflector() as reflector:
        async with probing(reflector.address[1], interval_ms=10, timeout_ms=50, extensions=BOTH) as (sink, component):
            await sink.until(samples=20)
            reflector.deaf = True
            measured = len(sink.samples)
            await sink.until(samples=measured + 20)
            reflector.deaf = False
            measured = len(sink.samples)
            await sink.until(samples=measured + 40)
    assert {metric for _, metric, _ in packets(sink)} == {"rtt", "rtt_lost"}
    assert {text for _, metric, text in packets(sink) if metric == "rtt_lost"} == {""}
    assert component.counted("malformed") == 0

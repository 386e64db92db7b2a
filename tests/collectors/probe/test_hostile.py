"""What hostile, broken or restarted peers do to a probe and to a reflector: no crash, and no wrong figure."""

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from collectors.probe.clocks import Instant
from collectors.probe.config import ProbeConfig
from collectors.probe.probe import Probe
from collectors.probe.reflector import ReflectorConfig, ReflectorServer
from collectors.probe.session import Session
from collectors.probe.timekeeping import ClockState
from simulators.echo_reflector import EchoReflector
from telemetry.health import Component, Health
from tests.contracts.collector import until
from tests.contracts.memory import MemorySink

ASSET = "km0/network/5g/link-1"
MS = 1_000_000
START = Instant(1_763_780_000_000_000_000, 5_000_000_000)
LARGEST = 65_507
"""Bytes of the largest UDP payload over IPv4."""


def later(milliseconds: float) -> Instant:
    return Instant(START.real_ns + int(milliseconds * MS), START.mono_ns + int(milliseconds * MS))


def ntp(time_ns: int) -> bytes:
    return struct.pack(">II", time_ns // 10**9 + 2_208_988_800, -(-(time_ns % 10**9 << 32) // 10**9))


def answer(request: bytes, number: int, received_ns: int, error: bytes = b"\x80\x01") -> bytes:
    """What a stateful reflector says that holds nothing, by RFC 8762's table."""
    stamp = ntp(received_ns)
    return number.to_bytes(4, "big") + stamp + error + request[14:16] + stamp + request[0:14] + bytes(6)


@contextmanager
def serving(**settings: Any) -> Iterator[ReflectorServer]:
    server = ReflectorServer(ReflectorConfig(port=0, **settings))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(5)


@asynccontextmanager
async def probing(port: int, **settings: Any) -> AsyncIterator[tuple[MemorySink, Component]]:
    sink, component = MemorySink(), Health().component("probe")
    config = ProbeConfig(kind="probe", asset=ASSET, host="127.0.0.1", port=port, **settings)
    task = asyncio.create_task(Probe(config, component).run(sink))
    try:
        yield sink, component
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def packets(sink: MemorySink) -> list[tuple[int, str, str]]:
    """Time, metric and text of each packet's sample, in order of sending; the last told of each."""
    told = {sample.time_ns: sample for sample in sink.samples if sample.metric in ("rtt", "rtt_lost")}
    return [(time_ns, told[time_ns].metric, told[time_ns].text) for time_ns in sorted(told)]


def test_the_largest_packet_there_is() -> None:
    """A request of 65,507 bytes is answered with as many, none of them the sender's but for the fields of the reply;
    right after it the reflector answers a packet of the usual size."""
    with serving() as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(20)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        request = bytes(3) + b"\x05" + ntp(START.real_ns) + b"\x00\x01" + bytes(30)
        peer.sendto(request + b"\xee" * (LARGEST - 44), server.address)
        reply = peer.recv(LARGEST + 1)
        assert len(reply) == LARGEST
        assert reply[24:38] == request[:14]
        assert reply[44:] == bytes(LARGEST - 44)
        peer.sendto(request, server.address)
        assert len(peer.recv(LARGEST)) == 44


async def test_answers_of_any_size() -> None:
    """A peer that answers with 65,507 bytes of noise, then with the true answer made that long: the noise is set aside,
    cut short, and the true answer counts, once."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(20)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        async with probing(peer.getsockname()[1], interval_ms=200, timeout_ms=5000) as (sink, component):
            request, sender = await asyncio.to_thread(peer.recvfrom, 100)
            peer.sendto(b"\xff" * LARGEST, sender)
            true = request[:16] + bytes(8) + request[:14] + bytes(6)
            peer.sendto(true.ljust(LARGEST, b"\0"), sender)
            await sink.until(samples=1, dead_letters=1)
    assert packets(sink)[0][1] == "rtt"
    assert component.counted("foreign") == 1
    assert [len(letter.raw) for letter in sink.dead_letters] == [1500]


def test_a_replayed_session() -> None:
    """Every answer of an earlier session is played to a later one that sends the same numbers: none is believed, and
    the true answers still are."""
    first, second = Session(1000 * MS), Session(1000 * MS)
    old = [answer(first.request(later(n)), n, later(n + 1).real_ns) for n in range(50)]
    new = [answer(second.request(later(100_000 + n)), n, later(100_000 + n + 1).real_ns) for n in range(50)]
    for replayed, true in zip(old, new, strict=True):
        assert "T1" in (second.reply(replayed, later(100_060)) or "")
        assert second.reply(true, later(100_060)) is None
    assert (second.counts["altered"], second.counts["answered"]) == (50, 50)
    assert [outcome.rtt_ns for outcome in second.outcomes()] == [(60 - n) * MS for n in range(50)]


def test_directions_across_the_wrap() -> None:
    """Number 4,294,967,295 is lost on the way up and 0 on the way back: the reflector's own numbers, which wrap three
    packets later than ours, tell which was which."""
    session = Session(50 * MS, first=2**32 - 3, stateful=True)
    number = 2**32 - 6
    for n in range(10):
        request = session.request(later(10 * n))
        if n == 2:  # the last before the wrap never gets there
            continue
        if n != 3:  # the first after it does; its answer is lost
            session.reply(answer(request, number % 2**32, later(10 * n).real_ns), later(10 * n + 5))
        number += 1
    session.expire(later(500))
    lost = {outcome.sequence: outcome.lost_way for outcome in session.outcomes() if outcome.rtt_ns is None}
    assert lost == {2**32 - 1: "up", 2**32: "down"}
    assert session.counts["reflector_restarts"] == 0


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_the_reflectors_clock_is_set_by_an_hour(step_s: int) -> None:
    """The far clock, said to be good, jumps an hour in the middle of a run: round trips stay 5 ms, and from the jump on
    no one-way delay is told."""
    session = Session(1000 * MS)
    session.keep_time(ClockState(True, 0.0001, "the test"))
    for n in range(10):
        request = session.request(later(10 * n))
        wrong = later(10 * n + 2).real_ns + (step_s * 10**9 if n >= 5 else 0)
        assert session.reply(answer(request, n, wrong), later(10 * n + 5)) is None
    outcomes = session.outcomes()
    assert {outcome.rtt_ns for outcome in outcomes} == {5 * MS}
    assert [outcome.up_ns is not None for outcome in outcomes] == [True] * 5 + [False] * 5
    assert "a clock is worse than it says" in session.one_way_refusal


async def test_a_reflector_that_stops_and_counts_from_zero_again() -> None:
    """A stateful reflector goes away for a while and comes back with its counter at zero: the probe goes on by itself,
    what was sent meanwhile is lost, and no direction is made up for it."""
    reflector = EchoReflector(stateful=True).start()
    port = reflector.address[1]
    try:
        async with probing(port, interval_ms=10, timeout_ms=1000, reflector="stateful") as (sink, component):
            await sink.until(samples=150)
            reflector.stop()
            stopped_ns = time.time_ns()
            await until(lambda: sum(at > stopped_ns and what == "rtt_lost" for at, what, _ in packets(sink)) >= 20)
            started_ns = time.time_ns()
            reflector = EchoReflector(port=port, stateful=True).start()
            await until(lambda: component.counted("reflector_restarts") > 0)
    finally:
        reflector.stop()
    # Beside a machine that is busy elsewhere an answer may be late, and lost with its direction: not in the outage.
    during = [(metric, text) for time_ns, metric, text in packets(sink) if stopped_ns < time_ns < started_ns - 10**9]
    assert len(during) >= 10
    assert set(during) == {("rtt_lost", "")}
    assert component.counted("reflector_restarts") == 1

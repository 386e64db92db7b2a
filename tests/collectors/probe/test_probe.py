"""The probe on real sockets against the simulated link and its reflector, which share no code with it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import numpy as np
import pytest

from collectors.probe import clocks
from collectors.probe.address import Target, resolve
from collectors.probe.clocks import Instant
from collectors.probe.config import ProbeConfig
from collectors.probe.outcome import Outcome
from collectors.probe.probe import Probe
from collectors.probe.sender import Sender
from collectors.probe.session import Session
from collectors.probe.wire import Wire
from simulators.echo_reflector import EchoReflector
from simulators.radio_path import Direction, LinkConfig
from simulators.udp_link import Passage, UdpLink
from telemetry.config import parse
from telemetry.errors import ConfigError, SourceError
from telemetry.health import Component, Condition, Health
from telemetry.plant import Asset, Plant
from telemetry.samples import Sample
from tests.contracts.memory import MemorySink
from tests.support import free_port

ASSET = "km0/network/5g/link-1"
ROUGH = LinkConfig(
    up=Direction(base_ms=2, slot_ms=1, harq=0.1, harq_ms=2, loss_starts=0.03, loss_ends=0.5, duplicated=0.03),
    down=Direction(base_ms=1, slot_ms=0, loss_starts=0.03, loss_ends=0.5, overtaken=0.05, overtaken_ms=8),
    handover_s=0,
)


def probe(port: int, silence_s: float = 5.0, backlog: int | None = None, **settings: Any) -> tuple[Probe, Component]:
    component = Health().component("probe")
    config = ProbeConfig(kind="probe", asset=ASSET, host="127.0.0.1", port=port, **settings)
    return Probe(config, component, silence_s=silence_s, backlog=backlog), component


def in_order(sink: MemorySink) -> list[Sample]:
    """One sample for each packet, in order of sending."""
    packets = (sample for sample in sink.samples if sample.metric in ("rtt", "rtt_lost"))
    return sorted(packets, key=lambda sample: sample.time_ns)


async def until_received(reflector: EchoReflector, packets: int) -> None:
    while reflector.received < packets:  # noqa: ASYNC110 — it counts in its own thread
        await asyncio.sleep(0.01)


@asynccontextmanager
async def running(collector: Probe, sink: MemorySink) -> AsyncIterator[None]:
    task = asyncio.create_task(collector.run(sink))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_the_links_truth_is_recovered() -> None:
    """Over a link that loses, doubles and reorders, every packet sent is answered or lost as the link did it, and
    each round trip is what the packet spent in the link, within 5 ms of a busy machine (half of them within 0.6 ms)."""
    sink = MemorySink()
    with EchoReflector(holds_s=0.0005) as reflector, UdpLink(ROUGH, 3, reflector.address) as link:
        collector, component = probe(link.port, interval_ms=4, timeout_ms=300)
        async with running(collector, sink):
            await sink.until(samples=700)
        truth = link.truth()
    samples = {sample.time_ns: sample for sample in in_order(sink)}
    assert len(samples) == len(in_order(sink))
    down: dict[bytes, Passage] = {}
    for passage in truth.passages:  # of answers to two copies, the one that left the link first
        if passage.way == "down" and passage.left_ns:
            first = down.setdefault(passage.head[24:36], passage)
            down[passage.head[24:36]] = min(first, passage, key=lambda each: each.left_ns[0])
    excess: list[float] = []
    lost = 0
    for up in (passage for passage in truth.passages if passage.way == "up"):
        sent_ns = _unix_ns(up.head[4:12])
        if sent_ns not in samples:
            continue  # still under way when the probe was stopped
        back = down.get(up.head[:12])
        if not up.left_ns or back is None:
            assert samples[sent_ns].metric == "rtt_lost"
            lost += 1
        else:
            assert samples[sent_ns].metric == "rtt"
            in_link = (up.left_ns[0] - up.came_ns + back.left_ns[0] - back.came_ns) / 1e6
            excess.append(samples[sent_ns].value - in_link)
    assert len(excess) + lost == len(samples)
    assert lost > 20
    assert component.counted("duplicate") > 0
    told = sum(sample.value for sample in sink.samples if sample.metric == "duplicates")
    assert told == component.counted("duplicate")
    excess.sort()
    assert excess[0] >= -0.05
    assert excess[len(excess) // 2] < 0.6
    assert excess[int(len(excess) * 0.99)] < 5


def _unix_ns(ntp: bytes) -> int:
    seconds, fraction = int.from_bytes(ntp[:4], "big"), int.from_bytes(ntp[4:], "big")
    return (seconds - 2_208_988_800) * 10**9 + (fraction * 10**9 >> 32)


async def test_even_pace() -> None:
    """200 packets leave on a grid of 5 ms: the first half and the last are as late on it as each
    other, within 1 ms, so no drift adds up from late wake-ups."""
    sink = MemorySink()
    with EchoReflector() as reflector:
        collector, _ = probe(reflector.address[1], interval_ms=5)
        async with running(collector, sink):
            await sink.until(samples=200)
    times = np.array([sample.time_ns for sample in in_order(sink)])
    half = len(times) // 2
    phase = (times - times[:half].min()) % 5_000_000
    drift = np.median(phase[:half]) - np.median(phase[half:])
    assert min(abs(drift), 5_000_000 - abs(drift)) < 1_000_000


async def test_nobody_there() -> None:
    """Where nothing listens every packet is lost, none is an error, and health says what the network said."""
    sink = MemorySink()
    collector, component = probe(free_port(socket.SOCK_DGRAM), silence_s=0.2, interval_ms=20, timeout_ms=60)
    async with running(collector, sink):
        await sink.until(samples=40)
    assert {sample.metric for sample in sink.samples} == {"rtt_lost", "duplicates", "reordered"}
    assert {sample.value for sample in in_order(sink)} == {1.0}
    assert {sample.value for sample in sink.samples if sample.metric != "rtt_lost"} == {0.0}
    assert component.condition is Condition.FAILING
    assert "refused" in component.snapshot()["detail"]
    assert "is a reflector running there?" in component.snapshot()["detail"]


async def test_an_outage_and_its_end() -> None:
    """While the reflector is deaf packets are lost; when it hears again, they are answered, by the same run."""
    sink = MemorySink()
    with EchoReflector() as reflector:
        collector, _ = probe(reflector.address[1], interval_ms=10, timeout_ms=50)
        async with running(collector, sink):
            await sink.until(samples=30)
            reflector.deaf = True
            already = len(sink.samples)
            await sink.until(samples=already + 80)
            reflector.deaf = False
            already = len(sink.samples)
            await sink.until(samples=already + 80)
    metrics = [sample.metric for sample in in_order(sink)]
    assert metrics[0] == metrics[-1] == "rtt"
    assert "rtt_lost" in metrics


async def test_answers_from_elsewhere() -> None:
    """Answers from another address are no answers: the packets are lost, and one of the strangers is set aside."""
    sink = MemorySink()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as target,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere,
    ):
        target.bind(("127.0.0.1", 0))
        target.settimeout(5)
        collector, component = probe(target.getsockname()[1], interval_ms=10, timeout_ms=50)
        async with running(collector, sink):
            data, sender = await asyncio.to_thread(target.recvfrom, 100)
            elsewhere.sendto(data, sender)
            target.sendto(b"garbage", sender)
            await sink.until(samples=20, dead_letters=1)
    assert {sample.metric for sample in in_order(sink)} == {"rtt_lost"}
    assert component.counted("foreign") == 1
    assert component.counted("malformed") == 1


async def test_a_slow_sink_pauses_sending() -> None:
    """While the sink takes nothing, sending goes on for a bounded time and then pauses; nothing measured is dropped."""
    sink = MemorySink()
    sink.block()
    with EchoReflector() as reflector:
        collector, component = probe(reflector.address[1], backlog=300, interval_ms=1)
        async with running(collector, sink):
            await until_received(reflector, 300)
            await asyncio.sleep(1.2)
            held = reflector.received
            await asyncio.sleep(0.3)
            assert reflector.received == held <= 300
            sink.unblock()
            await sink.until(samples=held)
    assert component.counted("paused") > 0


async def test_cancelling_is_quick_and_keeps_what_was_measured() -> None:
    """Cancelled, the probe returns within a second and has put what it had not yet handed over."""
    sink = MemorySink()
    with EchoReflector() as reflector:
        collector, _ = probe(reflector.address[1], interval_ms=10)
        async with running(collector, sink):
            await sink.until(samples=1)
            await until_received(reflector, 100)
            started = monotonic()
        assert monotonic() - started < 5  # a second, on a machine that is not busy
    assert len(sink.samples) >= 99


async def test_no_such_host() -> None:
    """A host without an address is the retry loop's business, named."""
    collector = Probe(
        ProbeConfig(kind="probe", asset=ASSET, host="no-such-host.invalid", port=862), Health().component("probe")
    )
    with pytest.raises(SourceError, match=r"no-such-host\.invalid has no address"):
        await collector.run(MemorySink())


@pytest.mark.parametrize("host", ["reflector..local", ".local"])
async def test_no_name_of_a_host(host: str) -> None:
    """A name that the resolver does not even ask for is named too, and is no bug."""
    with pytest.raises(SourceError, match="is no name or address"):
        await resolve(host, 862)


async def test_the_address_is_one_that_can_be_sent_to() -> None:
    """A host with both kinds of addresses, the other one first, measured from an IPv4 address."""
    sink = MemorySink()

    async def both(host: str, port: int) -> list[Target]:
        return [Target(socket.AF_INET6, ("::1", port, 0, 0)), *await resolve(host, port)]

    with EchoReflector(holds_s=0) as reflector:
        config = ProbeConfig(
            kind="probe", asset=ASSET, host="127.0.0.1", port=reflector.address[1], interval_ms=20, bind="127.0.0.1"
        )
        async with running(Probe(config, Health().component("probe"), resolve=both), sink):
            await sink.until(samples=5)
    assert in_order(sink)[0].metric == "rtt"
    only = config.model_copy(update={"bind": "::1"})
    with pytest.raises(SourceError, match="IPv4 or IPv6"):
        await Probe(only, Health().component("probe")).run(sink)


def test_samples_of_a_link(link_plant: Plant) -> None:
    """The section builds a probe for an asset of the plant, and refuses one that is not there."""
    config = parse(f'kind = "probe"\nasset = "{ASSET}"\nhost = "10.0.0.7"', ProbeConfig)
    assert config.build(link_plant, Health()).name == "probe"
    with pytest.raises(ConfigError, match="there is no asset"):
        config.model_copy(update={"asset": "km0/network/5g/other"}).build(link_plant, Health())


def test_a_timeout_of_ten_thousand_intervals() -> None:
    """Settings that would keep too much in memory are refused with what to change."""
    with pytest.raises(ConfigError, match="shorten it"):
        parse(f'kind = "probe"\nasset = "{ASSET}"\nhost = "h"\ninterval_ms = 1\ntimeout_ms = 60000', ProbeConfig)


@pytest.fixture
def link_plant() -> Plant:
    return Plant(assets=(Asset(path=ASSET, name="link", kind="link"),))


async def test_still_link_over_ipv6() -> None:
    """The probe speaks IPv6 as well."""
    sink = MemorySink()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as reflector:
        try:
            reflector.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 loopback here")
        reflector.settimeout(5)
        config = ProbeConfig(kind="probe", asset=ASSET, host="::1", port=reflector.getsockname()[1], interval_ms=20)
        async with running(Probe(config, Health().component("probe")), sink):
            for _ in range(10):
                data, sender = await asyncio.to_thread(reflector.recvfrom, 100)
                reflector.sendto(data[:16] + bytes(8) + data[:14] + bytes(6), sender)
            await sink.until(samples=5)
    first = in_order(sink)[0]
    assert first.metric == "rtt"
    assert 0 < first.value < 100


@pytest.mark.parametrize(
    ("interval_ms", "late_ms", "next_ms", "soonest_ms", "skipped"),
    [
        (1, 0.1, 1, 0.6, 0),
        (1, 5.3, 1, 5.8, 0),  # five slots were missed: made up for, every half a millisecond
        (1, 50.2, 31, 50.7, 30),  # of fifty, those of the last twenty milliseconds
        (100, 250.0, 300, 300.0, 2),  # a long interval has no slot so near
    ],
)
def test_missed_slots(interval_ms: int, late_ms: float, next_ms: int, soonest_ms: float, skipped: int) -> None:
    """A packet due at 0 that leaves late: when the next is due, the soonest it may leave, and what is skipped."""
    session = Session(1_000_000_000)
    sender = Sender(
        session,
        Wire(("127.0.0.1", 0)),
        ("127.0.0.1", 9),
        interval_ms * 1_000_000,
        take=lambda _: None,
        stranger=lambda *_: None,
        unreachable=lambda _: None,
    )
    assert sender._next_slot(0, int(late_ms * 1e6)) == (next_ms * 1_000_000, int(soonest_ms * 1e6))
    assert session.counts["skipped"] == skipped
    sender.close()


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_the_clock_is_set_by_an_hour(step_s: int) -> None:
    """The wall clock is set by an hour in the middle of a run: every packet is answered, in less than a second, and the
    step is counted once."""
    readings = 0

    def clock() -> Instant:
        nonlocal readings
        readings += 1
        at = clocks.now()
        return at if readings < 200 else Instant(at.real_ns + step_s * 10**9, at.mono_ns)

    outcomes: list[Outcome] = []
    session = Session(1_000_000_000)
    with EchoReflector() as reflector:
        sender = Sender(
            session,
            Wire(("127.0.0.1", 0), transmit=True),
            reflector.address,
            2_000_000,
            take=outcomes.extend,
            stranger=lambda *_: None,
            unreachable=lambda _: None,
            clock=clock,
        )
        sender.run(200)
        sender.close()
    assert len(outcomes) == 200
    assert all(outcome.rtt_ns is not None and 0 < outcome.rtt_ns < 10**9 for outcome in outcomes)
    assert session.counts["clock_steps"] == 1
    assert len({outcome.sent_ns for outcome in outcomes}) == 200
    hours = {(outcome.sent_ns - outcomes[0].sent_ns) // (1800 * 10**9) for outcome in outcomes}
    assert hours == {0, 2 if step_s > 0 else -2}

"""The contract of every collector. To plug one in, write a bench for it and subclass:

    class TestMqtt(CollectorContract):
        @pytest.fixture
        async def bench(self, mosquitto: Mosquitto) -> MqttBench:
            return MqttBench(mosquitto)

A bench owns a real source on 127.0.0.1, started, and knows what it published: see `Bench`. A collector whose source
keeps nothing for those who are away (an OPC UA server without history, a probe) says `keeps = False`; what was
published while nobody was connected is then not asked for. `publish_garbage` returns 0 where garbage is only counted.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Protocol

import pytest

from collectors.retry import keep_running
from telemetry.errors import StoreError
from telemetry.health import Component, Condition
from telemetry.protocols import Collector
from telemetry.samples import Sample
from tests.contracts.memory import MemorySink

Identity = tuple[str, str, int]
"""Asset, metric, source time [ns]."""

Known = dict[Identity, float]
"""What a bench published: the value of every identity."""


class Bench(Protocol):
    """A real source and the settings of a collector for it."""

    keeps: bool
    """Whether the source keeps for us what we did not acknowledge, and what is published while we are away."""

    bound: int
    """Most samples the collector built here may hold that no put has returned for: small, so that it can be reached."""

    def collector(self) -> tuple[Collector, Component]:
        """A new collector, of the same identity every time, and the component it calls `ok` on."""

    async def publish(self, count: int) -> Known:
        """Make `count` new samples of known value come out of the source; return once it has them."""

    async def publish_garbage(self) -> int:
        """Send what will never decode; return how many dead letters it makes (0 if it is only counted)."""

    async def stop_source(self) -> None:
        """End it in an orderly way."""

    async def kill_source(self) -> None:
        """End it as a power cut would."""

    async def start_source(self) -> None:
        """Start it again at the same address; return once it accepts connections."""


class SizedSink(MemorySink):
    """A MemorySink that remembers how many samples each put held."""

    def __init__(self, fail_with: StoreError | None = None) -> None:
        super().__init__(fail_with=fail_with)
        self.sizes: list[int] = []

    @property
    def known(self) -> Known:
        return {(one.asset, one.metric, one.time_ns): one.value for one in self.samples}

    async def put(self, samples: Sequence[Sample]) -> None:
        self.sizes.append(len(samples))
        await super().put(samples)

    async def holds(self, expected: Known, seconds: float = 45.0) -> None:
        """Return once every expected sample was put with its value; AssertionError with what is missing if not."""
        with suppress(TimeoutError):
            await until(lambda: expected.items() <= self.known.items(), seconds)
        missing = dict(expected.items() - self.known.items())
        assert not missing, (
            f"{len(missing)} of {len(expected)} samples did not come, first {next(iter(missing.items()))}"
        )


async def until(reached: Callable[[], object], seconds: float = 45.0) -> None:
    """Return once `reached()`; TimeoutError after `seconds` [s]. For what real peers do in their own time."""
    deadline = monotonic() + seconds
    while not reached():
        if monotonic() > deadline:
            raise TimeoutError(f"not reached in {seconds} s")
        await asyncio.sleep(0.01)


@asynccontextmanager
async def running(bench: Bench, sink: SizedSink, *, connected: bool = True) -> AsyncIterator[Component]:
    """The bench's collector in the retry loop with short waits; its task must not end by itself, and is cancelled."""
    collector, component = bench.collector()
    task = asyncio.create_task(
        keep_running(collector, sink, component, sleep=lambda seconds: asyncio.sleep(min(seconds, 0.05)))
    )
    try:
        if connected:
            await until(lambda: component.condition is Condition.OK or task.done())
        yield component
        assert not task.done(), f"the collector ended: {task}"
    finally:
        task.cancel()
        # A second as this loop passes it: where the machine is busy elsewhere its moments are longer, and as few.
        moments, began = 0, monotonic()
        while not task.done() and moments < 100:
            await asyncio.wait([task], timeout=0.01)
            moments += 1
        took_s = monotonic() - began
    assert task.done(), "the collector did not end within a second of being cancelled"
    assert took_s < 10, f"while it ended, the collector held up the whole process for {took_s:.1f} s"


class CollectorContract:
    """What holds for every collector."""

    @pytest.fixture
    async def bench(self) -> Bench:
        raise NotImplementedError("a subclass gives its bench")

    async def test_everything_published_is_put(self, bench: Bench) -> None:
        """With a sink that is always durable, every sample published is put, with its source time and value."""
        sink = SizedSink()
        async with running(bench, sink) as component:
            await sink.holds(await bench.publish(200))
            assert component.condition is Condition.OK

    async def test_a_slow_sink_bounds_what_is_held(self, bench: Bench) -> None:
        """While the sink stands still, a collector holds no more than its bound; all arrives once the sink goes on."""
        sink = SizedSink()
        async with running(bench, sink):
            sink.block()
            known = await bench.publish(4 * bench.bound)
            await until(lambda: sink.waiting > 0)
            await asyncio.sleep(0.3)  # what an unbounded collector would use to read everything
            sink.unblock()
            if bench.keeps:
                await sink.holds(known)
            assert sink.most_waiting == 1
            assert max(sink.sizes) <= bench.bound

    async def test_what_a_failing_sink_refused_comes_again(self, bench: Bench) -> None:
        """When a put fails, the collector ends with that error and has acknowledged nothing: all comes again."""
        broken = SizedSink(fail_with=StoreError("disk full"))
        collector, component = bench.collector()
        task = asyncio.create_task(collector.run(broken))
        await until(lambda: component.condition is Condition.OK or task.done())
        known = await bench.publish(50)
        with pytest.raises(StoreError, match="disk full"):
            await asyncio.wait_for(task, 45)
        assert broken.samples == []
        sink = SizedSink()
        async with running(bench, sink):
            known |= await bench.publish(50) if bench.keeps else {}
            if bench.keeps:
                await sink.holds(known)

    @pytest.mark.parametrize("how", ["stopped", "killed"])
    async def test_collecting_resumes_when_the_source_comes_back(self, bench: Bench, how: str) -> None:
        """A source that goes away is shown as failing, with the reason; when it is back, collecting goes on."""
        sink = SizedSink()
        async with running(bench, sink) as component:
            before = await bench.publish(50)
            await sink.holds(before)
            await (bench.stop_source() if how == "stopped" else bench.kill_source())
            await until(lambda: component.condition is Condition.FAILING)
            assert component.snapshot()["detail"]
            await bench.start_source()
            await until(lambda: component.condition is Condition.OK)
            await sink.holds(before | await bench.publish(50))

    async def test_garbage_is_set_aside_and_passed(self, bench: Bench) -> None:
        """What will never decode is set aside once, with a reason and the raw bytes; what follows it is put."""
        sink = SizedSink()
        async with running(bench, sink) as component:
            known = await bench.publish(20)
            letters = await bench.publish_garbage()
            known |= await bench.publish(20)
            await sink.holds(known)
            await sink.until(dead_letters=letters)
            assert len(sink.dead_letters) == letters
            assert all(letter.reason and letter.source for letter in sink.dead_letters)
            assert component.condition is Condition.OK
            assert component.counted("reconnects") == 0

    async def test_cancelled_while_idle_it_ends_within_a_second(self, bench: Bench) -> None:
        """A collector with nothing to do ends within 1 s when cancelled."""
        async with running(bench, SizedSink()):
            await asyncio.sleep(0.1)

    async def test_cancelled_during_a_put_it_ends_and_the_put_comes_again(self, bench: Bench) -> None:
        """A collector cancelled while the sink stands still ends within 1 s; what was not put comes again."""
        blocked = SizedSink()
        async with running(bench, blocked):
            blocked.block()
            known = await bench.publish(20)
            await until(lambda: blocked.waiting > 0)
        assert blocked.samples == []
        sink = SizedSink()
        async with running(bench, sink):
            if bench.keeps:
                await sink.holds(known)

    async def test_cancelled_while_the_source_is_away_it_ends_within_a_second(self, bench: Bench) -> None:
        """A collector that cannot reach its source ends within 1 s when cancelled."""
        await bench.stop_source()
        async with running(bench, SizedSink(), connected=False) as component:
            await until(lambda: component.condition is Condition.FAILING)

    async def test_what_is_published_while_we_are_away_is_kept_for_us(self, bench: Bench) -> None:
        """A source that keeps what we miss hands it over when we are back."""
        if not bench.keeps:
            return
        async with running(bench, SizedSink()):
            pass
        known = await bench.publish(100)
        sink = SizedSink()
        async with running(bench, sink):
            await sink.holds(known)

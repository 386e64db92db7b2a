"""The one retry loop, on a clock that the test moves."""

import asyncio
from collections.abc import Callable

import pytest

from collectors.retry import keep_running
from telemetry.errors import SourceError
from telemetry.health import Component, Condition
from telemetry.protocols import Sink


class NoSink:
    """A sink that nothing is put into."""

    async def put(self, samples: object) -> None:
        raise AssertionError(samples)

    async def set_aside(self, source: str, reason: str, raw: bytes) -> None:
        raise AssertionError((source, reason, raw))


class Clock:
    """Virtual time [s]: `sleep` moves it and remembers the waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


class Scripted:
    """A collector whose runs are the steps of a script, then one that waits to be cancelled."""

    name = "scripted"

    def __init__(self, *steps: Callable[[], None]) -> None:
        self.steps = list(steps)
        self.waiting = asyncio.Event()

    async def run(self, sink: Sink) -> None:
        assert isinstance(sink, NoSink)
        if self.steps:
            self.steps.pop(0)()
            return
        self.waiting.set()
        await asyncio.Event().wait()


def fails(reason: str = "refused") -> Callable[[], None]:
    def step() -> None:
        raise SourceError(reason)

    return step


async def until_waiting(collector: Scripted, component: Component, clock: Clock, random: float = 1.0) -> None:
    """Run the loop until the script is used up, then cancel it."""
    loop = asyncio.create_task(
        keep_running(collector, NoSink(), component, sleep=clock.sleep, random=lambda: random, clock=lambda: clock.now)
    )
    await asyncio.wait_for(collector.waiting.wait(), 5)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop


async def test_waits_double_from_a_fifth_of_a_second_to_half_a_minute() -> None:
    """A source that stays away is asked again after 0.2, 0.4, 0.8 … 25.6 s, then every 30 s, for ever."""
    clock = Clock()
    await until_waiting(Scripted(*[fails()] * 10), Component("m"), clock)
    assert clock.waits == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30])


async def test_waits_are_jittered_down_to_half() -> None:
    """Collectors that lost the same broker do not come back in step: a wait lies between half its range and all."""
    clock = Clock()
    await until_waiting(Scripted(*[fails()] * 3), Component("m"), clock, random=0.0)
    assert clock.waits == pytest.approx([0.1, 0.2, 0.4])


async def test_reason_and_count_are_shown() -> None:
    """The component says why the source failed, and how often it was run again."""
    component = Component("m")
    await until_waiting(Scripted(fails("first"), fails("connection refused")), component, Clock())
    assert (component.condition, component.snapshot()["detail"]) == (Condition.FAILING, "connection refused")
    assert component.counted("reconnects") == 2


async def test_after_working_for_a_while_the_wait_is_short_again() -> None:
    """A source that answered and worked for half a minute is healthy: when it fails, the first wait is short."""
    clock, component = Clock(), Component("m")

    def works_then_fails() -> None:
        component.ok()
        clock.now += 30
        raise SourceError("connection reset")

    await until_waiting(Scripted(fails(), fails(), fails(), works_then_fails, fails()), component, clock)
    assert clock.waits == pytest.approx([0.2, 0.4, 0.8, 0.2, 0.4])


async def test_a_long_attempt_that_never_connected_does_not_count_as_working() -> None:
    """A connection attempt that times out after minutes does not shorten the wait."""
    clock = Clock()

    def times_out() -> None:
        clock.now += 120
        raise SourceError("timed out")

    await until_waiting(Scripted(fails(), times_out, fails()), Component("m"), clock)
    assert clock.waits == pytest.approx([0.2, 0.4, 0.8])


async def test_a_source_that_flaps_keeps_its_long_wait() -> None:
    """A broker that accepts and drops us at once is not hammered."""
    clock, component = Clock(), Component("m")

    def flaps() -> None:
        component.ok()
        clock.now += 0.1
        raise SourceError("dropped")

    await until_waiting(Scripted(*[flaps] * 4), component, clock)
    assert clock.waits == pytest.approx([0.2, 0.4, 0.8, 1.6])


async def test_a_bug_passes() -> None:
    """What is not a SourceError is a bug: it leaves the loop, nothing is retried."""

    def bug() -> None:
        raise KeyError("bug")

    clock = Clock()
    with pytest.raises(KeyError):
        await keep_running(Scripted(bug), NoSink(), Component("m"), sleep=clock.sleep)
    assert clock.waits == []


async def test_an_exhausted_source_ends_the_loop() -> None:
    """A collector whose `run` returns (a recording was played to its end) is not run again."""
    collector = Scripted(lambda: None)
    await asyncio.wait_for(keep_running(collector, NoSink(), Component("m")), 5)
    assert collector.steps == []
    assert not collector.waiting.is_set()


async def test_cancelling_during_a_wait_passes_at_once() -> None:
    """Shutting down does not wait for a back-off to end."""
    asleep = asyncio.Event()

    async def sleep(seconds: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    loop = asyncio.create_task(keep_running(Scripted(fails()), NoSink(), Component("m"), sleep=sleep))
    await asyncio.wait_for(asleep.wait(), 5)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(loop, 0.5)

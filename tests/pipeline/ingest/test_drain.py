"""The drain: what the spool holds reaches the store in order, once it takes it, and nothing is forgotten before."""

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from pipeline.ingest.batches import Batch
from pipeline.ingest.drain import Drain
from pipeline.ingest.spool import Spool
from telemetry.errors import StoreError
from telemetry.health import Component
from telemetry.samples import Sample, Window
from tests.contracts.memory import MemoryStore
from tests.contracts.sink import ASSET, samples

EVER = Window(0, 2**63 - 1)


class WatchedStore(MemoryStore):
    """Remembers the writes it took, and can hold one up until `go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[list[Sample]] = []
        self.began = threading.Event()
        self.go = threading.Event()
        self.go.set()

    def write(self, samples: Sequence[Sample]) -> None:
        self.began.set()
        self.go.wait(60)
        super().write(samples)
        self.writes.append(list(samples))

    @property
    def taken(self) -> list[Sample]:
        return [sample for write in self.writes for sample in write]


@asynccontextmanager
async def draining(spool: Spool, store: MemoryStore, component: Component, **options: Any) -> AsyncIterator[None]:
    options = {"max_age_s": 0.01, "first_delay_s": 0.01} | options
    task = asyncio.create_task(Drain(spool, store, component, **options).run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def emptied(spool: Spool) -> None:
    await asyncio.wait_for(spool.emptied(), 60)


async def failed(component: Component, times: int) -> None:
    """Return once so many writes failed."""
    while component.counted("write_failures") < times:  # noqa: ASYNC110  # health is counted, not signalled
        await asyncio.sleep(0.005)


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    async with Spool(tmp_path / "spool.sqlite") as spool:
        yield spool


async def test_samples_reach_the_store_in_the_order_of_put(spool: Spool) -> None:
    """Also those that waited from before, in several writes: of one identity, the last put is the one in force."""
    store, component = WatchedStore(), Component("drain")
    await spool.put(samples(0, 500))
    async with draining(spool, store, component, max_samples=100):
        for value in range(300):
            await spool.put([Sample(7, ASSET, "state", float(value))])
        await emptied(spool)
    assert store.taken[:500] == samples(0, 500)
    assert store.read(ASSET, "state", EVER).values.tolist() == [299.0]
    assert [sample.value for sample in store.taken[500:]] == list(range(300))
    assert component.counted("samples") == 800
    assert component.condition == "ok"


async def test_small_batches_are_written_together(spool: Spool) -> None:
    """A store pays by the write: what waits goes in one, up to max_samples."""
    store = WatchedStore()
    for n in range(100):
        await spool.put(samples(n, 1))
    async with draining(spool, store, Component("drain"), max_samples=60):
        await emptied(spool)
    assert [len(write) for write in store.writes] == [60, 40]


async def test_a_write_goes_off_by_age_when_little_comes(spool: Spool) -> None:
    """One sample alone does not wait for others for ever."""
    store = WatchedStore()
    async with draining(spool, store, Component("drain"), max_samples=10**6, max_age_s=0.05):
        await spool.put(samples(0, 1))
        await emptied(spool)
    assert store.taken == samples(0, 1)


async def test_a_store_that_is_down_is_tried_again_and_loses_nothing(spool: Spool) -> None:
    """Health says why and that samples wait; then everything arrives, in order."""
    store, component = WatchedStore(), Component("drain")
    store.fail_with = StoreError("connection refused")
    async with draining(spool, store, component):
        for n in range(10):
            await spool.put(samples(n, 1))
        await failed(component, 3)
        assert component.condition == "failing"
        assert "connection refused; samples wait" in component.snapshot()["detail"]
        assert spool.batches == 10
        store.fail_with = None
        await emptied(spool)
    assert store.taken == samples(0, 10)
    assert component.snapshot()["condition"] == "ok"


async def test_what_was_read_ahead_keeps_its_place(spool: Spool) -> None:
    """A store that fails in between, at random: each sample is taken once, in the order of put, dead letters too."""
    rng = random.Random(3)

    class Moody(WatchedStore):
        def write(self, samples: Sequence[Sample]) -> None:
            if rng.random() < 0.5:
                raise StoreError("not now")
            super().write(samples)

    store, component = Moody(), Component("drain")
    bad = Sample(10**6, ASSET, "power", float("inf"))
    for n in range(100):
        await spool.put([*samples(7 * n, 7), bad] if n % 10 == 0 else samples(7 * n, 7))
    stored: list[Sample] = []
    options = {"max_samples": 50, "longest_delay_s": 0.01, "on_stored": lambda taken, _: stored.extend(taken)}
    async with draining(spool, store, component, **options):
        await emptied(spool)
    assert stored == samples(0, 700)
    assert spool.dead_letters.count() == 10
    assert component.counted("samples") == 700
    assert component.counted("write_failures") > 0


async def test_the_next_write_is_read_while_the_store_is_busy(spool: Spool) -> None:
    """A slow store waits for nothing but itself: of three writes' worth two are in hand while the first is written."""
    store = WatchedStore()
    reads: list[int] = []
    read = spool.read

    def counted(max_samples: int, max_bytes: int, after: int = 0) -> list[Batch]:
        found = read(max_samples, max_bytes, after)
        reads.append(sum(batch.samples for batch in found))
        return found

    spool.read = counted  # type: ignore[method-assign]  # watched, not replaced
    store.go.clear()
    for n in range(30):
        await spool.put(samples(10 * n, 10))
    async with draining(spool, store, Component("drain"), max_samples=100):
        async with asyncio.timeout(60):
            while len(reads) < 2:  # noqa: ASYNC110  # a thread's doing is not signalled
                await asyncio.sleep(0.005)
        assert store.writes == []
        store.go.set()
        await emptied(spool)
    assert reads == [100, 100, 100]
    assert store.taken == samples(0, 300)


async def test_the_wait_that_the_store_asked_for_is_kept(spool: Spool) -> None:
    """Retry-After of 0.3 s: no second try before."""
    store, component = WatchedStore(), Component("drain")
    store.fail_with = StoreError("too many requests", retry_after_s=0.3)
    await spool.put(samples(0, 1))
    started = time.monotonic()
    async with draining(spool, store, component):
        await failed(component, 2)
    assert time.monotonic() - started >= 0.3


def test_tries_grow_apart_with_jitter_up_to_a_longest_delay() -> None:
    """0.5, 1, 2, 4 … 30 s, each shortened by up to a half so that many drains do not come back together."""
    drain = Drain(None, None, Component("drain"), rng=random.Random(1))  # type: ignore[arg-type]  # neither is used
    delays = [drain._failed(StoreError("down")) for _ in range(30)]  # the sequence is the claim, not its waiting
    for delay, full in zip(delays, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0] + [30.0] * 24, strict=True):
        assert full / 2 <= delay <= full
    assert len(set(delays)) == 30


async def test_exactly_the_refused_samples_become_dead_letters(spool: Spool) -> None:
    """The others are stored; each letter says why and holds the sample, so that it can be replayed."""
    store, component = WatchedStore(), Component("drain")
    bad = Sample(3, ASSET, "power", float("inf"))
    await spool.put([*samples(0, 2), bad])
    await spool.put([Sample(4, ASSET, "power", 1.0, quality=9), *samples(5, 1)])
    stored: list[Sample] = []
    async with draining(spool, store, component, on_stored=lambda taken, _: stored.extend(taken)):
        await emptied(spool)
    letters = list(reversed(spool.dead_letters.list(10)))
    assert [letter.source for letter in letters] == ["store", "store"]
    assert ["finite" in letters[0].reason, "quality" in letters[1].reason] == [True, True]
    assert letters[1].sample() == Sample(4, ASSET, "power", 1.0, quality=9)
    assert store.inventory()[0].samples == 3
    assert stored == samples(0, 2) + samples(5, 1)
    assert component.counted("rejected") == 2
    assert component.counted("samples") == 3


async def test_the_observer_learns_what_was_stored_and_when(spool: Spool) -> None:
    """For histograms of lag; the gauge tells the newest sample's."""
    store, component = WatchedStore(), Component("drain")
    told: list[tuple[list[Sample], int]] = []
    source_ns = time.time_ns() - 5 * 10**9
    async with draining(spool, store, component, on_stored=lambda taken, at_ns: told.append((list(taken), at_ns))):
        await spool.put([Sample(source_ns, ASSET, "power", 1.0)])
        await emptied(spool)
    [(taken, at_ns)] = told
    assert taken[0].time_ns == source_ns
    assert source_ns + 5 * 10**9 <= at_ns <= time.time_ns()
    assert 5000 <= component.snapshot()["gauges"]["lag_ms"] < 60_000


async def test_cancelling_finishes_the_write_in_hand(spool: Spool) -> None:
    """What the store took is removed from the spool before the drain ends; the rest waits for the next start."""
    store = WatchedStore()
    store.go.clear()
    await spool.put(samples(0, 3))
    task = asyncio.create_task(Drain(spool, store, Component("drain"), max_age_s=0.01).run())
    await asyncio.to_thread(store.began.wait, 10)
    await spool.put(samples(3, 3))
    task.cancel()
    await asyncio.sleep(0.05)
    assert not task.done()
    store.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.taken == samples(0, 3)
    assert spool.batches == 1


async def test_cancelling_does_not_wait_for_a_store_that_is_down(spool: Spool) -> None:
    """A shutdown in the middle of a long back-off ends at once."""
    store, component = WatchedStore(), Component("drain")
    store.fail_with = StoreError("down", retry_after_s=3600)
    await spool.put(samples(0, 1))
    async with asyncio.timeout(5):
        async with draining(spool, store, component):
            await failed(component, 1)
    assert spool.batches == 1


async def test_a_write_repeated_after_a_crash_is_harmless(tmp_path: Path) -> None:
    """Stored, but the process ended before the spool forgot: the second run stores it again, to no effect."""
    store = MemoryStore()
    async with Spool(tmp_path / "spool.sqlite") as spool:
        await spool.put(samples(0, 10))
        store.write(samples(0, 10))
    async with Spool(tmp_path / "spool.sqlite") as spool, draining(spool, store, Component("drain")):
        await emptied(spool)
    assert store.inventory()[0].samples == 10


async def test_a_bug_in_the_store_ends_the_drain(spool: Spool) -> None:
    """Only StoreError and RejectedError are handled; anything else must end the process, with the samples kept."""

    class Broken(MemoryStore):
        def write(self, samples: Sequence[Sample]) -> None:
            raise ZeroDivisionError(len(samples))

    await spool.put(samples(0, 1))
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(Drain(spool, Broken(), Component("drain"), max_age_s=0.01).run(), 10)
    assert spool.batches == 1

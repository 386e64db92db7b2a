"""The spool on a disk that is full."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pipeline.ingest.spool import Spool
from telemetry.health import Component, Condition
from telemetry.samples import Sample
from tests.contracts.collector import until
from tests.contracts.sink import samples
from tests.pipeline.ingest.spooled import condition, disk_full_at, on_disk
from tests.support import small_disk


async def failing(component: Component) -> None:
    await until(lambda: component.condition is Condition.FAILING)


async def test_a_full_disk_makes_put_wait_and_says_so(tmp_path: Path) -> None:
    """Put does not return before the samples are on disk; when there is room again, it does."""
    component = Component("spool")
    path = tmp_path / "spool.sqlite"
    async with Spool(path, component=component, retry_s=0.02) as spool:
        await spool.put(samples(0, 1))
        with disk_full_at(200_000):
            put = asyncio.create_task(spool.put(samples(1, 1000, "y" * 1000)))
            letter = asyncio.create_task(spool.set_aside("mqtt", "not JSON", b"{"))
            await failing(component)
            done, _ = await asyncio.wait([put, letter], timeout=0.2)  # ten tries
            assert not done
            assert "cannot be written" in component.snapshot()["detail"]
        await asyncio.wait_for(put, 60)
        await asyncio.wait_for(letter, 60)
        assert condition(component) == Condition.OK
        assert len(on_disk(path)) == 1001
        assert spool.dead_letters.count() == 1


async def test_what_frees_room_does_not_wait_for_what_there_is_no_room_for(tmp_path: Path) -> None:
    """A put that does not fit is tried again and again; what the store has leaves meanwhile, and then it fits."""
    path = tmp_path / "spool.sqlite"
    async with Spool(path, retry_s=0.02) as spool:
        await asyncio.gather(*(spool.put(samples(n, 1, "y" * 30_000)) for n in range(60)))
        database = spool._commits._connection  # its thread has nothing to do
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}")  # to SQLite, a full disk
        put = asyncio.create_task(spool.put(samples(100, 1000, "y" * 900)))
        await failing(spool._component)
        async with asyncio.timeout(60):
            await spool.remove(spool.read(10**6, 10**8))
            await put
    assert len(on_disk(path)) == 1000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 20 MB."""
    with small_disk(tmp_path / "disk", 20) as folder:
        yield folder


async def test_a_disk_that_the_spool_has_filled_is_emptied_again(disk: Path) -> None:
    """Not a byte is left while the store is down, not even for the log; started again, it drains to the last batch.

    It could neither open nor remove: all that was acknowledged lay there until somebody made room.
    """
    path, kept = disk / "spool.sqlite", 0
    component = Component("spool")
    async with Spool(path, component=component, retry_s=0.02) as spool:
        while condition(component) != Condition.FAILING:
            put = asyncio.create_task(spool.put(samples(kept, 1, "y" * 40_000)))
            while not put.done() and condition(component) != Condition.FAILING:  # noqa: ASYNC110  # health is not signalled
                await asyncio.sleep(0.001)
            kept += put.done()
    await asyncio.wait([put])
    assert kept > 100
    assert shutil.disk_usage(disk).free < 100_000
    drained: set[int] = set()
    async with Spool(path, component=component, retry_s=0.02) as spool, asyncio.timeout(60):
        more = asyncio.create_task(spool.put(samples(10_000, 10, "y" * 40_000)))
        while not (drained.issuperset(range(kept)) and more.done()):
            batches = spool.read(1000, 1_000_000)
            drained |= {
                one.time_ns for batch in batches for one in msgspec.msgpack.decode(batch.body, type=list[Sample])
            }
            await spool.remove(batches)
    assert drained >= set(range(kept))


async def test_room_is_kept_for_the_day_the_disk_is_full(tmp_path: Path) -> None:
    """Eight megabytes, really taken, beside the file and also after the end, for the next start."""
    async with Spool(tmp_path / "spool.sqlite") as spool:
        await spool.put(samples(0, 1))
    kept = os.stat(tmp_path / "spool.sqlite.reserve")
    assert kept.st_size == 8_000_000
    assert kept.st_blocks * 512 >= 8_000_000


async def test_closing_on_a_full_disk_ends_and_acknowledges_nothing(tmp_path: Path) -> None:
    """The shutdown does not wait for the disk; the put that was not stored fails."""
    component = Component("spool")
    with disk_full_at(200_000):
        async with asyncio.timeout(60), Spool(tmp_path / "spool.sqlite", component=component, retry_s=600) as spool:
            put = asyncio.create_task(spool.put(samples(1, 1000, "y" * 1000)))
            await failing(component)
        await asyncio.wait([put])
    assert put.exception() is not None

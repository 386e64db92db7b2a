"""The spool: the contract of a sink, kills and restarts, dead letters. Full disks and damage: test_spool_disk.py."""

import asyncio
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.ingest.drain import Drain
from pipeline.ingest.spool import Spool
from pipeline.stores.duckdb import DuckDbStore
from telemetry.errors import ConfigError
from telemetry.health import Component, Condition
from telemetry.samples import Sample
from tests.contracts.sink import ASSET, SinkCase, SinkContract, samples
from tests.pipeline.ingest.putter import BATCH
from tests.pipeline.ingest.spooled import condition, on_disk


class TestSpool(SinkContract):
    """Full means that the drain did not come by: the case's own batch fills it, and removing that makes room."""

    @pytest.fixture
    async def case(self, tmp_path: Path) -> AsyncIterator[SinkCase]:
        path = tmp_path / "spool.sqlite"
        async with Spool(path, max_bytes=100_000) as spool:
            filler: list[asyncio.Task[None]] = []

            def fill() -> None:
                filler.append(asyncio.create_task(spool.put(samples(10**6, 1, "x" * 200_000))))

            async def emptied() -> None:
                await filler[0]  # a slow disk has it only now
                await spool.remove(spool.read(1, 1))

            def relieve() -> None:
                filler.append(asyncio.create_task(emptied()))

            def kept() -> list[Sample]:
                return [sample for sample in on_disk(path) if sample.time_ns != 10**6]

            def letters() -> list[tuple[str, str, bytes]]:
                return [(x.source, x.reason, x.raw) for x in reversed(spool.dead_letters.list(100))]

            yield SinkCase(spool, kept, letters, fill, relieve)
            await asyncio.gather(*filler)


def test_everything_acknowledged_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    """Kills -9 under load: what put returned for is stored, whole, once, in order; the spool opens each time."""
    path = tmp_path / "spool.sqlite"
    acknowledged: set[tuple[int, int, int]] = set()
    rng = random.Random(7)
    runs, lines = 6, 10
    for run in range(runs):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.pipeline.ingest.putter", str(path), str(run)],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            acknowledged |= {_numbers(process.stdout.readline()) for _ in range(lines)}
            time.sleep(rng.uniform(0, 0.15))
            process.kill()
            whole = [line for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
            acknowledged |= {_numbers(line) for line in whole}
    kept = on_disk(path)
    stored: dict[str, list[int]] = defaultdict(list)
    for sample in kept:
        stored[sample.asset].append(sample.time_ns)
    for asset, numbers in stored.items():
        assert numbers == list(range(len(numbers))), asset
        assert len(numbers) % BATCH == 0
    lost = [key for key in acknowledged if len(stored[f"site/run-{key[0]}/task-{key[1]}"]) < (key[2] + 1) * BATCH]
    assert lost == []


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_a_million_samples_survive_ten_kills_and_reach_the_store(tmp_path: Path) -> None:
    """A million acknowledged over ten lives, each ended by kill -9; then the drain stores every one of them."""
    path, batch = tmp_path / "spool.sqlite", 500
    acknowledged: dict[str, int] = defaultdict(int)
    for run in range(10):
        command = [sys.executable, "-m", "tests.pipeline.ingest.putter", str(path), str(run), str(batch)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220  # nothing else runs
            assert process.stdout is not None
            while acknowledged[str(run)] < 100_000 + 7919 * run:
                _numbers(process.stdout.readline())
                acknowledged[str(run)] += batch
            process.kill()
            rest = process.stdout.read().splitlines(keepends=True)
            acknowledged[str(run)] += batch * sum(line.endswith("\n") for line in rest)
    assert sum(acknowledged.values()) > 1_000_000
    store = DuckDbStore(tmp_path / "store.duckdb")
    began = time.monotonic()
    async with Spool(path) as spool:
        assert time.monotonic() - began < 10
        drain = asyncio.create_task(Drain(spool, store, Component("drain")).run())
        await asyncio.wait_for(spool.emptied(), 120)
        drain.cancel()
        await asyncio.wait([drain])
    held: dict[str, int] = defaultdict(int)
    for series in store.inventory():
        assert (series.first_ns, series.last_ns) == (0, series.samples - 1)  # without a hole
        held[series.asset.split("/")[1].removeprefix("run-")] += series.samples
    store.close()
    assert all(held[run] >= count for run, count in acknowledged.items())


def _numbers(line: str) -> tuple[int, int, int]:
    run, task, number = map(int, line.split())
    return run, task, number


async def test_puts_that_wait_share_a_commit(tmp_path: Path) -> None:
    """Many sources at once cost far fewer fsyncs than batches, or a plant PC's disk would be the limit."""
    path = tmp_path / "spool.sqlite"
    async with Spool(path) as spool:
        watcher = sqlite3.connect(path)
        watcher.execute("SELECT count(*) FROM batches").fetchone()
        wal = path.with_name(path.name + "-wal")
        before = wal.stat().st_size
        await asyncio.gather(*(spool.put(samples(n, 1)) for n in range(500)))
        grown = wal.stat().st_size - before
        watcher.close()
    # A commit writes at least one page of 4 kB to the log: 500 of them would be 2 MB.
    assert 0 < grown < 400_000


async def test_batches_survive_a_restart_and_leave_in_order(tmp_path: Path) -> None:
    """The drain finds after a restart what it did not remove before, oldest first, within its limits."""
    path = tmp_path / "spool.sqlite"
    async with Spool(path) as spool:
        for n in range(5):
            await spool.put(samples(n * 10, 10))
        await spool.remove(spool.read(10, 10**6))
    async with Spool(path) as spool:
        assert spool.batches == 4
        assert [batch.samples for batch in spool.read(25, 10**6)] == [10, 10]
        assert [batch.samples for batch in spool.read(1, 1)] == [10]
        await spool.remove(spool.read(10**6, 10**6))
        await asyncio.wait_for(spool.emptied(), 5)
        assert spool.batches == 0
        await spool.put(samples(99, 1))
        assert spool.batches == 1
    assert on_disk(path) == samples(99, 1)


async def test_the_file_does_not_outgrow_its_room(tmp_path: Path) -> None:
    """While nothing is removed, the file ends near max_bytes; health says that sources wait, and why."""
    path = tmp_path / "spool.sqlite"
    component = Component("spool")
    async with Spool(path, component=component, max_bytes=1_000_000) as spool:
        assert condition(component) == Condition.OK
        puts = [asyncio.create_task(spool.put(samples(n * 100, 100, "x" * 90))) for n in range(200)]
        await asyncio.wait(puts, timeout=0.5)
        assert path.stat().st_size < 1_300_000
        assert 50 < sum(put.done() for put in puts) < 100
        assert condition(component) == Condition.FAILING
        assert "full" in component.snapshot()["detail"]
        while not all(put.done() for put in puts):
            await spool.remove(spool.read(10**6, 10**6))
            await asyncio.sleep(0.01)
        assert condition(component) == Condition.OK
        assert component.counted("samples") == 20_000
        assert path.stat().st_size < 1_300_000


async def test_a_newer_spool_is_left_alone(tmp_path: Path) -> None:
    """An older program must not touch what it does not know, and says what to do."""
    path = tmp_path / "spool.sqlite"
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(ConfigError, match="schema version 99"):
        async with Spool(path):
            pass


async def test_a_folder_that_cannot_be_written_is_a_configuration_error(tmp_path: Path) -> None:
    """The message names the file and the key to change."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"\[spool\]"):
        async with Spool(tmp_path / "file" / "spool.sqlite"):
            pass


async def test_what_cannot_be_encoded_is_set_aside_and_the_rest_kept(tmp_path: Path) -> None:
    """Half a surrogate pair from a JSON escape, or a time beyond 64 bits, neither crashes nor takes others along."""
    path = tmp_path / "spool.sqlite"
    async with Spool(path) as spool:
        bad = [Sample(1, ASSET, "product", 0.0, "\ud800"), Sample(2**80, ASSET, "state", 1.0)]
        await spool.put([*samples(0, 1), *bad, *samples(5, 1)])
        await spool.put(bad)
        await spool.set_aside("topic \udcff", "reason \ud800", b"")
        assert on_disk(path) == samples(0, 1) + samples(5, 1)
        assert spool.dead_letters.count() == 5
        assert spool.batches == 1


async def test_dead_letters_are_listed_shown_and_dropped(tmp_path: Path) -> None:
    """Newest first, page by page; what is removed is gone, also after a restart."""
    path = tmp_path / "spool.sqlite"
    async with Spool(path) as spool:
        for n in range(5):
            await spool.set_aside("mqtt", f"reason {n}", bytes([n]))
        letters = spool.dead_letters
        first = letters.list(2)
        assert [letter.reason for letter in first] == ["reason 4", "reason 3"]
        rest = letters.list(10, before=first[-1].id)
        assert [letter.raw for letter in rest] == [b"\x02", b"\x01", b"\x00"]
        assert letters.get(first[0].id) == first[0]
        assert abs(first[0].at_ns - time.time_ns()) < 60 * 10**9
        assert letters.remove([first[0].id, 999]) == 1
        assert letters.get(first[0].id) is None
    async with Spool(path) as spool:
        assert spool.dead_letters.count() == 4


async def test_dead_letters_cannot_fill_the_disk(tmp_path: Path) -> None:
    """The oldest give way and are counted; a giant keeps its beginning; samples are not held up."""
    component = Component("spool")
    async with Spool(tmp_path / "spool.sqlite", component=component, max_dead_bytes=3_000_000) as spool:
        for n in range(10):
            await spool.set_aside("mqtt", f"{n}", bytes(600_000))
        kept = spool.dead_letters.list(100)
        assert [letter.reason for letter in kept] == ["9", "8", "7", "6"]
        assert component.counted("dead_letters_dropped") == 6
        await spool.set_aside("mqtt", "giant", bytes(5_000_000))
        giant = spool.dead_letters.list(1)[0]
        assert len(giant.raw) == 1_000_000
        assert "5000000" in giant.reason
        await spool.put(samples(0, 1))
    counts = Counter(letter.source for letter in kept)
    assert counts == {"mqtt": 4}

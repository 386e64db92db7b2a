"""Samples per second that lie on disk, fsync included, by batch size and by how many sources put at once."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import Row
from benchmarks.measure import Cost, in_turn
from pipeline.ingest.drain import Drain
from pipeline.ingest.spool import Spool
from pipeline.stores.duckdb import DuckDbStore
from telemetry.health import Component
from telemetry.protocols import Store
from telemetry.samples import SECOND_NS, Sample

T0 = 1_795_300_000 * SECOND_NS


def samples(count: int, assets: int = 10) -> list[Sample]:
    """Gauges of a few machines at 1 Hz, in time order."""
    return [
        Sample(T0 + n // assets * SECOND_NS, f"km0/bench/cell/mill-{n % assets}", "power", n * 0.25, received_ns=T0 + n)
        for n in range(count)
    ]


def putting(batch: int, sources: int, batches: int) -> Cost:
    """`sources` tasks that each put their share of the batches, one after the other."""

    async def put(folder: str) -> Cost:
        rows = samples(batch)
        async with Spool(Path(folder) / "spool.sqlite") as spool:

            async def source() -> None:
                for _ in range(batches // sources):
                    await spool.put(rows)

            async def work() -> None:
                await asyncio.gather(*(source() for _ in range(sources)))

            return await _timed(work, batches // sources * sources * batch)

    with tempfile.TemporaryDirectory(dir=".") as folder:
        return asyncio.run(put(folder))


def draining(batch: int, batches: int) -> Cost:
    """Spool to DuckDB: what waits when the store comes back."""

    with tempfile.TemporaryDirectory(dir=".") as folder:
        store = DuckDbStore(Path(folder) / "store.duckdb")
        try:
            rows = samples(batch * batches)
            return asyncio.run(emptied([rows[n * batch : (n + 1) * batch] for n in range(batches)], store))
        finally:
            store.close()


async def emptied(batches: Sequence[Sequence[Sample]], store: Store) -> Cost:
    """What it costs the drain to bring batches that lie in a spool into a store."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        async with Spool(Path(folder) / "spool.sqlite") as spool:
            await asyncio.gather(*map(spool.put, batches))
            task = asyncio.create_task(Drain(spool, store, Component("drain")).run())
            spent = await _timed(spool.emptied, sum(map(len, batches)))
            task.cancel()
            await asyncio.wait([task])
            return spent


async def _timed(work: Callable[[], Coroutine[Any, Any, None]], units: int) -> Cost:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    await work()
    return Cost(time.perf_counter() - wall_s, time.process_time() - cpu_s, units)


def run() -> list[Row]:
    return in_turn(
        {
            "put, 1 source, batches of 1": partial(putting, 1, 1, 500),
            "put, 1 source, batches of 100": partial(putting, 100, 1, 500),
            "put, 1 source, batches of 1000": partial(putting, 1000, 1, 200),
            "put, 64 sources, batches of 1": partial(putting, 1, 64, 6400),
            "put, 64 sources, batches of 100": partial(putting, 100, 64, 3200),
            "drain to DuckDB, batches of 1": partial(draining, 1, 20_000),
            "drain to DuckDB, batches of 1000": partial(draining, 1000, 500),
        },
        "samples",
        rounds=3,
    )

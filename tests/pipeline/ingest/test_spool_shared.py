"""Another process writes into the spool's file while it is in use: `km0 deadletters replay` and `drop`."""

import asyncio
from pathlib import Path

from pipeline.ingest.spool import Spool
from telemetry.health import Component
from telemetry.samples import Sample
from tests.contracts.sink import ASSET, samples

REPLAYED = [Sample(7, ASSET, "parts", 1.0), Sample(8, ASSET, "parts", 2.0)]


def waiting(component: Component) -> tuple[float, float]:
    """Batches and samples that the spool says wait for the store."""
    gauges = component.snapshot()["gauges"]
    return gauges["spooled_batches"], gauges["spooled_samples"]


async def test_what_another_process_replays_is_counted_and_hides_nothing(tmp_path: Path) -> None:
    """Three own batches and one replayed, taken two at a time: two are left, then none."""
    component = Component("spool")
    async with Spool(tmp_path / "spool.sqlite", component=component) as spool:
        await spool.set_aside("broker:a", "not known", b"1")
        await spool.put(samples(100, 1))
        await spool.put(samples(200, 1))
        spool.dead_letters.replay(1, REPLAYED)
        await spool.put(samples(300, 3))
        assert waiting(component) == (3, 5), "the replayed batch is not known yet"
        for left in ((2, 5), (0, 0)):
            await spool.remove(spool.read(2, 10**9) if left[0] else spool.read(100, 10**9))
            assert waiting(component) == left
        await asyncio.wait_for(spool.emptied(), 20)
        await spool.put(samples(400, 2))
        assert waiting(component) == (1, 2)


async def test_room_is_kept_account_of_while_another_process_writes(tmp_path: Path) -> None:
    """Bytes of a replayed batch and of puts underway are in the account: when all is removed, it is zero."""
    component = Component("spool")
    async with Spool(tmp_path / "spool.sqlite", component=component) as spool:
        await spool.set_aside("broker:a", "not known", b"1")
        await spool.put(samples(1, 1))
        spool.dead_letters.replay(1, REPLAYED)
        async with asyncio.TaskGroup() as group:
            for n in range(50):
                group.create_task(spool.put(samples(1000 + n, 1)))
            group.create_task(spool.remove(spool.read(1, 10**9)))
            group.create_task(spool.put(samples(9999, 1)))
        while batches := spool.read(7, 10**9):
            await spool.remove(batches)
        assert component.snapshot()["gauges"]["spooled_bytes"] == 0
        assert waiting(component) == (0, 0)

"""InfluxDB stopped, killed, made read-only and filled under load: afterwards it has every identity that was put."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.ingest.drain import Drain
from pipeline.ingest.spool import Spool
from pipeline.stores import InfluxDbConfig
from pipeline.stores.influxdb import InfluxDbStore
from telemetry.config import Secret
from telemetry.health import Component
from telemetry.samples import SECOND_NS, Sample
from tests.contracts.stored import EVER, T0
from tests.pipeline.stores.influxd import Influxd
from tests.support import small_disk

pytestmark = pytest.mark.timeout(400)  # a busy machine starts a database slowly

MONTH_NS = 30 * 24 * 3600 * SECOND_NS


@dataclass
class Load:
    """Machines whose counter goes up by one each second of T0, put in batches as fast as the spool takes them."""

    spool: Spool
    put: dict[str, int] = field(default_factory=dict)
    """How many samples of each asset were put and acknowledged."""
    assets: int = 3
    later: bool = False
    """From now on machines of another month, for which InfluxDB makes a new shard."""

    async def run(self, until: asyncio.Event) -> None:
        number = 0
        while not until.is_set():
            asset = f"km0/{'later' if self.later else 'load'}/machine-{number % self.assets}"
            first = self.put.get(asset, 0)
            await self.spool.put([_sample(asset, n, MONTH_NS * self.later) for n in range(first, first + 20)])
            self.put[asset] = first + 20
            number += 1
            await asyncio.sleep(0.002)


def _sample(asset: str, number: int, later_ns: int) -> Sample:
    return Sample(T0 - later_ns + number * SECOND_NS, asset, "parts", float(number), received_ns=T0 + number)


@asynccontextmanager
async def loaded(config: InfluxDbConfig, folder: Path) -> AsyncIterator[tuple[Load, Component]]:
    """A load, draining into InfluxDB. At the end everything put must arrive, whatever was done meanwhile."""
    store, component = InfluxDbStore(config), Component("drain")
    async with Spool(folder / "spool.sqlite") as spool:
        drain = Drain(spool, store, component, max_age_s=0.02, first_delay_s=0.02, longest_delay_s=0.1)
        draining = asyncio.create_task(drain.run())
        load, ended = Load(spool), asyncio.Event()
        loading = asyncio.create_task(load.run(ended))
        try:
            yield load, component
        finally:
            ended.set()
        await loading
        await asyncio.wait_for(spool.emptied(), 200)
        draining.cancel()
        await asyncio.wait([draining])
        assert spool.dead_letters.count() == 0
    await asyncio.to_thread(_compare, InfluxDbStore(config), load)


def _compare(store: InfluxDbStore, load: Load) -> None:
    held = {series.asset: series.samples for series in store.inventory()}
    assert held == load.put
    for asset, count in load.put.items():
        assert store.read(asset, "parts", EVER).values.tolist() == list(range(count)), asset


async def _failing(component: Component) -> None:
    async with asyncio.timeout(60):
        while component.condition != "failing":  # noqa: ASYNC110  # health is not signalled
            await asyncio.sleep(0.01)


async def _telling(component: Component, words: str) -> None:
    async with asyncio.timeout(60):
        while words not in component.snapshot()["detail"]:  # noqa: ASYNC110  # health is not signalled
            await asyncio.sleep(0.01)


async def _working(component: Component, more: int = 500) -> None:
    """So many more samples were stored."""
    target = component.counted("samples") + more
    try:
        async with asyncio.timeout(60):
            while component.counted("samples") < target:  # noqa: ASYNC110  # health is not signalled
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise TimeoutError(f"not {target} samples were stored: {component.snapshot()}") from None


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_nothing_is_missing_after_the_server_went_away(own_influxd: Influxd, tmp_path: Path, end: str) -> None:
    """Twice stopped, or killed -9, in the middle of writes, and started again on the same data."""
    async with loaded(own_influxd.databases(), tmp_path) as (_, component):
        for _ in range(2):
            await _working(component)
            await asyncio.to_thread(getattr(own_influxd, end))
            await _failing(component)
            await asyncio.to_thread(own_influxd.start)
        await _working(component)


async def test_nothing_is_missing_after_the_right_to_write_was_taken_away(own_influxd: Influxd, tmp_path: Path) -> None:
    """401 and 403 keep the samples and raise the alarm; when the right is given back, all arrive."""
    config = own_influxd.databases()
    own_influxd.run(
        "CREATE USER admin WITH PASSWORD 'p' WITH ALL PRIVILEGES", "CREATE USER collector WITH PASSWORD 'c'"
    )

    def grant(right: str) -> None:
        for name in ("km0", "km0_journal"):
            own_influxd.run(
                f'REVOKE ALL ON "{name}" FROM collector', f'GRANT {right} ON "{name}" TO collector', user="admin:p"
            )

    grant("ALL")
    own_influxd.stop()
    own_influxd.settings["HTTP_AUTH_ENABLED"] = "true"
    own_influxd.start()
    (tmp_path / "token").write_text("collector:c")
    collecting = config.model_copy(update={"token": Secret(file=tmp_path / "token")})
    async with loaded(collecting, tmp_path) as (_, component):
        await _working(component)
        grant("READ")
        await _failing(component)
        assert "token" in component.snapshot()["detail"]
        grant("ALL")
        await _working(component)


async def test_nothing_is_missing_after_its_disk_could_not_be_written(own_influxd: Influxd, tmp_path: Path) -> None:
    """No new shard can be made: a write error of the server, and then it can again."""
    own_influxd.kill()
    own_influxd.unprivileged = True  # root may write to what is read-only
    own_influxd.start()
    config = own_influxd.databases()
    async with loaded(config, tmp_path) as (load, component):
        await _working(component)
        folders = [
            folder for top in ("data", "wal") for folder in (own_influxd.folder / top).rglob("*") if folder.is_dir()
        ]
        for folder in folders:
            folder.chmod(0o555)
        load.later = True
        await _failing(component)
        for folder in folders:
            folder.chmod(0o755)
        await _working(component)


async def test_nothing_is_missing_after_its_disk_was_full(tmp_path: Path) -> None:
    """Somebody else's file takes what was left: all waits, with the words what to do. Room is made, and the server is
    started anew; nothing is sent to it, which it would lose, until it is started once more. Then it is killed."""
    with small_disk(tmp_path / "disk", 48) as disk:
        own = Influxd(disk / "influxd")
        own.start()
        try:
            async with loaded(own.databases(), tmp_path) as (_, component):
                await _working(component)
                other = disk / "other"
                with other.open("wb", buffering=0) as file, suppress(OSError):
                    while file.write(bytes(4096)):
                        pass
                await _failing(component)
                assert "disk is full" in component.snapshot()["detail"]
                other.unlink()
                await asyncio.to_thread(own.stop)
                await asyncio.to_thread(own.start)
                await _telling(component, "start it once more")
                await asyncio.to_thread(own.stop)
                await asyncio.to_thread(own.start)
                await _working(component)
                await asyncio.to_thread(own.kill)
                await asyncio.to_thread(own.start)
                await _working(component)
        finally:
            own.kill()


async def test_nothing_is_missing_after_a_limit_of_its_own_was_reached(own_influxd: Influxd, tmp_path: Path) -> None:
    """New machines beyond max-values-per-tag: all waits, with the words to look up; then not."""
    own_influxd.stop()
    own_influxd.settings |= {"DATA_MAX_VALUES_PER_TAG": "5", "DATA_INDEX_VERSION": "inmem"}
    own_influxd.start()
    async with loaded(own_influxd.databases(), tmp_path) as (load, component):
        await _working(component)
        load.assets = 30
        await _failing(component)
        assert "max-values-per-tag" in component.snapshot()["detail"]
        await asyncio.to_thread(own_influxd.stop)
        own_influxd.settings["DATA_MAX_VALUES_PER_TAG"] = "0"
        await asyncio.to_thread(own_influxd.start)
        await _working(component)


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_nothing_is_missing_after_twenty_kills_under_load(own_influxd: Influxd, tmp_path: Path) -> None:
    """At random instants of its life: while it starts, writes, and snapshots its cache to disk."""
    rng = random.Random(5)
    own_influxd.kill()
    own_influxd.settings |= {
        "DATA_CACHE_SNAPSHOT_MEMORY_SIZE": "100000",
        "DATA_CACHE_SNAPSHOT_WRITE_COLD_DURATION": "1s",
    }
    own_influxd.start()
    async with loaded(own_influxd.databases(), tmp_path) as (_, component):
        for _ in range(20):
            await asyncio.sleep(rng.uniform(0.1, 3))
            await asyncio.to_thread(own_influxd.kill)
            await asyncio.to_thread(own_influxd.start)
        await _working(component)

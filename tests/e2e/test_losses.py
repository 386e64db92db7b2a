"""A spool that is full: what can wait does, what cannot is counted as lost, by its source, where people look."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from starlette.testclient import TestClient

from collectors.probe.config import ProbeConfig
from collectors.probe.probe import Probe
from dashboards.web.app import create_app
from dashboards.web.context import WebContext
from pipeline.ingest.drain import Drain
from pipeline.ingest.spool import Spool
from pipeline.stores.duckdb import DuckDbStore
from simulators.echo_reflector import EchoReflector
from telemetry.errors import StoreError
from telemetry.health import Health
from telemetry.plant import Asset, Plant
from telemetry.samples import SECOND_NS, Sample

LINK = "km0/network/5g/link-1"
ROOM = 20_000


class Down(DuckDbStore):
    """A store that takes nothing while `down`."""

    down = True

    def write(self, samples: Sequence[Sample]) -> None:
        if self.down:
            raise StoreError("it is away")
        super().write(samples)


async def test_what_cannot_wait_for_a_full_spool_is_counted_by_its_source(tmp_path: Path) -> None:
    """The store is away and the spool full: a probe pauses and counts the packets it did not send, a source that can
    wait waits and loses none. When the store is back, /api/v1/health, /metrics and the page's figure say so."""
    health, store = Health(), Down(tmp_path / "store.duckdb")
    reflector = EchoReflector()
    _, port = reflector.start().address
    config = ProbeConfig(kind="probe", name="probe-5g", asset=LINK, host="127.0.0.1", port=port, interval_ms=2)
    probe = Probe(config, health.component("probe-5g"), backlog=50)
    context = WebContext(Plant(assets=(Asset(path=LINK, name="link", kind="link"),)), store, health, Letters())
    async with Spool(tmp_path / "spool.sqlite", component=health.component("spool"), max_bytes=ROOM) as spool:
        drain = Drain(spool, store, health.component("drain"), first_delay_s=0.05, longest_delay_s=0.1)
        tasks = [asyncio.create_task(drain.run()), asyncio.create_task(probe.run(spool))]
        async with asyncio.timeout(60):
            while "full" not in health.component("spool").snapshot()["detail"]:  # noqa: ASYNC110  # not signalled
                await asyncio.sleep(0.02)
        waiting = asyncio.create_task(spool.put([Sample(SECOND_NS, "km0/a/b/mill", "parts", 1.0)]))
        async with asyncio.timeout(60):
            sent = -1
            while sent != reflector.received:  # until it pauses: a packet is due each 2 ms, with room for 50
                sent = reflector.received
                await asyncio.sleep(1)
        assert not waiting.done()
        store.down = False
        await asyncio.wait_for(waiting, 60)
        async with asyncio.timeout(60):
            while not health.component("probe-5g").counted("paused"):  # noqa: ASYNC110  # health is not signalled
                await asyncio.sleep(0.02)
        with TestClient(create_app(context), base_url="http://127.0.0.1") as client:
            told = await asyncio.to_thread(lambda: client.get("/api/v1/health").json())
            metrics = (await asyncio.to_thread(lambda: client.get("/metrics"))).text
            now = await asyncio.to_thread(lambda: client.get("/api/v1/plant/now").json())
        lost = {component["name"]: component["lost"] for component in told["components"]}
        assert lost["probe-5g"] > 0
        assert lost["spool"] == lost["drain"] == 0
        [line] = [line for line in metrics.splitlines() if line.startswith('km0_lost_total{component="probe-5g"}')]
        assert float(line.split()[-1]) >= lost["probe-5g"]
        assert now["path"]["lost"] >= lost["probe-5g"]
        tasks[1].cancel()
        await asyncio.wait(tasks[1:])
        await asyncio.wait_for(spool.emptied(), 60)
        tasks[0].cancel()
        await asyncio.wait(tasks)
    counts = health.component("probe-5g").snapshot()["counts"]
    held = {(info.asset, info.metric): info.samples for info in store.inventory()}
    assert held["km0/a/b/mill", "parts"] == 1
    assert held.get((LINK, "rtt"), 0) + held.get((LINK, "rtt_lost"), 0) == counts["answered"] + counts.get("lost", 0)
    store.close()
    reflector.stop()


class Letters:
    """No dead letters."""

    def count(self) -> int:
        return 0

    def list(self, _limit: int, _before: int | None = None) -> list[object]:
        return []

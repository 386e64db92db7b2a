"""The whole path into a real InfluxDB: broker, collector, spool, drain, store, KPI values, and a database that dies."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.publish as publish

from km0.app import Platform, running
from km0.plantfile import PlantFile
from telemetry.config import parse
from telemetry.samples import Window
from tests.pipeline.stores.influxd import Influxd
from tests.support import Mosquitto

PRESS = "km0/fabrication/cell-2/press-1"

EVER = Window(0, 2**63 - 1)

PLANT = """
[[plant.assets]]
path = "{press}"
name = "Presse 1"
cycle_s = {{ "*" = 9.0 }}

[[collectors]]
kind = "mqtt"
name = "broker"
host = "127.0.0.1"
port = {broker}
[[collectors.topics]]
dialect = "json"
topic = "{{site}}/{{area}}/{{line}}/{{asset}}/{{metric}}"

[spool]
path = "{folder}/spool.sqlite"

[store]
kind = "influxdb"
url = "{url}"
"""


def tell(broker: Mosquitto, metric: str, first: int, count: int) -> None:
    """A batch of samples, one per second, numbered by value."""
    rows = [
        {"value": first + n, "time": f"2026-11-21T22:{(first + n) // 60:02d}:{(first + n) % 60:02d}Z"}
        for n in range(count)
    ]
    publish.single(f"{PRESS}/{metric}", json.dumps(rows), qos=1, hostname="127.0.0.1", port=broker.port)


async def test_a_plant_lives_through_the_death_of_its_database(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """It starts while InfluxDB is down, says so, stores when it comes, survives its kill, and computes KPI values."""
    server = Influxd(tmp_path / "influxd")
    text = PLANT.format(press=PRESS, broker=mosquitto.port, folder=tmp_path, url=server.url)
    async with running(parse(text, PlantFile)) as platform:
        await _until(lambda: platform.collectors[0].condition == "ok")
        await asyncio.to_thread(tell, mosquitto, "parts", 0, 500)
        drain = platform.health.component("drain")
        await _until(lambda: "cannot be reached" in drain.snapshot()["detail"])
        await asyncio.to_thread(server.start)
        await _until(lambda: "km0 init influxdb" in drain.snapshot()["detail"])
        server.databases()
        try:
            await asyncio.wait_for(_stored(platform, 500), 20)
            server.kill()
            await asyncio.to_thread(tell, mosquitto, "parts", 500, 500)
            await _until(lambda: drain.condition == "failing")
            server.start()
            await asyncio.wait_for(_stored(platform, 1000), 20)
            found = await asyncio.to_thread(platform.store.read, PRESS, "parts", EVER)
            assert found.values.tolist() == list(range(1000))
            await _until(lambda: platform.store.cursor() > 0)
            values = await asyncio.to_thread(platform.store.read_kpis, PRESS, "performance", EVER)
            assert values
        finally:
            server.kill()


async def _stored(platform: Platform, samples: int) -> None:
    while platform.health.component("drain").counted("samples") < samples:  # noqa: ASYNC110  # health is not signalled
        await asyncio.sleep(0.02)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # health is counted, not signalled
            await asyncio.sleep(0.02)

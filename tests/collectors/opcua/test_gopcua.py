"""Collecting from gopcua, a third implementation of OPC UA, which has as little as a small device."""

import json
import time

from telemetry.health import Condition
from telemetry.plant import Asset, Plant
from telemetry.samples import Quality
from tests.collectors.opcua.gopcua import URI, gopcua
from tests.collectors.opcua.peer import config
from tests.collectors.opcua.running import MS, collecting, km0
from tests.contracts.collector import until
from tests.contracts.memory import MemorySink

MILL = "a/mill"
PLANT = Plant(assets=(Asset(path=MILL, name="mill"),))
NODES = [
    {"node": f"nsu={URI};s=PartCounter", "asset": MILL, "metric": "parts"},
    {"node": f"nsu={URI};s=MachineState", "asset": MILL, "metric": "state"},
    {"node": f"nsu={URI};s=ActivePower", "asset": MILL, "metric": "power"},
]


async def test_a_server_with_neither_queues_nor_history_is_followed_and_its_poverty_said() -> None:
    """Its variables are found; its values come at their source times. It queues one value, which is said; killed, it
    comes back, and what it cannot tell of the time between is counted and unknown."""
    sink = MemorySink()
    names = ("PartCounter", "MachineState", "ActivePower")
    async with gopcua(*names) as server:
        found = json.loads(await km0("discover", "opcua", server.url, "--json"))
        guesses = {row["node"]: row["perhaps"] for row in found["variables"]}
        assert {(node["node"], node["metric"]) for node in NODES} <= set(guesses.items())
        settings = config(server.port, *NODES, url=server.url, online_s=1, timeout_ms=1000)
        async with collecting(settings, sink, plant=PLANT) as component:
            await until(lambda: {one.metric for one in sink.samples} >= {"parts", "state", "power"})
            assert component.snapshot()["gauges"]["short_queues"] == 3
            assert "the server queues only 1 values" in component.snapshot()["detail"]
            at = time.time_ns() // MS
            for number in range(1, 6):
                await server.write(("PartCounter", float(number), at + number))
                await until(lambda n=number: (at + n, float(n)) in rows(sink, "parts"))
            await server.write(("MachineState", 3.0, at), ("ActivePower", 230.5, at))
            await until(lambda: (at, 3.0) in rows(sink, "state") and (at, 230.5) in rows(sink, "power"))
            await server.kill()
            await until(lambda: component.condition is Condition.FAILING)
            assert [one for one in sink.samples if one.metric == "state"][-1].quality == Quality.BAD
            await server.start()
            await until(lambda: component.counted("holes_left") == 3)
            later = time.time_ns() // MS
            await server.write(("MachineState", 2.0, later), ("PartCounter", 6.0, later))
            await until(lambda: (later, 2.0) in rows(sink, "state") and (later, 6.0) in rows(sink, "parts"))
    assert {one.quality for one in sink.samples if one.metric != "state"} == {Quality.GOOD}
    assert sink.dead_letters == []


def rows(sink: MemorySink, metric: str) -> set[tuple[int, float]]:
    return {(one.time_ns // MS, one.value) for one in sink.samples if one.metric == metric}

"""Collecting from open62541, a third implementation of OPC UA: values, history, subscriptions handed over."""

import json
import time

from collectors.opcua.config import OpcUaConfig
from telemetry.health import Condition
from telemetry.plant import Asset, Plant
from tests.collectors.opcua.open62541 import URI, open62541
from tests.collectors.opcua.peer import config
from tests.collectors.opcua.running import MS, collecting, until
from tests.collectors.opcua.tap import HISTORY_READ, tapped
from tests.collectors.opcua.test_discover import km0
from tests.contracts.memory import MemorySink

NAMES = tuple(f"N{number}" for number in range(30))
PLANT = Plant(assets=tuple(Asset(path=f"a/{name.lower()}", name=name) for name in NAMES))


def following(port: int, **settings: object) -> OpcUaConfig:
    nodes = [{"node": f"nsu={URI};s={name}", "asset": f"a/{name.lower()}", "metric": "parts"} for name in NAMES]
    return config(port, nodes=nodes, **settings)


def rows(sink: MemorySink, since_ms: int) -> dict[tuple[str, int], float]:
    # to the nearest: the server's Python side computes times in floats, a few 100 ns off
    return {(one.asset, (one.time_ns + MS // 2) // MS - since_ms): one.value for one in sink.samples}


async def test_values_and_what_a_cut_path_missed_arrive_at_their_source_times() -> None:
    """Live values, then thirty nodes' history through few requests, or the queue that the server kept: all of it."""
    sink = MemorySink()
    at = time.time_ns() // MS
    async with open62541() as server, tapped(server.port) as path:
        machines = json.loads(await km0("discover", "opcua", server.url, "--json"))["machines"]
        assert [(one["name"], one["specification"]) for one in machines] == [("Mill", "MachineTool")]
        async with collecting(following(path.port, timeout_ms=1000), sink, plant=PLANT) as component:
            await until(lambda: len({one.asset for one in sink.samples}) == len(NAMES))
            await server.write(*((name, 1.0, at + 1) for name in NAMES))
            await until(lambda: all((f"a/{name.lower()}", 1) in rows(sink, at) for name in NAMES))
            for turn in range(2):
                await path.cut()
                await until(lambda: component.condition is Condition.FAILING)
                first = 2 + 10 * turn
                await server.write(*((name, float(n), at + n) for n in range(first, first + 10) for name in NAMES))
                await path.mend()
                await until(lambda: component.condition is Condition.OK)
                wanted = {(f"a/{name.lower()}", n): float(n) for n in range(1, first + 10) for name in NAMES}
                await until(lambda wanted=wanted: wanted.items() <= rows(sink, at).items())
            assert component.counted("holes_left") == 0
            assert component.counted("dead_letters") == 0
            assert path.said[HISTORY_READ] <= 4

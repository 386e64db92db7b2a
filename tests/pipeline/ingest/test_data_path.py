"""Delays of the data path with a clock given by the test."""

import pytest

from pipeline.ingest.data_path import DataPath
from telemetry.glossary import METRICS
from telemetry.plant import Asset
from telemetry.samples import Sample
from tests.contracts.memory import MemorySink

MS = 1_000_000
T0 = 1_800_000_000 * 1_000_000_000
ALL, BROKER = "km0/platform/ingest", "km0/platform/collectors/broker"
MILL = "km0/fabrication/cell-1/mill-1"
ASSETS = [
    Asset(path=ALL, name="Données", kind="platform"),
    Asset(path=BROKER, name="Broker", kind="platform"),
    Asset(path=MILL, name="Fraiseuse"),
]


def sample(n: int, metric: str = "power", received_ms: float = 5) -> Sample:
    """At n ms, received some ms later."""
    at = T0 + n * MS
    return Sample(at, MILL, metric, float(n), received_ns=at + round(received_ms * MS))


def figures(told: list[Sample], asset: str) -> dict[str, float]:
    return {one.metric: one.value for one in told if one.asset == asset}


async def test_each_stage_of_each_collector() -> None:
    """Five samples of the broker at 0…4 ms, received 5 ms later, durable at 14 ms, stored at 104 ms; one of OPC UA,
    whose asset is that of all: its 100 ms are the slowest there and nowhere else."""
    now = [T0]
    path, sink = DataPath(ASSETS, ["broker", "cell-1"], lambda: now[0]), MemorySink()
    first, other = [sample(n) for n in range(5)], [sample(0, "state", 100)]
    now[0] = T0 + 14 * MS
    await path.sink("broker", sink).put(first)
    now[0] = T0 + 120 * MS
    await path.sink("cell-1", sink).put(other)
    path.stored([*first, sample(0, "unheard")], T0 + 104 * MS)
    told = path.take()
    assert sink.samples == [*first, *other]
    expected = {
        "received_p50": 5, "received_max": 5, "durable_p50": 12, "durable_max": 14,
        "queryable_p50": 102, "queryable_max": 104,
    }  # fmt: skip
    assert figures(told, BROKER) == pytest.approx(expected, rel=0.004)  # the error of a histogram
    assert figures(told, ALL)["received_max"] == 100.0
    assert figures(told, ALL)["durable_max"] == 120.0
    assert all(one.metric in METRICS for one in told)
    assert path.take() == []  # nothing passed since


async def test_percentiles_of_many() -> None:
    """Of 50,000 samples received 0…49.999 ms late, half within 25 ms and 99 % within 49.5 ms, to 0.4 %."""
    path = DataPath(ASSETS, ["broker"], lambda: T0)
    late = [Sample(T0, MILL, "power", 1.0, received_ns=T0 + n * 1000) for n in range(50_000)]
    for start in range(0, 50_000, 100):
        await path.sink("broker", MemorySink()).put(late[start : start + 100])
    told = figures(path.take(), BROKER)
    assert abs(told["received_p50"] - 25) < 0.2
    assert abs(told["received_p99"] - 49.5) < 0.3


async def test_without_a_platform_asset() -> None:
    """Nothing is measured, and the collector's sink is the spool itself."""
    path, sink = DataPath(ASSETS[2:], ["broker"]), MemorySink()
    assert not path.measures
    assert path.sink("broker", sink) is sink

"""What the platform says of itself, as samples of its own asset, so that Grafana and alerts see the data path.

It runs where the plant file has an asset of kind "platform"; the figures are those of the health page.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from time import time_ns
from typing import Any, Final

from telemetry.glossary import METRICS
from telemetry.health import Health
from telemetry.protocols import Sink
from telemetry.samples import Sample

EVERY_S: Final = 15.0

_OF_BROKERS: Final = tuple(
    name.removeprefix("mqtt_") for name, metric in METRICS.items() if name.startswith("mqtt_") and metric.holds
)
"""Counts of MQTT collectors; the metric is called mqtt_ and then so."""


def samples(asset: str, snapshot: Sequence[Mapping[str, Any]], spool_bytes: int, now_ns: int) -> list[Sample]:
    """The platform's figures at an instant; `spool_bytes`: room of the spool. A figure nobody gave is not made up."""
    by_name = {component["name"]: component for component in snapshot}

    def counted(*names: str) -> float:
        return float(sum(one["counts"].get(name, 0) for one in snapshot for name in names))

    gauges = by_name.get("spool", {}).get("gauges", {})
    said = {
        "samples_lost": float(sum(one["lost"] for one in snapshot)),
        "dead_letters": float(by_name.get("spool", {}).get("counts", {}).get("dead_letters", 0)),
        "reconnects": counted("reconnects"),
        "spool_fill": 100 * gauges["spooled_bytes"] / spool_bytes if "spooled_bytes" in gauges else None,
        "spooled_samples": gauges.get("spooled_samples"),
        "lag": by_name.get("drain", {}).get("gauges", {}).get("lag_ms"),
    }
    said |= {f"mqtt_{name}": counted(name) for name in _OF_BROKERS if any(name in one["counts"] for one in snapshot)}
    brokers = [one["gauges"] for one in snapshot if "connected_since_s" in one["gauges"]]
    if brokers:
        # One that is not connected has no such time: it is NaN.
        since = [now_ns / 1e9 - gauges["connected_since_s"] for gauges in brokers]
        said["mqtt_connected"] = 0.0 if any(map(math.isnan, since)) else max(0.0, min(since))
        said["mqtt_in_flight"] = sum(gauges.get("in_flight", 0.0) for gauges in brokers)
    return [
        Sample(now_ns, asset, metric, value, received_ns=now_ns) for metric, value in said.items() if value is not None
    ]


async def report(
    assets: Sequence[str], health: Health, sink: Sink, spool_bytes: int, now_ns: Callable[[], int] = time_ns
) -> None:
    """Put the platform's figures into its own spool, for ever: late like everything else when the store is away."""
    while True:
        await asyncio.sleep(EVERY_S)
        now = now_ns()
        await sink.put([one for asset in assets for one in samples(asset, health.snapshot(), spool_bytes, now)])

"""/metrics: the health of the process in the format that Prometheus reads."""

import re
from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from telemetry.health import Condition, Health

CONTENT_TYPE = CONTENT_TYPE_LATEST


class HealthCollector(Collector):
    """Counters and gauges of every component, with the component as a label; and whether it is failing."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        condition = GaugeMetricFamily(
            "km0_component_condition", "1 for the condition a component is in", labels=("component", "condition")
        )
        lost = CounterMetricFamily("km0_lost", "lost for good since the start, by what lost it", labels=("component",))
        families: dict[str, Metric] = {}
        for part in self._health.snapshot():
            for possible in Condition:
                condition.add_metric((part["name"], possible.value), float(part["condition"] == possible.value))
            lost.add_metric((part["name"],), part["lost"])
            for name, count in sorted(part["counts"].items()):
                family = families.setdefault(
                    f"counts.{name}",
                    CounterMetricFamily(f"km0_{_name(name)}", f"{name} since the start", labels=("component",)),
                )
                family.add_sample(f"km0_{_name(name)}_total", {"component": part["name"]}, count)
            for name, value in sorted(part["gauges"].items()):
                family = families.setdefault(
                    f"gauges.{name}", GaugeMetricFamily(f"km0_{_name(name)}", name, labels=("component",))
                )
                family.add_sample(f"km0_{_name(name)}", {"component": part["name"]}, value)
        yield condition
        yield lost
        yield from families.values()


def _name(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)


def exposition(health: Health) -> bytes:
    """The text of /metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(HealthCollector(health))
    return generate_latest(registry)

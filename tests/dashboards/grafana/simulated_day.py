"""The demonstrator's last day in a real influxd: simulated facts through InfluxDbStore and Recompute."""

import time
from dataclasses import dataclass
from typing import Final

from km0.plantfile import PlantFile, sample_file
from km0.self_report import samples as self_report
from pipeline.recompute import Recompute
from pipeline.stores.influxdb import InfluxDbStore
from simulators.demo import LINK, MACHINES
from simulators.link import link_events
from simulators.timeline import machine_events
from telemetry.config import load
from telemetry.glossary import METRICS
from telemetry.health import Health
from telemetry.plant import Asset, Plant
from telemetry.samples import SECOND_NS, Sample
from tests.pipeline.stores.influxd import Influxd

HOUR_NS: Final = 3600 * SECOND_NS
PLATFORM: Final = "km0/platform/edge/gateway-1"
SEED: Final = 7


def demonstrator() -> Plant:
    """The demonstrator's plant, its link judged by a use case, and with the platform as an asset of its own."""
    plant = load(sample_file(), PlantFile).plant
    assets = [one.model_copy(update={"use_case": "process-monitoring"}) if one.kind == "link" else one
              for one in plant.assets if one.kind != "platform"]  # fmt: skip
    return Plant(
        name=plant.name, timezone=plant.timezone, calendars=plant.calendars,
        assets=(*assets, Asset(path=PLATFORM, name="Passerelle", kind="platform")),
    )  # fmt: skip


@dataclass(frozen=True)
class Day:
    """What is in the server: the databases, the plant, and the stretch of time [ns] to ask for,
    an hour after the first sample."""

    server: Influxd
    samples_database: str
    kpi_database: str
    plant: Plant
    start_ns: int
    end_ns: int


def events(plant: Plant, start_ns: int, end_ns: int) -> list[Sample]:
    """All that the plant says in a stretch of time: machines and radio as simulated, and what only a live platform
    says (alarms, connections, its own health, one-way delays of a stamping probe), made up by hand."""
    found: list[Sample] = []
    lives = {path: machine_events(model, SEED, start_ns) for path, (model, _) in MACHINES.items()}
    lives[LINK.path] = link_events(LINK, SEED, start_ns)
    for path, life in lives.items():
        for time_ns, metric, value in life:
            if time_ns >= end_ns:
                break
            word = isinstance(value, str)
            found.append(Sample(time_ns, path, metric, 0.0 if word else float(value), str(value) if word else ""))
    health = Health(lambda: start_ns)
    spool, drain = health.component("spool"), health.component("drain")
    spool.gauge("spooled_bytes", 1_000_000.0)
    spool.gauge("spooled_samples", 1200.0)
    drain.gauge("lag_ms", 140.0)
    for minute in range(0, (end_ns - start_ns) // (60 * SECOND_NS), 5):
        at = start_ns + minute * 60 * SECOND_NS
        spool.count("dead_letters", minute % 2)
        found += self_report(PLATFORM, health.snapshot(), 2_000_000_000, at)
        found += [
            Sample(at, LINK.path, "delay_up", 6.0 + minute % 3),
            *(Sample(at + n * SECOND_NS, LINK.path, "delay_up", 6.0) for n in range(1, 9)),
            *(Sample(at + n * SECOND_NS, LINK.path, "delay_down", 4.0) for n in range(9)),
            Sample(at, LINK.path, "clock_error", 0.08),
        ]
    mill, middle = next(iter(MACHINES)), (start_ns + end_ns) // 2
    found += [
        Sample(middle, mill, "alarm", 500.0, "spindle temperature high"),
        Sample(start_ns, mill, "online", 1.0),
        Sample(middle, mill, "online", 0.0),
        Sample(middle, mill, "break", 0.0, "connection reset"),
        Sample(middle + 9 * SECOND_NS, mill, "online", 1.0),
        Sample(middle + 9 * SECOND_NS, mill, "repair", 9.0, "connected again after 9.0 s"),
    ]
    assert {one.metric for one in found} <= METRICS.keys()
    return found


def loaded(server: Influxd, hours: int = 27, prefix: str = "grafana_") -> Day:
    """Fill new databases with the last hours, up to now, and compute every KPI of them. 26 of them are asked for: in
    any a day begins and three shifts, when clocks go back and just after midnight too."""
    config = server.databases(prefix)
    store, plant = InfluxDbStore(config), demonstrator()
    end_ns = time.time_ns()
    start_ns = end_ns - hours * HOUR_NS
    said = events(plant, start_ns, end_ns)
    for first in range(0, len(said), 50_000):
        store.write(said[first : first + 50_000])
    recompute = Recompute(store, plant, Health().component("recompute"), now_ns=lambda: end_ns, windows_per_step=5000)
    while recompute.step().waiting:
        pass
    store.close()
    return Day(server, config.bucket, config.kpi_bucket, plant, start_ns + HOUR_NS, end_ns)

"""Energy: how much, for how many good parts, and how much of it while nothing was made."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.grafana.frame import board
from dashboards.grafana.panels import Panel, bars, filled, lines, ranked, rows, transformed
from dashboards.grafana.queries import INTERVAL, Select, Source, call, kpis, name, samples
from dashboards.grafana.texts import Texts
from telemetry.glossary import MachineState
from telemetry.plant import Plant

_BY_ASSET = ("asset",)
_STEP_MIN = 5
_MOST_STEPS = 720
"""Without it Grafana takes the width of the panel in pixels: the same energy would differ from screen to screen."""


def energy(plant: Plant, texts: Texts) -> Dashboard:
    return board(
        "energy", plant, texts, _panels(texts), refresh="1m",
        says="Energy of the machines that measure their power: kWh, kWh per good part, and energy drawn while the "
        "machine did not produce.",
    )  # fmt: skip


def _steps(*where: str) -> Select:
    """Energy [kWh] of each five minutes, mean power × time, and the state in force; no sample, no energy."""
    hours = _STEP_MIN / 60
    columns = {"kwh": f"{call('mean', 'power')} / 1000 * {hours:.10f}", "state": call("last", "state")}
    return samples("machine", columns, *where, group=(f"time({_STEP_MIN}m)", "asset"), fill="previous")


def _kwh() -> Select:
    """kWh over the time range, by machine."""
    by_step = samples("machine", {"kwh": f"{call('mean', 'power')} / 1000 * $__interval_ms / 3600000"},
                      group=(INTERVAL, "asset"), fill="none")  # fmt: skip
    return Select(Source.SAMPLES, {"kwh": call("sum", "kwh")}, by_step, group=_BY_ASSET)


def _panels(texts: Texts) -> Iterator[Panel | str]:
    yield filled(
        ranked(), texts, "Energy", "kWh in the time range: mean power of each step × its length, summed; a step is "
        "five minutes, and in ranges of more than two days and a half a 720th of the range, rounded: an hour over a "
        "month. Steps without a sample add nothing.", _kwh(), (8, 8), unit="kwatth",
    ).min(0).decimals(1).interval(f"{_STEP_MIN}m").max_data_points(_MOST_STEPS)  # fmt: skip
    good = kpis({"good": call("sum", "value")}, "parts_good", "hour", group=_BY_ASSET)
    panel = filled(
        rows(), texts, "Energy per good part", "kWh of the time range ÷ good parts (NF E60-182 NPB) of its hours, by "
        "machine. Scrap and idling make a good part dearer.",
        {"kwh": _kwh(), "good": good}, (8, 8), table_rows=True, unit="kwatth",
    ).decimals(3).interval(f"{_STEP_MIN}m").max_data_points(_MOST_STEPS)  # fmt: skip
    transformed(panel, "organize", {"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": {}})
    transformed(panel, "joinByField", {"byField": "asset", "mode": "inner"})
    binary = {"left": "kwh", "operator": "/", "right": "good"}
    options = {"mode": "binary", "alias": texts("kWh per good part"), "binary": binary}
    transformed(panel, "calculateField", options)
    yield transformed(panel, "filterFieldsByName", {"include": {"names": ["asset", texts("kWh per good part")]}})
    idle = Select(
        Source.SAMPLES, {"kwh": call("sum", "kwh")}, _steps(), (f"{name('state')} != {MachineState.EXECUTING.value}",),
        _BY_ASSET,
    )  # fmt: skip
    yield filled(
        ranked(), texts, "Idle energy", "kWh of the five-minute steps that ended in another state than executing: what "
        "switching off could save. Steps before the first state told in the time range are not judged.",
        idle, (8, 8), unit="kwatth",
    ).min(0).decimals(1)  # fmt: skip
    yield filled(
        lines(), texts, "Power", "Active power, mean of the samples per point; a gap is silence, not zero.",
        samples("machine", {"power": call("mean", "power")}, group=(INTERVAL, "asset")), (24, 9), unit="watt",
    ).min(0)  # fmt: skip
    yield filled(
        bars(), texts, "Energy per hour", "kWh of each hour: its mean power × 1 h, as if the samples stood for all of "
        "it.",
        samples("machine", {"kwh": f"{call('mean', 'power')} / 1000"}, group=("time(1h)", "asset")), (12, 8),
        unit="kwatth",
    ).min(0)  # fmt: skip
    yield filled(
        bars(), texts, "Good parts per hour", "NF E60-182 NPB; ISO 22400-2 GQ.",
        kpis({"good": call("sum", "value")}, "parts_good", "hour", group=("time(1h)", "asset")), (12, 8), unit="short",
    ).min(0).decimals(0)  # fmt: skip

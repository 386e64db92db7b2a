"""Figures of a line, a cell, a site, an order or any interval: sums of times and parts, never means of ratios.

An Oee is made of sums, so the Oee of several machines, or of one machine over several stretches, is their sum; every
figure of the catalogue is then taken from it as from one machine's. Required time of two machines is twice the hours:
a line's TRS is weighted by how long each machine was required.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from math import isnan, nan
from typing import Any, Final

from pipeline.kpis.evaluate import history_of
from pipeline.kpis.machine import MachineHistory
from pipeline.kpis.oee import NUMBERS, Oee
from pipeline.kpis.states import Category
from telemetry.calendar import required
from telemetry.intervals import total_s
from telemetry.plant import Asset, Plant
from telemetry.protocols import Store
from telemetry.samples import KpiValue, Ratio, Window

_SUMMED: Final = tuple(name for name in NUMBERS if not name.endswith("_coverage"))

_OF_WINDOW: Final = frozenset({"parts", "parts_good", "quality", "scrap_ratio"})
"""KPIs whose coverage is a share of the whole window, not of its required time."""


def summed(parts: Sequence[Oee]) -> Oee:
    """The Oee of all parts together, which must share a convention. Coverage of counters is weighted by time.

    Raises ValueError when there are none, or when conventions differ.
    """
    if len({part.convention for part in parts}) != 1:
        raise ValueError("only figures of one convention can be added, and at least one")
    total = sum(part.total for part in parts)
    causes: dict[Category, float] = {}
    for part in parts:
        for category, length in part.stops.items():
            causes[category] = causes.get(category, 0.0) + length

    def weighted(name: str) -> float:
        return sum(getattr(part, name) * part.total for part in parts) / total if total else 0.0

    def added(name: str) -> float:
        known = [value for value in (getattr(part, name) for part in parts) if not isnan(value)]
        return sum(known) if known else nan

    sums: dict[str, Any] = {name: added(name) for name in _SUMMED}
    return replace(
        parts[0],
        **sums,
        stops=causes,
        made_coverage=weighted("made_coverage"),
        good_coverage=weighted("good_coverage"),
        findings=tuple(dict.fromkeys(finding for part in parts for finding in part.findings)),
    )


def members(plant: Plant, path: str) -> list[Asset]:
    """The machines at or below a path: one machine, a line, a cell, an area or a site."""
    return [asset for asset in plant.assets if asset.kind == "machine" and f"{asset.path}/".startswith(f"{path}/")]


def machines(plant: Plant, path: str) -> list[Asset]:
    """As `members`. Raises ValueError when there are none."""
    found = members(plant, path)
    if not found:
        raise ValueError(f"there is no machine at or below {path!r}")
    return found


def history(
    store: Store, plant: Plant, asset: Asset, window: Window, now_ns: int, metrics: Collection[str] | None = None
) -> MachineHistory:
    """The timeline of a machine over any interval. `metrics`: all that the store holds of it, if known already."""
    if metrics is None:
        metrics = {sample.metric for sample in store.latest(asset.path)}
    return history_of(store, plant, asset, window, now_ns, metrics)


def over(store: Store, plant: Plant, path: str, window: Window, now_ns: int) -> Oee:
    """The Oee of a machine, line, cell or site over any interval. Raises ValueError when no machine is there."""
    return summed([history(store, plant, asset, window, now_ns).over(window) for asset in machines(plant, path)])


def stored(store: Store, plant: Plant, path: str, kpi: str, window: Window) -> list[KpiValue]:
    """The stored values of a KPI of all machines at or below a path, added up window by window, in time order.

    Machines are added where their windows are the same: shifts of machines with different calendars stand apart.
    Coverage is weighted with required time, or with the length of the window for counts of parts, which need none; a
    machine without a value is not known, and as long as its calendar says. Raises ValueError when no machine is there,
    and StoreError.
    """
    found = machines(plant, path)
    groups: dict[Window, dict[str, KpiValue]] = {}
    sizes: dict[tuple[Window, str], float] = {}
    for asset in found:
        for value in store.read_kpis(asset.path, kpi, window):
            groups.setdefault(value.window, {})[asset.path] = value
        if kpi not in _OF_WINDOW:
            for value in store.read_kpis(asset.path, "required_time", window):
                sizes[value.window, asset.path] = value.numerator

    def size(one: Window, asset: Asset) -> float:
        if kpi in _OF_WINDOW:
            return one.seconds
        known = sizes.get((one, asset.path))
        return total_s(required(one, plant.calendar(asset.path), plant.zone)) if known is None else known

    added: list[KpiValue] = []
    for one in sorted(groups):
        values = groups[one]
        shared = {plant.asset(name).calendar for name in values}
        concerned = [asset for asset in found if one.kind != "shift" or asset.calendar in shared]
        added.append(_added(path, list(values.values()), {asset.path: size(one, asset) for asset in concerned}))
    return added


def _added(path: str, values: Sequence[KpiValue], sizes: Mapping[str, float]) -> KpiValue:
    one, whole = values[0], sum(sizes.values())
    known = [value for value in values if value.coverage > 0]
    covered = sum(value.coverage * sizes[value.asset] for value in values)
    ratio = Ratio(
        sum(value.numerator for value in known),
        sum(value.denominator for value in known),
        covered / whole if whole else float(bool(known)),  # where nothing is required, nothing is missing
        sum(value.samples for value in values),
    )
    amount = not ratio.denominator and not all(isnan(value.value) for value in known)
    return KpiValue(
        path, one.kpi, one.kind, one.start_ns, one.end_ns,
        ratio.numerator if amount else ratio.value, ratio.numerator, ratio.denominator, ratio.coverage,
        ratio.samples, all(value.final for value in values),
    )  # fmt: skip


def orders(store: Store, asset: str, window: Window, now_ns: int) -> list[tuple[str, Window]]:
    """The orders of a machine that were executed within the window, whole in their start, cut at its end and at now.

    An order lasts from the sample that names it to the one that names another, or none.
    """
    series = store.read(asset, "order", window)
    names = series.texts.tolist()
    end_ns = max(window.start_ns, min(window.end_ns, now_ns))
    found: list[tuple[str, Window]] = []
    for index, (name, time_ns) in enumerate(zip(names, series.times_ns.tolist(), strict=True)):
        if index and name == names[index - 1]:
            continue
        following = next(
            (int(series.times_ns[later]) for later in range(index + 1, len(names)) if names[later] != name),
            end_ns,
        )
        if name and series.quality[index] != 2 and time_ns < following:
            found.append((name, Window(time_ns, following, "order")))
    return found

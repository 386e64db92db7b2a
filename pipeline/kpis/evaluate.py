"""The catalogue applied: which windows an asset has, what a sample in one of them can change, and their KPI values."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from math import nan
from operator import attrgetter
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.kpis import link_days, machine
from pipeline.kpis.catalogue import CATALOGUE, Kpi
from pipeline.kpis.counting import COUNTERS
from pipeline.kpis.figure import Amount
from pipeline.kpis.machine import MachineHistory
from telemetry import calendar
from telemetry.intervals import Instants
from telemetry.plant import Asset, Plant
from telemetry.samples import SECOND_NS, KpiValue, Series, Window

_START: Final = attrgetter("start_ns")
_END: Final = attrgetter("end_ns")
_ROWS: Final[dict[str, tuple[Kpi, ...]]] = {
    kind: tuple(kpi for kpi in CATALOGUE if kpi.of == kind) for kind in ("machine", "link", "platform")
}
_INPUTS: Final[dict[str, frozenset[str]]] = {
    kind: frozenset(metric for kpi in rows for metric in kpi.inputs) for kind, rows in _ROWS.items()
}
_KINDS: Final[dict[str, frozenset[str]]] = {
    kind: frozenset(name for kpi in rows for name in kpi.per) for kind, rows in _ROWS.items()
}


class Reads(Protocol):
    """A store, or whatever answers as one: all that is asked of it here."""

    def read(self, asset: str, metric: str, window: Window) -> Series:
        """As Store.read."""


class Remembers(Reads, Protocol):
    """One that also has the figures that were computed before."""

    def read_kpis(self, asset: str, kpi: str, window: Window) -> list[KpiValue]:
        """As Store.read_kpis."""


def marker(asset: Asset) -> str | None:
    """A KPI that every window of the asset has; None when the asset has no KPIs."""
    rows = _ROWS[asset.kind]
    return rows[0].name if rows else None


def is_input(asset: Asset, metric: str) -> bool:
    """Whether a KPI of the asset is computed from the metric."""
    return metric in _INPUTS[asset.kind]


def is_counter(asset: Asset, metric: str) -> bool:
    """Whether the metric is one of the counters that complete one another."""
    return asset.kind == "machine" and metric in COUNTERS


def matters(asset: Asset, metric: str) -> bool:
    """Whether a sample of the metric can change a KPI: of a machine every one can, because it ends a silence."""
    return asset.kind == "machine" or is_input(asset, metric)


def reach_ns(asset: Asset) -> tuple[int, int]:
    """How far before and after itself [ns] a sample can change windows, beyond the time it holds."""
    return (machine.after_ns(asset), machine.before_ns(asset)) if asset.kind == "machine" else (0, 0)


def settle_ns(asset: Asset) -> int:
    """How long [ns] after its end a window of an asset that goes on talking can still change."""
    return round(asset.micro_stop_s * SECOND_NS) if asset.kind == "machine" else 0


def windows(plant: Plant, asset: Asset, span: Window) -> list[Window]:
    """Every window of the asset's KPIs that overlaps the span, whole."""
    kinds, zone, shifts = _KINDS[asset.kind], plant.zone, plant.calendar(asset.path)
    found: list[Window] = []
    if "minute" in kinds:
        found += calendar.steps(span, 60 * SECOND_NS, "minute")
    if "hour" in kinds:
        found += calendar.hours(span)
    if "shift" in kinds and shifts is not None:
        found += [shift for _, shift in calendar.turns(span, shifts, zone)]
    if "day" in kinds:
        found += calendar.days(span, zone)
    if "week" in kinds:
        found += calendar.weeks(span, zone)
    if "month" in kinds:
        found += calendar.months(span, zone)
    return found


def evaluate(
    store: Remembers,
    plant: Plant,
    asset: Asset,
    due: Sequence[Window],
    now_ns: int,
    metrics: Collection[str],
    settled: Callable[[Window], bool] = lambda _: False,
) -> list[KpiValue]:
    """All KPIs of the asset over these windows, as known at `now_ns`.

    `metrics`: all that the store holds of the asset; any sample shows that a machine was heard of. `settled`: whether
    the stored figures of a window are what its samples say, so that they need not be computed to add up a day.
    """
    rows = _ROWS[asset.kind]
    if not due or not rows:
        return []
    span = Window(min(window.start_ns for window in due), max(window.end_ns for window in due))
    if asset.kind == "machine":
        return columns(history_of(store, plant, asset, span, now_ns, metrics), due).values()
    return link_days.evaluate(store, asset, due, now_ns, settled)


def history_of(
    store: Reads, plant: Plant, asset: Asset, span: Window, now_ns: int, metrics: Collection[str]
) -> MachineHistory:
    """The timeline of a machine over a span, from one read of its inputs."""
    read = partial(store.read, asset.path)
    return MachineHistory(asset, plant.calendar(asset.path), plant.zone, span, now_ns, read, metrics)


@dataclass(frozen=True, slots=True)
class Columns:
    """KPIs of one machine over many windows, as columns: `figures[kpi]` has five rows (value, numerator, denominator,
    coverage, samples), one column per window."""

    asset: Asset
    windows: Sequence[Window]
    finals: npt.NDArray[np.bool_]
    figures: dict[str, npt.NDArray[np.float64]]
    details: dict[str, list[str]]
    """Of the KPIs that have one."""

    def values(self) -> list[KpiValue]:
        """The same as values, KPI by KPI, of the windows that each is for."""
        path, finals, without = self.asset.path, self.finals.tolist(), [""] * len(self.windows)
        found: list[KpiValue] = []
        for kpi in _ROWS[self.asset.kind]:
            rows = self.figures[kpi.name].T.tolist()
            found += [
                KpiValue(
                    path,
                    kpi.name,
                    one.kind,
                    one.start_ns,
                    one.end_ns,
                    value,
                    numerator,
                    denominator,
                    coverage,
                    int(samples),
                    final,
                    detail,
                )
                for one, (value, numerator, denominator, coverage, samples), final, detail in zip(
                    self.windows, rows, finals, self.details.get(kpi.name, without), strict=True
                )
                if one.kind in kpi.per
            ]
        return found


def columns(history: MachineHistory, due: Sequence[Window]) -> Columns:
    """All KPIs of a machine over these windows of its timeline, each formula applied once to all of them."""
    starts, ends = (np.fromiter(map(bound, due), np.int64, len(due)) for bound in (_START, _END))
    model = history.columns(starts, ends)
    figures: dict[str, npt.NDArray[np.float64]] = {}
    for kpi in _ROWS["machine"]:
        figure = kpi.compute(model)
        if isinstance(figure, Amount):
            value = figure.value
        else:
            known = (figure.denominator != 0) & (figure.coverage != 0)
            value = np.divide(figure.numerator, figure.denominator, out=np.full(len(due), nan), where=known)
        found = figures[kpi.name] = np.empty((5, len(due)))
        found[0], found[1], found[2] = value, figure.numerator, figure.denominator
        found[3], found[4] = figure.coverage, figure.samples
    kinds = np.array([window.kind for window in due])
    details = {
        kpi.name: _details(kpi.detail, history, starts, ends, np.isin(kinds, kpi.per))
        for kpi in _ROWS["machine"]
        if kpi.detail is not None
    }
    return Columns(history.asset, due, history.finals(ends), figures, details)


def _details(
    detail: Callable[[MachineHistory, Instants, Instants], list[str]], history: MachineHistory, starts: Instants,
    ends: Instants, wanted: npt.NDArray[np.bool_],
) -> list[str]:  # fmt: skip
    """The details of the wanted windows, which are of one kind: in order, they do not overlap."""
    rows = np.flatnonzero(wanted)
    rows = rows[np.argsort(starts[rows], kind="stable")]
    found = [""] * len(starts)
    for row, said in zip(rows.tolist(), detail(history, starts[rows], ends[rows]) if len(rows) else (), strict=True):
        found[row] = said
    return found

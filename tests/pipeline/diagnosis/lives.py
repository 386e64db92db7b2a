"""Machine lives with a known truth, for rules: seconds on a clock, states, parts, all chosen by the test."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from pipeline.diagnosis.finding import Finding
from pipeline.diagnosis.subject import Link, Machine, Source, Subject
from pipeline.diagnosis.table import findings
from pipeline.kpis import signals
from pipeline.kpis.machine import MachineHistory
from telemetry.glossary import MachineState as S
from telemetry.glossary import holds
from telemetry.plant import Asset, CalendarConfig, Plant
from telemetry.samples import SECOND_NS, Quality, Series, Window
from telemetry.words import Words

MONDAY = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())
"""Midnight of a Monday, in seconds; the plant is in UTC."""
DAY = 86400
Rows = Sequence[tuple[float, int]]


def column(times: npt.ArrayLike, values: npt.ArrayLike, words: Sequence[str] | None = None) -> Series:
    """A series of seconds after MONDAY."""
    at = (np.rint((np.asarray(times, np.float64)) * 1000).astype(np.int64) + MONDAY * 1000) * 1_000_000
    texts = Words.none(len(at)) if words is None else Words.of(list(words))
    quality = np.where(np.asarray(values, np.float64) < 0, Quality.BAD, Quality.GOOD).astype(np.int8)
    return Series(at, np.maximum(np.asarray(values, np.float64), 0), quality, texts)


def machine(
    states: Rows, end_s: float, *, made: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    good: npt.ArrayLike | None = None, name: str = "lathe", cycle: float | None = 60.0, cost: float | None = None,
    reasons: Sequence[tuple[float, str]] = (), calendar: CalendarConfig | None = None,
) -> Machine:  # fmt: skip
    """A machine from its state changes, and its counters' totals at instants; `good` None: every part is."""
    held = {"state": column([t for t, _ in states], [s for _, s in states])}
    if made is not None:
        held["parts"] = column(*made)
        held["parts_good"] = column(made[0], made[1] if good is None else good)
    if reasons:
        held["reason"] = column([t for t, _ in reasons], np.zeros(len(reasons)), [word for _, word in reasons])
    asset = Asset(
        path=f"site/{name}", name=name, cycle_s={} if cycle is None else {"*": cycle}, hourly_cost=cost,
        stale_after_s=366 * DAY, calendar=None if calendar is None else calendar.name,
    )  # fmt: skip
    plant = Plant(timezone="UTC", assets=(asset,), calendars=() if calendar is None else (calendar,))
    window = Window(MONDAY * SECOND_NS, int(MONDAY + end_s) * SECOND_NS)

    def read(metric: str, part: Window) -> Series:
        return signals.cut(held.get(metric, Series.empty()), part, holding=holds(metric))

    history = MachineHistory(asset, calendar, plant.zone, window, window.end_ns, read, held.keys())
    return Machine(asset, plant, window, history, read)


def found(
    *machines: Machine, links: Sequence[Link] = (), source: Source | None = None, lags: dict[str, float] | None = None
) -> list[Finding]:
    """What all rules find of these."""
    some = machines[0] if machines else None
    window = links[0].window if some is None else some.window
    plant = Plant(timezone="UTC") if some is None else some.plant
    return list(findings(Subject(window, plant, machines, tuple(links), source or Source("test"), lags or {})))


def of(rule: str, everything: Sequence[Finding]) -> list[Finding]:
    """Those of one rule."""
    return [one for one in everything if one.rule == rule]


def running(end_s: float, pace_s: float = 60.0, start_s: float = 0.0) -> tuple[Rows, tuple[np.ndarray, np.ndarray]]:
    """A machine that runs all the time and makes a part every so often."""
    times = np.arange(start_s, end_s, pace_s)
    return [(start_s, S.EXECUTING)], (times, np.arange(len(times), dtype=np.float64))

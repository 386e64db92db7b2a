"""Geometry of the page's own charts: numbers in, SVG coordinates out. Drawn by the templates, tested without them.

Horizontal positions are percentages of the chart's width, so that a chart fits any screen without a script. Lines live
in a box of WIDTH × HEIGHT units that is stretched, with strokes that do not scale.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from dashboards.web.formats import Formats
from dashboards.web.states import StateInterval
from telemetry import calendar
from telemetry.samples import SECOND_NS, KpiValue, Window

WIDTH: Final = 1000
HEIGHT: Final = 100

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle: `x` and `width` in % of the chart, `height` in % of it from the bottom, and what it stands for."""

    x: float
    width: float
    height: float
    what: StateInterval | KpiValue | int


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis at `at` %."""

    at: float
    label: str


def across(time_ns: int, window: Window) -> float:
    """Where an instant lies in the window [%], kept inside it."""
    share = (time_ns - window.start_ns) / (window.end_ns - window.start_ns)
    return round(100 * min(1.0, max(0.0, share)), 3)


def strip(states: Sequence[StateInterval], window: Window) -> list[Bar]:
    """A timeline: one bar per state interval."""
    found = []
    for interval in states:
        x = across(interval.start_ns, window)
        found.append(Bar(x, round(across(interval.end_ns, window) - x, 3), 100, interval))
    return found


def columns(values: Sequence[KpiValue], window: Window) -> list[Bar]:
    """One bar per KPI value between 0 and 1; a value that is not known has no height, and stays in the list."""
    found = []
    for value in values:
        x = across(value.start_ns, window)
        known = value.coverage > 0 and np.isfinite(value.value)
        height = 100 * min(1.0, max(0.0, value.value)) if known else 0.0
        found.append(Bar(x, round(across(value.end_ns, window) - x, 3), round(height, 2), value))
    return found


def spikes(edges_ns: Times, counts: npt.NDArray[np.int64], length_ns: int, window: Window) -> list[Bar]:
    """One bar per bucket with something in it, as high as its share of the fullest."""
    most = max(1, int(counts.max(initial=0)))
    return [
        Bar(
            across(int(start), window),
            across(int(start) + length_ns, window) - across(int(start), window),
            100 * int(count) / most,
            int(count),
        )
        for start, count in zip(edges_ns, counts, strict=True)
        if count
    ]


def line(times_ns: Times, values: Floats, window: Window, top: float) -> str:
    """An SVG path through the values, broken where they are NaN; `top` is the value at the upper edge."""
    parts: list[str] = []
    pen = "M"
    for time, value in zip(times_ns.tolist(), values.tolist(), strict=True):
        if np.isnan(value):
            pen = "M"
            continue
        parts.append(f"{pen}{_x(time, window)} {_y(value, top)}")
        pen = "L"
    return "".join(parts)


def band(times_ns: Times, low: Floats, high: Floats, window: Window, top: float) -> str:
    """An SVG path around the area between two lines; one closed shape per stretch without NaN."""
    known = ~(np.isnan(low) | np.isnan(high))
    parts: list[str] = []
    for stretch in np.split(np.arange(len(known)), np.flatnonzero(np.diff(known.astype(np.int8))) + 1):
        if len(stretch) < 2 or not known[stretch[0]]:
            continue
        there = [f"{_x(int(times_ns[i]), window)} {_y(float(high[i]), top)}" for i in stretch]
        back = [f"{_x(int(times_ns[i]), window)} {_y(float(low[i]), top)}" for i in reversed(stretch)]
        parts.append("M" + "L".join(there + back) + "Z")
    return "".join(parts)


def _x(time_ns: int, window: Window) -> str:
    return f"{across(time_ns, window) * WIDTH / 100:g}"


def _y(value: float, top: float) -> str:
    return f"{HEIGHT * (1 - min(1.0, max(0.0, value / top))):.1f}".removesuffix(".0")


def nice_top(values: Floats, least: float = 1.0) -> float:
    """The next round number (1, 1.5, 2, 3, 4, 5, 6, 8 × 10ⁿ) above the largest value."""
    known = values[np.isfinite(values)]
    largest = max(least, float(known.max())) if len(known) else least
    power = 10.0 ** np.floor(np.log10(largest))
    return float(next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= largest * 0.999))


def hour_ticks(window: Window, formats: Formats, every_h: int) -> list[Tick]:
    """Marks at whole hours of the wall clock, every so many hours counted from midnight."""
    found = []
    for day in calendar.days(window, formats.zone):
        date = calendar.local_day(day.start_ns, formats.zone)
        for hour in range(0, 24, every_h):
            time = calendar.local_ns(date, hour * 60, formats.zone)
            if window.start_ns <= time < window.end_ns:
                found.append(Tick(across(time, window), formats.clock(time)))
    return found


def minute_ticks(window: Window, formats: Formats, every_min: int) -> list[Tick]:
    """Marks at whole multiples of some minutes."""
    step = round(timedelta(minutes=every_min).total_seconds()) * SECOND_NS
    first = -(-window.start_ns // step) * step
    return [Tick(across(time, window), formats.clock(time)) for time in range(first, window.end_ns, step)]


def step(edges_ns: Times) -> int:
    """The distance [ns] of equal buckets given by their starts."""
    return int(edges_ns[1] - edges_ns[0])


def half(edges_ns: Times) -> int:
    """Half a bucket [ns]: what to add to a start to stand in its middle."""
    return step(edges_ns) // 2


def points(values: Sequence[KpiValue]) -> tuple[Times, Floats]:
    """KPI values in the middle of their windows; NaN where one is missing, not known or infinite."""
    times: list[int] = []
    known: list[float] = []
    for before, value in zip([None, *values], values, strict=False):
        if before is not None and value.start_ns > before.end_ns:
            times.append((before.end_ns + value.start_ns) // 2)
            known.append(np.nan)
        times.append((value.start_ns + value.end_ns) // 2)
        known.append(value.value if value.coverage > 0 and np.isfinite(value.value) else np.nan)
    return np.array(times, np.int64), np.array(known, np.float64)

"""What a series of samples says about time: runs, knowledge, counts. Pure numpy over whole columns.

Conventions. Times are int64 [ns], in order; a value holds from its instant (included) until the next sample's
(excluded). A value of quality BAD, or that is not a number, says "from here on it is not known". Nothing here sorts
what is in order already.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from telemetry.intervals import Instants, Intervals
from telemetry.samples import Quality, Series, Window

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Column = npt.NDArray[Any]


BLOCK: Final = 1 << 16
"""Rows that are worked on at a time."""


def ordered(series: Series) -> Series:
    """The series in time order with one row per instant: of rows with equal times the last given wins.

    A series that is in order already is returned as it is, at the cost of one comparison.
    """
    times = series.times_ns
    return series if all(bool((part[1:] > part[:-1]).all()) for part in overlapping(times)) else _sorted(series)


def paced(series: Series) -> tuple[Series, int]:
    """As `ordered`, and the longest time [ns] from one row to the next, 0 with fewer than two: one look at the times
    tells both."""
    times, least, most = series.times_ns, 1, 0
    for part in overlapping(times):
        gaps = part[1:] - part[:-1]
        least, most = min(least, int(gaps.min())), max(most, int(gaps.max()))
    return (series, most) if least > 0 else paced(_sorted(series))


def _sorted(series: Series) -> Series:
    times = series.times_ns
    order: Indices = np.argsort(times)
    sorted_times = times[order]
    if np.any(sorted_times[1:] == sorted_times[:-1]):
        order = np.argsort(times, kind="stable")  # three times as slow, and only rows of equal times need it
    last = np.concatenate((sorted_times[1:] != sorted_times[:-1], [True]))
    return series.take(order[last])


def cut(series: Series, window: Window, *, holding: bool) -> Series:
    """The rows in the window, preceded by the one in force at its start where values hold: as Store.read."""
    low, high = (int(at) for at in np.searchsorted(series.times_ns, [window.start_ns, window.end_ns], "left"))
    return series.take(slice(max(0, low - 1) if holding else low, high))


def trusted(series: Series) -> Flags:
    """Which rows say something: quality GOOD or UNCERTAIN, and a number."""
    told: Flags = series.quality != Quality.BAD
    told &= np.isfinite(series.values)
    return told


def bad(series: Series) -> bool:
    """Whether its source said of any row that it does not know."""
    return bool(len(series)) and int(series.quality.max()) >= Quality.BAD


def in_force(times_ns: Instants, at_ns: Instants) -> Indices:
    """The row whose value holds at each instant; −1 before the first."""
    return np.searchsorted(times_ns, at_ns, "right") - 1


def silences(alive_ns: Instants, start_ns: int, end_ns: int, limit_ns: int, longest_ns: int | None = None) -> Intervals:
    """Stretches of [start_ns, end_ns) longer than `limit_ns` without any sample; the bounds count as samples.

    `longest_ns`: no two samples are further apart, where that is known.
    """
    low, high = (int(at) for at in alive_ns.searchsorted([start_ns + 1, end_ns]))
    inner = alive_ns[low : max(low, high)]
    if not len(inner):
        return np.array([(start_ns, end_ns)] if end_ns - start_ns > limit_ns else [], np.int64).reshape(-1, 2)
    first, last = int(inner[0]), int(inner[-1])
    found = [(start_ns, first)] if first - start_ns > limit_ns else []
    if longest_ns is None or longest_ns > limit_ns:
        long = np.flatnonzero(inner[1:] - inner[:-1] > limit_ns)
        found += zip(inner[long].tolist(), inner[long + 1].tolist(), strict=True)
    if end_ns - last > limit_ns:
        found.append((last, end_ns))
    return np.array(found, np.int64).reshape(-1, 2)


def blocks(rows: int) -> Iterator[slice]:
    """The rows in pieces whose columns stay in the processor's cache: a fresh megabyte costs more than its sum."""
    return (slice(low, min(low + BLOCK, rows)) for low in range(0, rows, BLOCK))


def overlapping(column: Column) -> Iterator[Column]:
    """The column in blocks, each with the first row of the next: every row and its neighbour are in one of them."""
    return (column[block.start : block.stop + 1] for block in blocks(len(column) - 1))


def climbs(series: Series) -> bool:
    """Whether a counter can be believed in every row, and never falls: then it grew by what it shows, and no more."""
    values = series.values
    if not len(values):
        return True
    if bad(series) or not np.isfinite(values[[0, -1]]).all():
        return False
    return all(bool((part[1:] >= part[:-1]).all()) for part in overlapping(values))


def increments(series: Series, rollover: float | None = None) -> Numbers:
    """How much a counter grew from the row before, attributed to the instant of the row. Same unit, shape (n,).

    The first row is a baseline (a read begins with the value in force, so the increment of the first row inside a
    window is there), and so is a row after one that says nothing (BAD). A counter that fell was reset: it has counted
    its new value since, nothing is lost. But one that fell to more than half of what it showed was corrected by hand
    (1,000 → 995): nothing was made, and what was counted too much stays counted where it was; a reset that has
    caught up more than half within one message would be taken for that. A counter that is known to roll over at
    `rollover` (the count it never shows, 65536 for 16 bits) has counted through it instead, where that makes less than
    half of a turn. Messages lost on the way cost nothing: the next value makes up for them.
    """
    values = series.values
    grown = np.zeros(len(series))
    with np.errstate(invalid="ignore"):  # infinity less infinity
        np.subtract(values[1:], values[:-1], out=grown[1:])
    told = trusted(series)
    if told.all() and (grown >= 0).all():
        return grown
    before = np.concatenate((values[:1], values[:-1]))
    after_fall = np.where(values > before / 2, 0.0, np.maximum(values, 0.0))
    if rollover is not None:
        after_fall = np.where(grown + rollover < rollover / 2, grown + rollover, after_fall)
    grown = np.where(grown < 0, after_fall, grown)
    usable = told.copy()
    usable[:1] = False
    usable[1:] &= told[:-1]
    return np.where(usable, grown, 0.0)


def runs(flags: Flags) -> tuple[Indices, Indices]:
    """First and one-past-last index of every run of True."""
    changes = np.flatnonzero(flags[1:] != flags[:-1]) + 1
    if len(flags) and flags[0]:
        changes = np.concatenate(([0], changes))
    if len(flags) and flags[-1]:
        changes = np.append(changes, len(flags))
    return changes[::2], changes[1::2]

"""What a series of samples says about time: runs, knowledge, counts. Pure numpy over whole columns.

Conventions. Times are int64 [ns], in order; a value holds from its instant (included) until the next sample's
(excluded). A value of quality BAD, or that is not a number, says "from here on it is not known". Nothing here sorts
what is in order already.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from telemetry.intervals import Instants, Intervals
from telemetry.samples import Quality, Series, Window

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


BLOCK: Final = 1 << 15
"""Rows that are worked on at a time."""


def ordered(series: Series) -> Series:
    """The series in time order with one row per instant: of rows with equal times the last given wins.

    A series that is in order already is returned as it is, at the cost of one comparison.
    """
    times = series.times_ns
    if len(times) < 2 or bool(np.all(times[1:] > times[:-1])):
        return series
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


def in_force(times_ns: Instants, at_ns: Instants) -> Indices:
    """The row whose value holds at each instant; −1 before the first."""
    return np.searchsorted(times_ns, at_ns, "right") - 1


def silences(alive_ns: Instants, start_ns: int, end_ns: int, limit_ns: int) -> Intervals:
    """Stretches of [start_ns, end_ns) longer than `limit_ns` without any sample; the bounds count as samples."""
    low = int(np.searchsorted(alive_ns, start_ns, "right"))
    inner = alive_ns[low : max(low, int(np.searchsorted(alive_ns, end_ns, "left")))]
    found: list[tuple[int, int]] = []
    before = start_ns
    for block in blocks(len(inner)):
        part = inner[block]
        gaps = part[1:] - part[:-1]
        if part[0] - before > limit_ns:
            found.append((before, int(part[0])))
        if len(gaps) and gaps.max() > limit_ns:
            long = np.flatnonzero(gaps > limit_ns)
            found += zip(part[long].tolist(), part[long + 1].tolist(), strict=True)
        before = int(part[-1])
    if end_ns - before > limit_ns:
        found.append((before, end_ns))
    return np.array(found, np.int64).reshape(-1, 2)


def blocks(rows: int) -> Iterator[slice]:
    """The rows in pieces whose columns stay in the processor's cache: a fresh megabyte costs more than its sum."""
    return (slice(low, min(low + BLOCK, rows)) for low in range(0, rows, BLOCK))


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

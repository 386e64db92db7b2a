"""Sets of time as sorted, disjoint, half-open intervals, and the arithmetic on them, exact in whole nanoseconds."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from telemetry.samples import SECOND_NS, Window

Intervals = npt.NDArray[np.int64]
"""Shape (n, 2): half-open [start, end) [ns], sorted, not overlapping."""

Instants = npt.NDArray[np.int64]
"""Shape (n,): instants [ns since the epoch, UTC]."""


def none() -> Intervals:
    """No time at all."""
    return np.empty((0, 2), np.int64)


def union(intervals: Iterable[tuple[int, int]] | Intervals, window: Window) -> Intervals:
    """The intervals cut to the window, overlaps merged, sorted; they may come in any order and touch or overlap."""
    pairs = np.array(intervals if isinstance(intervals, np.ndarray) else list(intervals), np.int64).reshape(-1, 2)
    if not len(pairs):
        return pairs
    if len(pairs) == 1:  # most sets are one interval, and a call of numpy costs more than all of this
        [[start, end]] = pairs.tolist()
        start, end = max(start, window.start_ns), min(end, window.end_ns)
        return np.array([[start, end]], np.int64) if start < end else none()
    pairs = np.minimum(np.maximum(pairs, window.start_ns), window.end_ns)
    pairs = pairs[pairs[:, 1] > pairs[:, 0]]
    if len(pairs) < 2:
        return pairs
    if np.any(pairs[1:, 0] < pairs[:-1, 0]):
        pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    reached = np.maximum.accumulate(pairs[:, 1])
    first = np.concatenate(([True], pairs[1:, 0] > reached[:-1]))
    last = np.concatenate((first[1:], [True]))
    return np.column_stack((pairs[first, 0], reached[last]))


def intersect(one: Intervals, other: Intervals) -> Intervals:
    """The time in both."""
    if not len(one) or not len(other):
        return none()
    low = np.searchsorted(other[:, 1], one[:, 0], "right")
    high = np.searchsorted(other[:, 0], one[:, 1], "left")
    counts = np.maximum(high - low, 0)
    left = np.repeat(np.arange(len(one)), counts)
    offset = np.arange(len(left)) - np.repeat(np.cumsum(counts) - counts, counts)
    right = low[left] + offset
    return np.column_stack((np.maximum(one[left, 0], other[right, 0]), np.minimum(one[left, 1], other[right, 1])))


def subtract(intervals: Intervals, holes: Intervals) -> Intervals:
    """What remains when the holes are taken out."""
    if not len(intervals) or not len(holes):
        return intervals
    if len(intervals) == len(holes) == 1:
        [[start, end]], [[first, last]] = intervals.tolist(), holes.tolist()
        rest = [(a, b) for a, b in ((start, min(end, first)), (max(start, last), end)) if a < b]
        return np.array(rest, np.int64).reshape(-1, 2)
    start, end = min(intervals[0, 0], holes[0, 0]), max(intervals[-1, 1], holes[-1, 1])
    edges = np.concatenate(([start], holes.ravel(), [end])).reshape(-1, 2)
    return intersect(intervals, edges[edges[:, 1] > edges[:, 0]])


def elapsed(intervals: Intervals, at_ns: Instants) -> npt.NDArray[np.int64]:
    """How much of the intervals [ns] lies before each instant: a difference of two is the part between them."""
    if not len(intervals):
        return np.zeros(len(at_ns), np.int64)
    if len(intervals) == 1:  # a search costs ten times as much, and most sets are one interval
        past: npt.NDArray[np.int64] = np.minimum(np.maximum(at_ns, intervals[0, 0]), intervals[0, 1]) - intervals[0, 0]
        return past
    lengths = intervals[:, 1] - intervals[:, 0]
    before = np.cumsum(lengths) - lengths
    index = np.searchsorted(intervals[:, 0], at_ns, "right") - 1
    inside_ns = np.minimum(at_ns, intervals[index, 1]) - intervals[index, 0]
    return np.where(index < 0, 0, before[index] + inside_ns)


def inside(intervals: Intervals, at_ns: Instants) -> npt.NDArray[np.bool_]:
    """Whether each instant lies in one of the intervals; an end is outside."""
    if not len(intervals):
        return np.zeros(len(at_ns), np.bool_)
    if len(intervals) == 1:
        within: npt.NDArray[np.bool_] = (at_ns >= intervals[0, 0]) & (at_ns < intervals[0, 1])
        return within
    index = np.searchsorted(intervals[:, 0], at_ns, "right") - 1
    found: npt.NDArray[np.bool_] = (index >= 0) & (at_ns < intervals[index, 1])
    return found


def total_ns(intervals: Intervals) -> int:
    """Summed length [ns]."""
    return int((intervals[:, 1] - intervals[:, 0]).sum())


def total_s(intervals: Intervals) -> float:
    """Summed length [s]."""
    return total_ns(intervals) / SECOND_NS

"""Time cut wherever any of several series changes, without sorting or copying what is in order.

The instants of the longest series stay where they are; the few others (of a product, a break, a shift) stand between
them, and are put there only in the part that is asked for. A column in force is then mostly a copy of the column
itself: a series is searched in another only where both are long and their instants differ, and otherwise the few in
the many.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from telemetry.intervals import Instants, Intervals

Column = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]

_FEW: Final = 512
"""So many pieces are joined faster than a mask over the whole column is made."""


class Cuts:
    """Edges are every instant in [start_ns, end_ns] at which something may change, once, in order, bounds included.

    Stretch n lies between edges n and n + 1; there are `len(cuts)`. Instants that are asked for lie within the bounds.
    """

    def __init__(self, start_ns: int, end_ns: int, *times_ns: Instants) -> None:
        self._bounds: Final = start_ns, end_ns
        self._base: Final = max(times_ns, key=len)
        self._low, high = _inside(self._base, start_ns, end_ns)
        self._same: Final = [one for one in times_ns if one is self._base or np.array_equal(one, self._base)]
        inner = self._base[self._low : high]
        others = [np.array([start_ns, end_ns], np.int64)]
        others += [
            one[slice(*_inside(one, start_ns, end_ns))] for one in times_ns if len(one) and not self._is_base(one)
        ]
        extra = distinct(np.concatenate(others))
        where = inner.searchsorted(extra)
        fresh = where == len(inner)
        fresh[~fresh] = inner[where[~fresh]] != extra[~fresh]
        self._inner: Final = inner
        self._extra: Final = extra[fresh]
        self._where: Final = where[fresh]
        self._at: Final = self._where + np.arange(len(self._where))  # rows of `_extra` among the edges
        self._edges: Instants | None = None

    def __len__(self) -> int:
        return len(self._inner) + len(self._extra) - 1

    @property
    def bounds(self) -> tuple[int, int]:
        """The first and the last edge [ns]."""
        return self._bounds

    @property
    def edges(self) -> Instants:
        """All of them [ns], put together once."""
        if self._edges is None:
            self._edges = self.part(0, len(self) + 1)
        return self._edges

    def part(self, low: int, high: int) -> Instants:
        """Edges low … high − 1 [ns], mostly as they lie."""
        if self._edges is not None:
            return self._edges[low:high]
        first, last = self._at.searchsorted([low, high]).tolist()
        inner = self._inner[low - first : high - last]
        if first == last:
            return inner
        return spliced(inner, self._where[first:last] - (low - first), self._extra[first:last])

    def at(self, rows: Indices) -> Instants:
        """The edges of some rows [ns], both in order."""
        if self._edges is not None or not len(self._inner):
            return self.edges[rows]
        if len(rows) <= _FEW:
            passed = self._at.searchsorted(rows)
        else:  # the few in the many
            mine = rows.searchsorted(self._at, "right")
            passed = np.repeat(np.arange(len(mine) + 1), np.diff(mine, prepend=0, append=len(rows)))
        found: Instants = np.where(
            self._at.take(passed, mode="clip") == rows,
            self._extra.take(passed, mode="clip"),
            self._inner.take(rows - passed, mode="clip"),
        )
        return found

    def find(self, instants_ns: Instants) -> Indices:
        """How many edges lie before each instant: the row of the edge that is at it, or follows it."""
        found: Indices = self._inner.searchsorted(instants_ns) + self._extra.searchsorted(instants_ns)
        return found

    def together(self, one: Instants, other: Instants) -> bool:
        """Whether two series that were given, the longest, have the same instants, row for row."""
        return self._is_base(one) and self._is_base(other)

    def held(self, times_ns: Instants, column: Column, before: Any) -> Column:
        """What is in force in each stretch, of a series that was given; `before`: what is before its first row."""
        first = np.array([before], column.dtype)
        if self._is_base(times_ns):
            where = self._where[:-1]  # the last is the end
            rows = self._low + where - 1
            filled = np.where(rows < 0, first, column[rows] if len(column) else first)
            return spliced(column[self._low : self._low + len(self._inner)], where, filled)
        if 8 * len(times_ns) < len(self):
            starts = np.minimum(self.find(times_ns), len(self))
            return np.repeat(np.concatenate((first, column)), np.diff(starts, prepend=0, append=len(self)))
        rows = np.searchsorted(times_ns, self.edges[:-1], "right")
        return np.concatenate((first, column))[rows]

    def _is_base(self, times_ns: Instants) -> bool:
        return any(one is times_ns for one in self._same)

    def rows(self, intervals: Intervals) -> Iterator[Any]:
        """The stretches in the intervals, whose bounds are cuts: few slices, or one mask of all."""
        low, high = self.find(intervals[:, 0]), self.find(intervals[:, 1])
        if len(low) > _FEW:
            yield marked(len(self), low, high)
        else:
            yield from map(slice, low.tolist(), high.tolist())


def distinct(values: Instants) -> Instants:
    """Each value once, in order. numpy's own takes longer over a few than all that is done with them here."""
    values = np.sort(values)
    return values[np.concatenate(([True], values[1:] != values[:-1]))] if len(values) else values


def _inside(times_ns: Instants, start_ns: int, end_ns: int) -> tuple[int, int]:
    """First and one-past-last row strictly between two instants."""
    low, high = times_ns.searchsorted([start_ns + 1, end_ns]).tolist()
    return low, max(low, high)


def spliced(column: Column, where: Indices, values: Column) -> Column:
    """The column with `values` put before its rows `where`, both in order."""
    if len(where) > _FEW:
        return np.insert(column, where, values)
    pieces: list[Column] = []
    begin = 0
    for number, end in enumerate(where.tolist()):
        pieces += (column[begin:end], values[number : number + 1])
        begin = end
    return np.concatenate([*pieces, column[begin:]])


def marked(length: int, low: Indices, high: Indices) -> Flags:
    """Flags that are True in the rows [low, high) of any of the slices."""
    flags = np.zeros(length, np.bool_)
    if len(low) <= _FEW:
        for begin, end in zip(low.tolist(), high.tolist(), strict=True):
            flags[begin:end] = True
        return flags
    depth = np.bincount(low, minlength=length + 1) - np.bincount(high, minlength=length + 1)
    np.greater(np.cumsum(depth[:length]), 0, out=flags)
    return flags

"""Time cut wherever any of several series changes, without sorting what is in order.

The instants of the longest series stay as they are; the few others (of a product, a break, a shift) are put between
them. A column in force is then mostly a copy of the column itself: a series is searched in another only where both are
long and their instants differ, and otherwise the few in the many.
"""

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
    """`edges`: every instant in [start_ns, end_ns] at which something may change, once, in order, bounds included.

    Stretch n lies between edges n and n + 1; there are `len(cuts)`.
    """

    def __init__(self, start_ns: int, end_ns: int, *times_ns: Instants) -> None:
        self._base: Final = max(times_ns, key=len)
        self._low, self._high = _inside(self._base, start_ns, end_ns)
        self._same: Final = [one for one in times_ns if one is self._base or np.array_equal(one, self._base)]
        inner = self._base[self._low : self._high]
        others = [np.array([start_ns, end_ns], np.int64)]
        others += [one[slice(*_inside(one, start_ns, end_ns))] for one in times_ns if not self._is_base(one)]
        extra = np.unique(np.concatenate(others))
        where = np.searchsorted(inner, extra)
        fresh = where == len(inner)
        fresh[~fresh] = inner[where[~fresh]] != extra[~fresh]
        self._where: Final = where[fresh]
        self.edges: Final = spliced(inner, self._where, extra[fresh])

    def __len__(self) -> int:
        return len(self.edges) - 1

    def held(self, times_ns: Instants, column: Column, before: Any) -> Column:
        """What is in force in each stretch, of a series that was given; `before`: what is before its first row."""
        first = np.array([before], column.dtype)
        if self._is_base(times_ns):
            where = self._where[:-1]  # the last is the end
            rows = self._low + where - 1
            filled = np.where(rows < 0, first, column[rows])
            return spliced(column[self._low : self._high], where, filled)
        if 8 * len(times_ns) < len(self):
            starts = np.searchsorted(self.edges[:-1], times_ns, "left")
            return np.repeat(np.concatenate((first, column)), np.diff(starts, prepend=0, append=len(self)))
        rows = np.searchsorted(times_ns, self.edges[:-1], "right")
        return np.concatenate((first, column))[rows]

    def _is_base(self, times_ns: Instants) -> bool:
        return any(one is times_ns for one in self._same)

    def within(self, intervals: Intervals) -> Flags:
        """Which stretches lie in the intervals, whose bounds are cuts."""
        low, high = (np.searchsorted(self.edges[:-1], intervals[:, side], "left") for side in (0, 1))
        return marked(len(self), low, high)


def _inside(times_ns: Instants, start_ns: int, end_ns: int) -> tuple[int, int]:
    """First and one-past-last row strictly between two instants."""
    low = int(np.searchsorted(times_ns, start_ns, "right"))
    return low, max(low, int(np.searchsorted(times_ns, end_ns, "left")))


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

"""Sums over any windows of a timeline: how long it had each of its keys, and what was counted.

All windows at once: their bounds cut the timeline into pieces, one count per piece and key, and a window is the
difference of two running sums of whole nanoseconds. What is counted is added inside each window alone, so that a figure
is the same to the last bit whether its window is computed alone or with thousands.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.kpis.cuts import spliced
from pipeline.kpis.signals import BLOCK, blocks
from telemetry.intervals import Instants

Numbers = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

_EXACT_NS: Final = 2**52
"""float64, which counts, is exact for whole nanoseconds below 2^53 (104 days): pieces are no longer than half of it."""

_FEW: Final = 64
"""So many windows or pieces are done one by one."""


class Periods:
    """A timeline: `keys[n]`, 0 … count − 1, is in force between `edges_ns[n]` and `edges_ns[n + 1]`."""

    def __init__(self, edges_ns: Instants, keys: npt.NDArray[np.int8], count: int) -> None:
        self._edges, self._keys, self._count = edges_ns, keys, count

    def lengths(self, starts_ns: Instants, ends_ns: Instants) -> Whole:
        """How long [ns] each key was in force in each window, shape (windows, keys)."""
        edges, keys = self._edges, self._keys
        if not len(starts_ns) or not len(keys):
            return np.zeros((len(starts_ns), self._count), np.int64)
        bounds = np.unique(np.concatenate((starts_ns, ends_ns)))
        bounds = np.unique(np.concatenate((bounds, np.arange(bounds[0], bounds[-1], _EXACT_NS))))
        bounds = bounds.clip(edges[0], edges[-1])
        at = np.searchsorted(edges, bounds)
        fresh = edges[at] != bounds
        if fresh.any():
            where = at[fresh]
            edges, keys = spliced(edges, where, bounds[fresh]), spliced(keys, where, keys[where - 1])
            at = np.searchsorted(edges, bounds)
        pieces = self._by_piece(edges, keys, at)
        before = np.zeros((len(at), self._count), np.int64)
        np.cumsum(pieces, axis=0, out=before[1:])
        first, last = (np.searchsorted(bounds, one.clip(edges[0], edges[-1])) for one in (starts_ns, ends_ns))
        found: Whole = before[last] - before[first]
        return found

    def _by_piece(self, edges: Instants, keys: npt.NDArray[np.int8], at: npt.NDArray[np.intp]) -> Whole:
        count = self._count
        if len(at) <= _FEW:
            found = np.zeros((len(at) - 1, count), np.int64)
            for piece, (low, high) in enumerate(pairwise(at.tolist())):
                for block in blocks(high - low):
                    first, last = low + block.start, low + block.stop
                    lengths = edges[first + 1 : last + 1] - edges[first:last]
                    found[piece] += np.bincount(keys[first:last], lengths, count).astype(np.int64)
            return found
        low, high = int(at[0]), int(at[-1])
        lengths = edges[low + 1 : high + 1] - edges[low:high]
        cell = np.repeat(np.arange(0, (len(at) - 1) * count, count, dtype=np.int64), np.diff(at))
        cell += keys[low:high]
        return np.bincount(cell, lengths, (len(at) - 1) * count).astype(np.int64).reshape(-1, count)


def summed(values: Callable[[slice], Numbers], low: npt.NDArray[np.intp], high: npt.NDArray[np.intp]) -> Numbers:
    """The sum of the rows [low, high) of each window; 0 where there are none. `values` gives the rows of a slice.

    Rows are added in the same order however many windows there are: each piece of a long window by itself.
    """
    found = np.zeros(len(low))
    some = np.flatnonzero(low < high)
    one_by_one = some if len(some) <= _FEW else some[high[some] - low[some] > BLOCK]
    for n in one_by_one.tolist():
        first = int(low[n])
        for block in blocks(int(high[n]) - first):
            found[n] += np.add.reduceat(values(slice(first + block.start, first + block.stop)), [0])[0]
    if len(one_by_one) < len(some):
        short = some[high[some] - low[some] <= BLOCK]
        first, last = int(low[short].min()), int(high[short].max())
        pairs = np.column_stack((low[short], high[short])).ravel() - first
        found[short] = np.add.reduceat(np.append(values(slice(first, last)), 0.0), pairs)[::2]
    return found

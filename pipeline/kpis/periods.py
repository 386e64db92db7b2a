"""Sums over any windows of a timeline: how long it had each of its keys, and how often something began.

All windows at once: their bounds cut the timeline into pieces, one count per piece and key, and a window is the
difference of two running sums of whole nanoseconds, so that it is the same to the last bit whether it is computed alone
or with thousands.
"""

from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.kpis.cuts import Cuts, Flags, Indices, distinct, spliced
from pipeline.kpis.signals import BLOCK, blocks
from telemetry.intervals import Instants

Whole = npt.NDArray[np.int64]

_EXACT_NS: Final = 2**52
"""float64, which counts, is exact for whole nanoseconds below 2^53 (104 days): half of that is counted at once."""

_HALF: Final = 26
"""So many bits are counted by themselves, and the others, where all are more than a double can count."""

FEW: Final = 64
"""So many pieces are done one by one."""


class Periods:
    """A timeline: `keys[n]`, 0 … count − 1, is in force in stretch n."""

    def __init__(self, cuts: Cuts, keys: npt.NDArray[np.int8], count: int) -> None:
        self._cuts, self._keys, self._count = cuts, keys, count

    def lengths(self, starts_ns: Instants, ends_ns: Instants) -> Whole:
        """How long [ns] each key was in force in each window, shape (windows, keys)."""
        if not len(starts_ns) or not len(self._keys):
            return np.zeros((len(starts_ns), self._count), np.int64)
        first_ns, last_ns = self._cuts.bounds
        starts, ends = (np.minimum(np.maximum(one, first_ns), last_ns) for one in (starts_ns, ends_ns))
        bounds = distinct(np.concatenate((starts, ends)))
        if len(bounds) > FEW:
            bounds = distinct(np.concatenate((bounds, np.arange(bounds[0], bounds[-1], _EXACT_NS))))
            pieces = self._together(bounds)
        else:
            pieces = self._one_by_one(bounds)
        before = np.zeros((len(bounds), self._count), np.int64)
        np.cumsum(pieces, axis=0, out=before[1:])
        found: Whole = before[bounds.searchsorted(ends)] - before[bounds.searchsorted(starts)]
        return found

    def _one_by_one(self, bounds: Instants) -> Whole:
        """Piece by piece, and a long one block by block, all of it in the processor's cache.

        bincount waits for one sum to a bin before it adds the next: neighbours are given bins of their own. It would
        also convert other types than these, a few rows at a time.
        """
        cuts, keys, count = self._cuts, self._keys, self._count
        size, ways, way = min(BLOCK, len(keys)), *_ways(count)
        whole, lengths, bins = np.empty(size, np.int64), np.empty(size), np.empty(size, np.intp)
        found = np.zeros((len(bounds) - 1, count), np.int64)
        for piece, (start, end) in enumerate(pairwise(bounds.tolist())):
            low, high = cuts.find(np.array([start + 1, end])).tolist()
            low -= 1
            for block in blocks(high - low):
                first, last = low + block.start, low + block.stop
                edges, rows = cuts.part(first, last + 1), last - first
                np.subtract(edges[1:], edges[:-1], out=whole[:rows])
                whole[0] -= max(0, start - int(edges[0]))
                whole[rows - 1] -= max(0, int(edges[-1]) - end)
                bins[:rows] = keys[first:last] + way[:rows]
                length = whole[:rows]
                parts: tuple[tuple[Whole, int], ...] = ((length, 0),)
                if edges[-1] - edges[0] > _EXACT_NS:
                    parts = ((length >> _HALF, _HALF), (length & (1 << _HALF) - 1, 0))
                for part, shift in parts:
                    lengths[:rows] = part
                    sums = np.bincount(bins[:rows], lengths[:rows], ways * count).reshape(ways, count).sum(0)
                    found[piece] += sums.astype(np.int64) << shift
        return found

    def _together(self, bounds: Instants) -> Whole:
        edges, keys, count = self._cuts.edges, self._keys, self._count
        at = edges.searchsorted(bounds)
        fresh = edges[at] != bounds
        if fresh.any():
            where = at[fresh]
            edges, keys = spliced(edges, where, bounds[fresh]), spliced(keys, where, keys[where - 1])
            at = edges.searchsorted(bounds)
        low, high = int(at[0]), int(at[-1])
        lengths = edges[low + 1 : high + 1] - edges[low:high]
        cell = np.repeat(np.arange(0, (len(at) - 1) * count, count, dtype=np.int64), np.diff(at))
        cell += keys[low:high]
        return np.bincount(cell, lengths, (len(at) - 1) * count).astype(np.int64).reshape(-1, count)


@cache
def _ways(count: int) -> tuple[int, npt.NDArray[np.int8]]:
    """How many bins there are for each of `count` keys, and which of them each row of a block is given."""
    ways = max(1, min(4, 127 // count))
    return ways, (np.arange(BLOCK) // 2 % ways * count).astype(np.int8)


class Begins:
    """Where runs of True begin in a column of stretches, but for those that begin in `without`."""

    def __init__(self, flags: Flags, without: Iterable[Any]) -> None:
        self._begins = flags.copy()
        np.greater(flags[1:], flags[:-1], out=self._begins[1:])
        for rows in without:
            self._begins[rows] = False
        self._rows: Indices | None = None

    def between(self, low: Indices, high: Indices) -> Indices:
        """How many begin in the stretches [low, high) of each window."""
        if len(low) <= FEW and self._rows is None:
            counts = (np.count_nonzero(self._begins[a:b]) for a, b in zip(low.tolist(), high.tolist(), strict=True))
            return np.fromiter(counts, np.intp, len(low))
        if self._rows is None:
            self._rows = np.flatnonzero(self._begins)
        return self._rows.searchsorted(high) - self._rows.searchsorted(low)

"""Counters of a machine as tallies: how many parts at which instant, and over which time counting is known.

A counter that only climbs has counted, over any window, what it shows at its end less what it showed at its start: two
look-ups, however many rows lie between. Only a window with an odd row in it (a reset, a count that is not to count, a
change of cycle) is added up row by row. Which of the two it is depends on its own rows alone, so that its sum is the
same to the last bit whether it is computed alone or with thousands.
"""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.kpis import signals
from pipeline.kpis.cuts import distinct, marked
from pipeline.kpis.signals import BLOCK, blocks
from telemetry.intervals import Instants, Intervals, intersect, none, subtract, union
from telemetry.samples import Series, Window

COUNTERS: Final = ("parts", "parts_good", "parts_scrap")

_FEW: Final = 64
"""So many windows are added up one by one."""

_NO_ROWS: Final = np.empty(0, np.intp)


@dataclass(frozen=True, slots=True)
class Tally:
    """Parts at instants: `shown[n]` less `shown[n − 1]` at `times_ns[n]` (in order), where no more is said of the row;
    `told[row]` parts at the odd rows, if any. `unsure`: rows whose parts may have been made in time that is not known.

    `known`: where nothing can have been counted unseen.
    """

    times_ns: Instants
    shown: signals.Numbers
    odd: signals.Indices
    told: signals.Numbers | None
    unsure: signals.Indices
    known: Intervals

    def grown(self, rows: slice) -> signals.Numbers:
        """Parts of some rows."""
        if self.told is not None:
            return self.told[rows]
        if not rows.start:
            return np.diff(self.shown[rows], prepend=self.shown[:1])
        return self.shown[rows] - self.shown[rows.start - 1 : rows.stop - 1]

    def over(self, low: signals.Indices, high: signals.Indices) -> signals.Numbers:
        """Parts of the rows [low, high) of each window."""
        return _added(self.shown, self.odd, self.grown, low, high)


NO_TALLY: Final = Tally(np.empty(0, np.int64), np.empty(0), _NO_ROWS, None, _NO_ROWS, none())


def tally(series: Series, seen: Window, lost: Intervals, reach_ns: int, rollover: float | None = None) -> Tally:
    """The tally of one counter. What was counted across a lost silence that ended less than `reach_ns` before is not
    sure: it may have been made in the silence."""
    if len(series) == 0:
        return NO_TALLY
    times = series.times_ns
    known = union([(int(times[0]), seen.end_ns)], seen)
    unsure = odd = _NO_ROWS
    told = None
    if len(lost):
        first = times.searchsorted(lost[:, 1])
        some = (first > 0) & (first < len(times))
        some[some] = times[first[some]] < lost[some, 1] + reach_ns
        unsure = distinct(first[some])
    if not signals.climbs(series):
        told = signals.increments(series, rollover)
        with np.errstate(invalid="ignore"):  # infinity less infinity is no number, and so is the row
            plain = told == np.diff(series.values, prepend=series.values[:1])
        odd = np.flatnonzero(~plain)
        trusted = signals.trusted(series)
        if not trusted.all():
            first, last = signals.runs(~trusted)
            after = np.append(times, seen.end_ns)[last]
            known = subtract(known, union(np.column_stack((times[first], after)), seen))
    return Tally(times, series.values, odd, told, unsure, known)


def made_and_good(tallies: Mapping[str, Tally], counters: Container[str]) -> tuple[Tally, Tally]:
    """All parts and good parts, from whichever two of the three counters the machine has (`counters`)."""
    made, good, scrap = (tallies[name] for name in COUNTERS)
    if "parts_scrap" in counters and "parts" not in counters:
        return _joined(good, scrap, 1.0), good
    if "parts_scrap" in counters and "parts_good" not in counters:
        return made, _joined(made, scrap, -1.0)
    return made, good


def _joined(one: Tally, other: Tally, sign: float) -> Tally:
    """Every row of both: all of them odd, for no counter shows their sum."""
    times = np.concatenate((one.times_ns, other.times_ns))
    order = np.argsort(times, kind="stable")
    rows = slice(0, len(one.times_ns)), slice(0, len(other.times_ns))
    grown = np.concatenate((one.grown(rows[0]), sign * other.grown(rows[1])))[order]
    place = np.empty(len(order), np.intp)
    place[order] = np.arange(len(order))
    unsure = np.sort(place[np.concatenate((one.unsure, other.unsure + len(one.times_ns)))])
    known = intersect(one.known, other.known)
    return Tally(times[order], grown, np.arange(len(order)), grown, unsure, known)


@dataclass(frozen=True, slots=True)
class Weighed:
    """The parts of a tally that count for the figures of production: all but those of `unfit` rows, each with its
    reference cycle time [s]. A column of one cycle stands for all rows; `unfit` is None where no row is.

    `odd`: rows that cannot be told from what the counter shows; `changes`: rows with another cycle than before.
    """

    counts: Tally
    unfit: signals.Flags | None
    cycle: signals.Numbers
    odd: signals.Indices
    changes: signals.Indices

    def parts(self, rows: slice) -> signals.Numbers:
        """Parts that count, of some rows."""
        grown = self.counts.grown(rows)
        return grown if self.unfit is None else np.where(self.unfit[rows], 0.0, grown)

    def seconds(self, rows: slice) -> signals.Numbers:
        """Their reference time [s]."""
        found = self.counts.grown(rows) * (self.cycle if len(self.cycle) == 1 else self.cycle[rows])
        return found if self.unfit is None else np.where(self.unfit[rows], 0.0, found)

    def parts_over(self, low: signals.Indices, high: signals.Indices) -> signals.Numbers:
        """Parts that count, of the rows [low, high) of each window."""
        return _added(self.counts.shown, self.odd, self.parts, low, high)

    def seconds_over(self, low: signals.Indices, high: signals.Indices) -> signals.Numbers:
        """Their reference time [s]."""
        if len(self.cycle) == 1:
            cycle: Any = self.cycle[0]
        else:
            cycle = self.cycle[np.minimum(low, len(self.cycle) - 1)] if len(self.cycle) else 1.0
        return _added(self.counts.shown, self.odd, self.seconds, low, high, cycle, self.changes)


def weighed(
    counts: Tally, whole: Intervals, unfit: Intervals, required: Intervals, product: Series,
    cycles: signals.Numbers,
) -> Weighed:  # fmt: skip
    """Parts that were made outside of the `unfit` intervals, and counted in required time.

    What is counted at an instant was made before it: the stretch and product in force until then apply. `whole`:
    the interval that is spoken of; `cycles`: the reference cycle time [s] before the first product, and of each row of
    `product`.
    """
    times, rows = counts.times_ns, len(counts.times_ns)
    if not rows:
        return Weighed(counts, None, cycles[:1], _NO_ROWS, _NO_ROWS)
    low, high = (times.searchsorted(unfit[:, side], "right") for side in (0, 1))
    opened, closed = (times.searchsorted(required[:, side]) for side in (0, 1))
    low = np.concatenate((low, [0], [0], closed, counts.unsure))
    high = np.concatenate((high, times.searchsorted(whole[0, :1], "right"), opened, [rows], counts.unsure + 1))
    some = low < high
    flags = marked(rows, low[some], high[some]) if some.any() else None
    cycle = cycles[:1] if len(cycles) == 1 else at_counts(times, product.times_ns, cycles)
    changes = np.flatnonzero(cycle[1:] != cycle[:-1]) + 1
    odd = counts.odd
    if flags is not None:
        which = np.flatnonzero(flags)
        before = counts.shown[np.maximum(which - 1, 0)]
        grown = counts.shown[which] - before if counts.told is None else counts.told[which]
        # a first count is a baseline: it rarely fits, and counts nothing; but nothing times no cycle is no number
        which = which[(grown != 0) | np.isnan(cycle if len(cycle) == 1 else cycle[which])]
        odd = distinct(np.concatenate((odd, which)))
        flags = flags if len(which) else None
    return Weighed(counts, flags, cycle, odd, changes)


def at_counts(times_ns: Instants, changes_ns: Instants, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What was in force just before each count. `column`: what is before the first change, and from each on."""
    starts = np.searchsorted(times_ns, changes_ns, "right")
    return np.repeat(column, np.diff(starts, prepend=0, append=len(times_ns)))


def _added(
    shown: signals.Numbers, odd: signals.Indices, values: Callable[[slice], signals.Numbers],
    low: signals.Indices, high: signals.Indices, cycle: Any = 1.0, changes: signals.Indices = _NO_ROWS,
) -> signals.Numbers:  # fmt: skip
    """The sum of `values` over the rows [low, high) of each window; 0 where there are none."""
    some = low < high
    if not len(shown) or not some.any():
        return np.zeros(len(low))
    apart = some & ((odd.searchsorted(low) < odd.searchsorted(high)) if len(odd) else False)
    if len(changes):
        apart |= some & (changes.searchsorted(low, "right") < changes.searchsorted(high))
    plain = some & ~apart
    found = np.zeros(len(low))
    first, last = np.maximum(low[plain] - 1, 0), high[plain] - 1
    found[plain] = (shown[last] - shown[first]) * (cycle[plain] if isinstance(cycle, np.ndarray) else cycle)
    if apart.any():
        found[apart] = summed(values, low[apart], high[apart])
    return found


def summed(values: Callable[[slice], signals.Numbers], low: signals.Indices, high: signals.Indices) -> signals.Numbers:
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

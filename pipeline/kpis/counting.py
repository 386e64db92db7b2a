"""Counters of a machine as tallies: how many parts at which instant, and over which time counting is known."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.kpis import signals
from pipeline.kpis.cuts import marked
from telemetry.intervals import Instants, Intervals, intersect, none, subtract, union
from telemetry.samples import Series, Window

COUNTERS: Final = ("parts", "parts_good", "parts_scrap")


@dataclass(frozen=True, slots=True)
class Tally:
    """Parts at instants: `grown` parts at `times_ns` (in order); `sure` says that they were made in known time.

    `known`: where nothing can have been counted unseen.
    """

    times_ns: Instants
    grown: signals.Numbers
    sure: signals.Flags
    known: Intervals


NO_TALLY: Final = Tally(np.empty(0, np.int64), np.empty(0), np.empty(0, np.bool_), none())


def tally(series: Series, seen: Window, lost: Intervals, reach_ns: int, rollover: float | None = None) -> Tally:
    """The tally of one counter. What was counted across a lost silence that ended less than `reach_ns` before is not
    sure: it may have been made in the silence."""
    if len(series) == 0:
        return NO_TALLY
    times = series.times_ns
    sure = np.ones(len(series), np.bool_)
    if len(lost):
        ended = np.searchsorted(lost[:, 1], times, "right") - 1
        end_ns = lost[ended, 1]
        before = np.concatenate((times[:1], times[:-1]))
        sure = (ended < 0) | (end_ns <= before) | (end_ns <= times - reach_ns)
    known = union([(int(times[0]), seen.end_ns)], seen)
    told = signals.trusted(series)
    if not told.all():
        first, last = signals.runs(~told)
        after = np.append(times, seen.end_ns)[last]
        known = subtract(known, union(np.column_stack((times[first], after)), seen))
    return Tally(times, signals.increments(series, rollover), sure, known)


def made_and_good(tallies: Mapping[str, Tally], counters: Container[str]) -> tuple[Tally, Tally]:
    """All parts and good parts, from whichever two of the three counters the machine has (`counters`)."""
    made, good, scrap = (tallies[name] for name in COUNTERS)
    if "parts_scrap" in counters and "parts" not in counters:
        return _joined(good, scrap, 1.0), good
    if "parts_scrap" in counters and "parts_good" not in counters:
        return made, _joined(made, scrap, -1.0)
    return made, good


def _joined(one: Tally, other: Tally, sign: float) -> Tally:
    times = np.concatenate((one.times_ns, other.times_ns))
    order = np.argsort(times, kind="stable")
    return Tally(
        times[order],
        np.concatenate((one.grown, sign * other.grown))[order],
        np.concatenate((one.sure, other.sure))[order],
        intersect(one.known, other.known),
    )


@dataclass(frozen=True, slots=True)
class Weighed:
    """The parts of a tally that count for the figures of production: `grown` where `fit` says so, each with its
    reference cycle time [s]. A column of one cycle stands for all rows; `fit` is None where all fit."""

    grown: signals.Numbers
    fit: signals.Flags | None
    cycle: signals.Numbers

    def parts(self, rows: slice) -> signals.Numbers:
        """Parts that count, of some rows."""
        return self.grown[rows] if self.fit is None else np.where(self.fit[rows], self.grown[rows], 0.0)

    def seconds(self, rows: slice) -> signals.Numbers:
        """Their reference time [s]."""
        found = self.grown[rows] * (self.cycle if len(self.cycle) == 1 else self.cycle[rows])
        return found if self.fit is None else np.where(self.fit[rows], found, 0.0)


def weighed(
    counts: Tally, edges_ns: Instants, unfit: signals.Flags, required: Intervals, product: Series,
    cycles: signals.Numbers,
) -> Weighed:  # fmt: skip
    """Parts that were made in a stretch that is not `unfit`, and counted in required time.

    What is counted at an instant was made before it: the stretch and product in force until then apply. `cycles`: the
    reference cycle time [s] before the first product, and of each row of `product`.
    """
    times = counts.times_ns
    if not len(times):
        return Weighed(np.empty(0), None, cycles[:1])
    first, last = signals.runs(unfit)
    low, high = (np.searchsorted(times, edges_ns[one], "right") for one in (first, last))
    some = low < high
    fit = counts.sure & ~marked(len(times), low[some], high[some])
    fit[: int(np.searchsorted(times, edges_ns[0], "right"))] = False
    low, high = (np.searchsorted(times, required[:, side], "left") for side in (0, 1))
    fit &= marked(len(times), low, high)
    cycle = cycles[:1] if len(cycles) == 1 else at_counts(times, product.times_ns, cycles)
    # a first count is a baseline: it rarely fits, and counts nothing; but nothing times no cycle would be no number
    harmless = not counts.grown[~fit].any() and not np.isnan(cycle).any()
    return Weighed(counts.grown, None if harmless else fit, cycle)


def at_counts(times_ns: Instants, changes_ns: Instants, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What was in force just before each count. `column`: what is before the first change, and from each on."""
    starts = np.searchsorted(times_ns, changes_ns, "right")
    return np.repeat(column, np.diff(starts, prepend=0, append=len(times_ns)))

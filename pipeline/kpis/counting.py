"""Counters of a machine as tallies: how many parts at which instant, and over which time counting is known."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.kpis import signals
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


def tally(series: Series, seen: Window, lost: Intervals, reach_ns: int) -> Tally:
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
    first, last = signals.runs(~signals.trusted(series))
    after = np.append(times, seen.end_ns)[last]
    unknown = union(np.column_stack((times[first], after)), seen)
    known = subtract(union([(int(times[0]), seen.end_ns)], seen), unknown)
    return Tally(times, signals.increments(series), sure, known)


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

"""What is known of a machine over a stretch of time, before anything is made of it: its inputs, and where they tell
nothing. See machine for what counts as known."""

from collections.abc import Collection
from dataclasses import dataclass
from math import nan
from typing import Final

import numpy as np

from pipeline.kpis import gaps, signals
from pipeline.kpis.categories import told
from pipeline.kpis.counting import COUNTERS, Tally, made_and_good, tally
from telemetry.glossary import MachineState
from telemetry.intervals import Instants, Intervals, subtract, union
from telemetry.plant import Asset
from telemetry.samples import SECOND_NS, Quality, Series, Window

INPUTS: Final = ("state", "reason", "product", *COUNTERS, "online")
"""What is read of a machine, once, for all its KPIs."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """`series`: every input, in order; `made`, `good`: the tallies of parts; `cycles`: the reference cycle time [s]
    before the first product, and of each row of `product`.

    `stale`: where the state in force has grown too old; `uncounted`: where the count of parts or their cycle is not
    known; `unjudged` ⊇ `uncounted`: where the count of good parts is not.
    """

    series: dict[str, Series]
    made: Tally
    good: Tally
    cycles: signals.Numbers
    stale: Intervals
    uncounted: Intervals
    unjudged: Intervals

    @property
    def heard_ns(self) -> int | None:
        """The last sample of any input [ns]; None without one."""
        return max((int(one.times_ns[-1]) for one in self.series.values() if len(one)), default=None)


def knowledge(asset: Asset, seen: Window, read: gaps.Read, metrics: Collection[str]) -> Knowledge:
    """What the samples of `seen` say. `metrics`: all that the machine has; any of them ends a silence."""
    series, longest_ns = _read(read, seen)
    times = sorted((one.times_ns for one in series.values()), key=len, reverse=True)
    stale_ns = round(asset.stale_after_s * SECOND_NS)
    silent = gaps.silences(times, longest_ns, seen, stale_ns, read, sorted(set(metrics).difference(INPUTS)))
    broken = gaps.breaks(series, seen)
    stale, lost = silent, silent
    if len(silent) or len(broken):
        gap = np.concatenate((silent, broken))
        stale = union(np.concatenate((silent + np.array([stale_ns, 0]), broken)), seen)
        lost = union(gap[_runs_at(series["state"], gap[:, 0])], seen)
    tallies = {name: tally(series[name], seen, lost, stale_ns, asset.counter_rollover) for name in COUNTERS}
    made, good = made_and_good(tallies, metrics)
    cycles = _cycles(asset, series["product"])
    whole = union([(seen.start_ns, seen.end_ns)], seen)
    without = _without(cycles, series["product"], seen)
    uncounted = union(np.concatenate((lost, subtract(whole, made.known), without)), seen)
    unjudged = union(np.concatenate((uncounted, subtract(whole, good.known))), seen)
    return Knowledge(series, made, good, cycles, stale, uncounted, unjudged)


def _read(read: gaps.Read, seen: Window) -> tuple[dict[str, Series], int]:
    """Every input in order, and how long at most [ns] the one with most rows is silent between two of them."""
    given = {metric: read(metric, seen) for metric in INPUTS}
    most = max(given.values(), key=len)
    longest, longest_ns = signals.paced(most)
    found = {}
    for metric, one in given.items():
        same = longest is most and one.times_ns is most.times_ns  # as of a state and its reason
        found[metric] = longest if one is most else one if same else signals.ordered(one)
    return found, longest_ns


def _runs_at(state: Series, at_ns: Instants) -> signals.Flags:
    """Whether the machine was running at each instant, as far as anybody knew."""
    row = signals.in_force(state.times_ns, at_ns)
    if not len(state):
        return np.zeros(len(at_ns), np.bool_)
    then = row.clip(0)
    found: signals.Flags = (row >= 0) & (state.values[then] == MachineState.EXECUTING)
    found &= state.quality[then] != Quality.BAD
    return found


def _cycles(asset: Asset, product: Series) -> signals.Numbers:
    """The reference cycle time tCR [s] before the first product and of each row; NaN where it is not known.

    "*" stands for products not named; it stands for an unknown product only where it is all there is.
    """
    named, default = asset.cycle_s, asset.cycle_s.get("*", nan)
    unknown = default if len(named) == 1 else nan
    words = told(product)
    by_word = np.array([named.get(word, default) if word else unknown for word in words.words] or [nan])
    return np.concatenate(([unknown], by_word[words.codes]))


def _without(cycles: signals.Numbers, product: Series, seen: Window) -> Intervals:
    """Where no reference cycle is known."""
    bounds = np.concatenate(([seen.start_ns], product.times_ns, [seen.end_ns])).clip(seen.start_ns, seen.end_ns)
    rows = np.flatnonzero(np.isnan(cycles))
    return np.column_stack((bounds[rows], bounds[rows + 1]))

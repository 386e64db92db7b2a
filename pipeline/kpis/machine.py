"""A machine's samples over a stretch of time as one timeline, read once; any windows in it are then a few sums.

What is known. The state is known from its first sample on, but not after a BAD one, nor beyond `stale_after_s` past
the last sample of any metric of the machine, nor while the connection is broken (see gaps). A machine that was running
when it fell silent for longer, or when its connection broke, may have made parts that cannot be told from those made
afterwards: that whole gap is taken out of `counted`, with the count that ends it. The counts of one that stood still
are kept. A count belongs to the window and to the required time that its instant lies in; the figures of production
leave out parts of planned stops, because in NF E60-182 tU is a part of tR.

What a window depends on. Samples up to `before_ns` before it and `after_ns` after it (the length of a stop says
whether it is a micro-stop, a sample ends a silence), and the values in force at the start of that. Nothing else, so
that it may be computed alone or with others, to the same last bit. `now_ns` cuts it: of an open window, the part so
far.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from pipeline.kpis import gaps, signals
from pipeline.kpis.categories import (
    BREAKDOWN,
    NUMBER,
    PLANNED,
    RUNNING,
    STOPPED,
    UNKNOWN,
    Numbers8,
    categories,
    held,
    name_micro_stops,
    told,
)
from pipeline.kpis.counting import Tally, Weighed, at_counts, weighed
from pipeline.kpis.cuts import Cuts, distinct
from pipeline.kpis.knowledge import knowledge
from pipeline.kpis.numbers import divided
from pipeline.kpis.oee import NF_E60_182, Oee, performance_findings
from pipeline.kpis.periods import Begins, Periods
from pipeline.kpis.states import Category
from telemetry.calendar import opening, required
from telemetry.intervals import Instants, Intervals, elapsed, none, subtract, union
from telemetry.plant import Asset, CalendarConfig
from telemetry.samples import SECOND_NS, Window
from telemetry.words import Words

_OUTSIDE: Final = UNKNOWN + 1  # required time
_KEYS: Final = _OUTSIDE + 1
_MANY: Final = 1 << 20


def before_ns(asset: Asset) -> int:
    """How far before a window [ns] samples matter to it: a silence, and the first count after it."""
    return round(max(asset.micro_stop_s, 2 * asset.stale_after_s) * SECOND_NS)


def after_ns(asset: Asset) -> int:
    """How far after a window [ns] samples matter to it."""
    return round(max(asset.micro_stop_s, asset.stale_after_s) * SECOND_NS)


@dataclass(frozen=True, slots=True)
class Stretches:
    """A window cut where anything changes: where each stretch starts [ns], how much of it is required [ns], its
    category (an index of CATEGORIES, or UNKNOWN), and the reason and product in force."""

    starts_ns: Instants
    lengths_ns: Instants
    category: Numbers8
    reason: Words
    product: Words


@dataclass(frozen=True, slots=True)
class Stopped:
    """Stopped time by reason: row n is `seconds[n]` in window `window[n]` with the reason `words[word[n]]`, "" without
    one; in the order of the windows, and of the alphabet."""

    words: list[str]
    window: signals.Indices
    word: signals.Indices
    seconds: signals.Numbers


@dataclass(slots=True)
class Production:
    """What was made of one product: times [s] and parts as in Oee."""

    counted_running: float = 0.0
    net: float = 0.0
    judged_net: float = 0.0
    useful: float = 0.0
    made: float = 0.0
    good: float = 0.0


class MachineHistory:
    """The timeline of one machine over `span`, cut at `now_ns`. `metrics`: all it has; any shows that it is alive."""

    def __init__(
        self, asset: Asset, calendar: CalendarConfig | None, zone: ZoneInfo, span: Window, now_ns: int,
        read: gaps.Read, metrics: Collection[str],
    ) -> None:  # fmt: skip
        self.asset: Final = asset
        self._now_ns = now_ns
        start, end = span.start_ns, max(span.start_ns, min(span.end_ns, now_ns))
        self._end_ns = end
        seen = Window(start - before_ns(asset), max(end, min(span.end_ns + after_ns(asset), now_ns)))
        known = self._known = knowledge(asset, seen, read, metrics)
        series, uncounted, unjudged = known.series, known.uncounted, known.unjudged
        state, self._reason, self._product = series["state"], series["reason"], series["product"]
        self._opening = opening(Window(start, end), calendar, zone)
        self._required = required(Window(start, end), calendar, zone)
        whole = union([(seen.start_ns, seen.end_ns)], seen)
        self._cuts = cuts = Cuts(
            seen.start_ns, seen.end_ns, state.times_ns, self._reason.times_ns, self._product.times_ns,
            known.stale.ravel(), uncounted.ravel(), unjudged.ravel(), self._required.ravel(),
            np.array([start, end], np.int64),
        )  # fmt: skip
        self._category = category = categories(asset, cuts, state, self._reason)
        _set(category, cuts, known.stale, UNKNOWN)
        name_micro_stops(category, cuts, round(asset.micro_stop_s * SECOND_NS))
        # what the count of parts and their cycle are not known of is one thing, and without that of good parts another
        self._key = key = category.copy()
        idle = subtract(whole, self._required)
        _set(key, cuts, idle, _OUTSIDE)
        for flawed in (unjudged, uncounted):
            _raise(key, cuts, flawed)
        self._periods = Periods(cuts, key, 3 * _KEYS)
        self._failures = Begins(category == BREAKDOWN, cuts.rows(idle))
        self._made, self._good = made, good = known.made, known.good
        nowhere = _unfit(category, cuts)

        def weigh(counts: Tally, flawed: Intervals) -> Weighed:
            unfit = np.concatenate((nowhere, flawed)) if len(flawed) else nowhere
            return weighed(counts, whole, unfit, self._required, self._product, known.cycles)

        self._net = weigh(made, uncounted)
        self._judged = weigh(made, unjudged) if not np.array_equal(uncounted, unjudged) else self._net
        self._useful = weigh(good, unjudged)

    def final(self, window: Window) -> bool:
        """Whether the window can change no more but by late data."""
        return bool(self.finals(np.array([window.end_ns], np.int64))[0])

    def finals(self, ends_ns: Instants) -> signals.Flags:
        """As `final`, of windows that end at these instants [ns]."""
        heard = self._known.heard_ns
        settled = self._now_ns >= ends_ns + round(self.asset.micro_stop_s * SECOND_NS)
        waited = self._now_ns >= ends_ns + after_ns(self.asset)
        found: signals.Flags = settled & (waited if heard is None else waited | (heard >= ends_ns))
        return found

    def over(self, window: Window) -> Oee:
        """The time model over the window [s]; of an open window, over its part before now."""
        found = self.columns(*(np.array([bound], np.int64) for bound in (window.start_ns, window.end_ns))).row(0)
        cut = self._cut(window)
        return replace(
            found, findings=performance_findings(found.net, found.counted_running, lambda: self._products(cut))
        )

    def columns(self, starts: Instants, ends: Instants) -> Oee:
        """The time model over many windows [ns], as an Oee of columns, without findings."""
        ends = np.maximum(starts, np.minimum(ends, self._end_ns))
        lengths = self._periods.lengths(starts, ends).reshape(-1, 3, _KEYS)
        by_category = lengths.sum(1)
        used = slice(0, PLANNED)
        known_ns = by_category[:, used].sum(1)
        made, good, states = (
            (instants.searchsorted(starts), instants.searchsorted(ends))
            for instants in (self._made.times_ns, self._good.times_ns, self._known.series["state"].times_ns)
        )
        net = self._net.seconds_over(*made)
        made_all, good_all = self._made.over(*made), self._good.over(*good)
        times: dict[str, Any] = {
            "total": ends - starts,
            "opening": elapsed(self._opening, ends) - elapsed(self._opening, starts),
            "required": known_ns + by_category[:, UNKNOWN],
            "known": known_ns,
            "running": by_category[:, RUNNING],
            "counted": lengths[:, :2, used].sum((1, 2)),
            "counted_running": lengths[:, :2, RUNNING].sum(1),
            "judged": lengths[:, 0, used].sum(1),
            "planned": by_category[:, PLANNED],
        }
        counts: dict[str, Any] = {
            "net": net,
            "judged_net": net if self._judged is self._net else self._judged.seconds_over(*made),
            "useful": self._useful.seconds_over(*good),
            "made": made_all if self._judged.unfit is None else self._judged.parts_over(*made),
            "good": good_all if self._useful.unfit is None else self._useful.parts_over(*good),
            "made_all": made_all,
            "good_all": good_all,
            "made_coverage": _covered(self._made.known, starts, ends),
            "good_coverage": _covered(self._good.known, starts, ends),
            "failures": self._failures.between(*(self._cuts.find(at) for at in (starts, ends))),
            "samples": sum((high - low for low, high in (made, good, states)), np.zeros(len(starts), np.int64)),
        }
        stops: dict[Category, Any] = {
            category: by_category[:, number] / SECOND_NS
            for category, number in NUMBER.items()
            if number not in (RUNNING, PLANNED)
        }
        seconds = {name: nanoseconds / SECOND_NS for name, nanoseconds in times.items()}
        return Oee(NF_E60_182, **seconds, **counts, stops=stops)

    def stretches(self, window: Window) -> Stretches:
        """The window cut where anything changes; losses are counted on it."""
        cut, cuts = self._cut(window), self._cuts
        first = max(int(np.searchsorted(cuts.edges, cut.start_ns, "right")) - 1, 0)
        part = slice(first, max(int(np.searchsorted(cuts.edges, cut.end_ns, "left")), first))
        edges = cuts.edges[part.start : part.stop + 1].clip(cut.start_ns, cut.end_ns)
        reason, product = (
            held(self._cuts, one.times_ns, told(one)).take(part) for one in (self._reason, self._product)
        )
        lengths = np.where(self._key[part] % _KEYS != _OUTSIDE, np.diff(edges), 0)
        return Stretches(cuts.edges[part], lengths, self._category[part], reason, product)

    def stopped(self, starts: Instants, ends: Instants) -> Stopped:
        """Required time that was stopped, by the reason given for it, in each of these windows [ns], which are in order
        and do not overlap."""
        first_ns, last_ns = self._cuts.bounds
        bounds = distinct(np.concatenate((starts, ends)).clip(first_ns, last_ns))
        cuts = Cuts(int(bounds[0]), int(bounds[-1]), self._cuts.edges, bounds)
        at = np.searchsorted(self._cuts.edges, cuts.edges[:-1], "right") - 1
        window = np.searchsorted(starts, cuts.edges[:-1], "right") - 1
        stops = np.isin(self._key[at] % _KEYS, STOPPED)
        stops &= (window >= 0) & (cuts.edges[:-1] < np.minimum(ends, self._end_ns)[window])
        reasons = held(self._cuts, self._reason.times_ns, told(self._reason))
        words = sorted(set(reasons.words))  # a word may stand under two codes: not told, and told to be ""
        number = np.array([words.index(word) for word in reasons.words])
        keys, row = np.unique(window[stops] * len(words) + number[reasons.codes[at[stops]]], return_inverse=True)
        lost_ns = np.zeros(len(keys), np.int64)
        np.add.at(lost_ns, row, np.diff(cuts.edges)[stops])
        places, of = np.divmod(keys, len(words))
        return Stopped(words, places, of, lost_ns / SECOND_NS)

    def production(self, window: Window) -> dict[str, Production]:
        """What was made in the window, by product."""
        cut = self._cut(window)
        lengths, product = self._running(cut)
        words = product.words
        seconds = np.bincount(product.codes, lengths, len(words)) / SECOND_NS
        found = {
            words[code]: Production(counted_running=float(seconds[code])) for code in np.unique(product.codes).tolist()
        }
        named = told(self._product)
        codes = np.concatenate(([len(named.words)], named.codes))
        for counts, weights, parts, times in (
            (self._made, self._net, "", "net"),
            (self._made, self._judged, "made", "judged_net"),
            (self._good, self._useful, "good", "useful"),
        ):
            low, high = np.searchsorted(counts.times_ns, [cut.start_ns, cut.end_ns], "left").tolist()
            for first in range(low, high, _MANY):  # a year of counts by the second would be held five times over
                rows = slice(first, min(first + _MANY, high))
                of = at_counts(counts.times_ns[rows], self._product.times_ns, codes)
                grown, seconds_of = weights.parts(rows), weights.seconds(rows)
                for code in np.unique(of[grown != 0]).tolist():
                    made = found.setdefault((*named.words, "")[code], Production())
                    setattr(made, times, getattr(made, times) + float(seconds_of[of == code].sum()))
                    if parts:
                        setattr(made, parts, getattr(made, parts) + float(grown[of == code].sum()))
        return found

    def _running(self, cut: Window) -> tuple[Instants, Words]:
        """The stretches in a window that ran while parts were counted: how much of each is required, its product."""
        found = self.stretches(cut)
        first = int(np.searchsorted(self._cuts.edges, cut.start_ns, "right")) - 1
        counted = self._key[max(first, 0) :][: len(found.lengths_ns)] < 2 * _KEYS
        running = np.flatnonzero((found.category == RUNNING) & counted)
        return found.lengths_ns[running], found.product.take(running)

    def _cut(self, window: Window) -> Window:
        return Window(window.start_ns, max(window.start_ns, min(window.end_ns, self._end_ns)))

    def _products(self, cut: Window) -> str:
        low, high = np.searchsorted(self._product.times_ns, [cut.start_ns, cut.end_ns], "left").tolist()
        words = self._product.words
        return ", ".join(sorted({words.words[code] for code in words.codes[max(low - 1, 0) : high].tolist()}))


def _set(column: Numbers8, cuts: Cuts, intervals: Intervals, number: int) -> None:
    """The number in every stretch of the intervals."""
    for rows in cuts.rows(intervals):
        column[rows] = number


def _raise(key: Numbers8, cuts: Cuts, intervals: Intervals) -> None:
    """The next level of every key in the intervals."""
    for rows in cuts.rows(intervals):
        key[rows] += np.int8(_KEYS)


def _unfit(category: Numbers8, cuts: Cuts) -> Intervals:
    """Where a part that is counted was made in no required time, or nobody knows."""
    rows = np.flatnonzero(category >= PLANNED)
    if not len(rows):
        return none()
    last = np.append(np.flatnonzero(rows[1:] - rows[:-1] > 1), len(rows) - 1)
    first = np.concatenate(([0], last[:-1] + 1))
    return np.column_stack((cuts.at(rows[first]), cuts.at(rows[last] + 1)))


def _covered(known: Intervals, starts_ns: Instants, ends_ns: Instants) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = divided(
        elapsed(known, ends_ns) - elapsed(known, starts_ns), ends_ns - starts_ns, 0.0
    )
    return found

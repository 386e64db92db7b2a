"""A machine's samples over a stretch of time as one timeline, read once; any window in it is then a few sums.

What is known. The state is known from its first sample on, but not after a BAD one, nor beyond `stale_after_s` past
the last sample of any metric of the machine, nor while the connection is broken (see gaps). A machine that was running
when it fell silent for longer, or when its connection broke, may have made parts that cannot be told from those made
afterwards: that whole gap is taken out of `counted`, with the count that ends it. The counts of one that stood still
are kept. A count belongs to the window and to the required time that its instant lies in; the figures of production
leave out parts of planned stops, because in NF E60-182 tU is a part of tR.

What a window depends on. Samples up to `before_ns` before it and `after_ns` after it (the length of a stop says
whether it is a micro-stop, a sample ends a silence), and the values in force at the start of that. Nothing else, so
that it may be computed alone or with others. `now_ns` cuts it: of an open window, the part so far.
"""

from collections.abc import Collection
from dataclasses import dataclass
from math import nan
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from pipeline.kpis import gaps, signals
from pipeline.kpis.counting import COUNTERS, Tally, made_and_good, tally
from pipeline.kpis.oee import NF_E60_182, Oee, performance_findings
from pipeline.kpis.states import MAY_BE_MICRO, Category, category_of
from telemetry.calendar import opening, required
from telemetry.glossary import MachineState
from telemetry.intervals import Instants, Intervals, elapsed, inside, intersect, total_ns, union
from telemetry.plant import Asset, CalendarConfig
from telemetry.samples import SECOND_NS, Quality, Series, Window

INPUTS: Final = ("state", "reason", "product", *COUNTERS, "online")
"""What is read of a machine, once, for all its KPIs."""

CATEGORIES: Final = tuple(Category)
_NUMBER: Final = {category: number for number, category in enumerate(CATEGORIES)}
_RUNNING: Final = _NUMBER[Category.RUNNING]
_PLANNED: Final = _NUMBER[Category.PLANNED]


def before_ns(asset: Asset) -> int:
    """How far before a window [ns] samples matter to it: a silence, and the first count after it."""
    return round(max(asset.micro_stop_s, 2 * asset.stale_after_s) * SECOND_NS)


def after_ns(asset: Asset) -> int:
    """How far after a window [ns] samples matter to it."""
    return round(max(asset.micro_stop_s, asset.stale_after_s) * SECOND_NS)


@dataclass(frozen=True, slots=True)
class Stretches:
    """A window cut where anything changes: where each stretch starts [ns], how much of it is required [ns], whether
    its state is known, its category (an index of CATEGORIES), and the reason and product in force."""

    starts_ns: Instants
    lengths_ns: Instants
    known: signals.Flags
    category: np.ndarray[tuple[int], np.dtype[np.int64]]
    reason: list[str]
    product: list[str]


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
        stale_ns = round(asset.stale_after_s * SECOND_NS)
        series = {metric: signals.ordered(read(metric, seen)) for metric in INPUTS}
        self._input_times = [one.times_ns for one in series.values()]
        silent = gaps.silences(self._input_times, seen, stale_ns, read, sorted(set(metrics) - set(INPUTS)))
        broken = gaps.breaks(series, seen)
        stale = union(np.concatenate((silent + np.array([stale_ns, 0]), broken)), seen)
        state, reason, product = series["state"], series["reason"], series["product"]
        gap = np.concatenate((silent, broken))
        state_at = signals.in_force(state.times_ns, gap[:, 0])
        executing = (state.values == MachineState.EXECUTING) & signals.trusted(state)
        lost = union(gap[(state_at >= 0) & np.append(executing, False)[state_at]], seen)
        self._made, self._good = made_and_good(
            {name: tally(series[name], seen, lost, stale_ns) for name in COUNTERS}, metrics
        )
        self._edges = signals.edges(
            seen.start_ns, seen.end_ns, state.times_ns, reason.times_ns, product.times_ns,
            lost.ravel(), stale.ravel(), self._made.known.ravel(), self._good.known.ravel(),
        )  # fmt: skip
        at = self._edges[:-1]
        self._category, told = _categories(asset, state, reason, at)
        self._known = told & ~inside(stale, at)
        stop = self._known & (self._category != _RUNNING) & (self._category != _PLANNED)
        short = stop & (signals.run_lengths(stop, np.diff(self._edges)) < asset.micro_stop_s * SECOND_NS)
        unexplained = np.isin(self._category, [_NUMBER[one] for one in MAY_BE_MICRO])
        self._category[short & unexplained] = _NUMBER[Category.MICRO_STOP]
        broke = signals.runs(self._known & (self._category == _NUMBER[Category.BREAKDOWN]))[0]
        self._cycle = _cycles(asset, product, at)
        self._counted = self._known & (self._category != _PLANNED) & ~np.isnan(self._cycle)
        self._counted &= inside(self._made.known, at) & ~inside(lost, at)
        self._judged = self._counted & inside(self._good.known, at)
        self._opening = opening(Window(start, end), calendar, zone)
        self._required = required(Window(start, end), calendar, zone)
        self._required_before = elapsed(self._required, self._edges)
        failed_at = at[broke]
        self._failures = failed_at[inside(self._required, failed_at)]
        made_in = self._segments(self._made)
        same = np.array_equal(self._made.times_ns, self._good.times_ns)
        good_in = made_in if same else self._segments(self._good)
        self._net = self._weights(self._made, made_in, self._counted)
        self._judged_net = self._weights(self._made, made_in, self._judged)
        self._useful = self._weights(self._good, good_in, self._judged)
        self._product, self._reason = product, reason

    def final(self, window: Window) -> bool:
        """Whether the window can change no more but by late data."""
        if self._now_ns < window.end_ns + round(self.asset.micro_stop_s * SECOND_NS):
            return False
        heard = any(len(times) and times[-1] >= window.end_ns for times in self._input_times)
        return heard or self._now_ns >= window.end_ns + after_ns(self.asset)

    def over(self, window: Window) -> Oee:
        """The time model over the window [s]; of an open window, over its part before now."""
        cut, part, lengths = self._part(window)
        whole = np.array([[cut.start_ns, cut.end_ns]], np.int64)
        known, category = self._known[part], self._category[part]
        # float64 holds whole nanoseconds exactly up to 104 days
        split = np.bincount(category[known], lengths[known], len(CATEGORIES))
        counted, judged = self._counted[part], self._judged[part]
        counted_running = int(lengths[counted & (category == _RUNNING)].sum()) / SECOND_NS
        planned = float(split[_PLANNED])
        made, good = _between(self._made.times_ns, cut), _between(self._good.times_ns, cut)
        net = float(self._net[1][made].sum())
        states = _between(self._input_times[0], cut)
        return Oee(
            NF_E60_182,
            total=cut.seconds,
            opening=int(np.diff(elapsed(self._opening, whole[0]))[0]) / SECOND_NS,
            required=(int(lengths.sum()) - planned) / SECOND_NS,
            known=(float(split.sum()) - planned) / SECOND_NS,
            running=float(split[_RUNNING]) / SECOND_NS,
            counted=int(lengths[counted].sum()) / SECOND_NS,
            counted_running=counted_running,
            net=net,
            judged=int(lengths[judged].sum()) / SECOND_NS,
            judged_net=float(self._judged_net[1][made].sum()),
            useful=float(self._useful[1][good].sum()),
            made=float(self._judged_net[0][made].sum()),
            good=float(self._useful[0][good].sum()),
            stops={
                category: float(split[number]) / SECOND_NS
                for category, number in _NUMBER.items()
                if number not in (_RUNNING, _PLANNED)
            },
            planned=planned / SECOND_NS,
            made_all=float(self._made.grown[made].sum()),
            good_all=float(self._good.grown[good].sum()),
            made_coverage=_covered(self._made.known, whole),
            good_coverage=_covered(self._good.known, whole),
            failures=int(np.diff(np.searchsorted(self._failures, [cut.start_ns, cut.end_ns]))[0]),
            samples=states.stop - states.start + made.stop - made.start + good.stop - good.start,
            findings=performance_findings(net, counted_running, self._products(cut)),
        )

    def stretches(self, window: Window) -> Stretches:
        """The window cut where anything changes; losses are counted on it."""
        _, part, lengths = self._part(window)
        at = self._edges[:-1][part]
        reasons, products = (_words(one, at) for one in (self._reason, self._product))
        return Stretches(at, lengths, self._known[part], self._category[part], reasons, products)

    def production(self, window: Window) -> dict[str, Production]:
        """What was made in the window, by product."""
        cut, part, lengths = self._part(window)
        found: dict[str, Production] = {}
        running = self._counted[part] & (self._category[part] == _RUNNING)
        products = np.array(_words(self._product, self._edges[:-1][part]), object)
        for product in sorted(set(products[running].tolist())):
            seconds = int(lengths[running & (products == product)].sum()) / SECOND_NS
            found[product] = Production(counted_running=seconds)
        for counts, weights, parts, times in (
            (self._made, self._net, "", "net"),
            (self._made, self._judged_net, "made", "judged_net"),
            (self._good, self._useful, "good", "useful"),
        ):
            rows = _between(counts.times_ns, cut)
            # what is counted at an instant was made before it
            of = _words(self._product, counts.times_ns[rows] - 1)
            for product, number, seconds in zip(of, weights[0][rows].tolist(), weights[1][rows].tolist(), strict=True):
                if number:
                    made = found.setdefault(product, Production())
                    setattr(made, times, getattr(made, times) + seconds)
                    if parts:
                        setattr(made, parts, getattr(made, parts) + number)
        return found

    def _part(self, window: Window) -> tuple[Window, slice, Instants]:
        """The window cut at now, the stretches of the timeline in it, and how much of each is required [ns]."""
        cut = Window(window.start_ns, max(window.start_ns, min(window.end_ns, self._end_ns)))
        first = max(int(np.searchsorted(self._edges, cut.start_ns, "right")) - 1, 0)
        last = max(int(np.searchsorted(self._edges, cut.end_ns, "left")), first)
        required_before = self._required_before[first : last + 1].copy()
        required_before[[0, -1]] = elapsed(self._required, np.array([cut.start_ns, cut.end_ns]))
        return cut, slice(first, last), np.diff(required_before)

    def _segments(self, counts: Tally) -> tuple[Instants, signals.Flags]:
        """Per row of a tally: the stretch of the timeline it is of, and whether that is one, in required time.

        What is counted at an instant was made before it: the state and product in force until then apply.
        """
        segment = np.searchsorted(self._edges, counts.times_ns, "left") - 1
        inside_it = (segment >= 0) & (segment < len(self._edges) - 1) & inside(self._required, counts.times_ns)
        return segment, inside_it

    def _weights(
        self, counts: Tally, segments: tuple[Instants, signals.Flags], told: signals.Flags
    ) -> tuple[signals.Numbers, signals.Numbers]:
        """Per row of a tally: parts that count for the figures of production, and their reference time [s]."""
        segment = segments[0]
        inner = segments[1] & counts.sure
        inner[inner] = told[segment[inner]]
        parts = np.where(inner, counts.grown, 0.0)
        cycles = np.zeros(len(parts))
        cycles[inner] = self._cycle[segment[inner]]
        return parts, parts * cycles

    def _products(self, cut: Window) -> str:
        rows = _between(self._product.times_ns, cut)
        return ", ".join(sorted(set(self._product.texts[max(rows.start - 1, 0) : rows.stop])))


def _between(times_ns: Instants, cut: Window) -> slice:
    low, high = np.searchsorted(times_ns, [cut.start_ns, cut.end_ns], "left")
    return slice(int(low), int(high))


def _covered(known: Intervals, whole: Intervals) -> float:
    length = total_ns(whole)
    return total_ns(intersect(known, whole)) / length if length else 0.0


def _words(series: Series, at: Instants) -> list[str]:
    """The word in force at each instant, "" where none is."""
    words = np.append(np.where(series.quality == Quality.BAD, "", series.texts), "")
    found: list[str] = words[signals.in_force(series.times_ns, at)].tolist()
    return found


def _categories(
    asset: Asset, state: Series, reason: Series, at: Instants
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], signals.Flags]:
    """The category in force at each instant, and whether a state is told at all."""
    words = ["", *dict.fromkeys(reason.texts.tolist())]
    numbers = {word: number for number, word in enumerate(words)}
    table = np.array([[_NUMBER[category_of(one, word, asset)] for word in words] for one in MachineState], np.int64)
    said = np.zeros(len(reason) + 1, np.int64)
    said[:-1] = np.fromiter(map(numbers.__getitem__, reason.texts.tolist()), np.int64, len(reason))
    said[:-1][reason.quality == Quality.BAD] = 0
    in_range = signals.trusted(state) & (state.values >= 0) & (state.values < len(MachineState))
    codes = np.append(np.where(in_range, state.values, 0).astype(np.int64), 0)
    row = signals.in_force(state.times_ns, at)
    return table[codes[row], said[signals.in_force(reason.times_ns, at)]], (row >= 0) & np.append(in_range, False)[row]


def _cycles(asset: Asset, product: Series, at: Instants) -> signals.Numbers:
    """The reference cycle time tCR [s] in force at each instant; NaN where the product, or its cycle, is not known.

    "*" stands for products not named; it stands for an unknown product only where it is all there is.
    """
    named, default = asset.cycle_s, asset.cycle_s.get("*", nan)
    unknown = default if len(named) == 1 else nan
    by_row = [
        unknown if quality == Quality.BAD or not word else named.get(word, default)
        for word, quality in zip(product.texts.tolist(), product.quality.tolist(), strict=True)
    ]
    return np.array([*by_row, unknown])[signals.in_force(product.times_ns, at)]

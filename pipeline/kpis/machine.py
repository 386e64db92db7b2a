"""A machine's samples over a stretch of time as one timeline, read once; any window in it is then a few sums.

What is known. The state is known from its first sample on, but not after a BAD one, nor beyond `stale_after_s` past
the last sample of any metric of the machine. A machine that was running when it fell silent for longer may have made
parts that cannot be told from those made afterwards: its whole silence is taken out of `counted`, with the count that
ends it. The counts of one that stood still are kept. A count belongs to the window and to the required time that its
instant lies in; the figures of production leave out parts of planned stops, because in NF E60-182 tU is a part of tR.

What a window depends on. Samples up to `before_ns` before it and `after_ns` after it (the length of a stop says
whether it is a micro-stop, a sample ends a silence), and the values in force at the start of that. Nothing else, so
that it may be computed alone or with others. `now_ns` cuts it: of an open window, the part so far.
"""

from collections.abc import Callable, Collection, Sequence
from math import nan
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from pipeline.kpis import signals
from pipeline.kpis.counting import COUNTERS, Tally, made_and_good, tally
from pipeline.kpis.oee import NF_E60_182, Oee, performance_findings
from pipeline.kpis.states import MAY_BE_MICRO, Category, category_of
from telemetry.calendar import opening, required
from telemetry.glossary import MachineState
from telemetry.intervals import Instants, Intervals, elapsed, inside, intersect, total_ns
from telemetry.plant import Asset, CalendarConfig
from telemetry.samples import SECOND_NS, Series, Window

INPUTS: Final = ("state", "reason", "product", *COUNTERS)
"""What is read of a machine, once, for all its KPIs."""

CATEGORIES: Final = tuple(Category)
_NUMBER: Final = {category: number for number, category in enumerate(CATEGORIES)}
_RUNNING: Final = _NUMBER[Category.RUNNING]
_PLANNED: Final = _NUMBER[Category.PLANNED]

Read = Callable[[str, Window], Series]
"""Reads a metric of the machine over a window, beginning with the value in force for one that holds."""


def before_ns(asset: Asset) -> int:
    """How far before a window [ns] samples matter to it: a silence, and the first count after it."""
    return round(max(asset.micro_stop_s, 2 * asset.stale_after_s) * SECOND_NS)


def after_ns(asset: Asset) -> int:
    """How far after a window [ns] samples matter to it."""
    return round(max(asset.micro_stop_s, asset.stale_after_s) * SECOND_NS)


class MachineHistory:
    """The timeline of one machine over `span`, cut at `now_ns`. `metrics`: all it has; any shows that it is alive."""

    def __init__(
        self, asset: Asset, calendar: CalendarConfig | None, zone: ZoneInfo, span: Window, now_ns: int,
        read: Read, metrics: Collection[str],
    ) -> None:  # fmt: skip
        self.asset: Final = asset
        self._now_ns = now_ns
        start, end = span.start_ns, max(span.start_ns, min(span.end_ns, now_ns))
        self._end_ns = end
        seen = Window(start - before_ns(asset), max(end, min(span.end_ns + after_ns(asset), now_ns)))
        stale_ns = round(asset.stale_after_s * SECOND_NS)
        series = {metric: signals.ordered(read(metric, seen)) for metric in INPUTS}
        self._input_times = [one.times_ns for one in series.values()]
        silent = _silences(self._input_times, seen, stale_ns, read, sorted(set(metrics) - set(INPUTS)))
        stale = silent + np.array([stale_ns, 0])
        state, reason, product = series["state"], series["reason"], series["product"]
        state_at = signals.in_force(state.times_ns, silent[:, 0])
        executing = (state.values == MachineState.EXECUTING) & signals.trusted(state)
        lost = silent[(state_at >= 0) & np.append(executing, False)[state_at]]
        self._made, self._good = made_and_good(
            {name: tally(series[name], seen, lost, stale_ns) for name in COUNTERS}, metrics
        )
        self._edges = signals.edges(
            seen.start_ns, seen.end_ns, state.times_ns, reason.times_ns, product.times_ns,
            silent.ravel(), stale[:, 0], self._made.known.ravel(), self._good.known.ravel(),
        )  # fmt: skip
        at = self._edges[:-1]
        self._category, told = _categories(state, reason, at)
        self._known = told & ~inside(stale, at)
        stop = self._known & (self._category != _RUNNING) & (self._category != _PLANNED)
        short = stop & (signals.run_lengths(stop, np.diff(self._edges)) < asset.micro_stop_s * SECOND_NS)
        unexplained = np.isin(self._category, [_NUMBER[one] for one in MAY_BE_MICRO])
        self._category[short & unexplained] = _NUMBER[Category.MICRO_STOP]
        self._cycle = _cycles(asset, product, at)
        self._counted = self._known & (self._category != _PLANNED) & ~np.isnan(self._cycle)
        self._counted &= inside(self._made.known, at) & ~inside(lost, at)
        self._judged = self._counted & inside(self._good.known, at)
        self._opening = opening(Window(start, end), calendar, zone)
        self._required = required(Window(start, end), calendar, zone)
        self._net = self._weights(self._made, self._counted)
        self._judged_net = self._weights(self._made, self._judged)
        self._useful = self._weights(self._good, self._judged)
        self._product = product

    def final(self, window: Window) -> bool:
        """Whether the window can change no more but by late data."""
        if self._now_ns < window.end_ns + round(self.asset.micro_stop_s * SECOND_NS):
            return False
        heard = any(len(times) and times[-1] >= window.end_ns for times in self._input_times)
        return heard or self._now_ns >= window.end_ns + after_ns(self.asset)

    def over(self, window: Window) -> Oee:
        """The time model over the window [s]; of an open window, over its part before now."""
        cut = Window(window.start_ns, max(window.start_ns, min(window.end_ns, self._end_ns)))
        whole = np.array([[cut.start_ns, cut.end_ns]], np.int64)
        needed = intersect(self._required, whole)
        first = max(int(np.searchsorted(self._edges, cut.start_ns, "right")) - 1, 0)
        last = max(int(np.searchsorted(self._edges, cut.end_ns, "left")), first)
        part = slice(first, last)
        lengths = np.diff(elapsed(needed, self._edges[first : last + 1]))
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
            opening=total_ns(intersect(self._opening, whole)) / SECOND_NS,
            required=(total_ns(needed) - planned) / SECOND_NS,
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
            samples=states.stop - states.start + made.stop - made.start + good.stop - good.start,
            findings=performance_findings(net, counted_running, self._products(cut)),
        )

    def _weights(self, counts: Tally, told: signals.Flags) -> tuple[signals.Numbers, signals.Numbers]:
        """Per row of a tally: parts that count for the figures of production, and their reference time [s].

        What is counted at an instant was made before it: the state and product in force until then apply.
        """
        segment = np.searchsorted(self._edges, counts.times_ns, "left") - 1
        inner = (segment >= 0) & (segment < len(told)) & counts.sure & inside(self._required, counts.times_ns)
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


def _silences(inputs: Sequence[Instants], seen: Window, limit_ns: int, read: Read, others: Sequence[str]) -> Intervals:
    """Where no metric says anything for longer than the limit. The other metrics, which may be large, are read only
    where the inputs are silent."""

    def merged(parts: Sequence[Instants]) -> Instants:
        return np.sort(np.concatenate((np.empty(0, np.int64), *parts)), kind="stable")

    alive = merged(inputs)
    silent = signals.silences(alive, seen.start_ns, seen.end_ns, limit_ns)
    if not len(silent) or not others:
        return silent
    quiet = Window(int(silent[0, 0]), int(silent[-1, 1]))
    alive = merged([alive, *(read(metric, quiet).times_ns for metric in others)])
    return signals.silences(alive, seen.start_ns, seen.end_ns, limit_ns)


def _categories(
    state: Series, reason: Series, at: Instants
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], signals.Flags]:
    """The category in force at each instant, and whether a state is told at all."""
    words = ["", *dict.fromkeys(reason.texts.tolist())]
    numbers = {word: number for number, word in enumerate(words)}
    table = np.array([[_NUMBER[category_of(one, word)] for word in words] for one in MachineState], np.int64)
    said = np.array([numbers[word] for word in reason.texts.tolist()] + [0], np.int64)
    said[:-1][reason.quality == 2] = 0
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
        unknown if quality == 2 or not word else named.get(word, default)
        for word, quality in zip(product.texts.tolist(), product.quality.tolist(), strict=True)
    ]
    return np.array([*by_row, unknown])[signals.in_force(product.times_ns, at)]

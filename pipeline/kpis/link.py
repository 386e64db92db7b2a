"""A network link's probes over a stretch of time, read once; any window in it is then a slice of the packets.

A window depends on the packets in it and on nothing else. `now_ns` cuts it: of an open window, the part so far.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import inf, isnan, nan
from typing import Final

import numpy as np

from pipeline.kpis import latency
from pipeline.kpis.histogram import Histogram
from pipeline.kpis.service import Service, service
from pipeline.kpis.signals import Numbers
from pipeline.kpis.use_cases import UseCase
from telemetry.intervals import Instants
from telemetry.samples import Quality, Ratio, Series, Window

INPUTS: Final = ("rtt", "rtt_lost", "delay_up", "delay_down", "clock_error", "duplicates", "reordered")
"""What is read of a link, once, for all its KPIs."""

ANSWERED: Final = 0
LOST: Final = 1
LOST_UP: Final = 2
LOST_DOWN: Final = 3


@dataclass(frozen=True)
class Delays:
    """Delays [ms] in order of sending, NaN for a lost packet. Sorted once, for all its quantiles."""

    values: Numbers

    @cached_property
    def ordered(self) -> Numbers:
        """Of the packets that arrived, the fastest first [ms]."""
        return np.sort(self.values[~np.isnan(self.values)])

    def percentile(self, q: float) -> float:
        """The q-quantile [ms], exactly, a lost packet counting as infinitely late; NaN with too few samples."""
        if self.values.size < latency.samples_needed(q):
            return nan
        rank = max(1, int(np.ceil(self.values.size * q - 1e-6)))
        return float(self.ordered[rank - 1]) if rank <= self.ordered.size else inf

    def variation(self, q: float) -> float:
        """The q-quantile of the packet delay variation [ms] (RFC 5481 4.2): beyond the fastest of the window."""
        return self.percentile(q) - float(self.ordered[0]) if self.ordered.size else nan


@dataclass(frozen=True)
class Probes:
    """The packets of a link sent in a window: instants [ns], delays [ms], NaN for a lost one, and the fate of each;
    share of the window measured. One-way delays [ms] are of the packets that have them, in order of sending.

    `clock_error_ms` [ms]: the largest that was told; `duplicates`, `reordered`: answers, NaN where nothing was told.
    """

    times_ns: Instants
    delay_ms: Numbers
    coverage: float
    fate: np.ndarray[tuple[int], np.dtype[np.int8]]
    up_ms: Numbers
    down_ms: Numbers
    clock_error_ms: float
    duplicates: float
    reordered: float
    use_case: UseCase | None

    @cached_property
    def rtt(self) -> Delays:
        return Delays(self.delay_ms)

    @cached_property
    def up(self) -> Delays:
        """Away from us. A loss whose way nobody knows counts on both: a figure must not flatter the link."""
        return self._one_way(self.up_ms, LOST_UP)

    @cached_property
    def down(self) -> Delays:
        """Towards us."""
        return self._one_way(self.down_ms, LOST_DOWN)

    def _one_way(self, delay_ms: Numbers, lost: int) -> Delays:
        missing = int(((self.fate == lost) | (self.fate == LOST)).sum()) if delay_ms.size else 0
        return Delays(np.concatenate((delay_ms, np.full(missing, nan))))

    @property
    def sent(self) -> int:
        return len(self.times_ns)

    def one_way_coverage(self, delay_ms: Numbers) -> float:
        """Share [0…1] of the window that one-way delays tell of: of its answered packets, those that have one."""
        answered = int((self.fate == ANSWERED).sum())
        return self.coverage * min(1.0, delay_ms.size / answered) if answered else 0.0

    def jitter(self) -> float:
        """RFC 3550 interarrival jitter [ms] at the end of the window, of the round trip."""
        answered = ~np.isnan(self.delay_ms)
        if not answered.any():
            return nan
        return latency.jitter_rfc3550(self.times_ns[answered], self.delay_ms[answered])

    def variation_mean(self) -> Ratio:
        """Sum of |IPDV| [ms] ÷ pairs of consecutive packets that both arrived (RFC 5481 4.1)."""
        steps = np.abs(latency.ipdv(self.delay_ms))
        known = steps[~np.isnan(steps)]
        return Ratio(float(known.sum()), float(known.size), self.coverage, self.sent)

    def loss(self) -> Ratio:
        """Packets without an answer in time ÷ packets sent."""
        lost = float(np.isnan(self.delay_ms).sum())
        return Ratio(lost, float(len(self.delay_ms)), self.coverage, len(self.delay_ms))

    def loss_of(self, way: int) -> Ratio:
        """Packets lost on one way ÷ packets that set out on it. Losses whose way nobody knows are left out of both, and
        lower the coverage by their share of the losses."""
        up, down, unknown = (int((self.fate == kind).sum()) for kind in (LOST_UP, LOST_DOWN, LOST))
        known = 1.0 if up + down + unknown == 0 else (up + down) / (up + down + unknown)
        tried = self.sent - unknown - (up if way == LOST_DOWN else 0)
        return Ratio(float(up if way == LOST_UP else down), float(tried), self.coverage * known, self.sent)

    @cached_property
    def loss_runs(self) -> latency.LossPattern:
        """How the losses are spread."""
        return latency.loss_pattern(np.isnan(self.delay_ms))

    def share(self, count: float) -> Ratio:
        """So many answers ÷ packets sent; not known when nothing was told of them."""
        known = self.sent > 0 and not isnan(count)
        return Ratio(count if known else nan, float(self.sent), self.coverage if known else 0.0, self.sent)

    @cached_property
    def service(self) -> Service | None:
        """What the link's use case would have lived through; None without one, or without two packets."""
        case = self.use_case
        if case is None or self.sent < 2:
            return None
        return service(self.times_ns, self.delay_ms, case.latency_ms, case.survival_ms or 0.0)

    def histogram(self) -> Histogram:
        """Of the round trips, with the lost packets."""
        return Histogram.of(self.delay_ms)


class LinkHistory:
    """The packets of one link over `span`, cut at `now_ns`. `use_case`: what the link is judged by."""

    def __init__(
        self, span: Window, now_ns: int, read: Callable[[str, Window], Series], use_case: UseCase | None = None
    ) -> None:
        self._now_ns = now_ns
        self._use_case = use_case
        seen = Window(span.start_ns, max(span.start_ns, min(span.end_ns, now_ns)))
        rtt, lost = read("rtt", seen), read("rtt_lost", seen)
        self._times, self._delay = latency.packets(rtt, lost)
        self._fate = _fates(self._times, self._delay, lost)
        self._others = {name: _good(read(name, seen)) for name in INPUTS[2:]}

    def final(self, window: Window) -> bool:
        """Whether the window can change no more but by late data."""
        return self._now_ns >= window.end_ns

    def over(self, window: Window) -> Probes:
        """The packets of the window."""
        end_ns = max(window.start_ns, min(window.end_ns, self._now_ns))
        low, high = np.searchsorted(self._times, [window.start_ns, end_ns], "left")
        times = self._times[low:high]

        def other(name: str) -> Numbers:
            at, values = self._others[name]
            first, last = np.searchsorted(at, [window.start_ns, end_ns], "left")
            return values[first:last]

        error, doubled, late = other("clock_error"), other("duplicates"), other("reordered")
        return Probes(
            times,
            self._delay[low:high],
            latency.coverage(times, Window(window.start_ns, end_ns)),
            self._fate[low:high],
            other("delay_up"),
            other("delay_down"),
            float(error.max()) if error.size else nan,
            float(doubled.sum()) if doubled.size else nan,
            float(late.sum()) if late.size else nan,
            self._use_case,
        )


def _good(series: Series) -> tuple[Instants, Numbers]:
    kept = series.quality < Quality.BAD
    return series.times_ns[kept], series.values[kept]


def _fates(times: Instants, delay: Numbers, lost: Series) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    """What became of each packet: the collector names the way of a loss in the text of its `rtt_lost`."""
    missing = np.isnan(delay)
    fate = np.where(missing, LOST, ANSWERED).astype(np.int8)
    named = np.flatnonzero((lost.texts == "up") | (lost.texts == "down"))
    where = np.searchsorted(times, lost.times_ns[named])
    inside = where < times.size
    for row, place in zip(named[inside].tolist(), where[inside].tolist(), strict=True):
        if missing[place] and times[place] == lost.times_ns[row]:
            fate[place] = LOST_UP if lost.texts[row] == "up" else LOST_DOWN
    return fate

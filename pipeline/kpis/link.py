"""A network link's probes over a stretch of time, read once; any window in it is then a slice of the packets.

A window depends on the packets in it and on nothing else. `now_ns` cuts it: of an open window, the part so far.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import nan
from typing import Final

import numpy as np

from pipeline.kpis import latency
from pipeline.kpis.signals import Numbers
from telemetry.intervals import Instants
from telemetry.samples import Ratio, Series, Window

INPUTS: Final = ("rtt", "rtt_lost")
"""What is read of a link, once, for all its KPIs."""


@dataclass(frozen=True, slots=True)
class Probes:
    """The packets of a link sent in a window: instants [ns], delays [ms], NaN for a lost one; share of it measured."""

    times_ns: Instants
    delay_ms: Numbers
    coverage: float

    def percentile(self, q: float) -> float:
        """The q-quantile of the round-trip time [ms], a lost packet counting as infinitely late."""
        return latency.percentile(self.delay_ms, q, lost=int(np.isnan(self.delay_ms).sum()))

    def jitter(self) -> float:
        """RFC 3550 interarrival jitter [ms] at the end of the window, of the round trip."""
        answered = ~np.isnan(self.delay_ms)
        if not answered.any():
            return nan
        return latency.jitter_rfc3550(self.times_ns[answered], self.delay_ms[answered])

    def loss(self) -> Ratio:
        """Packets without an answer in time ÷ packets sent."""
        lost = float(np.isnan(self.delay_ms).sum())
        return Ratio(lost, float(len(self.delay_ms)), self.coverage, len(self.delay_ms))


class LinkHistory:
    """The packets of one link over `span`, cut at `now_ns`."""

    def __init__(self, span: Window, now_ns: int, read: Callable[[str, Window], Series]) -> None:
        self._now_ns = now_ns
        seen = Window(span.start_ns, max(span.start_ns, min(span.end_ns, now_ns)))
        self._times, self._delay = latency.packets(read("rtt", seen), read("rtt_lost", seen))

    def final(self, window: Window) -> bool:
        """Whether the window can change no more but by late data."""
        return self._now_ns >= window.end_ns

    def over(self, window: Window) -> Probes:
        """The packets of the window."""
        end_ns = max(window.start_ns, min(window.end_ns, self._now_ns))
        low, high = np.searchsorted(self._times, [window.start_ns, end_ns], "left")
        times = self._times[low:high]
        return Probes(times, self._delay[low:high], latency.coverage(times, Window(window.start_ns, end_ns)))

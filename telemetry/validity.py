"""The gate between a decoder and `put`: is this sample something the house can keep?"""

import math
from collections.abc import Callable, Container, Iterable
from datetime import UTC, datetime
from time import time_ns
from typing import Final

from telemetry.glossary import METRICS
from telemetry.samples import SECOND_NS, Sample

EARLIEST_NS: Final = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * SECOND_NS
"""Before this instant [ns] a source time is a clock that was never set (1970, 1980, 1601 …), not history."""

FUTURE_NS: Final = 24 * 3600 * SECOND_NS
"""How far ahead of us [ns] a source time may lie: a wrong time zone is kept and shown as clock skew, more is not."""

MAX_TEXT: Final = 1024
"""Longest text kept, in characters."""


def can_be(time_ns: int, now_ns: int) -> bool:
    """Whether a source time [ns] may be one, by our clock [ns]: what is no such time is not kept, and tells nothing."""
    return EARLIEST_NS <= time_ns <= now_ns + FUTURE_NS


class Gate:
    """Says why a sample cannot be kept, or None. `assets` is whatever can be asked `asset in assets`."""

    def __init__(self, assets: Container[str], now_ns: Callable[[], int] = time_ns) -> None:
        self._assets = assets
        self._now_ns = now_ns

    def sift(self, samples: Iterable[Sample]) -> tuple[list[Sample], list[str]]:
        """Those that are good to keep, and the reasons against the others: what `refusal` says, in half the time."""
        good: list[Sample] = []
        reasons: list[str] = []
        assets, latest_ns = self._assets, self._now_ns() + FUTURE_NS
        for sample in samples:
            metric, value = METRICS.get(sample.metric), sample.value
            if (
                metric is not None
                and metric.minimum <= value <= metric.maximum
                and EARLIEST_NS <= sample.time_ns <= latest_ns
                and value - value == 0  # neither infinite nor NaN
                and len(sample.text) <= MAX_TEXT
                and sample.asset in assets
            ):
                good.append(sample)
            elif reason := self.refusal(sample):
                reasons.append(reason)
            else:  # the clock went on meanwhile
                good.append(sample)
        return good, reasons

    def limits(self, asset: str, metric: str) -> tuple[float, float]:
        """Between which values, inclusive, a number of that asset and metric may be; between none when it may not be at
        all. NaN and the infinities are outside."""
        known = METRICS.get(metric)
        if known is None or asset not in self._assets:
            return math.inf, -math.inf
        return known.minimum, known.maximum

    def refusal(self, sample: Sample) -> str | None:
        """The reason to set the sample aside, in words its owner can act on; None when it is good to keep."""
        metric = METRICS.get(sample.metric)
        if metric is None:
            return f"unknown metric {sample.metric!r}: map it to a name of the glossary (km0 glossary)"
        if sample.asset not in self._assets:
            return f"unknown asset {sample.asset!r}: add it to [[assets]] in the plant file"
        if not math.isfinite(sample.value):
            return f"{sample.metric} is {sample.value}: not a finite number"
        if not metric.minimum <= sample.value <= metric.maximum:
            return f"{sample.metric} {sample.value:g} {metric.unit} is outside {metric.minimum:g} … {metric.maximum:g}"
        if sample.time_ns < EARLIEST_NS:
            return f"source time {_readable(sample.time_ns)} is before 2000: is the clock of the source set?"
        if sample.time_ns > (now := self._now_ns()) + FUTURE_NS:
            times = f"source time {_readable(sample.time_ns)} is more than a day ahead of ours, {_readable(now)}"
            return f"{times}: which of the two clocks is not set?"
        if len(sample.text) > MAX_TEXT:
            return f"text of {len(sample.text)} characters, longer than {MAX_TEXT}"
        return None


def _readable(time_ns: int) -> str:
    try:
        return datetime.fromtimestamp(time_ns / SECOND_NS, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return f"{time_ns} ns"

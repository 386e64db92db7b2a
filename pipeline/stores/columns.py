"""Samples as numeric columns, sorted and free of duplicates, and the spans of time that they touch: for any store."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import Final

import numpy as np
import numpy.typing as npt

from telemetry.samples import SECOND_NS, Quality, Sample, Span

SPLIT_NS: Final = 600 * SECOND_NS
"""Where the times of one series jump by more than this [ns], a new span starts: one late sample among live ones
then dirties its own neighbourhood and not the day in between. Ten minutes keeps a day of 30 s gauges one span."""

_TIME, _VALUE, _QUALITY, _RECEIVED, _TEXT = map(attrgetter, ("time_ns", "value", "quality", "received_ns", "text"))

SeriesKey = tuple[str, str]
"""(asset, metric)."""


def refusals(samples: Sequence[Sample]) -> dict[int, str]:
    """Why no store can ever keep some of the samples, by index."""
    reasons: dict[int, str] = {}
    for index, sample in enumerate(samples):
        if reason := _refusal(sample):
            reasons[index] = reason
    return reasons


def _refusal(sample: Sample) -> str | None:
    try:
        if not math.isfinite(sample.value):
            return f"value {sample.value} is not a finite number"
        np.int64(sample.time_ns), np.int64(sample.received_ns)
        if not Quality.GOOD <= sample.quality <= Quality.BAD:
            return f"quality {sample.quality} is not 0, 1 or 2"
        f"{sample.asset}{sample.metric}{sample.text}".encode()
    except OverflowError:
        return "a time or value of it does not fit into 64 bits"
    except UnicodeEncodeError:
        return "its text holds half a surrogate pair, which is not Unicode"
    return None


@dataclass(frozen=True, slots=True)
class Columns:
    """One write: rows ordered by series and time, one per identity (the last given). Columns of equal length.

    `series` indexes `keys`; `source` is each row's index in the samples given. `texts` is None when all are empty.
    """

    keys: tuple[SeriesKey, ...]
    series: npt.NDArray[np.int32]
    times_ns: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    quality: npt.NDArray[np.int8]
    received_ns: npt.NDArray[np.int64]
    texts: npt.NDArray[np.object_] | None
    source: npt.NDArray[np.intp]

    @staticmethod
    def of(samples: Sequence[Sample]) -> "Columns | None":
        """The columns; None when a sample must be refused first (see `refusals`)."""
        count = len(samples)
        numbers: dict[SeriesKey, int] = {}
        try:
            series = np.fromiter((numbers.setdefault((s.asset, s.metric), len(numbers)) for s in samples), np.int32)
            times = np.fromiter(map(_TIME, samples), np.int64, count)
            values = np.fromiter(map(_VALUE, samples), np.float64, count)
            quality = np.fromiter(map(_QUALITY, samples), np.int64, count)
            received = np.fromiter(map(_RECEIVED, samples), np.int64, count)
            worded = list(map(_TEXT, samples))
            some_text = any(worded)
            "".join(worded).encode()
            "".join(asset + metric for asset, metric in numbers).encode()
        except (OverflowError, UnicodeEncodeError):
            return None
        if not np.isfinite(values).all() or not ((quality >= Quality.GOOD) & (quality <= Quality.BAD)).all():
            return None
        order = np.lexsort((times, series))  # stable, so of one identity the last given stays last
        series, times = series[order], times[order]
        last = np.ones(count, bool)
        last[:-1] = (np.diff(series) != 0) | (np.diff(times) != 0)
        kept = order[last]
        texts: npt.NDArray[np.object_] | None = None
        if some_text:
            texts = np.empty(count, object)
            texts[:] = worded
            texts = texts[kept]
        return Columns(
            tuple(numbers),
            series[last],
            times[last],
            values[kept],
            quality[kept].astype(np.int8),
            received[kept],
            texts,
            kept,
        )

    def __len__(self) -> int:
        return len(self.series)

    def runs(self) -> list[tuple[int, int]]:
        """[start, end) of the rows of each series."""
        return _cut(self.series[1:] != self.series[:-1], len(self))

    def spans(self) -> list[tuple[int, int]]:
        """[start, end) of rows of one series without a jump in time beyond SPLIT_NS."""
        # Rows are in time order inside a series, so in uint64 the difference cannot overflow.
        gaps = self.times_ns[1:].view(np.uint64) - self.times_ns[:-1].view(np.uint64)
        return _cut((self.series[1:] != self.series[:-1]) | (gaps > SPLIT_NS), len(self))


def _cut(borders: npt.NDArray[np.bool_], count: int) -> list[tuple[int, int]]:
    return list(pairwise([0, *(np.flatnonzero(borders) + 1).tolist(), count])) if count else []


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The spans, ordered, those of one series joined where they overlap or lie within SPLIT_NS of one another."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.asset, span.metric, span.first_ns)):
        before = joined[-1] if joined else None
        same = before is not None and (before.asset, before.metric) == (span.asset, span.metric)
        if before is not None and same and span.first_ns - before.last_ns <= SPLIT_NS:
            joined[-1] = Span(span.asset, span.metric, before.first_ns, max(before.last_ns, span.last_ns))
        else:
            joined.append(span)
    return tuple(joined)

"""Columns of a file as series: what one metric said, batch by batch, sparing where values repeat."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.files.mapping import EventLogConfig
from pipeline.kpis.counting import COUNTERS
from pipeline.kpis.signals import Flags, ordered
from telemetry.dialects import Dialect, state_of
from telemetry.errors import DecodeError
from telemetry.intervals import Instants
from telemetry.samples import Quality, Series
from telemetry.words import Words

WORDS: Final = ("product", "reason", "order")
UNKNOWN: Final = -1
"""The code of a cell that says that nothing is known."""


@dataclass
class Column:
    """What a metric said: instants [ns], and a number, or the code of a word (`UNKNOWN` says "not known")."""

    sparing: bool
    times: list[Instants] = field(default_factory=list)
    values: list[npt.NDArray[np.float64]] = field(default_factory=list)
    quality: list[npt.NDArray[np.int8]] = field(default_factory=list)
    _last: float | None = None

    def add(self, times_ns: Instants, values: npt.NDArray[np.float64], bad: Flags, *, steps: bool) -> None:
        if self.sparing and len(values):
            keys = np.where(bad, -np.inf, values)
            before = np.concatenate(([np.nan if self._last is None else self._last], keys[:-1]))
            keep = bad | (keys != 0) if steps else keys != before
            self._last = float(keys[-1])
            times_ns, values, bad = times_ns[keep], values[keep], bad[keep]
        self.times.append(times_ns)
        self.values.append(values)
        self.quality.append(np.where(bad, Quality.BAD, Quality.GOOD).astype(np.int8))

    def series(self, words: list[str] | None) -> Series:
        """In time order. `words`: what the codes stand for."""
        time = np.concatenate(self.times)
        values = np.concatenate(self.values)
        quality = np.concatenate(self.quality)
        if words is None:
            texts = Words.none(len(time))
        else:
            texts = Words(np.where(quality == Quality.BAD, len(words), values).astype(np.int32), (*words, ""))
            values = np.zeros(len(time))
        return ordered(Series(time, np.where(quality == Quality.BAD, 0.0, values), quality, texts))


def summed(steps: Series, since_ns: int | None = None) -> Series:
    """Parts since the row before, as a counter that begins at zero at `since_ns`, or just before its first row."""
    start = Series.of((int(steps.times_ns[0]) - 1 if since_ns is None else since_ns, 0.0))
    return Series.joined(start, Series(steps.times_ns, np.cumsum(steps.values), steps.quality, steps.words))


def with_more(series: Series, at: Instants, value: float, quality: Quality) -> Series:
    """The series with one value at more instants; what it says itself at one of them wins."""
    more = Series(at, np.full(len(at), value), np.full(len(at), quality, np.int8), Words.none(len(at)))
    return ordered(Series.joined(more, series))


def by_connection(
    said: Mapping[str, tuple[Instants, list[str]]], config: EventLogConfig, dialect: Dialect
) -> dict[str, Series]:
    """Series of what an adapter said, metric by metric. Raises DecodeError for a word or number nobody knows."""
    found: dict[str, Series] = {}
    for metric, (moments, words) in said.items():
        column = Words.of(words)
        numbers = [_value(metric, word, config, dialect) for word in column.words]
        values = np.array([0.0 if number is None else number for number in numbers])
        quality = np.array([Quality.BAD if number is None else Quality.GOOD for number in numbers], np.int8)
        texts = column if metric in WORDS else Words.none(len(column))
        found[metric] = ordered(Series(moments, values[column.codes], quality[column.codes], texts))
        if metric in COUNTERS and config.counts == "since_last":
            found[metric] = summed(found[metric])
    return found


def _value(metric: str, word: str, config: EventLogConfig, dialect: Dialect) -> float | None:
    """The number a word stands for; None when it says that nothing is known."""
    if metric == "state":
        state = state_of(word, dialect, config.states)
        return None if state is None else float(state)
    if word.upper() == "UNAVAILABLE":
        return None
    if metric in WORDS:
        return 0.0
    try:
        return float(word.replace(",", "."))
    except ValueError:
        raise DecodeError(f"{metric} is {word[:40]!r} somewhere: not a number") from None

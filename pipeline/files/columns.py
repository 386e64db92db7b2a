"""Columns of a file as series: what one metric said, batch by batch, sparing where values repeat."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.files.guard import RefusedFileError
from pipeline.files.mapping import EventLogConfig
from pipeline.kpis.counting import COUNTERS
from pipeline.kpis.signals import Flags, ordered
from pipeline.said import Said
from telemetry.dialects import Dialect, state_of
from telemetry.errors import DecodeError
from telemetry.intervals import Instants
from telemetry.samples import Quality, Series
from telemetry.words import Words

WORDS: Final = ("product", "reason", "order")
UNKNOWN: Final = -1
"""The code of a cell that says that nothing is known."""


class Buffer:
    """Numbers of one type that arrive batch by batch, in one piece of memory that grows with them by a quarter."""

    def __init__(self, kind: type[np.generic]) -> None:
        self._held: npt.NDArray[Any] = np.empty(0, kind)
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def add(self, numbers: npt.NDArray[Any]) -> None:
        rows = self._rows + len(numbers)
        if rows > len(self._held):
            # realloc moves pages of a large piece, it does not copy them: joining a list of batches held all twice
            self._held.resize(rows + rows // 4, refcheck=False)
        self._held[self._rows : rows] = numbers
        self._rows = rows

    def taken(self) -> npt.NDArray[Any]:
        """All of them; the buffer is empty then."""
        self._held.resize(self._rows, refcheck=False)
        found, self._held, self._rows = self._held, np.empty(0, self._held.dtype), 0
        return found


class Column:
    """What a metric said: instants [ns], and a number, or the code of a word (`UNKNOWN` says "not known")."""

    def __init__(self, metric: str, *, sparing: bool) -> None:
        self._word, self._sparing = metric in WORDS, sparing
        self._times = Buffer(np.int64)
        self._values = Buffer(np.int32 if self._word else np.float64)
        self._bad = Buffer(np.bool_)
        self._any_bad = False
        self._last: float | None = None

    def __len__(self) -> int:
        return len(self._times)

    def add(self, times_ns: Instants, values: npt.NDArray[np.float64], bad: Flags, *, steps: bool) -> None:
        if self._sparing and len(values):
            keys = np.where(bad, -np.inf, values)
            before = np.concatenate(([np.nan if self._last is None else self._last], keys[:-1]))
            keep = bad | (keys != 0) if steps else keys != before
            self._last = float(keys[-1])
            times_ns, values, bad = times_ns[keep], values[keep], bad[keep]
        if not self._any_bad and bad.any():  # most columns never have one, and need no flags
            self._any_bad = True
            self._bad.add(np.zeros(len(self._times), np.bool_))
        self._times.add(times_ns)
        self._values.add(np.where(bad, 0, values))
        if self._any_bad:
            self._bad.add(bad)

    def series(self, words: list[str]) -> Series:
        """In time order; the column is empty then. `words`: what the codes stand for."""
        times, values = self._times.taken(), self._values.taken()
        quality = np.full(len(times), Quality.GOOD, np.int8)
        if self._any_bad:
            quality[self._bad.taken()] = Quality.BAD
        if not self._word:
            return ordered(Series(times, values, quality, Words.none(len(times))))
        values[quality == Quality.BAD] = len(words)
        return ordered(Series(times, np.zeros(len(times)), quality, Words(values, (*words, ""))))


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
        try:
            state = state_of(word, dialect, config.states)
        except DecodeError as error:
            raise RefusedFileError(no_word(word, dialect)) from error
        return None if state is None else float(state)
    if word.upper() == "UNAVAILABLE":
        return None
    if metric in WORDS:
        return 0.0
    try:
        return float(word.replace(",", "."))
    except ValueError:
        raise RefusedFileError(Said(
            f"{metric} is {word[:40]!r} somewhere: not a number",
            f"une valeur comptée est « {word[:40]} » : ce n'est pas un nombre",
        )) from None  # fmt: skip


def no_word(word: str, dialect: Dialect) -> Said:
    """Of a state that nobody knows."""
    return Said(
        f"state {word[:60]!r} is not a word of {dialect!r}: add it to [states]",
        f"l'état « {word[:60]} » n'est pas connu : dites ce qu'il signifie",
    )

"""What flows through the house: samples in, series and KPI values out, windows of time around them."""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from telemetry.words import Words, joined

SECOND_NS = 1_000_000_000
"""Nanoseconds in a second; every time in the house is an integer of nanoseconds since the epoch, UTC."""


class Quality(IntEnum):
    """How far a value can be trusted: the severity bits of an OPC UA StatusCode (Part 4, 7.39)."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2

    @staticmethod
    def of(status: int) -> "Quality":
        """That of an OPC UA StatusCode; the fourth severity, which is reserved, is bad too."""
        return _SEVERITIES[status >> 30]


_SEVERITIES: Final = (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD, Quality.BAD)


class Sample(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One value at the instant its source says it was true.

    `(asset, metric, time_ns)` is its identity: a later write of the same identity replaces the earlier one, which
    makes redelivery harmless. `value` is finite; states are the integers of the glossary; for a metric that is a
    word, `value` is 0.0 and `text` holds the word. A sample of quality BAD says "from here on it is not known".
    """

    time_ns: int
    asset: str
    metric: str
    value: float
    text: str = ""
    quality: int = Quality.GOOD
    received_ns: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """The half-open interval of time [start_ns, end_ns), and what it is called: "hour", "shift", "day", …"""

    start_ns: int
    end_ns: int
    kind: str = "interval"

    def __post_init__(self) -> None:
        if self.end_ns < self.start_ns:
            raise ValueError(f"a window must not end before it starts: {self.start_ns} … {self.end_ns}")

    @property
    def seconds(self) -> float:
        """Length [s]."""
        return (self.end_ns - self.start_ns) / SECOND_NS

    def overlaps(self, start_ns: int, end_ns: int) -> bool:
        """Whether the window shares any instant with [start_ns, end_ns); an empty interval counts as its instant."""
        return self.start_ns < max(end_ns, start_ns + 1) and start_ns < self.end_ns


class Series:
    """The samples of one metric of one asset in time order, as columns of equal length, one row per identity.

    `times_ns` int64 [ns], `values` float64 [unit of the metric], `quality` int8 (see Quality), and the texts, given
    either as objects (str) or as Words, and read either way: `texts` decodes, `words` encodes, each once.
    For a metric that holds, the first row may lie before the window asked for: it is the value in force at its start.
    """

    __slots__ = ("_texts", "_words", "quality", "times_ns", "values")

    def __init__(
        self, times_ns: npt.NDArray[np.int64], values: npt.NDArray[np.float64], quality: npt.NDArray[np.int8],
        texts: npt.NDArray[np.object_] | Words,
    ) -> None:  # fmt: skip
        self.times_ns = times_ns
        self.values = values
        self.quality = quality
        self._texts = None if isinstance(texts, Words) else texts
        self._words = texts if isinstance(texts, Words) else None

    def __len__(self) -> int:
        return len(self.times_ns)

    @property
    def texts(self) -> npt.NDArray[np.object_]:
        """The texts as objects (str)."""
        if self._texts is None:
            self._texts = self.words.texts()
        return self._texts

    @property
    def words(self) -> Words:
        """The texts as numbers."""
        if self._words is None:
            assert self._texts is not None
            self._words = Words.of(self._texts)
        return self._words

    def take(self, rows: Any) -> "Series":
        """The rows of a slice, a mask or indices."""
        texts = self._texts[rows] if self._words is None and self._texts is not None else self.words.take(rows)
        return Series(self.times_ns[rows], self.values[rows], self.quality[rows], texts)

    @staticmethod
    def joined(*parts: "Series") -> "Series":
        """One after the other."""
        return Series(
            np.concatenate([part.times_ns for part in parts]),
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.quality for part in parts]),
            joined([part.words for part in parts]),
        )

    @staticmethod
    def empty() -> "Series":
        return Series(np.empty(0, np.int64), np.empty(0), np.empty(0, np.int8), Words.none(0))

    @staticmethod
    def of(*rows: tuple[int, float] | tuple[int, float, str]) -> "Series":
        """A series from `(time_ns, value[, text])` rows, for tests and small cases; quality is GOOD."""
        return Series(
            np.array([row[0] for row in rows], np.int64),
            np.array([row[1] for row in rows], np.float64),
            np.zeros(len(rows), np.int8),
            Words.of(row[2] if len(row) == 3 else "" for row in rows),
        )


@dataclass(frozen=True, slots=True)
class Ratio:
    """What a KPI function returns: sums that may be added over windows and assets, and how much was known.

    `coverage` is the share [0…1] of the window (of its required time, for KPIs of required time) whose input is known.
    `samples` is how many samples the figure rests on.
    """

    numerator: float
    denominator: float
    coverage: float
    samples: int = 0

    @property
    def value(self) -> float:
        """numerator / denominator, NaN when the denominator is zero or nothing is known."""
        if self.denominator == 0 or math.isnan(self.denominator) or self.coverage == 0:
            return math.nan
        return self.numerator / self.denominator

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which values the ratio of the whole lies, wherever in 0…1 it lies over the part that is not known."""
        known = self.value * self.coverage if self.coverage else 0.0
        return known, known + 1 - self.coverage


class KpiValue(msgspec.Struct, frozen=True, gc=False):
    """One KPI of one asset over one window. `(asset, kpi, kind, start_ns)` is its identity.

    `kind` names the window ("hour", "shift", "day", "minute"). `value` is NaN with coverage 0 when nothing is known.
    Ratios are added over windows by `numerator` and `denominator`, never averaged; figures that are no ratio
    (percentiles) have denominator 0. `final` is False while the window is still open. `detail` is what no number holds,
    such as an encoded histogram; "" for most.
    """

    asset: str
    kpi: str
    kind: str
    start_ns: int
    end_ns: int
    value: float
    numerator: float
    denominator: float
    coverage: float
    samples: int
    final: bool
    detail: str = ""

    @property
    def window(self) -> Window:
        return Window(self.start_ns, self.end_ns, self.kind)


class Span(msgspec.Struct, frozen=True, gc=False):
    """Where writes touched one metric of one asset: `first_ns` and `last_ns` are the touched instants, inclusive."""

    asset: str
    metric: str
    first_ns: int
    last_ns: int


class Changes(msgspec.Struct, frozen=True):
    """What `write` touched after a cursor, and the cursor to ask with next time."""

    cursor: int
    spans: tuple[Span, ...]


class SeriesInfo(msgspec.Struct, frozen=True, gc=False):
    """What the store holds of one metric of one asset: number of identities, first and last source time."""

    asset: str
    metric: str
    samples: int
    first_ns: int
    last_ns: int

"""Histograms that merge exactly: an hour is not read back to draw a week.

A bucket is the sign, the exponent and the first seven bits of the mantissa of a float64, so 128 buckets to each
doubling: the middle of a bucket is off by at most 1/256 = 0.4 % of any value in it. Adding counts is merging, in any
order and grouping, without a further error.
"""

import base64
import math
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.kpis.latency import samples_needed

MANTISSA_BITS: Final = 7
_SHIFT: Final = 52 - MANTISSA_BITS
_LONGEST: Final = 1 << 23

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Delays [ms], and how many packets were `lost` (infinitely late, RFC 7679).

    `keys` are the numbers of the buckets that hold something, ascending; `counts` how much. `minimum`, `maximum` and
    `total` [ms] are exact; NaN, NaN and 0 without a value.
    """

    keys: Ints
    counts: Ints
    lost: int = 0
    minimum: float = math.nan
    maximum: float = math.nan
    total: float = 0.0

    @classmethod
    def of(cls, values: npt.ArrayLike, lost: int = 0) -> "Histogram":
        """Of delays [ms]; NaN are packets that were lost, added to `lost`. Infinite values raise ValueError."""
        delay = np.asarray(values, np.float64).ravel()
        least = float(delay.min(initial=math.inf))
        if math.isnan(least):
            missing = np.isnan(delay)
            delay, lost = delay[~missing], lost + int(missing.sum())
            least = float(delay.min(initial=math.inf))
        if delay.size == 0:
            return cls(np.empty(0, np.int64), np.empty(0, np.int64), lost)
        most = float(delay.max())
        if not (math.isfinite(least) and math.isfinite(most)):
            raise ValueError("a delay is infinite: count it as lost")
        keys = (delay.view(np.int64) >> _SHIFT) + 1 if least > 0 else _keys(delay)
        first = int(_keys(np.array([least]))[0])  # the order of the buckets is that of their values
        keys -= first
        counts = np.bincount(keys)
        used = np.flatnonzero(counts)
        return cls(used + first, counts[used], lost, least, most, float(delay.sum()))

    @property
    def size(self) -> int:
        """Packets that arrived."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        """Exact mean delay [ms] of the packets that arrived; NaN without one."""
        return self.total / self.size if self.size else math.nan

    def __add__(self, other: "Histogram") -> "Histogram":
        """Both together."""
        keys, where = np.unique(np.concatenate((self.keys, other.keys)), return_inverse=True)
        counts = np.zeros(keys.size, np.int64)
        np.add.at(counts, where, np.concatenate((self.counts, other.counts)))
        return Histogram(
            keys,
            counts,
            self.lost + other.lost,
            float(np.fmin(self.minimum, other.minimum)),
            float(np.fmax(self.maximum, other.maximum)),
            self.total + other.total,
        )

    def percentile(self, q: float, *, with_lost: bool = False) -> float:
        """The q-quantile [0…1, exclusive] [ms] to 0.4 %, as `latency.percentile`: NaN with too few samples.
        `with_lost` counts lost packets as infinitely late."""
        size = self.size
        total = size + (self.lost if with_lost else 0)
        if total < samples_needed(q):
            return math.nan
        rank = max(1, math.ceil(total * q - 1e-6))
        if rank > size:
            return math.inf
        if rank == size:
            return self.maximum
        bucket = int(np.searchsorted(np.cumsum(self.counts), rank))
        return float(np.clip(_middle(self.keys[bucket]), self.minimum, self.maximum))

    def above(self, limit: float) -> int:
        """Packets that were lost or took longer than `limit` [ms], which is exact when it is the edge of a bucket."""
        return self.lost + int(self.counts[self.keys > _keys(np.array([limit]))[0]].sum())

    def buckets(self) -> list[tuple[float, int]]:
        """The middle [ms] of each bucket that holds something, ascending, and how much: to be drawn."""
        return [(_middle(key), int(count)) for key, count in zip(self.keys, self.counts, strict=True)]

    def encode(self) -> str:
        """As text to be stored beside a KPI, 2 or 3 kB: the exact figures, key differences and counts, packed."""
        columns = np.concatenate((np.diff(self.keys, prepend=0), self.counts)).astype("<i8").tobytes()
        figures = np.array([self.minimum, self.maximum, self.total, self.lost], "<f8").tobytes()
        return base64.b85encode(zlib.compress(figures + columns, 9)).decode("ascii")

    @classmethod
    def decode(cls, text: str) -> "Histogram":
        """The inverse of `encode`. Raises ValueError when the text is damaged."""
        try:
            unpacking = zlib.decompressobj()
            raw = unpacking.decompress(base64.b85decode(text), _LONGEST)
        except zlib.error as error:
            raise ValueError(f"no histogram: {error}") from error
        if not unpacking.eof or len(raw) < 32 or (len(raw) - 32) % 16:
            raise ValueError(f"{len(raw)} bytes are no histogram")
        minimum, maximum, total, lost = np.frombuffer(raw[:32], "<f8").tolist()
        differences, counts = np.frombuffer(raw[32:], "<i8").reshape(2, -1).astype(np.int64)
        if not math.isfinite(lost) or lost < 0 or (counts < 0).any():
            raise ValueError("a histogram does not count below zero")
        return cls(np.cumsum(differences), counts, int(lost), minimum, maximum, total)


def _keys(values: npt.NDArray[np.float64]) -> Ints:
    """The bucket of each value: 0 for zero, positive above it, negative below."""
    magnitude = (np.abs(values).view(np.int64) >> _SHIFT) + 1
    return np.asarray(np.where(values > 0, magnitude, np.where(values < 0, -magnitude, 0)), np.int64)


def _middle(key: np.int64) -> float:
    if key == 0:
        return 0.0
    bits = ((abs(int(key)) - 1) << _SHIFT) + (1 << (_SHIFT - 1))
    return math.copysign(float(np.int64(bits).view(np.float64)), int(key))

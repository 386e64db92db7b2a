"""What a 5G link does to packets, drawn from a seed: no sockets, and time is the caller's.

Invariants. Loss, retransmissions, tail, duplication and overtaking of the n-th packet of a direction depend on (seed,
direction, n) alone, because every packet takes the same number of draws; waiting for the scheduler and handovers depend
on the time as well. A packet leaves after the one before it unless it is drawn to be overtaken.
"""

import bisect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from random import Random
from typing import Final, Literal

Way = Literal["up", "down"]
WAYS: Final[tuple[Way, Way]] = ("up", "down")


@dataclass(frozen=True, slots=True)
class Direction:
    """One direction of a link.

    `base_ms` [ms] is the least delay. The scheduler serves every `slot_ms` [ms] (0: always). A transmission fails with
    `harq` [0…1] and is repeated `harq_ms` [ms] later, up to four times. A `tail` share [0…1] of packets waits a
    lognormal time of median `tail_ms` [ms] and `tail_sigma` more. Losses come in bursts (Gilbert): a burst starts at a
    packet with `loss_starts` [0…1] and ends before the next with `loss_ends` [0…1], so bursts are 1/loss_ends long.
    `duplicated` and `overtaken` are shares [0…1]; an overtaken packet waits `overtaken_ms` [ms] more and does not hold
    up the ones behind it. `histogram`, rows of (lower edge [ms], upper edge [ms], weight), replaces base, slot, HARQ
    and tail by a measured distribution, uniform inside a row.
    """

    base_ms: float = 3.5
    slot_ms: float = 2.5
    harq: float = 0.08
    harq_ms: float = 4.0
    tail: float = 0.01
    tail_ms: float = 6.0
    tail_sigma: float = 0.8
    loss_starts: float = 0.0015
    loss_ends: float = 0.6
    duplicated: float = 0.0
    overtaken: float = 0.0
    overtaken_ms: float = 15.0
    histogram: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class LinkConfig:
    """A link: uplink waits for grants and is slower than downlink. A handover comes every `handover_s` [s] on average
    (0: never); for `handover_ms` [ms] nothing passes: packets are held, or dropped when `handover_drops`."""

    up: Direction = Direction(base_ms=4.5, slot_ms=5.0)
    down: Direction = Direction()
    handover_s: float = 90.0
    handover_ms: float = 60.0
    handover_drops: bool = False


STILL: Final = LinkConfig(
    up=Direction(base_ms=0, slot_ms=0, harq=0, tail=0, loss_starts=0),
    down=Direction(base_ms=0, slot_ms=0, harq=0, tail=0, loss_starts=0),
    handover_s=0,
)
"""A link that forwards at once and loses nothing."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a packet: it leaves at each of `leaves_s` [s since the link started]; none: it is dropped."""

    leaves_s: tuple[float, ...]
    cause: Literal["forwarded", "lost", "handover"]


class Handovers:
    """The gaps of a link, [start, end) [s since it started], the same for both directions; asked in any order."""

    def __init__(self, config: LinkConfig, seed: int) -> None:
        self._config = config
        self._source = self._draw(Random(f"{seed}/handover"))
        self._starts: list[float] = []
        self._ends: list[float] = []

    def _draw(self, random: Random) -> Iterator[tuple[float, float]]:
        at = 0.0
        while True:
            at += max(1.0, random.expovariate(1 / self._config.handover_s))
            end = at + self._config.handover_ms / 1000 * (0.5 + random.random())
            yield at, end
            at = end

    def end_of_gap(self, at_s: float) -> float | None:
        """The end of the gap that holds an instant, or None outside gaps."""
        if not self._config.handover_s:
            return None
        while not self._starts or self._starts[-1] <= at_s:
            start, end = next(self._source)
            self._starts.append(start)
            self._ends.append(end)
        index = bisect.bisect_right(self._starts, at_s) - 1
        return self._ends[index] if index >= 0 and at_s < self._ends[index] else None


class RadioPath:
    """One direction of a link under way: `fate` is asked once per packet, in the order in which they come."""

    def __init__(self, config: LinkConfig, way: Way, seed: int, handovers: Handovers) -> None:
        self._direction = config.up if way == "up" else config.down
        self._drops = config.handover_drops
        self._handovers = handovers
        self._random = Random(f"{seed}/{way}")
        self._losing = False
        self._last_s = 0.0
        self._bounds = list(accumulate(weight for _, _, weight in self._direction.histogram))

    def fate(self, at_s: float) -> Fate:
        """What becomes of the packet that comes at `at_s` [s since the link started]."""
        direction = self._direction
        burst, harq, tail, copy, order, place = (self._random.random() for _ in range(6))
        normal = self._random.gauss(0.0, 1.0)
        self._losing = burst >= direction.loss_ends if self._losing else burst < direction.loss_starts
        if self._losing:
            return Fate((), "lost")
        gap_ends = self._handovers.end_of_gap(at_s)
        if gap_ends is not None and self._drops:
            return Fate((), "handover")
        start = at_s if gap_ends is None else gap_ends
        if self._bounds:
            leaves = start + self._measured(harq, place) / 1000
        else:
            leaves = start + (direction.base_ms + self._repeats(harq) * direction.harq_ms) / 1000
            if tail < direction.tail:
                leaves += direction.tail_ms / 1000 * math.exp(direction.tail_sigma * normal)
            if direction.slot_ms:
                slot = direction.slot_ms / 1000
                leaves = math.ceil(leaves / slot) * slot
        if order < direction.overtaken:
            leaves += direction.overtaken_ms / 1000
        else:
            leaves = self._last_s = max(leaves, self._last_s)
        return Fate((leaves, leaves) if copy < direction.duplicated else (leaves,), "forwarded")

    def _repeats(self, draw: float) -> int:
        failure = self._direction.harq
        return min(4, int(math.log(max(draw, 1e-12)) / math.log(failure))) if failure > 0 else 0

    def _measured(self, draw: float, place: float) -> float:
        row = bisect.bisect_right(self._bounds, draw * self._bounds[-1])
        lower, upper, _ = self._direction.histogram[min(row, len(self._bounds) - 1)]
        return lower + (upper - lower) * place


def histogram_rows(lines: Sequence[str]) -> tuple[tuple[float, float, float], ...]:
    """Rows for `Direction.histogram` from lines "lower edge [ms], weight", by counts or shares; the last line only
    closes the row before it."""
    edges = [tuple(float(cell) for cell in line.split()[:2]) for line in lines if line.strip()]
    return tuple((lower, upper, weight) for (lower, weight), (upper, _) in pairwise(edges) if weight > 0)

"""Figures of a network link from its packets: percentiles, jitter, variation, loss and its pattern, order.

Pure functions on numpy arrays. Delays are in milliseconds, instants in nanoseconds since the epoch, UTC. A figure that
the samples cannot carry is NaN. Two series make a link: `rtt`, one sample per answered packet, and `rtt_lost`, one per
packet without an answer in time, each at the instant the packet was sent.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from telemetry.samples import SECOND_NS, Quality, Ratio, Series, Window

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

CONFIDENCE: Final = 0.95
"""How sure [0…1] the sample must make us that it reaches as far into the tail as the percentile asked for."""


def samples_needed(q: float) -> int:
    """How many samples the q-quantile [0…1, exclusive] needs: 5 for p50, 59 for p95, 299 for p99, 2,995 for p99.9.

    The largest of n samples lies at or above the q-quantile of their source with probability 1 − qⁿ (and the smallest
    at or below, for a low q). With fewer samples than make this CONFIDENCE, the tail has probably not been seen at all
    and any figure for it would flatter the link. The bound is that of Clopper and Pearson for zero events.
    """
    if not 0 < q < 1:
        raise ValueError(f"a quantile lies between 0 and 1, exclusive: {q}")
    return math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-min(q, 1 - q)) - 1e-9)


def percentile(values: npt.ArrayLike, q: float, lost: int = 0) -> float:
    """The q-quantile [0…1, exclusive] of delays [ms]: the smallest value v with F(v) ≥ q (RFC 2330 11.3), exactly.

    `lost` packets count as infinitely late (RFC 7679 4.2), so the result is inf when more than 1 − q are lost. NaN with
    fewer than `samples_needed(q)`. Always a value that was measured, never one between two.
    """
    known = np.asarray(values, np.float64).ravel()
    known = known[~np.isnan(known)]
    total = known.size + lost
    if total < samples_needed(q):
        return math.nan
    rank = max(1, math.ceil(total * q - 1e-6))
    if rank > known.size:
        return math.inf
    return float(np.partition(known, rank - 1)[rank - 1])


def jitter_rfc3550_series(times_ns: npt.ArrayLike, delay_ms: npt.ArrayLike) -> Floats:
    """Interarrival jitter J [ms] after each packet, in order of arrival (RFC 3550 6.4.1 and A.8); J is 0 at the first.

    `times_ns` [ns] are instants of sending, `delay_ms` [ms] one-way or round-trip delays: D is the difference of the
    delays of two packets that arrive one after the other, |D| enters with weight 1/16. Clock offset cancels out.
    """
    sent, delay = np.asarray(times_ns, np.int64), np.asarray(delay_ms, np.float64)
    arrival = np.argsort(sent - sent.min(initial=0) + delay * 1e6, kind="stable") if sent.size else sent
    differences = np.abs(np.diff(delay[arrival]))
    return np.concatenate((np.zeros(min(1, sent.size)), _smooth(differences)))


def jitter_rfc3550(times_ns: npt.ArrayLike, rtt_ms: npt.ArrayLike) -> float:
    """The last value [ms] of `jitter_rfc3550_series`: it remembers about 16 packets. NaN with fewer than two."""
    series = jitter_rfc3550_series(times_ns, rtt_ms)
    return float(series[-1]) if series.size > 1 else math.nan


def _smooth(values: Floats) -> Floats:
    """J += (x − J)/16 over all values, in blocks: within a block a triangular matrix, between blocks one carry."""
    block = 64
    decay = 15 / 16
    power = np.arange(block)
    lag = power[:, None] - power[None, :]
    kernel = np.where(lag >= 0, decay ** np.maximum(lag, 0) / 16, 0.0)
    padded = np.zeros(-(-values.size // block) * block)
    padded[: values.size] = values
    blocks = padded.reshape(-1, block) @ kernel.T
    fading = decay ** (power + 1)
    carry = 0.0
    carries = np.empty(len(blocks))
    for row, last in enumerate(blocks[:, -1].tolist()):
        carries[row] = carry
        carry = last + carry * fading[-1]
    blocks += carries[:, None] * fading
    return np.asarray(blocks.ravel()[: values.size])


def ipdv(delay_ms: npt.ArrayLike) -> Floats:
    """Inter-packet delay variation [ms] of consecutive packets in order of sending (RFC 3393; RFC 5481 4.1), signed.

    A lost packet is NaN in `delay_ms`, and the two pairs it belongs to are NaN in the result.
    """
    return np.diff(np.asarray(delay_ms, np.float64))


def pdv(delay_ms: npt.ArrayLike) -> Floats:
    """Packet delay variation [ms]: each delay less the smallest of the interval (RFC 5481 4.2); never negative."""
    delay = np.asarray(delay_ms, np.float64)
    return delay - np.nanmin(delay) if np.isfinite(delay).any() else np.full(delay.shape, math.nan)


def packets(rtt: Series, lost: Series) -> tuple[Ints, Floats]:
    """All packets of a link in order of sending: instants [ns], and delays [ms], NaN for those that were lost.

    Samples of quality BAD are not packets. An instant that is in both series was answered.
    """
    answered, unanswered = rtt.quality < Quality.BAD, (lost.quality < Quality.BAD) & (lost.values >= 0.5)
    times = np.concatenate((rtt.times_ns[answered], lost.times_ns[unanswered]))
    delay = np.concatenate((rtt.values[answered], np.full(int(unanswered.sum()), math.nan)))
    instants, first = np.unique(times, return_index=True)
    return instants, delay[first]


def loss(rtt: Series, lost: Series, window: Window | None = None) -> Ratio:
    """Packets without an answer in time ÷ packets sent (RFC 7680: the average of its 0 and 1).

    With a window, coverage is the share of it in which packets were sent (`coverage`); else 1 when there is a packet.
    """
    instants, delay = packets(rtt, lost)
    missing = float(np.isnan(delay).sum())
    known = coverage(instants, window) if window is not None else float(instants.size > 0)
    return Ratio(missing, float(instants.size), known, instants.size)


def coverage(times_ns: npt.ArrayLike, window: Window, longest_gap_ns: int | None = None) -> float:
    """The share [0…1] of the window in which a link was being measured.

    A packet stands for the time until the next, or at most for `longest_gap_ns` [ns]; without one, for ten of the usual
    (median) intervals, at least a second. What is before the first packet counts likewise.
    """
    times = np.asarray(times_ns, np.int64)
    times = np.sort(times[(times >= window.start_ns) & (times < window.end_ns)])
    length = window.end_ns - window.start_ns
    if times.size == 0 or length == 0:
        return 0.0
    if longest_gap_ns is None:
        usual = float(np.median(np.diff(times))) if times.size > 1 else 0.0
        longest_gap_ns = int(max(10 * usual, SECOND_NS))
    gaps = np.diff(np.concatenate(([window.start_ns], times, [window.end_ns])))
    return float(np.minimum(gaps, longest_gap_ns).sum() / length)


@dataclass(frozen=True, slots=True)
class LossPattern:
    """How losses are spread (RFC 3357): `distances` of each loss to the one before it, in packets, 0 for the first;
    `lengths` of the runs of losses [packets]; `between`: packets from the end of each run to the start of the next."""

    distances: Ints
    lengths: Ints
    between: Ints

    @property
    def longest(self) -> int:
        """Losses in the longest run [packets]."""
        return int(self.lengths.max(initial=0))

    def noticeable(self, delta: int) -> float:
        """Share [0…1] of losses that follow another within `delta` packets; NaN without a loss."""
        if self.distances.size == 0:
            return math.nan
        return float(((self.distances > 0) & (self.distances <= delta)).mean())


def loss_pattern(lost: npt.ArrayLike) -> LossPattern:
    """The pattern in a row of packets, in order of sending: True where the packet was lost."""
    where = np.flatnonzero(np.asarray(lost, bool)).astype(np.int64)
    steps = np.diff(where)
    distances = np.concatenate((np.zeros(min(1, where.size), np.int64), steps))
    starts = np.flatnonzero(np.concatenate((np.ones(min(1, where.size), bool), steps > 1)))
    lengths = np.diff(np.concatenate((starts, [where.size]))) if where.size else np.empty(0, np.int64)
    between = (where[starts[1:]] - where[starts[1:] - 1] - 1) if where.size else np.empty(0, np.int64)
    return LossPattern(distances, lengths.astype(np.int64), between.astype(np.int64))


def reordered(sequence: npt.ArrayLike) -> Bools:
    """Which packets, in order of arrival, came after one that was sent later (RFC 4737 3.3); repeats not counted."""
    number = np.asarray(sequence, np.int64)
    behind = number < np.maximum.accumulate(number) if number.size else np.empty(0, bool)
    return behind & ~duplicates(number)


def duplicates(sequence: npt.ArrayLike) -> Bools:
    """Which packets, in order of arrival, had arrived before (RFC 5560)."""
    number = np.asarray(sequence, np.int64)
    again = np.ones(number.shape, bool)
    again[np.unique(number, return_index=True)[1]] = False
    return again


def deadline_misses(delay_ms: npt.ArrayLike, deadline_ms: float) -> Ratio:
    """Packets that were lost (NaN) or took longer than `deadline_ms` [ms] ÷ packets sent; TS 22.261 reliability is
    one less this. A delay equal to the deadline is in time."""
    delay = np.asarray(delay_ms, np.float64)
    missed = int((~(delay <= deadline_ms)).sum())
    return Ratio(missed, delay.size, float(delay.size > 0), delay.size)

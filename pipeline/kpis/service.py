"""Communication service availability, survival time and failures of a message stream (3GPP TS 22.104 annex C), and
whether a link would carry an industrial application, with a confidence.

The rule (TS 22.261, TS 22.104 C.3): a message is good when it arrives within the end-to-end latency. The service goes
down when, survival time after the deadline of the first message that was not good, still no later message was; it is up
again when one arrives. Delays are in milliseconds, NaN for a lost message, instants in nanoseconds, UTC.

Measured with round trips, the figures are on the safe side: a round trip within the latency shows that each way was,
one beyond it does not show that either way was not. Availability is then a lower bound, and "not met" is said of it.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.kpis import binomial
from pipeline.kpis.use_cases import UseCase
from telemetry.samples import Ratio

Ints = npt.NDArray[np.int64]

GAP_INTERVALS: Final = 10
"""A pause in sending longer than this many usual intervals is time not observed, not time down."""

CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Service:
    """What a stream of messages lived through. `down`: shape (n, 2), [start, end) of each time the service was down
    [ns]. `observed_s` [s] is the time in which messages were sent; `messages` of them, `bad` lost or late."""

    observed_s: float
    down: Ints
    messages: int
    bad: int

    @property
    def down_s(self) -> float:
        """Time down [s]."""
        return float((self.down[:, 1] - self.down[:, 0]).sum()) / 1e9

    @property
    def availability(self) -> Ratio:
        """Up time ÷ (up time + down time)."""
        up = self.observed_s - self.down_s
        return Ratio(up, self.observed_s, float(self.observed_s > 0), self.messages)

    @property
    def failures(self) -> int:
        """How often the service went down."""
        return len(self.down)

    @property
    def mtbf_s(self) -> float:
        """Mean time between failures [s]: mean up time, TS 22.104 reliability; inf without a failure."""
        return (self.observed_s - self.down_s) / self.failures if self.failures else math.inf

    @property
    def longest_down_s(self) -> float:
        """The longest time down [s]."""
        return float((self.down[:, 1] - self.down[:, 0]).max(initial=0)) / 1e9


def service(sent_ns: npt.ArrayLike, delay_ms: npt.ArrayLike, latency_ms: float, survival_ms: float) -> Service:
    """Judge the messages of a stream, in order of sending, by an end-to-end latency and a survival time [ms]."""
    sent, delay = np.asarray(sent_ns, np.int64), np.asarray(delay_ms, np.float64)
    if sent.size < 2:
        return Service(0.0, np.empty((0, 2), np.int64), int(sent.size), int((~(delay <= latency_ms)).sum()))
    usual = float(np.median(np.diff(sent)))
    edges = np.flatnonzero(np.diff(sent) > GAP_INTERVALS * usual) + 1
    pieces = [
        _down(piece_sent, piece_delay, latency_ms, survival_ms, int(piece_sent[-1] + usual))
        for piece_sent, piece_delay in zip(np.split(sent, edges), np.split(delay, edges), strict=True)
    ]
    observed = sum(end - start for start, end, _ in pieces) / 1e9
    down = np.concatenate([each for _, _, each in pieces])
    return Service(observed, down, int(sent.size), int((~(delay <= latency_ms)).sum()))


def _down(
    sent: Ints, delay: npt.NDArray[np.float64], latency_ms: float, survival_ms: float, end_ns: int
) -> tuple[int, int, Ints]:
    """Start and end of a piece without a pause, and the times down in it."""
    good = delay <= latency_ms
    never = np.iinfo(np.int64).max
    arrival = np.where(good, sent + np.nan_to_num(delay * 1e6).astype(np.int64), never)
    from_here_on = np.minimum.accumulate(arrival[::-1])[::-1]  # earliest good arrival of this message or a later one
    starts = np.flatnonzero(~good & np.concatenate(([True], good[:-1])))
    goes_down = sent[starts] + round((latency_ms + survival_ms) * 1e6)
    comes_up = np.minimum(from_here_on[starts], end_ns)
    broken = comes_up > goes_down
    return int(sent[0]), end_ns, np.column_stack((goes_down[broken], comes_up[broken]))


class Verdict(StrEnum):
    """Whether a link was shown to carry an application. There is no "probably"."""

    MET = "met"
    NOT_MET = "not met"
    NOT_SHOWN = "not shown yet"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict on one use case. `unavailability` is the bound [0…1] that decides, with 95 % confidence: an upper one
    for MET and NOT_SHOWN, a lower one for NOT_MET. `hours_more` [h]: so much longer without a further failure and it
    could be claimed; NaN when time alone will not do."""

    use_case: UseCase
    verdict: Verdict
    unavailability: float
    hours_more: float
    reason: str
    service: Service


@dataclass(frozen=True, slots=True)
class Periods:
    """What a verdict rests on, which may be added over windows: periods as long as the service may go without a good
    message, `failed` of them touched by a time down. `usual_ms` [ms]: the usual time between two messages."""

    observed_s: float
    trials: int
    failed: int
    usual_ms: float


def periods(case: UseCase, sent_ns: npt.ArrayLike, seen: Service) -> Periods:
    """Count the periods of a use case in what its stream lived through. Bursts longer than a period are several
    failures, which is on the safe side for MET."""
    sent = np.asarray(sent_ns, np.int64)
    usual_ms = float(np.median(np.diff(sent))) / 1e6 if sent.size > 1 else math.inf
    period_s = period(case, usual_ms)
    trials = int(seen.observed_s / period_s)
    lengths_s = (seen.down[:, 1] - seen.down[:, 0]) / 1e9
    return Periods(seen.observed_s, trials, min(trials, int(np.ceil(lengths_s / period_s - 1e-9).sum())), usual_ms)


def period(case: UseCase, usual_ms: float) -> float:
    """Latency and survival time together [s], but at least the transfer interval and that of the messages."""
    usual_ms = usual_ms if math.isfinite(usual_ms) else 0.0
    return max(case.latency_ms + (case.survival_ms or 0.0), case.interval_ms or 0.0, usual_ms) / 1000


class Decision(NamedTuple):
    """A verdict on what periods showed; the fields are those of Judgement."""

    verdict: Verdict
    unavailability: float
    hours_more: float
    reason: str


def decide(case: UseCase, seen: Periods) -> Decision:
    """The verdict. The bounds are Clopper and Pearson's, and as good as periods are independent."""
    period_s, allowed = period(case, seen.usual_ms), 1 - case.availability
    if seen.trials < 1:
        hours = binomial.trials_needed(0, allowed) * period_s / 3600
        reason = f"{seen.observed_s:.3g} s were measured; it takes {_length(hours)} without a failure"
        return Decision(Verdict.NOT_SHOWN, 1.0, hours, reason)
    least, most = (bound(seen.failed, seen.trials) for bound in (binomial.lower_bound, binomial.upper_bound))
    if least > allowed:
        share = f"down {_percent(least)} of the time or more, {_percent(allowed)} is allowed"
        return Decision(Verdict.NOT_MET, least, math.nan, share)
    needed_ms = case.interval_ms or case.latency_ms
    if seen.usual_ms > 1.5 * needed_ms:
        often = (
            f"measured every {seen.usual_ms:.3g} ms: a failure between two packets is not seen; "
            f"send every {needed_ms:g} ms"
        )
        return Decision(Verdict.NOT_SHOWN, most, math.nan, often)
    if most <= allowed:
        return Decision(Verdict.MET, most, 0.0, f"down {_percent(most)} of the time at most")
    hours = (binomial.trials_needed(seen.failed, allowed) - seen.trials) * period_s / 3600
    more = f"down {_percent(most)} of the time at most; {_length(hours)} more without a failure would show it"
    return Decision(Verdict.NOT_SHOWN, most, hours, more)


def judge(case: UseCase, sent_ns: npt.ArrayLike, delay_ms: npt.ArrayLike) -> Judgement:
    """Judge a link by its messages. A row without a survival time is judged with none: the first bad message counts.
    Mean time between failures is not judged: rows ask for years."""
    seen = service(sent_ns, delay_ms, case.latency_ms, case.survival_ms or 0.0)
    return Judgement(case, *decide(case, periods(case, sent_ns, seen)), seen)


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"


def _length(hours: float) -> str:
    amount, unit = (hours * 60, "minute") if hours < 1 else (hours, "hour") if hours < 72 else (hours / 24, "day")
    return f"{math.ceil(amount):,} {unit}{'s' * (math.ceil(amount) != 1)}"

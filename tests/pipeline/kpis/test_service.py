"""Availability by the worked example of the standards sheet, bounds by published tables, verdicts by hand."""

import math

import numpy as np
import pytest

from pipeline.kpis import binomial
from pipeline.kpis.service import Verdict, judge, service
from pipeline.kpis.use_cases import USE_CASES

MS = 1_000_000


def stream(messages: int, interval_ms: float, delay_ms: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    return (np.arange(messages) * interval_ms * MS).astype(np.int64), np.full(messages, delay_ms)


def test_worked_example() -> None:
    """100 messages 10 ms apart, 40 and 41 lost, 42 arrives at 424 ms: with 10 ms of survival time the service is down
    from 420 to 424 ms and 99.6 % available; with 20 ms it never goes down."""
    sent, delay = stream(100, 10)
    delay[[40, 41]] = math.nan
    seen = service(sent, delay, 10, 10)
    assert seen.down.tolist() == [[420 * MS, 424 * MS]]
    assert seen.availability.value == pytest.approx(0.996)
    assert (seen.failures, seen.messages, seen.bad) == (1, 100, 2)
    assert seen.mtbf_s == pytest.approx(0.996)
    patient = service(sent, delay, 10, 20)
    assert patient.failures == 0
    assert patient.availability.value == 1.0
    assert patient.mtbf_s == math.inf


def test_late_messages_are_failures() -> None:
    """A message that arrives after the deadline is as bad as a lost one; one exactly at it is good."""
    sent, delay = stream(100, 10)
    delay[40], delay[41], delay[60] = 10.001, 15.0, 10.0
    assert service(sent, delay, 10, 10).down.tolist() == [[420 * MS, 424 * MS]]


def test_a_later_message_that_overtakes_brings_the_service_up() -> None:
    """Up again at the first good arrival, even when it is not that of the next message."""
    sent, delay = stream(100, 10)
    delay[[40, 41]] = math.nan
    delay[42], delay[43] = 40.0, 1.0
    seen = service(sent, delay, 40, 0)
    assert seen.failures == 0
    assert service(sent, delay, 10, 10).down.tolist() == [[420 * MS, 431 * MS]]


def test_down_to_the_end() -> None:
    """A link that never comes back is down until the end of the observation."""
    sent, delay = stream(100, 10)
    delay[50:] = math.nan
    assert service(sent, delay, 10, 10).down.tolist() == [[520 * MS, 1000 * MS]]
    assert service(sent, delay, 10, 10).longest_down_s == pytest.approx(0.48)


def test_pauses_are_not_observed() -> None:
    """While nothing was sent nothing is known: an hour's pause is neither up nor down."""
    sent, delay = stream(200, 10)
    sent[100:] += 3600 * 1000 * MS
    seen = service(sent, delay, 10, 10)
    assert seen.observed_s == pytest.approx(2.0)
    assert seen.availability.value == 1.0


def test_nothing_sent() -> None:
    """Without messages there is no availability: NaN with coverage 0."""
    seen = service([], [], 10, 10)
    assert math.isnan(seen.availability.value)
    assert seen.availability.coverage == 0


@pytest.mark.parametrize(
    ("events", "trials", "confidence", "lower", "upper"),
    [
        # two-sided 95 % limits of Clopper and Pearson as printed in textbooks (one-sided 97.5 %)
        (0, 10, 0.975, 0.0, 0.3085),
        (1, 10, 0.975, 0.0025, 0.4450),
        (5, 10, 0.975, 0.1871, 0.8129),
        (10, 10, 0.975, 0.6915, 1.0),
        (10, 100, 0.975, 0.0490, 0.1762),
    ],
)
def test_clopper_pearson(events: int, trials: int, confidence: float, lower: float, upper: float) -> None:
    """Published limits, to the four figures that are printed."""
    assert binomial.lower_bound(events, trials, confidence) == pytest.approx(lower, abs=5e-5)
    assert binomial.upper_bound(events, trials, confidence) == pytest.approx(upper, abs=5e-5)


@pytest.mark.parametrize(("events", "mean"), [(0, 2.995732), (1, 4.743865), (2, 6.295794), (10, 16.962219)])
@pytest.mark.parametrize("trials", [10**7, 10**9, 10**12])
def test_clopper_pearson_of_very_many(events: int, mean: float, trials: int) -> None:
    """For rare events the upper 95 % limit is Poisson's: half of χ²(0.95; 2k + 2), from its tables, over n."""
    assert binomial.upper_bound(events, trials) * trials == pytest.approx(mean, rel=1e-5)


def test_both_sides_of_the_series() -> None:
    """P(X ≤ k) at the bound is 5 %, summed term by term, on both sides of the switch to Stirling's series."""
    for trials in (99_990, 100_020):
        bound = binomial.upper_bound(3, trials)
        total = math.fsum(
            math.comb(trials, k) * bound**k * math.exp((trials - k) * math.log1p(-bound)) for k in range(4)
        )
        assert total == pytest.approx(0.05, rel=1e-9)


def test_trials_needed() -> None:
    """The rule of three: 2,995 trials without an event show 0.1 %; with one event it takes 4,742."""
    assert binomial.trials_needed(0, 0.001) == 2995
    needed = binomial.trials_needed(1, 0.001)
    assert binomial.upper_bound(1, needed) <= 0.001 < binomial.upper_bound(1, needed - 1)
    assert needed == 4742
    with pytest.raises(ValueError, match="between 0 and 1"):
        binomial.trials_needed(0, 0)


CASE = USE_CASES["augmented-reality"]  # 99.9 %, 10 ms, no survival time: trials of 10 ms, 2,995 of them are needed


def test_not_shown_yet() -> None:
    """Ten seconds without a failure do not show 99.9 %: 19.95 s more will, 1,995 trials of 10 ms."""
    found = judge(CASE, *stream(1000, 10))
    assert found.verdict is Verdict.NOT_SHOWN
    assert found.hours_more * 3600 == pytest.approx(19.95)
    assert "1 minute more" in found.reason


def test_met() -> None:
    """Thirty seconds without a failure show it."""
    found = judge(CASE, *stream(3000, 10))
    assert found.verdict is Verdict.MET
    assert found.unavailability <= 0.001


def test_not_met() -> None:
    """A tenth of the time down cannot be 99.9 %."""
    sent, delay = stream(3000, 10)
    delay[::10] = math.nan
    found = judge(CASE, sent, delay)
    assert found.verdict is Verdict.NOT_MET
    assert found.unavailability > 0.001


def test_a_coarse_measurement_shows_nothing() -> None:
    """Packets a second apart cannot show what happens within 10 ms, however long they are sent."""
    found = judge(CASE, *stream(100_000, 1000))
    assert found.verdict is Verdict.NOT_SHOWN
    assert math.isnan(found.hours_more)
    assert "send every 10 ms" in found.reason
    assert judge(CASE, [], []).verdict is Verdict.NOT_SHOWN


def test_table() -> None:
    """Every row can be judged: an availability below 1, times above 0; what was not read in the standard says so."""
    assert len(USE_CASES) > 20
    for case in USE_CASES.values():
        assert 0.9 < case.availability < 1
        assert case.latency_ms > 0
        assert case.interval_ms is None or case.interval_ms > 0
        assert case.verified == (case.table == "5.3-1")

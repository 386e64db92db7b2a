"""Latency figures against RFC definitions worked by hand and the vector of the standards sheet."""

import math

import numpy as np
import pytest

from pipeline.kpis import latency
from telemetry.samples import SECOND_NS, Series, Window

MS = 1_000_000
SENT = np.array([0, 10, 20, 30, 40, 50]) * MS
DELAY = np.array([5.0, 7, 4, 8, 4, 6])


def test_rfc3550_vector() -> None:
    """J after each packet of the worked example is what RFC 3550's recursion gives by hand."""
    series = latency.jitter_rfc3550_series(SENT, DELAY)
    assert series.tolist() == pytest.approx([0, 0.125, 0.304688, 0.535645, 0.752167, 0.830156], abs=6e-7)
    assert latency.jitter_rfc3550(SENT, DELAY) == series[-1]


def test_jitter_follows_arrival() -> None:
    """A packet overtaken by the next is taken in the order of arrival: 20 ms late, D is taken against its successor."""
    sent, delay = np.array([0, 10, 20]) * MS, np.array([1.0, 25.0, 2.0])  # arrive at 1, 35, 22 ms
    by_hand = 1 / 16  # |2 − 1| first
    by_hand += (23 - by_hand) / 16  # then |25 − 2|
    assert latency.jitter_rfc3550(sent, delay) == pytest.approx(by_hand, rel=1e-12)


def test_jitter_of_many_packets() -> None:
    """Blocks do not show: 1,000 packets give what the recursion gives one by one."""
    delay = np.random.default_rng(7).lognormal(2, 0.5, 1000)
    j = 0.0
    for d in np.abs(np.diff(delay)):
        j += (d - j) / 16
    assert latency.jitter_rfc3550(np.arange(1000) * 1000 * MS, delay) == pytest.approx(j, rel=1e-12)


def test_jitter_needs_two_packets() -> None:
    """One packet, or none, has no jitter: NaN, not zero."""
    assert math.isnan(latency.jitter_rfc3550([], []))
    assert math.isnan(latency.jitter_rfc3550([5], [1.0]))


def test_variation_vectors() -> None:
    """IPDV is the signed difference of neighbours, PDV the excess over the smallest."""
    assert latency.ipdv(DELAY).tolist() == [2, -3, 4, -4, 2]
    assert latency.pdv(DELAY).tolist() == [1, 3, 0, 4, 0, 2]
    assert np.isnan(latency.ipdv([1.0, math.nan, 2.0])).all()
    assert np.isnan(latency.pdv([math.nan])).all()


@pytest.mark.parametrize(("q", "needed"), [(0.5, 5), (0.95, 59), (0.99, 299), (0.999, 2995), (0.99999, 299572)])
def test_samples_needed(q: float, needed: int) -> None:
    """Each percentile needs as many samples as make 1 − qⁿ at least 95 %."""
    assert latency.samples_needed(q) == needed
    assert 1 - q**needed >= 0.95 > 1 - q ** (needed - 1)


def test_percentile_is_a_measured_value() -> None:
    """RFC 2330: of 1…1000, p50 is 500, p95 950, p99 990; of 4,000, p99.9 is 3996."""
    values = np.random.default_rng(1).permutation(np.arange(1.0, 1001))
    assert [latency.percentile(values, q) for q in (0.5, 0.95, 0.99)] == [500, 950, 990]
    assert latency.percentile(np.arange(1.0, 4001), 0.999) == 3996


def test_percentile_without_enough_samples() -> None:
    """298 samples do not show a p99, 299 do."""
    assert math.isnan(latency.percentile(np.arange(298.0), 0.99))
    assert latency.percentile(np.arange(299.0), 0.99) == 296
    with pytest.raises(ValueError, match="between 0 and 1"):
        latency.percentile([1.0], 99)


def test_lost_packets_are_infinitely_late() -> None:
    """With 2 % lost, p95 is that of all packets sent and p99 is infinite."""
    values = np.arange(1.0, 981)
    assert latency.percentile(values, 0.95, lost=20) == 950
    assert latency.percentile(values, 0.99, lost=20) == math.inf


def test_loss() -> None:
    """Two of ten packets unanswered is 0.2, and half a window without a packet is half a coverage."""
    rtt = Series.of(*((n * SECOND_NS, 10.0) for n in (0, 1, 2, 4, 5, 6, 7, 9)))
    lost = Series.of((3 * SECOND_NS, 1.0), (8 * SECOND_NS, 1.0))
    ratio = latency.loss(rtt, lost)
    assert (ratio.numerator, ratio.denominator, ratio.value, ratio.samples) == (2, 10, 0.2, 10)
    assert latency.loss(rtt, lost, Window(0, 40 * SECOND_NS)).coverage == pytest.approx((9 + 10) / 40)
    nothing = latency.loss(Series.empty(), Series.empty())
    assert math.isnan(nothing.value)
    assert nothing.coverage == 0


def test_answered_marks_are_not_counted_twice() -> None:
    """A source that also writes rtt_lost = 0 for answered packets has the same loss."""
    rtt = Series.of((1, 10.0), (2, 11.0))
    lost = Series.of((1, 0.0), (2, 0.0), (3, 1.0))
    assert latency.loss(rtt, lost).value == pytest.approx(1 / 3)


def test_loss_pattern() -> None:
    """RFC 3357 by hand: losses 3, 4, 9, 10, 11 of 12 make runs of 2 and 3, four packets apart."""
    lost = np.zeros(12, bool)
    lost[[3, 4, 9, 10, 11]] = True
    pattern = latency.loss_pattern(lost)
    assert pattern.distances.tolist() == [0, 1, 5, 1, 1]
    assert pattern.lengths.tolist() == [2, 3]
    assert pattern.between.tolist() == [4]
    assert pattern.longest == 3
    assert pattern.noticeable(1) == pytest.approx(3 / 5)
    assert latency.loss_pattern(np.zeros(5, bool)).longest == 0
    assert math.isnan(latency.loss_pattern([]).noticeable(1))


def test_order() -> None:
    """RFC 4737's idea: 2 and 3 behind 4 are reordered; the second 4 is a duplicate, not a reordering."""
    arrived = [1, 4, 2, 3, 4, 5]
    assert latency.reordered(arrived).tolist() == [False, False, True, True, False, False]
    assert latency.duplicates(arrived).tolist() == [False, False, False, False, True, False]
    assert latency.reordered([]).size == 0


def test_deadline() -> None:
    """In time is up to and including the deadline; a lost packet misses it."""
    assert latency.deadline_misses([1.0, 10.0, 10.1, math.nan], 10.0).value == 0.5

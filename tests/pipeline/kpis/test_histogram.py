"""Mergeable histograms against exact sorting."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kpis import latency
from pipeline.kpis.histogram import Histogram

DELAYS = np.random.default_rng(5).lognormal(2.5, 1.0, 300_000)


@pytest.mark.parametrize("q", [0.01, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999])
def test_percentiles_within_four_per_mille(q: float) -> None:
    """Every percentile lies within 0.4 % of the exact one."""
    assert Histogram.of(DELAYS).percentile(q) == pytest.approx(latency.percentile(DELAYS, q), rel=1 / 256)


def test_merging_is_exact() -> None:
    """Hours added together are the day: same buckets, same counts, same figures, in any order."""
    whole = Histogram.of(DELAYS, lost=7)
    parts = [Histogram.of(part, lost) for part, lost in zip(np.array_split(DELAYS, 5), (0, 1, 2, 3, 1), strict=True)]
    merged = parts[3] + (parts[1] + parts[4]) + (parts[0] + parts[2])
    assert merged.keys.tolist() == whole.keys.tolist()
    assert merged.counts.tolist() == whole.counts.tolist()
    assert (merged.lost, merged.minimum, merged.maximum) == (7, whole.minimum, whole.maximum)
    assert merged.mean == pytest.approx(DELAYS.mean())


def test_lost_packets() -> None:
    """NaN is a lost packet; with 2 % lost, p99 of all that were sent is infinite."""
    histogram = Histogram.of([*np.arange(1.0, 981), *[math.nan] * 20])
    assert (histogram.size, histogram.lost) == (980, 20)
    assert histogram.percentile(0.99, with_lost=True) == math.inf
    assert histogram.percentile(0.95, with_lost=True) == pytest.approx(950, rel=1 / 256)
    assert histogram.above(512.0) == 20 + 980 - 515  # 512, 513, 514 and 515 share a bucket
    with pytest.raises(ValueError, match="infinite"):
        Histogram.of([math.inf])


def test_not_enough_samples() -> None:
    """A p99 of 298 values is not shown; nothing at all has no figures."""
    assert math.isnan(Histogram.of(DELAYS[:298]).percentile(0.99))
    empty = Histogram.of([])
    assert math.isnan(empty.percentile(0.5))
    assert math.isnan(empty.mean)
    assert (empty + Histogram.of([3.0])).maximum == 3.0


def test_negative_and_zero() -> None:
    """One-way delays of disagreeing clocks keep their sign and order."""
    histogram = Histogram.of([-8.0] * 10 + [0.0] * 10 + [8.0] * 10)
    assert histogram.keys.tolist() == sorted(histogram.keys.tolist())
    assert histogram.percentile(0.2) == pytest.approx(-8, rel=1 / 256)
    assert histogram.percentile(0.5) == 0.0


@given(st.lists(st.floats(1e-6, 1e7) | st.just(math.nan), max_size=60))
def test_text_and_back(values: list[float]) -> None:
    """What is stored as text comes back the same."""
    one = Histogram.of(values)
    two = Histogram.decode(one.encode())
    assert two.keys.tolist() == one.keys.tolist()
    assert two.counts.tolist() == one.counts.tolist()
    assert (two.lost, two.total) == (one.lost, one.total)


@pytest.mark.parametrize("text", ["", "abc", "~~~~~\x7f", Histogram.of([1.0]).encode()[:-5]])
def test_damaged_text(text: str) -> None:
    """Damaged text is refused."""
    with pytest.raises(ValueError, match=r"."):
        Histogram.decode(text)

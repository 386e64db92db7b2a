"""What a series of samples says about time and counts; every expected value by hand."""

import numpy as np
import pytest

from pipeline.kpis import signals
from telemetry.samples import Quality, Series


def with_quality(series: Series, *quality: int) -> Series:
    return Series(series.times_ns, series.values, np.array(quality, np.int8), series.texts)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([7], [0]),
        ([7, 7, 9], [0, 0, 2]),
        ([7, 12], [0, 5]),  # four messages lost: nothing is
        ([7, 9, 3, 4], [0, 2, 3, 1]),  # reset, and three were made before the next message
        ([7, 9, 0, 1], [0, 2, 0, 1]),
        ([998, 1000, 995, 996], [0, 2, 0, 1]),  # corrected by hand: not 995 parts
        ([998, 1000, 500, 501], [0, 2, 500, 1]),  # half of it: a reset
        ([7, np.nan, 9, 10], [0, 0, 0, 1]),
    ],
)
def test_a_counter_counts_across_resets_and_lost_messages(values: list[float], expected: list[float]) -> None:
    """The first value is a baseline; a fall is a reset to zero, unless small; not a number is not known."""
    assert signals.increments(Series.of(*enumerate(values))).tolist() == expected


def test_the_value_after_a_bad_one_is_a_baseline() -> None:
    """ "From here on unknown": 100 parts appear across the bad sample, and none is counted."""
    series = with_quality(Series.of((0, 1), (1, 2), (2, 50), (3, 102), (4, 103)), 0, 0, Quality.BAD, 0, 1)
    assert signals.increments(series).tolist() == [0, 1, 0, 0, 1]


def test_a_counter_of_16_bits_rolls_over() -> None:
    """65,534 → 3 are five parts, when it is known where the counter turns."""
    series = Series.of((0, 65534), (1, 3))
    assert signals.increments(series, rollover=65536).tolist() == [0, 5]
    assert signals.increments(series).tolist() == [0, 3]


def test_what_is_in_order_is_not_touched() -> None:
    """The very same object comes back."""
    series = Series.of((1, 1), (2, 2))
    assert signals.ordered(series) is series


def test_time_going_backwards_is_put_in_order_and_the_last_of_equal_instants_wins() -> None:
    """Rows (3, c) (1, a) (3, d) (2, b) become a b d."""
    series = signals.ordered(Series.of((3, 30, "c"), (1, 10, "a"), (3, 31, "d"), (2, 20, "b")))
    assert series.times_ns.tolist() == [1, 2, 3]
    assert series.values.tolist() == [10, 20, 31]
    assert series.texts.tolist() == ["a", "b", "d"]


def test_silences_are_the_long_gaps_bounds_included() -> None:
    """A gap of exactly the limit is none; the start and the end of the stretch count as samples."""
    alive = np.array([10, 20, 35], np.int64)
    assert signals.silences(alive, 0, 60, 10).tolist() == [[20, 35], [35, 60]]
    assert signals.silences(alive[:0], 0, 60, 10).tolist() == [[0, 60]]
    assert signals.silences(alive[:0], 0, 10, 10).tolist() == []


def test_runs_are_found_whole() -> None:
    """First and one past last, at both ends too; none in nothing."""
    for flags, expected in (
        ([True, True, False, True, False], ([0, 3], [2, 4])),
        ([False, True], ([1], [2])),
        ([False], ([], [])),
        ([], ([], [])),
    ):
        first, last = signals.runs(np.array(flags, np.bool_))
        assert (first.tolist(), last.tolist()) == expected


def test_what_is_in_force() -> None:
    """The row at or before each instant, −1 before the first."""
    assert signals.in_force(np.array([3, 5], np.int64), np.array([0, 3, 5, 10])).tolist() == [-1, 0, 1, 1]

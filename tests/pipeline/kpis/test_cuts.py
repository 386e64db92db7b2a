"""Time cut at the instants of several series; every expected value by hand."""

import numpy as np
import pytest

from pipeline.kpis.counting import summed
from pipeline.kpis.cuts import Cuts, marked, spliced
from pipeline.kpis.periods import Begins, Periods


def at(*times: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(times, np.int64)


def test_edges_are_unique_ordered_and_inside() -> None:
    """Instants outside are dropped, the bounds stay, doubles become one; an empty series cuts nothing."""
    assert Cuts(0, 10, at(-1, 3, 5), at(0, 5, 12)).edges.tolist() == [0, 3, 5, 10]
    assert Cuts(0, 10, at(), at()).edges.tolist() == [0, 10]


def test_a_column_is_in_force_until_its_next_row() -> None:
    """Of the longest series, of one that is as long with the same instants, of a short one, and of a long other one."""
    long, short = at(-5, 2, 4, 6), at(3, 20)
    cuts = Cuts(0, 10, long, short)
    assert cuts.edges.tolist() == [0, 2, 3, 4, 6, 10]
    assert cuts.held(long, at(1, 2, 3, 4), 0).tolist() == [1, 2, 2, 3, 4]
    assert cuts.held(long.copy(), at(1, 2, 3, 4), 0).tolist() == [1, 2, 2, 3, 4]
    assert cuts.held(long[1:], at(2, 3, 4), 0).tolist() == [0, 2, 2, 3, 4]
    assert cuts.held(short, at(7, 8), 0).tolist() == [0, 0, 7, 7, 7]
    assert cuts.held(at(), at(), 9).tolist() == [9] * 5
    assert Cuts(0, 10, at(3, 5)).held(at(3, 5), at(1, 2), -1).tolist() == [-1, 1, 2]
    many = Cuts(0, 100, at(*range(1, 90)), at(50))
    assert many.held(at(50), at(1), 0).tolist() == [0] * 50 + [1] * 40


def test_stretches_within_intervals() -> None:
    """Those between the bounds of an interval."""
    cuts = Cuts(0, 10, at(2, 4, 6))
    assert [*cuts.rows(np.array([[2, 6], [6, 10]]))] == [slice(1, 3), slice(3, 4)]
    many = Cuts(0, 4000, at(*range(1, 4000)))
    [flags] = many.rows(np.column_stack((np.arange(0, 2000, 2), np.arange(1, 2000, 2))))
    assert flags[:6].tolist() == [True, False, True, False, True, False]
    assert flags.sum() == 1000


@pytest.mark.parametrize("few", [at(), at(0, 3, 5, 9), at(*range(50)), at(*range(1, 100, 3))])
def test_edges_are_put_together_only_where_they_are_asked_for(few: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    """Any part of them, any rows, and the place of any instant, whether or not all have been put together before."""
    for whole in (False, True):
        cuts = Cuts(-5, 105, at(*range(0, 100, 2)), few)
        expected = sorted({-5, 105, *range(0, 100, 2), *few.tolist()})
        if whole:
            assert cuts.edges.tolist() == expected
        for low in range(0, len(expected), 3):
            for high in range(low, len(expected) + 1, 5):
                assert cuts.part(low, high).tolist() == expected[low:high]
        rows = np.arange(0, len(expected), 2)
        assert cuts.at(rows).tolist() == expected[::2]
        assert cuts.find(at(*range(-6, 107))).tolist() == [sum(one < t for one in expected) for t in range(-6, 107)]


def test_beginnings_are_counted_in_few_windows_as_in_many() -> None:
    """Runs begin at 0, 3 and 6; that of 6 is in what is left out."""
    flags = np.array([1, 1, 0, 1, 0, 0, 1], np.bool_)
    begins = Begins(flags, [slice(5, 7)])
    low, high = np.array([0, 1, 3, 4]), np.array([7, 3, 4, 7])
    assert begins.between(low, high).tolist() == [2, 0, 1, 0]
    assert begins.between(np.tile(low, 30), np.tile(high, 30)).tolist() == [2, 0, 1, 0] * 30


@pytest.mark.parametrize("rows", [3, 5000])
def test_splicing_and_marking_are_the_same_for_few_and_for_many(rows: int) -> None:
    """A value before every row; every second slice of two."""
    column, where = np.arange(rows), np.arange(rows)
    assert spliced(column, where, -column).tolist() == [x for n in range(rows) for x in (-n, n)]
    low = np.arange(0, rows - 1, 2)
    assert marked(rows, low, low + 1).tolist() == [n % 2 == 0 and n < rows - 1 for n in range(rows)]


@pytest.mark.parametrize("windows", [2, 300])
def test_lengths_and_sums_of_windows(windows: int) -> None:
    """Key 1 in the first half of each ten; a part at 3 of each ten. Windows of ten, one over all, one of nothing."""
    edges = np.arange(0, 10 * windows + 1, 5)
    periods = Periods(Cuts(0, 10 * windows, edges), np.tile(np.array([1, 0], np.int8), windows), 2)
    starts = np.append(np.arange(windows) * 10 + 1, [0, 7])
    ends = np.append(np.arange(windows) * 10 + 11, [10 * windows, 7]).clip(0, 10 * windows)
    expected = [[5, 5]] * (windows - 1) + [[5, 4], [5 * windows, 5 * windows], [0, 0]]
    assert periods.lengths(starts, ends).tolist() == expected
    times, grown = np.arange(windows) * 10 + 3, np.ones(windows)
    low, high = np.searchsorted(times, starts), np.searchsorted(times, ends)
    assert summed(grown.__getitem__, low, high).tolist() == [1.0] * windows + [windows, 0]


def test_a_year_in_one_piece_is_exact() -> None:
    """More nanoseconds than a double can count: 400 days and one nanosecond."""
    length = 400 * 86400 * 10**9 + 1
    periods = Periods(Cuts(0, length, at()), np.array([0], np.int8), 1)
    assert periods.lengths(at(0), at(length)).tolist() == [[length]]

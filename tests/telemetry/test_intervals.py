"""Arithmetic on sets of time, against a model that paints nanoseconds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.intervals import Intervals, elapsed, inside, intersect, subtract, total_ns, union
from telemetry.samples import Window

WINDOW = Window(0, 40)
PAIRS = st.lists(st.tuples(st.integers(-5, 45), st.integers(-5, 45)), max_size=8)


def painted(intervals: Intervals) -> set[int]:
    return {instant for start, end in intervals.tolist() for instant in range(start, end)}


@settings(deadline=None)
@given(PAIRS, PAIRS)
def test_union_intersection_and_difference_are_those_of_sets(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    """Any pairs at all: reversed, empty, touching, overlapping, outside of the window."""
    a, b = union(one, WINDOW), union(other, WINDOW)
    assert painted(a) == {n for start, end in one for n in range(start, end) if 0 <= n < 40}
    assert painted(intersect(a, b)) == painted(a) & painted(b)
    assert painted(subtract(a, b)) == painted(a) - painted(b)
    assert total_ns(a) == len(painted(a))
    for found in (a, intersect(a, b), subtract(a, b)):
        flat = found.ravel().tolist()
        assert flat == sorted(flat)
        assert all(start < end for start, end in found.tolist())


@settings(deadline=None)
@given(PAIRS)
def test_elapsed_counts_what_lies_before_an_instant(pairs: list[tuple[int, int]]) -> None:
    """Differences of it measure any stretch."""
    intervals = union(pairs, WINDOW)
    at = np.arange(-2, 43)
    assert elapsed(intervals, at).tolist() == [sum(n < instant for n in painted(intervals)) for instant in at]
    assert inside(intervals, at).tolist() == [instant in painted(intervals) for instant in at]

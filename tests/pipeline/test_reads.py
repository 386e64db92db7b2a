"""Windows grouped into reads, by hand."""

from pipeline.reads import DAY_NS, groups
from telemetry.samples import Window


def day(first: float, last: float, kind: str = "hour") -> Window:
    return Window(round(first * DAY_NS), round(last * DAY_NS), kind)


def test_windows_are_read_together_up_to_two_days() -> None:
    """Latest first: days 9 and 8 in one read, 7 and 6 in the next; a window over three days is a read of its own."""
    due = [day(n, n + 1) for n in (9, 8, 7, 6)]
    assert list(groups(due)) == [due[:2], due[2:]]
    assert list(groups([])) == []
    long = day(0, 3, "month")
    assert list(groups([day(9, 10), long])) == [[long], [day(9, 10)]]


def test_what_lies_in_a_month_that_is_read_is_evaluated_with_it() -> None:
    """The day and the week inside go with the month; the day that only overlaps it does not."""
    month, week, inside, over = day(0, 30, "month"), day(7, 14, "week"), day(8, 9), day(29.5, 30.5)
    assert list(groups([over, inside, week, month])) == [[month, inside, week], [over]]

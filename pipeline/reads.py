"""What is read, so that no read is long: windows that are due, grouped so that each group is evaluated from one read of
its asset's samples; and the days of a long stretch that have any."""

from collections.abc import Iterable, Iterator
from typing import Final

from telemetry.protocols import Store
from telemetry.samples import SECOND_NS, Window

DAY_NS: Final = 24 * 3600 * SECOND_NS
LONGEST_READ_NS: Final = 2 * DAY_NS
"""A read spans no more than this [ns], unless one window does."""


def groups(windows: list[Window]) -> Iterator[list[Window]]:
    """Windows cut into reads: what lies in a month that is to be read is evaluated with it; the others in order of
    start, latest first, cut where one read would span too long."""
    rest = windows
    for long in sorted((one for one in windows if length(one) > LONGEST_READ_NS), key=length, reverse=True):
        if long in rest:
            within = [one for one in rest if long.start_ns <= one.start_ns and one.end_ns <= long.end_ns]
            taken = set(within)
            rest = [one for one in rest if one not in taken]
            yield [long, *(one for one in within if one is not long)]
    group: list[Window] = []
    end = 0
    for window in rest:
        if group and max(end, window.end_ns) - window.start_ns > LONGEST_READ_NS:
            yield group
            group, end = [], 0
        group.append(window)
        end = max(end, window.end_ns)
    if group:
        yield group


def length(window: Window) -> int:
    """How long it is [ns]."""
    return window.end_ns - window.start_ns


def days_with_samples(
    store: Store, asset: str, metrics: Iterable[str], start_ns: int, end_ns: int, back_ns: int
) -> Iterator[Window]:
    """The stretch from start to end [ns], inclusive; of a long one only the days with samples, or `back_ns` after one:
    a value held since a clock said 2001 dirties no 25 years."""
    if end_ns < start_ns:
        return
    if end_ns - start_ns <= LONGEST_READ_NS:
        yield Window(start_ns, end_ns + 1)
        return
    every = tuple(metrics)
    while start_ns <= end_ns:
        yield Window(start_ns, min(start_ns + DAY_NS, end_ns) + 1)
        start_ns += DAY_NS
        times = [store.next_time(asset, metric, start_ns - back_ns) for metric in every]
        start_ns = max(start_ns, min((time for time in times if time is not None), default=end_ns + 1))

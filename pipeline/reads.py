"""Windows that are due, grouped into reads: each group is evaluated from one read of its asset's samples."""

from collections.abc import Iterator
from typing import Final

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

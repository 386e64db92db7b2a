"""When a simulated machine works: read off the clock on the wall, minute by minute.

This is on purpose not the arithmetic of telemetry.calendar: the truth must not share the pipeline's mistakes. An
instant works when what the wall clock shows then is inside a shift and outside every break; so the hour that comes
twice in autumn counts twice and the one that is skipped in spring does not exist.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

MINUTE_MS: Final = 60_000
DAY_MS: Final = 24 * 60 * MINUTE_MS

Turns = tuple[tuple[int, int] | tuple[int, int, tuple[int, ...]], ...]
"""Stretches [minutes after midnight on the wall, start included, end not]; past midnight when end <= start. A third
item names the weekdays they begin on (0: Monday); without it, every day."""

_EVERY_DAY: Final = tuple(range(7))


@dataclass(frozen=True, slots=True)
class WorkCalendar:
    """The `shifts` of the week, less the `breaks`, on the wall clock of `zone` (an IANA name)."""

    zone: str
    shifts: Turns
    breaks: Turns = ()

    def works_at(self, instant_ms: int) -> bool:
        """Whether machines work at an instant [ms since the epoch]."""
        wall = datetime.fromtimestamp(instant_ms // 1000, UTC).astimezone(ZoneInfo(self.zone))
        minute = wall.hour * 60 + wall.minute
        day = wall.weekday()
        return _inside(day, minute, self.shifts) and not _inside(day, minute, self.breaks)

    def stretches(self, start_ms: int) -> Iterator[tuple[int, int]]:
        """Working time from an instant on, for ever: [start, end) [ms], in order; two may touch."""
        day = start_ms // DAY_MS
        while True:
            for start, end in _stretches_of_day(self, day):
                if end > start_ms:
                    yield max(start, start_ms), end
            day += 1

    def working(self, start_ms: int, end_ms: int) -> list[tuple[int, int]]:
        """The working stretches inside [start, end) [ms]."""
        found: list[tuple[int, int]] = []
        for start, end in self.stretches(start_ms):
            if start >= end_ms:
                break
            found.append((start, min(end, end_ms)))
        return found


def _inside(day: int, minute: int, turns: Turns) -> bool:
    for start, end, *rest in turns:
        days = rest[0] if rest else _EVERY_DAY
        if start < end:
            if day in days and start <= minute < end:
                return True
        elif (day in days and minute >= start) or ((day - 1) % 7 in days and minute < end):
            return True  # past midnight it belongs to the day it began on
    return False


@lru_cache(maxsize=1024)
def _stretches_of_day(calendar: WorkCalendar, day: int) -> tuple[tuple[int, int], ...]:
    """Working stretches of one UTC day (number since the epoch) [ms], cut at its ends."""
    if not (calendar.shifts or calendar.breaks):
        raise ValueError("a calendar without shifts never works")
    found: list[tuple[int, int]] = []
    for instant in range(day * DAY_MS, (day + 1) * DAY_MS, MINUTE_MS):
        if not calendar.works_at(instant):
            continue
        if found and found[-1][1] == instant:
            found[-1] = (found[-1][0], instant + MINUTE_MS)
        else:
            found.append((instant, instant + MINUTE_MS))
    return tuple(found)

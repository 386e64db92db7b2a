"""Wall-clock calendars as UTC intervals: shifts, opening time, required time, hours and days, right across DST.

Every function takes and returns nanoseconds since the epoch, UTC. Wall-clock times are read in the plant's zone:
a time that the spring change skips is read with the offset before it, an ambiguous one in autumn is its first
occurrence, so that a 05:00–13:00 shift is always what the clock on the wall says.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from telemetry.intervals import Intervals, subtract, union
from telemetry.plant import DAYS, CalendarConfig, Turn
from telemetry.samples import SECOND_NS, Window


def local_ns(day: date, minutes: int, zone: ZoneInfo) -> int:
    """The instant [ns] at which the wall clock of `zone` shows `minutes` after midnight of `day`."""
    wall = datetime.combine(day, datetime.min.time(), tzinfo=zone) + timedelta(minutes=minutes)
    return int(wall.astimezone(UTC).timestamp()) * SECOND_NS


def local_day(time_ns: int, zone: ZoneInfo) -> date:
    """The date on the wall at an instant."""
    return datetime.fromtimestamp(time_ns // SECOND_NS, zone).date()


def days(window: Window, zone: ZoneInfo) -> list[Window]:
    """The local days that overlap the window, whole: 23 h and 25 h long when the clock changes."""
    return _chain(window, zone, "day", local_day(window.start_ns, zone), lambda start: start + timedelta(days=1))


def hours(window: Window) -> list[Window]:
    """The hours that overlap the window, whole. They are cut in UTC, so that the hour that a clock change skips or
    repeats is no special case; zones that are off UTC by part of an hour see them start at that part."""
    return steps(window, 3600 * SECOND_NS, "hour")


def weeks(window: Window, zone: ZoneInfo) -> list[Window]:
    """The local weeks (Monday to Sunday, ISO 8601) that overlap the window, whole."""
    day = local_day(window.start_ns, zone)
    monday = day - timedelta(days=day.weekday())
    return _chain(window, zone, "week", monday, lambda start: start + timedelta(days=7))


def months(window: Window, zone: ZoneInfo) -> list[Window]:
    """The local calendar months that overlap the window, whole."""
    first = local_day(window.start_ns, zone).replace(day=1)
    return _chain(window, zone, "month", first, lambda start: (start + timedelta(days=31)).replace(day=1))


def _chain(window: Window, zone: ZoneInfo, kind: str, first: date, following: Callable[[date], date]) -> list[Window]:
    found: list[Window] = []
    while (start_ns := local_ns(first, 0, zone)) < window.end_ns:
        first = following(first)
        found.append(Window(start_ns, local_ns(first, 0, zone), kind))
    return found


def steps(window: Window, length_ns: int, kind: str) -> list[Window]:
    """Windows of equal length, counted from the epoch, that overlap the window, whole."""
    first = window.start_ns // length_ns
    last = -(-window.end_ns // length_ns)
    return [Window(n * length_ns, (n + 1) * length_ns, kind) for n in range(first, last)]


def turns(
    window: Window, calendar: CalendarConfig, zone: ZoneInfo, *, breaks: bool = False
) -> list[tuple[str, Window]]:
    """The shifts (or breaks) that overlap the window, whole, with their names, in time order."""
    holidays = set(calendar.holidays)
    exceptions = {exception.date: exception.shifts for exception in calendar.exceptions}
    found: list[tuple[str, Window]] = []
    day = local_day(window.start_ns, zone) - timedelta(days=1)  # a night shift of yesterday may reach into today
    while local_ns(day, 0, zone) < window.end_ns:
        planned: Iterable[Turn] = calendar.breaks if breaks else calendar.shifts
        if not breaks and day in exceptions:
            chosen = list(exceptions[day])
        elif not breaks and day in holidays:
            chosen = []
        else:
            chosen = [turn for turn in planned if DAYS[day.weekday()] in turn.days]
        for turn in chosen:
            end = turn.end if turn.end > turn.start else turn.end + 24 * 60
            start_ns, end_ns = local_ns(day, turn.start, zone), _end_ns(day, end, zone)
            # a turn of 02:30–03:00 does not exist on the day whose clock jumps from 02:00 to 03:00
            if start_ns < end_ns and start_ns < window.end_ns and window.start_ns < end_ns:
                found.append((turn.name, Window(start_ns, end_ns, "break" if breaks else "shift")))
        day += timedelta(days=1)
    return sorted(found, key=lambda named: named[1])


def _end_ns(day: date, minutes: int, zone: ZoneInfo) -> int:
    return local_ns(day + timedelta(days=minutes // (24 * 60)), minutes % (24 * 60), zone)


def opening(window: Window, calendar: CalendarConfig | None, zone: ZoneInfo) -> Intervals:
    """Opening time tO inside the window: the union of its shifts; the whole window without a calendar."""
    if calendar is None:
        return union([(window.start_ns, window.end_ns)], window)
    return union(((turn.start_ns, turn.end_ns) for _, turn in turns(window, calendar, zone)), window)


def required(window: Window, calendar: CalendarConfig | None, zone: ZoneInfo) -> Intervals:
    """Required time tR inside the window: opening time without the planned stops."""
    opened = opening(window, calendar, zone)
    if calendar is None:
        return opened
    pauses = union(((turn.start_ns, turn.end_ns) for _, turn in turns(window, calendar, zone, breaks=True)), window)
    return subtract(opened, pauses)

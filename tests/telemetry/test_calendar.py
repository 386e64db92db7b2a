"""Shifts, days and required time on the wall clock of Europe/Paris; UTC instants computed by hand."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from telemetry import calendar
from telemetry.intervals import total_s
from telemetry.plant import CalendarConfig, ExceptionalDay, Turn
from telemetry.samples import SECOND_NS, Window

PARIS = ZoneInfo("Europe/Paris")
NIGHT = Turn(name="nuit", start=21 * 60, end=5 * 60)
MORNING = Turn(name="matin", start=5 * 60, end=13 * 60)
AFTERNOON = Turn(name="après-midi", start=13 * 60, end=21 * 60)
PAUSES = tuple(Turn(name="pause", start=hour * 60, end=hour * 60 + 20) for hour in (1, 9, 17))
THREE = CalendarConfig(name="3x8", shifts=(NIGHT, MORNING, AFTERNOON), breaks=PAUSES)


def at(text: str) -> int:
    """UTC, "2026-03-29T01:00"."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND_NS


def day(text: str) -> Window:
    start = calendar.local_ns(date.fromisoformat(text), 0, PARIS)
    [found] = calendar.days(Window(start, start + 1), PARIS)
    return found


@pytest.mark.parametrize(
    ("text", "start", "end", "hours"),
    [
        ("2026-03-29", "2026-03-28T23:00", "2026-03-29T22:00", 23),
        ("2026-10-25", "2026-10-24T22:00", "2026-10-25T23:00", 25),
        ("2026-11-22", "2026-11-21T23:00", "2026-11-22T23:00", 24),
    ],
)
def test_a_day_is_23_or_25_hours_long_when_the_clock_changes(text: str, start: str, end: str, hours: int) -> None:
    """Last Sundays of March and October 2026."""
    assert day(text) == Window(at(start), at(end), "day")
    assert day(text).seconds == hours * 3600


@pytest.mark.parametrize(
    ("text", "opened", "needed"), [("2026-03-29", 23, 22), ("2026-10-25", 25, 24), ("2026-06-01", 24, 23)]
)
def test_required_time_of_round_the_clock_shifts(text: str, opened: int, needed: int) -> None:
    """Three shifts fill the day whatever its length; three breaks of 20 min are taken from it."""
    assert total_s(calendar.opening(day(text), THREE, PARIS)) == opened * 3600
    assert total_s(calendar.required(day(text), THREE, PARIS)) == needed * 3600


def test_the_night_shift_is_seven_or_nine_hours_long_when_the_clock_changes() -> None:
    """It starts the evening before, and belongs to both days it touches."""
    spring = [turn for name, turn in calendar.turns(day("2026-03-29"), THREE, PARIS) if name == "nuit"]
    assert [(turn.start_ns, turn.end_ns) for turn in spring] == [
        (at("2026-03-28T20:00"), at("2026-03-29T03:00")),
        (at("2026-03-29T19:00"), at("2026-03-30T03:00")),
    ]
    autumn = calendar.turns(day("2026-10-25"), THREE, PARIS)[0][1]
    assert (autumn.start_ns, autumn.end_ns) == (at("2026-10-24T19:00"), at("2026-10-25T04:00"))


def test_a_break_that_the_clock_jumps_over_is_none() -> None:
    """02:30–03:00 does not exist on 29 March: nothing is taken out, and nothing fails."""
    skipped = CalendarConfig(name="x", shifts=(NIGHT,), breaks=(Turn(name="pause", start=150, end=180),))
    night = Window(at("2026-03-28T20:00"), at("2026-03-29T03:00"))
    assert total_s(calendar.required(night, skipped, PARIS)) == 7 * 3600
    ordinary = Window(at("2026-03-27T20:00"), at("2026-03-28T04:00"))
    assert total_s(calendar.required(ordinary, skipped, PARIS)) == 7.5 * 3600


def test_a_break_is_cut_at_the_edge_of_a_window() -> None:
    """09:00–09:20 in Paris is 08:00–08:20 UTC in winter: a window that ends at 08:05 loses five minutes of it."""
    window = Window(at("2026-11-20T07:00"), at("2026-11-20T08:05"))
    assert total_s(calendar.required(window, THREE, PARIS)) == 3600


def test_holidays_and_exceptions_replace_the_week() -> None:
    """No shift starts on a holiday, but the night before reaches into it; an exception has shifts of its own."""
    special = CalendarConfig(
        name="x",
        shifts=(NIGHT, MORNING),
        holidays=(date(2026, 11, 11),),
        exceptions=(ExceptionalDay(date=date(2026, 11, 12), shifts=(Turn(name="court", start=600, end=660),)),),
    )
    assert total_s(calendar.opening(day("2026-11-11"), special, PARIS)) == 5 * 3600
    assert total_s(calendar.opening(day("2026-11-12"), special, PARIS)) == 3600


def test_days_of_the_week_are_those_a_shift_starts_on() -> None:
    """A Friday night shift runs on Saturday morning, and no other does."""
    friday = CalendarConfig(name="x", shifts=(Turn(name="nuit", start=21 * 60, end=5 * 60, days=("fri",)),))
    assert total_s(calendar.opening(day("2026-11-20"), friday, PARIS)) == 3 * 3600
    assert total_s(calendar.opening(day("2026-11-21"), friday, PARIS)) == 5 * 3600
    assert total_s(calendar.opening(day("2026-11-22"), friday, PARIS)) == 0


def test_without_a_calendar_all_time_is_required() -> None:
    """tT = tO = tR."""
    assert total_s(calendar.required(Window(0, 10 * SECOND_NS), None, PARIS)) == 10


def test_weeks_start_on_monday_and_months_on_the_first() -> None:
    """The week of the spring change is 167 h long; a window over a month's end touches two."""
    [week] = calendar.weeks(day("2026-03-29"), PARIS)
    assert (week.start_ns, week.end_ns) == (at("2026-03-22T23:00"), at("2026-03-29T22:00"))
    months = calendar.months(Window(at("2026-01-31T22:59"), at("2026-02-01T00:00")), PARIS)
    assert [(month.start_ns, month.end_ns) for month in months] == [
        (at("2025-12-31T23:00"), at("2026-01-31T23:00")),
        (at("2026-01-31T23:00"), at("2026-02-28T23:00")),
    ]


def test_a_window_that_ends_at_midnight_does_not_touch_the_next_day() -> None:
    """Half-open, like every window."""
    assert len(calendar.days(day("2026-11-20"), PARIS)) == 1
    assert len(calendar.hours(day("2026-10-25"))) == 25

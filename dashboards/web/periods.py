"""How far back a page looks: whole local days (months for a year), so that its figures are sums of stored windows."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from fastapi import Query

from dashboards.web.texts import mark
from telemetry import calendar
from telemetry.samples import Window

Name = Literal["day", "week", "month", "year"]
PERIODS: Final[dict[Name, str]] = {
    "day": mark("today"),
    "week": mark("last 7 days"),
    "month": mark("last 30 days"),
    "year": mark("last 12 months"),
}
_DAYS: Final[dict[Name, int]] = {"day": 1, "week": 7, "month": 30}

Asked = Annotated[Name, Query(description="how far back")]


@dataclass(frozen=True)
class Period:
    """A stretch of whole windows of one kind ("day" or "month") that ends with the one under way; cut at now."""

    name: Name
    whole: Window
    seen: Window

    @property
    def kind(self) -> str:
        return self.whole.kind


def period(name: Name, zone: ZoneInfo, now_ns: int) -> Period:
    """`whole` ends with the day or month under way, `seen` now."""
    today = calendar.local_day(now_ns, zone)
    if name == "year":
        months = calendar.months(Window(now_ns - 366 * 24 * 3600 * 10**9, now_ns + 1), zone)  # 13 of them, or 14
        whole = Window(months[-12].start_ns, months[-1].end_ns, "month")
    else:
        start = calendar.local_ns(today - timedelta(days=_DAYS[name] - 1), 0, zone)
        whole = Window(start, calendar.local_ns(today + timedelta(days=1), 0, zone), "day")
    return Period(name, whole, Window(whole.start_ns, max(whole.start_ns, min(whole.end_ns, now_ns))))

"""The plant model: what there is, by ISA-95 path, how fast it should be, and when it should work."""

from collections import Counter
from datetime import date
from functools import cached_property
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from telemetry.config import Section, TimeOfDay

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

StateName = Literal[
    "NOT_AVAILABLE", "OUT_OF_SERVICE", "NOT_EXECUTING", "EXECUTING", "SETUP", "STARVED", "BLOCKED", "MAINTENANCE"
]
"""The names of glossary.MachineState, as the plant file writes them."""

CategoryName = Literal[
    "running", "breakdown", "operation", "tool_change", "adjustment", "inspection", "changeover", "upkeep",
    "micro_stop", "induced", "planned",
]  # fmt: skip
"""What a stretch of required time is spent on (docs/kpis.md); "planned" takes it out of required time."""

AssetPath = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*){1,5}$", max_length=200)]
"""ISA-95 path, "site/area/line/asset": lower case, digits, ". _ -"."""


class Turn(Section):
    """A stretch of the working day that comes back every week: a shift or a break. Past midnight when end <= start."""

    name: str
    start: TimeOfDay = Field(description='wall-clock time, "HH:MM"')
    end: TimeOfDay = Field(description='wall-clock time, "HH:MM"; not after `start`: it ends the next day')
    days: tuple[Day, ...] = Field(DAYS, description="days it starts on")


class ExceptionalDay(Section):
    """A date on which the calendar's week does not hold: these shifts start on it, or none."""

    date: date
    shifts: tuple[Turn, ...] = ()


class CalendarConfig(Section):
    """When machines should work. Time inside shifts is opening time (tO); breaks are planned stops, taken from it."""

    name: str
    shifts: tuple[Turn, ...]
    breaks: tuple[Turn, ...] = Field((), description="planned stops: inside tO, outside tR")
    holidays: tuple[date, ...] = Field((), description="dates on which no shift starts")
    exceptions: tuple[ExceptionalDay, ...] = ()


class Asset(Section):
    """One machine or network link of the plant."""

    path: AssetPath = Field(description='ISA-95 path "site/area/line/asset"')
    name: str = Field(description="what people call it")
    kind: Literal["machine", "link", "platform"] = "machine"
    calendar: str | None = Field(None, description="name of its calendar; without one it should work always")
    cycle_s: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description='reference cycle time tCR [s] per product; "*" is for a product not named'
    )
    micro_stop_s: float = Field(120.0, ge=0, le=1e9, description="stops shorter than this [s] are micro-stops")
    counter_rollover: float | None = Field(
        None, gt=0, description="count at which its part counters start again at 0, such as 65536 for 16 bits"
    )
    stale_after_s: float = Field(
        900.0, gt=0, le=1e9, description="without any sample for so long [s], the state is unknown"
    )
    state_categories: dict[StateName, CategoryName] = Field(
        {}, description='what a state counts as, where it is not the usual: { MAINTENANCE = "breakdown" }'
    )
    reason_categories: dict[str, CategoryName] = Field(
        {}, description='what a reason counts as, in the words of the machine: { "bourrage" = "breakdown" }'
    )
    target_trs: float | None = Field(None, gt=0, le=1, description="target TRS, 0 to 1")
    hourly_cost: float | None = Field(None, ge=0, description="cost of one lost hour [€]")
    use_case: str | None = Field(
        None, description='of a link: the application of TS 22.104 it is to carry, such as "mobile-robots"'
    )


class Plant(Section):
    """[plant]: the site, its time zone, its calendars and its assets. `path in plant` says whether an asset exists."""

    name: str = "KM0"
    timezone: str = Field("Europe/Paris", description="IANA name; shifts and days are cut in it")
    calendars: tuple[CalendarConfig, ...] = ()
    assets: tuple[Asset, ...] = ()

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # "Europe" is a folder
            raise ValueError(f'{value!r} is not an IANA time zone; write for example "Europe/Paris"') from None
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "Plant":
        calendars = [calendar.name for calendar in self.calendars]
        paths = [asset.path for asset in self.assets]
        for what, names in (("calendar", calendars), ("asset", paths)):
            twice = [name for name, times in Counter(names).items() if times > 1]
            if twice:
                raise ValueError(f"{what} {min(twice)!r} is there twice")
        for asset in self.assets:
            if asset.calendar is not None and asset.calendar not in calendars:
                raise ValueError(f"asset {asset.path!r}: there is no calendar {asset.calendar!r}; there is {calendars}")
        return self

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @cached_property
    def _by_path(self) -> dict[str, Asset]:
        return {asset.path: asset for asset in self.assets}

    def __contains__(self, path: object) -> bool:
        return path in self._by_path

    def asset(self, path: str) -> Asset:
        """The asset of that path; KeyError when there is none."""
        return self._by_path[path]

    def calendar(self, path: str) -> CalendarConfig | None:
        """The calendar of an asset; None when it should work always."""
        name = self.asset(path).calendar
        return next((calendar for calendar in self.calendars if calendar.name == name), None)

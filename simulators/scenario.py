"""Scenario files: a whole plant, its seed, when it lives and how fast, in TOML that needs no code to write.

A scenario is named by a file or by the name of one that is shipped (simulators/scenarios/*.toml). The same file gives
the same lives, the same identities with the same values, wherever and however fast it is played; at the same speed they
come in the same messages, to the byte. (At another, another number of values shares a message.)
"""

from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Final

from pydantic import Field, field_validator, model_validator

from simulators import Link, MachineSection, RadioNetwork, SimulatedAsset, Vehicle
from simulators.faults import Fault, possible
from simulators.link import LinkModel
from simulators.machine import MachineModel
from simulators.sections import OpcUaServer
from simulators.work_calendar import WorkCalendar
from telemetry.config import Section, load
from telemetry.errors import ConfigError
from telemetry.plant import DAYS, CalendarConfig, Turn

LIBRARY: Final = Path(__file__).with_name("scenarios")
HOUR_NS: Final = 3600 * 10**9


class Scenario(Section):
    """One scenario file."""

    about: str = Field(description="what is to be seen in it, in a sentence or two")
    seed: int = Field(1, description="all chance comes from it: the same seed, the same lives")
    start: datetime | None = Field(
        None, description="when it begins, with an offset: 2026-11-02T05:00:00+01:00; none: so that it ends now"
    )
    hours: float = Field(8.0, gt=0, le=24 * 366, description="how long it lasts [h]")
    speed: float = Field(0.0, ge=0, description="plant seconds per second; 0: as fast as the wires take it")
    timezone: str = Field("Europe/Paris", description="IANA zone of the calendars")
    calendars: tuple[CalendarConfig, ...] = Field((), description="when machines work; as in plant.toml")
    assets: tuple[SimulatedAsset, ...] = Field(min_length=1, description="machines and links")
    opcua: OpcUaServer = Field(OpcUaServer(), description="how strict the OPC UA server of its machines is")
    faults: tuple[Fault, ...] = Field((), description="what goes wrong on the wire, when, and where")

    @field_validator("start")
    @classmethod
    def _an_instant(cls, value: datetime | None) -> datetime | None:
        if value is not None and (value.tzinfo is None or value.microsecond):
            raise ValueError("write whole seconds and the offset, as in 2026-11-02T05:00:00+01:00")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "Scenario":
        calendars = {calendar.name for calendar in self.calendars}
        for calendar in self.calendars:
            if calendar.holidays or calendar.exceptions:
                raise ValueError(
                    f"calendar {calendar.name!r}: simulated machines know no holidays and exceptional days"
                )
        paths = [asset.path for asset in self.assets]
        if twice := {path for path in paths if paths.count(path) > 1}:
            raise ValueError(f"asset {min(twice)!r} is there twice")
        machines = {machine.path: machine for machine in self.machines}
        for machine in machines.values():
            if machine.calendar not in calendars:
                raise ValueError(
                    f"{machine.path}: there is no calendar {machine.calendar!r}; there is {sorted(calendars)}"
                )
            if machine.takes_from is not None and machine.takes_from not in machines:
                raise ValueError(
                    f"{machine.path} takes from {machine.takes_from!r}, which is no machine of this scenario"
                )
        _no_ring({path: machine.takes_from for path, machine in machines.items()})
        for fault in self.faults:
            if fault.asset is not None and fault.asset not in paths:
                raise ValueError(f"fault {fault.kind!r}: there is no asset {fault.asset!r}")
            if not any(fault.concerns(asset.path, asset.kind) for asset in self.assets):
                where = "in this scenario" if fault.asset is None else f"at {fault.asset}"
                can = possible(asset.kind for asset in self.assets if fault.asset in (None, asset.path))
                raise ValueError(f"fault {fault.kind!r} concerns nothing {where}; there can be {', '.join(can)}")
        return self

    @property
    def machines(self) -> tuple[MachineSection, ...]:
        return tuple(asset for asset in self.assets if not isinstance(asset, Link | Vehicle | RadioNetwork))

    @property
    def links(self) -> tuple[Link, ...]:
        return tuple(asset for asset in self.assets if isinstance(asset, Link))

    @property
    def others(self) -> tuple[Vehicle | RadioNetwork, ...]:
        """Vehicles, gNBs and cores: what is told has no KPI of its own, so its samples alone are held to the truth."""
        return tuple(asset for asset in self.assets if isinstance(asset, Vehicle | RadioNetwork))

    @cached_property
    def models(self) -> dict[str, MachineModel]:
        """The process of each machine, by path."""
        calendars = {calendar.name: _work_calendar(calendar, self.timezone) for calendar in self.calendars}
        return {machine.path: machine.model(calendars[machine.calendar]) for machine in self.machines}

    @cached_property
    def link_models(self) -> dict[str, LinkModel]:
        """The process of each link, by path."""
        return {link.path: link.model for link in self.links}

    def starts_ns(self, now_ns: int) -> int:
        """When it begins [ns]: a whole second. Without `start`, at the whole hour so that it has ended by now."""
        if self.start is not None:
            return int(self.start.timestamp()) * 10**9
        return (now_ns - self.length_ns) // HOUR_NS * HOUR_NS

    @property
    def length_ns(self) -> int:
        return round(self.hours * 3600) * 10**9


def find(name: str) -> Path:
    """The file of a scenario: a path, or a name in the library. Raises ConfigError that lists the library."""
    path = Path(name)
    if path.suffix == ".toml" or path.exists():
        return path
    if (shipped := LIBRARY / f"{name}.toml").exists():
        return shipped
    raise ConfigError(f"there is no scenario {name!r}: give the path of a TOML file or one of {', '.join(library())}")


def library() -> list[str]:
    """The names of the scenarios that are shipped."""
    return sorted(path.stem for path in LIBRARY.glob("*.toml"))


def open_scenario(name: str) -> Scenario:
    """A scenario by path or name. Raises ConfigError with the line of every fault."""
    return load(find(name), Scenario)


def _work_calendar(calendar: CalendarConfig, zone: str) -> WorkCalendar:
    return WorkCalendar(zone, tuple(map(_turn, calendar.shifts)), tuple(map(_turn, calendar.breaks)))


def _turn(turn: Turn) -> tuple[int, int] | tuple[int, int, tuple[int, ...]]:
    if set(turn.days) == set(DAYS):
        return turn.start, turn.end
    return turn.start, turn.end, tuple(DAYS.index(day) for day in turn.days)


def _no_ring(takes_from: dict[str, str | None]) -> None:
    for path in takes_from:
        seen = {path}
        source = takes_from[path]
        while source is not None:
            if source in seen:
                raise ValueError(f"{path} takes, in the end, from itself")
            seen.add(source)
            source = takes_from[source]
    fed = [source for source in takes_from.values() if source is not None]
    if twice := {source for source in fed if fed.count(source) > 1}:
        raise ValueError(f"two machines take from {min(twice)!r}: parts go to one")

"""The mapping: what an event file says where, and of which machine. Saved as TOML, used again, the same everywhere."""

import json
from typing import Annotated, Literal

from pydantic import Field

from pipeline.files.numbers import Mark
from telemetry.config import Section
from telemetry.dialects import Dialect
from telemetry.plant import Asset, CalendarConfig, StateName

Metric = Literal["state", "parts", "parts_good", "parts_scrap", "product", "reason", "order", "online"]


class EventLogConfig(Section):
    """What an event file says where, and of which machine. Everything has a default but the time zone."""

    timezone: str | None = Field(None, description='IANA name for times without an offset, such as "Europe/Paris"')
    time: str = Field("time", description="column of the time")
    clock: str | None = Field(None, description="column of the time of day, where `time` holds only the date")
    time_format: str | None = Field(
        None,
        description='as strftime writes it, or "epoch", "excel", "excel1904"; ISO 8601 and 31/12/2026 23:59 are known',
    )
    end: str | None = Field(None, description="lists of stops: column of the time the row's state ends")
    duration: str | None = Field(None, description="lists of stops: column of the length, where there is no end")
    duration_unit: Literal["s", "min", "h"] = Field("min", description="unit of a length that is a bare number")
    each: StateName | None = Field(None, description="lists of stops: the state of every row, without a state column")
    between: StateName | None = Field(None, description="lists of stops: the state between rows; default: not known")
    columns: dict[Metric, str] = Field({}, description="column (or SHDR data item) of each metric; default: its name")
    name: str | None = Field(None, description="long tables: column that names what a row says")
    value: str = Field("value", description="long tables: column of the value")
    bits: dict[str, StateName] = Field(
        {},
        description="columns of 0 and 1 (in long tables, names), each with the state it says; the first that is 1 wins",
    )
    lengths: dict[str, StateName] = Field(
        {}, description="rows that sum up a shift: columns of how long it was in a state; the rest of the row ran"
    )
    machines: str | None = Field(None, description="several machines in one file: column that names them")
    only: str | None = Field(None, description="of several machines: the one that is looked at; default: each")
    dialect: Dialect | None = Field(None, description="whose words states are; default: words, of SHDR mtconnect")
    states: dict[str, StateName] = Field({}, description="the file's own words for states")
    counts: Literal["total", "since_last"] = Field(
        "total", description="counters show all parts so far, or the parts since the row before"
    )
    decimal: Mark | None = Field(None, description='decimal mark, "," or "."; default: told cell by cell')
    sheet: str | None = Field(None, description="of a workbook: the sheet; default: the first with rows")
    header_lines: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        None, description="lines with the names of columns, one or two, [] for none; default: found", max_length=2
    )
    separator: str | None = Field(None, description="sign between the cells of a text; default: found", max_length=1)
    encoding: str | None = Field(None, description='of a text, such as "cp1252"; default: found')
    machine: Asset = Field(
        Asset(path="site/machine", name="machine"), description="cycle times, thresholds, hourly cost of the machine"
    )
    calendar: CalendarConfig | None = Field(None, description="its shifts and breaks; without, it should work always")

    def toml(self) -> str:
        """The mapping as a TOML file that `telemetry.config.load` reads back as an equal one; defaults are left out."""
        said = self.model_dump(mode="json", exclude_defaults=True)
        lines = [f"{key} = {_toml(value)}" for key, value in said.items() if key not in ("machine", "calendar")]
        for table in ("machine", "calendar"):
            if table in said:
                lines += ["", f"[{table}]", *(f"{key} = {_toml(value)}" for key, value in said[table].items())]
        return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    """A JSON value in one line of TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    # a string of JSON is one of TOML, but for DEL
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

"""An event log as a machine's timeline: a table (CSV, XLSX, Parquet) or MTConnect SHDR, described by a small TOML.

A wide table has a column per metric, and a row says what its cells say; a long one has a column with the name of what
is said and one with its value. Times with an offset are what they say; others are read in the zone that is stated.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
from pydantic import Field

from pipeline.kpis import shdr, signals, table
from pipeline.kpis.counting import COUNTERS
from pipeline.kpis.evaluate import windows
from pipeline.kpis.machine import MachineHistory
from pipeline.kpis.signals import ordered
from telemetry.config import Section
from telemetry.dialects import Dialect, state_of
from telemetry.errors import DecodeError
from telemetry.glossary import holds
from telemetry.plant import Asset, CalendarConfig, Plant, StateName
from telemetry.samples import Quality, Series, Window
from telemetry.words import Words

Metric = Literal["state", "parts", "parts_good", "parts_scrap", "product", "reason", "order", "online"]
_SILENT_S: Final = 366 * 86400.0
_WORDS: Final = ("product", "reason", "order")
_SHDR_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "state": ("execution", "exec"), "parts": ("partcount", "part_count", "pc"), "product": ("program", "pgm"),
}  # fmt: skip


class EventLogConfig(Section):
    """What an event file says where, and of which machine. Everything has a default but the time zone."""

    timezone: str | None = Field(None, description='IANA name for times without an offset, such as "Europe/Paris"')
    time: str = Field("time", description="column of the time")
    time_format: str | None = Field(None, description="as strftime writes it; ISO 8601 and 31/12/2026 23:59 are known")
    columns: dict[Metric, str] = Field({}, description="column (or SHDR data item) of each metric; default: its name")
    name: str | None = Field(None, description="long tables: column that names what a row says")
    value: str = Field("value", description="long tables: column of the value")
    dialect: Dialect | None = Field(None, description="whose words states are; default: words, of SHDR mtconnect")
    states: dict[str, StateName] = Field({}, description="the file's own words for states")
    counts: Literal["total", "since_last"] = Field(
        "total", description="counters show all parts so far, or the parts since the row before"
    )
    machine: Asset = Field(
        Asset(path="site/machine", name="machine"), description="cycle times, thresholds, hourly cost of the machine"
    )
    calendar: CalendarConfig | None = Field(None, description="its shifts and breaks; without, it should work always")


@dataclass(frozen=True)
class EventLog:
    """The series of a file, by metric, in order; `notes` are for its reader."""

    config: EventLogConfig
    series: Mapping[str, Series]
    notes: tuple[str, ...] = ()

    @property
    def span(self) -> Window:
        """From the first row to the last, both in it."""
        times = [one.times_ns for one in self.series.values() if len(one)]
        if not times:
            return Window(0, 0)
        return Window(int(min(one[0] for one in times)), int(max(one[-1] for one in times)) + 1)

    def read(self, metric: str, window: Window) -> Series:
        """As Store.read."""
        return signals.cut(self.series.get(metric, Series.empty()), window, holding=holds(metric))

    @property
    def machine(self) -> Asset:
        """The machine; a log of changes may be silent as long as it likes, unless `stale_after_s` is stated."""
        machine = self.config.machine
        if "stale_after_s" in machine.model_fields_set:
            return machine
        return machine.model_copy(update={"stale_after_s": _SILENT_S})

    def history(self, window: Window) -> MachineHistory:
        """The machine's timeline over the window, as known at its end."""
        zone, calendar = Plant(timezone=self.config.timezone or "UTC").zone, self.config.calendar
        return MachineHistory(self.machine, calendar, zone, window, window.end_ns, self.read, self.series.keys())


def load(path: Path, config: EventLogConfig) -> EventLog:
    """Read the file. Raises DecodeError that says which row or column cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise DecodeError(f"{path}: {error.strerror}") from error
    is_table = path.suffix.lower() in (".csv", ".xlsx", ".parquet", ".tsv")
    if not is_table and b"|" in head:
        return _from_shdr(path, config)
    rows = table.read(path, config.time, config.time_format, config.timezone)
    return _from_table(rows, config)


def _from_table(rows: table.Rows, config: EventLogConfig) -> EventLog:
    found: dict[str, Series] = {}
    metrics: tuple[Metric, ...] = get_args(Metric)
    for metric in metrics:
        column = config.columns.get(metric, metric)
        if config.name is None:
            if column not in rows.columns:
                if metric in config.columns:
                    raise DecodeError(f"there is no column {column!r}; there are {', '.join(rows.columns)}")
                continue
            told = rows.texts(column)
            at = np.flatnonzero(told != "")
        else:
            told = rows.texts(config.value)
            at = np.flatnonzero(rows.texts(config.name) == column)
        if len(at):
            found[metric] = _series(metric, rows.times_ns[at], told[at], config, config.dialect or "words")
    if "state" not in found:
        raise DecodeError(f"nothing says the state: name its column under [columns], one of {', '.join(rows.columns)}")
    return EventLog(config, found, rows.notes)


def _from_shdr(path: Path, config: EventLogConfig) -> EventLog:
    text = path.read_text(encoding="utf-8", errors="replace").splitlines()
    names = {metric: (name,) for metric, name in config.columns.items()} or _SHDR_NAMES
    present = {name for line in text[:200] for name in line.split("|")[1::2]} if not config.columns else set()
    meaning: dict[str, str] = {}
    for metric, endings in names.items():
        exact = endings if config.columns else [name for name in present if name.lower() in endings]
        meaning |= dict.fromkeys(exact or sorted(n for n in present if n.lower().endswith(endings))[:1], metric)
    rows: dict[str, list[shdr.Item]] = {metric: [] for metric in meaning.values()}
    stream = shdr.read(text, meaning)
    ends = stream.ends_ns
    for item in stream.items:
        rows[meaning[item.name]].append(item)
    found: dict[str, Series] = {}
    for metric, said in rows.items():
        if said:
            times = np.array([item.time_ns for item in said] + [end + 1 for end in ends], np.int64)
            # after the last word of a connection nothing is known
            told = np.array([item.value for item in said] + ["UNAVAILABLE"] * len(ends), object)
            found[metric] = _series(metric, times, told, config, config.dialect or "mtconnect")
    if "state" not in found:
        raise DecodeError(f"{path}: no data item is the execution state; name it under [columns]: state = …")
    connections = len(ends)
    notes = (f"{connections} connections; between them nothing is known",) if connections > 1 else ()
    return EventLog(config, found, notes)


def _series(metric: str, times: table.Times, told: table.Words, config: EventLogConfig, dialect: Dialect) -> Series:
    words = Words.of(told)
    numbers = [_value(metric, word, config, dialect) for word in words.words]
    values = np.array([0.0 if number is None else number for number in numbers])
    quality = np.array([Quality.BAD if number is None else Quality.GOOD for number in numbers], np.int8)
    texts = words if metric in _WORDS else Words.none(len(words))
    series = Series(times, values[words.codes], quality[words.codes], texts)
    if metric in COUNTERS and config.counts == "since_last":
        steps = series.take(np.argsort(times, kind="stable"))
        counted = Series(steps.times_ns, np.cumsum(steps.values), steps.quality, steps.words)
        return ordered(Series.joined(Series.of((int(steps.times_ns[0]) - 1, 0.0)), counted))
    return ordered(series)


def _value(metric: str, word: str, config: EventLogConfig, dialect: Dialect) -> float | None:
    """The number a word stands for; None when it says that nothing is known."""
    if metric == "state":
        state = state_of(word, dialect, config.states)
        return None if state is None else float(state)
    if word.upper() == "UNAVAILABLE":
        return None
    if metric in _WORDS:
        return 0.0
    try:
        return float(word.replace(",", "."))
    except ValueError:
        raise DecodeError(f"{metric} is {word[:40]!r} somewhere: not a number") from None


def windows_of(log: EventLog, kind: str) -> Iterator[Window]:
    """The windows of a kind ("hour", "shift", "day", "week", "month") that the file speaks of."""
    machine = log.config.machine.model_copy(update={"calendar": log.config.calendar and log.config.calendar.name})
    plant = Plant(
        timezone=log.config.timezone or "UTC",
        calendars=(log.config.calendar,) if log.config.calendar else (),
        assets=(machine,),
    )
    yield from (window for window in windows(plant, machine, log.span) if window.kind == kind)

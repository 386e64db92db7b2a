"""An event log as a machine's timeline: a table (CSV, XLSX, Parquet) or MTConnect SHDR, described by a small TOML.

A wide table has a column per metric, and a row says what its cells say; a long one has a column with the name of what
is said and one with its value. A row with an end (or a length) says its state from its time until then. Times with an
offset are what they say; others are read in the zone that is stated.
"""

import itertools
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from pipeline.files import guard, keyvalue, shdr, tables, text
from pipeline.files.columns import by_connection
from pipeline.files.faults import Faults
from pipeline.files.gather import Gathered, Progress
from pipeline.files.machines import gather_each
from pipeline.files.mapping import EventLogConfig
from pipeline.files.part import Part
from pipeline.files.vocabulary import plain
from pipeline.kpis import signals
from pipeline.kpis.evaluate import windows
from pipeline.kpis.machine import MachineHistory
from pipeline.said import Said
from telemetry.errors import DecodeError
from telemetry.glossary import holds
from telemetry.plant import Asset, Plant
from telemetry.samples import SECOND_NS, Series, Window

_SILENT_S: Final = 366 * 86400.0
_SHDR_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "state": ("execution", "exec"), "parts": ("partcount", "part_count", "pc"), "product": ("program", "pgm"),
}  # fmt: skip
_SHDR_LINE: Final = re.compile(r"^\d{4}-\d\d-\d\dT[^|]*\|", re.MULTILINE)


@dataclass(frozen=True)
class EventLog:
    """The series of a file, by metric, in order; `notes` are for its reader, `faults` its rows that were not used;
    `whole` unless only its first rows were asked for and there are more."""

    config: EventLogConfig
    series: Mapping[str, Series]
    span: Window
    notes: tuple[Said, ...] = ()
    faults: Faults = field(default_factory=Faults)
    whole: bool = True

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

    def plant(self) -> Plant:
        """A plant of this one machine, its calendar and its time zone."""
        calendar = self.config.calendar
        machine = self.machine.model_copy(update={"calendar": calendar and calendar.name})
        zone = self.config.timezone or "UTC"
        return Plant(timezone=zone, calendars=(calendar,) if calendar else (), assets=(machine,))

    def history(self, window: Window) -> MachineHistory:
        """The machine's timeline over the window, as known at the end of the log: nothing is said of what follows."""
        zone, calendar = self._zone, self.config.calendar
        return MachineHistory(self.machine, calendar, zone, window, self.span.end_ns, self.read, self.series.keys())

    def notes_on(self, window: Window) -> tuple[Said, ...]:
        """`notes`, and where the window goes on after the log that it does."""
        if window.end_ns <= self.span.end_ns:
            return self.notes
        last = datetime.fromtimestamp((self.span.end_ns - 1) // SECOND_NS, self._zone).isoformat(timespec="seconds")
        return (*self.notes, Said(
            f"the log ends at {last}; nothing is said of what follows",
            f"le journal finit à {last} ; rien n'est dit de ce qui suit",
        ))  # fmt: skip

    @property
    def _zone(self) -> ZoneInfo:
        return Plant(timezone=self.config.timezone or "UTC").zone


def is_shdr(path: Path, kind: guard.Kind) -> bool:
    """Whether a text is of an MTConnect adapter rather than a table."""
    if kind != "text" or path.suffix.lower() in (".csv", ".tsv"):
        return False
    with path.open("rb") as file:
        return _SHDR_LINE.search(file.read(4096).decode("utf-8", errors="replace")) is not None


def opened(path: Path, config: EventLogConfig | None = None, *, largest: int = guard.LARGEST_BYTES) -> tables.Table:
    """The table in a file, looked at but not read. Raises DecodeError (RefusedFileError) with what to do."""
    config = config or EventLogConfig()
    kind = guard.checked(path, largest=largest)
    if kind == "text" and config.separator in (None, "="):
        with tables.readable(path):
            head, encoding = text.head_of(path, config.encoding)
            keys = keyvalue.recognised(head)
        if keys is not None:
            return keyvalue.opened(path, head, encoding, keys)
    return tables.opened(
        path, kind, sheet=config.sheet, header_lines=config.header_lines, separator=config.separator,
        encoding=config.encoding,
    )  # fmt: skip


def load(
    path: Path, config: EventLogConfig, *, progress: Progress | None = None, largest: int = guard.LARGEST_BYTES
) -> EventLog:
    """Read the file, of one machine; `progress` is told the share read [0…1]. Raises DecodeError that says which row or
    column cannot be read, when nothing of the file can be used, or that it is of several machines; single bad rows are
    in `faults`."""
    found = load_each(path, config, progress=progress, largest=largest)
    if len(found) > 1:
        names = ", ".join(one.config.only or "" for one in found[:10])
        raise guard.RefusedFileError(Said(
            f"column {config.machines!r} names several machines: choose one (only = …) of {names}",
            f"la colonne « {config.machines} » nomme plusieurs machines : choisissez-en une parmi {names}",
        ))  # fmt: skip
    return found[0]


def load_each(
    path: Path, config: EventLogConfig, *, progress: Progress | None = None, largest: int = guard.LARGEST_BYTES,
    most_rows: int = sys.maxsize,
) -> list[EventLog]:  # fmt: skip
    """As `load`, of every machine that the column `machines` names, in one reading, or of the `only` one; of the first
    `most_rows` rows (lines, of SHDR)."""
    kind = guard.checked(path, largest=largest)
    if is_shdr(path, kind):
        return [_from_shdr(path, config, most_rows)]
    part = Part(most_rows, opened(path, config, largest=largest))
    with tables.readable(path):
        try:
            found: dict[str, Gathered] = gather_each(part.table, config, progress)
        except DecodeError as error:
            if part.whole:
                raise
            raise guard.RefusedFileError(Said(
                f"the first {most_rows} rows do not suffice ({error}); the whole file may",
                f"les {most_rows} premières lignes ne suffisent pas ({guard.why(error).fr}) ; le fichier entier, "
                "peut-être",
            )) from error  # fmt: skip
    return [
        EventLog(_of_machine(config, name, number), one.series, one.span, one.notes, one.faults, part.whole)
        for number, (name, one) in enumerate(found.items())
    ]


def _of_machine(config: EventLogConfig, name: str, number: int) -> EventLogConfig:
    """The mapping of one of several machines, under a name and a path of its own."""
    if config.machines is None:
        return config
    folder = config.machine.path.rpartition("/")[0]
    slug = plain(name).replace(" ", "-")[:50].strip("-") or "machine"
    machine = config.machine.model_copy(update={"path": f"{folder}/{slug}-{number + 1}", "name": name[:80]})
    return config.model_copy(update={"machine": machine, "only": name})


def _from_shdr(path: Path, config: EventLogConfig, most_lines: int) -> EventLog:
    names = {metric: (name,) for metric, name in config.columns.items()} or _SHDR_NAMES
    with path.open(encoding="utf-8", errors="replace") as file:
        start = [line for _, line in zip(range(200), file, strict=False)]
        present = {name for line in start for name in line.rstrip("\n").split("|")[1::2]}
        meaning: dict[str, str] = {}
        for metric, endings in names.items():
            exact = endings if config.columns else [name for name in present if name.lower() in endings]
            meaning |= dict.fromkeys(exact or sorted(n for n in present if n.lower().endswith(endings))[:1], metric)
        file.seek(0)
        stream = shdr.read(itertools.islice(file, most_lines), meaning)
        whole = next(file, None) is None
    rows: dict[str, list[shdr.Item]] = {metric: [] for metric in meaning.values()}
    for item in stream.items:
        rows[meaning[item.name]].append(item)
    ends = stream.ends_ns
    said = {
        # after the last word of a connection nothing is known
        metric: (
            np.array([item.time_ns for item in told] + [end + 1 for end in ends], np.int64),
            [item.value for item in told] + ["UNAVAILABLE"] * len(ends),
        )
        for metric, told in rows.items()
        if told
    }
    if "state" not in said:
        raise guard.RefusedFileError(Said(
            f"{path.name}: no data item is the execution state; name it under [columns]: state = …",
            f"{path.name} : aucune donnée ne dit l'état d'exécution ; choisissez la colonne de l'état",
        ))  # fmt: skip
    series = by_connection(said, config, config.dialect or "mtconnect")
    times = [one.times_ns for one in series.values()]
    span = Window(int(min(one[0] for one in times)), int(max(one[-1] for one in times)) + 1)
    connections = len(ends)
    notes = (
        Said(f"{connections} connections; between them nothing is known",
             f"{connections} connexions ; entre elles, rien n'est connu"),
    ) if connections > 1 else ()  # fmt: skip
    return EventLog(config, series, span, notes, whole=whole)


def windows_of(log: EventLog, kind: str, asked: Window) -> list[Window]:
    """The windows of a kind ("hour", "shift", "day", "week", "month") that the file speaks of and that overlap `asked`.

    They add up to the whole: what the last row says at the very instant of a boundary is of the window that ends there,
    because the one that begins there would be of that instant alone.
    """
    plant, last_ns = log.plant(), log.span.end_ns - 1
    found = [one for one in windows(plant, plant.assets[0], log.span) if one.kind == kind]
    lasting = [
        replace(one, end_ns=log.span.end_ns) if one.end_ns == last_ns else one
        for one in found
        if one.start_ns < last_ns
    ]
    return [one for one in lasting or found if one.overlaps(asked.start_ns, asked.end_ns)]

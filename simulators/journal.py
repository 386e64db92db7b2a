"""What was published, on disk: so that published and stored can be compared one by one, whatever was killed.

Invariants. A line is appended once a wire has accepted what it names (MQTT: PUBACK; OPC UA: written to the server),
never before: all that the journal holds was published. Each line is written whole by one system call, so it outlives
a kill of the process; a torn last line (the machine lost power) is cut off when the file is opened again.

Format: text, one JSON value per line.
    {"series": 3, "asset": "km0/…/mill-1", "metric": "parts"}    a series gets its number, once per opening of the file
    [3, 1795000000123000000, 42]                                 series, source time [ns], value (a number or a word)
    {"reached_ns": 1795000001000000000}                          everything before this instant [ns] is published
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from simulators.timeline import Event, Value


@dataclass(frozen=True, slots=True)
class Published:
    """One published identity, with its value."""

    asset: str
    metric: str
    time_ns: int
    value: Value


@dataclass(slots=True)
class Record:
    """A journal as read: `reached_ns` [ns] is the instant before which all is published, None when never noted."""

    published: list[Published] = field(default_factory=list)
    reached_ns: int | None = None

    @property
    def identities(self) -> set[tuple[str, str, int]]:
        """(asset, metric, time_ns) of everything published."""
        return {(entry.asset, entry.metric, entry.time_ns) for entry in self.published}


class Journal:
    """The journal, open for appending; without a path it only counts. Use as a context manager."""

    def __init__(self, path: Path | None) -> None:
        self.published = 0
        """Values noted since opening; a value published again counts again."""
        self._series: dict[tuple[str, str], int] = {}
        self._file: FileIO | None = None
        if path is not None:
            _cut_torn_line(path)
            self._file = path.open("ab", buffering=0)

    def add(self, asset: str, events: Iterable[Event]) -> None:
        """Note events of one asset that a wire has accepted."""
        lines: list[str] = []
        for time_ns, metric, value in events:
            number = self._series.get((asset, metric))
            if number is None:
                number = self._series[asset, metric] = len(self._series)
                lines.append(json.dumps({"series": number, "asset": asset, "metric": metric}))
            lines.append(f"[{number},{time_ns},{json.dumps(value)}]")
            self.published += 1
        if lines:
            self._write(lines)

    def reached(self, time_ns: int) -> None:
        """Note that everything before this instant [ns] is published."""
        self._write([json.dumps({"reached_ns": time_ns})])

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _write(self, lines: list[str]) -> None:
        if self._file is not None:
            self._file.write(("\n".join(lines) + "\n").encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_journal(path: Path) -> Record:
    """The journal as a record; empty when there is no file yet. A torn last line is not read."""
    record = Record()
    series: dict[int, tuple[str, str]] = {}
    for entry in _entries(path):
        if isinstance(entry, list):
            asset, metric = series[entry[0]]
            record.published.append(Published(asset, metric, entry[1], entry[2]))
        elif "series" in entry:
            series[entry["series"]] = entry["asset"], entry["metric"]
        else:
            record.reached_ns = entry["reached_ns"]
    return record


def published_times(path: Path) -> dict[tuple[str, str], list[int]]:
    """Source times [ns] of everything published, by (asset, metric), as noted: one published twice is there twice."""
    times: dict[tuple[str, str], list[int]] = {}
    series: dict[int, list[int]] = {}
    for entry in _entries(path):
        if isinstance(entry, list):
            series[entry[0]].append(entry[1])
        elif "series" in entry:
            series[entry["series"]] = times.setdefault((entry["asset"], entry["metric"]), [])
    return times


def _entries(path: Path) -> list[Any]:
    """All whole lines, decoded at once: a day of the demonstrator is read while its user waits for the end."""
    whole = path.read_bytes() if path.exists() else b""
    entries: list[Any] = msgspec.json.Decoder().decode_lines(whole[: whole.rfind(b"\n") + 1])
    return entries


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        start = max(0, size - 65536)
        file.seek(start)
        tail = file.read()
        if not tail.endswith(b"\n"):
            file.truncate(start + tail.rfind(b"\n") + 1)

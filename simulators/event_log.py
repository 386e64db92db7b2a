"""Event logs in CSV: one row a value, `time,metric,value` and, where they are there, `asset` and `quality`.

Columns are found by the names in the first row, in any order; the delimiter is a comma or a semicolon. Times are
ISO 8601 with an offset, or seconds since 1970. A state is a number or a word of the glossary (EXECUTING); a decimal
comma is read where columns are parted by semicolons. `quality` is good or bad; bad: from then on nothing is known.
"""

import csv
import math
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from simulators.recorded import Replayed
from simulators.timeline import Value
from telemetry.errors import ConfigError
from telemetry.glossary import METRICS, MachineState

_NEEDED: Final = ("time", "metric", "value")


def is_event_log(head: str) -> bool:
    """Whether a first line is that of an event log."""
    names = {name.strip().strip('"').lower() for name in head.lstrip("\ufeff").replace(";", ",").split(",")}
    return names.issuperset(_NEEDED)


def read_event_log(lines: Iterable[str], where: str, asset: str | None) -> dict[str, list[Replayed]]:
    """The values by asset, in time order; `asset` is whose they are where no column says so.

    Raises ConfigError with the row that cannot be read.
    """
    rows = iter(lines)
    head = next(rows, "").lstrip("\ufeff")
    delimiter = ";" if head.count(";") >= head.count(",") else ","
    names = [name.strip().lower() for name in next(csv.reader([head], delimiter=delimiter), [])]
    found: dict[str, list[Replayed]] = {}
    for number, row in enumerate(csv.reader(rows, delimiter=delimiter), 2):
        if not any(cell.strip() for cell in row):
            continue
        told = dict(zip(names, (cell.strip() for cell in row), strict=False))
        try:
            owner = told.get("asset") or asset
            if owner is None:
                raise ValueError("no asset: name one with --asset, or in a column `asset`")
            found.setdefault(owner, []).append(_value(told, comma=delimiter == ";"))
        except ValueError as error:
            raise ConfigError(f"{where}, row {number}: {error}") from None
    for values in found.values():
        values.sort(key=lambda one: one.time_ns)
    return found


def _value(told: dict[str, str], *, comma: bool) -> Replayed:
    metric = told.get("metric", "")
    if metric not in METRICS:
        raise ValueError(f"{metric!r} is no metric of the glossary (km0 glossary)")
    quality = told.get("quality", "good").lower() or "good"
    if quality not in ("good", "bad"):
        raise ValueError(f"quality {quality!r}: there are good and bad")
    text = told.get("value", "")
    value: Value = text
    if METRICS[metric].kind == "state" and text in MachineState.__members__:
        value = int(MachineState[text])
    elif METRICS[metric].kind != "word":
        value = _number(metric, text.replace(",", ".") if comma else text) if quality == "good" else 0
    return Replayed(_nanoseconds(told.get("time", "")), metric, value, quality == "good")


def _number(metric: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number, and {metric} is one") from None
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is not finite, and {metric} is a number")
    return int(number) if number.is_integer() else number


def _nanoseconds(text: str) -> int:
    """Whole microseconds [ns]."""
    try:
        return round(float(text) * 1e6) * 1000
    except (ValueError, OverflowError):
        pass
    moment = datetime.fromisoformat(text)  # its own ValueError names the text
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset; write 2026-11-05T13:00:00+01:00")
    return (int(moment.replace(microsecond=0).timestamp()) * 10**6 + moment.microsecond) * 1000

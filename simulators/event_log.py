"""Event logs in CSV: one row a value, `time,metric,value` and, where they are there, `asset` and `quality`.

Columns are found by the names in the first row, in any order; the delimiter is a comma or a semicolon. Times are
ISO 8601 with an offset, or seconds since 1970. A state is a number or a word of the glossary (EXECUTING); a decimal
comma is read where columns are parted by semicolons. `quality` is good or bad; bad: from then on nothing is known.
"""

import csv
from collections.abc import Iterable
from itertools import dropwhile
from typing import Final

from simulators.recorded import Replayed, instant_ns, value, whole_us
from telemetry.errors import ConfigError
from telemetry.glossary import METRICS

_NEEDED: Final = ("time", "metric", "value")


def is_event_log(head: str) -> bool:
    """Whether a first line is that of an event log."""
    names = {name.strip().strip('"').lower() for name in head.replace(";", ",").split(",")}
    return names.issuperset(_NEEDED)


def read_event_log(lines: Iterable[str], where: str, asset: str | None) -> dict[str, list[Replayed]]:
    """The values by asset, in time order; `asset` is whose they are where no column says so.

    Raises ConfigError with the row that cannot be read, counted from the first that is not blank.
    """
    rows = dropwhile(lambda line: not line.strip(), lines)
    head = next(rows, "")
    delimiter = ";" if head.count(";") >= head.count(",") else ","
    names = [name.strip().lower() for name in next(csv.reader([head], delimiter=delimiter), [])]
    found: dict[str, list[Replayed]] = {}
    reader = csv.reader(rows, delimiter=delimiter)
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            told = dict(zip(names, (cell.strip() for cell in row), strict=False))
            owner = told.get("asset") or asset
            if owner is None:
                raise ValueError("no asset: name one with --asset, or in a column `asset`")
            found.setdefault(owner, []).append(_replayed(told, comma=delimiter == ";"))
    except (ValueError, csv.Error) as error:
        raise ConfigError(f"{where}, row {reader.line_num + 1}: {error}") from None
    for values in found.values():
        values.sort(key=lambda one: one.time_ns)
    return found


def _replayed(told: dict[str, str], *, comma: bool) -> Replayed:
    metric = told.get("metric", "")
    if metric not in METRICS:
        raise ValueError(f"{metric!r} is no metric of the glossary (km0 glossary)")
    quality = told.get("quality", "good").lower() or "good"
    if quality not in ("good", "bad"):
        raise ValueError(f"quality {quality!r}: there are good and bad")
    text = told.get("value", "")
    if comma and METRICS[metric].kind != "word":
        text = text.replace(",", ".")
    return Replayed(
        _time_ns(told.get("time", "")), metric, value(metric, text, good=quality == "good"), quality == "good"
    )


def _time_ns(text: str) -> int:
    try:
        seconds = float(text)
    except ValueError:
        return instant_ns(text)
    return whole_us(seconds)

"""InfluxDB's answers as columns: a million rows of CSV into arrays without a Python object per row."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

_NEWLINE: Final = ord("\n")
_COMMA: Final = ord(",")
_ZERO: Final = ord("0")

Times = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


def parse(answer: bytes) -> tuple[Times, Values]:
    """Times [ns] and values of `name,tags,time,value` rows of one series, where name and tags hold no comma."""
    begin = answer.find(b"\n") + 1
    end = answer.rfind(b"\n", 0, len(answer.rstrip(b"\n")) + 1) + 1
    if not begin or end <= begin:
        return np.empty(0, np.int64), np.empty(0)
    rows = answer[begin:end]
    raw = np.frombuffer(rows, np.uint8)
    ends = np.flatnonzero(raw == _NEWLINE)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lead = rows.index(b",", rows.index(b",") + 1) + 1  # of "machine,," all rows have the same
    width = rows.index(b",", lead) - lead
    if (ends - starts > lead + width).all() and (raw[starts + lead + width] == _COMMA).all():
        times, regular = np.zeros(len(starts), np.int64), True
        place = starts + lead
        for _ in range(width):
            digits = raw[place] - _ZERO
            regular = regular and bool((digits < 10).all())  # a sign, or fewer digits: not that regular
            times *= 10
            times += digits
            place += 1
        if regular:
            return times, _values(rows[:lead], rows)
    return _slowly(rows)


def _values(lead: bytes, rows: bytes) -> Values:
    # numpy's own reader of numbers, over "time,value,time,value"; the times lose digits there and are not used
    plain = rows.replace(lead, b"").replace(b"\n", b",")
    return np.fromstring(plain.decode("ascii"), sep=",")[1::2]


def _slowly(rows: bytes) -> tuple[Times, Values]:
    cells = [line.split(b",") for line in rows.splitlines()]
    cells = [cell for cell in cells if len(cell) > 3 and cell[3]]
    times = np.fromiter((int(cell[2]) for cell in cells), np.int64, len(cells))
    return times, np.fromiter((float(cell[3]) for cell in cells), np.float64, len(cells))


def table(found: dict[str, Any]) -> list[dict[str, Any]]:
    """A series of a JSON answer as rows by column name."""
    return [dict(zip(found["columns"], values, strict=True)) for values in found["values"]]

"""Where the names of the columns are: below titles and blank rows, in one row or in two (groups above names)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_DATE: Final = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{2,4}"
_CLOCK: Final = r"\d{1,2}[:hH]\d{2}([:.,]\d{2,9})*\s*([aApP]\.?[mM]\.?)?"
_MONTH: Final = r"\d{1,2}\s+[a-zéû]{3,10}\.?\s+\d{2,4}"
_TIME: Final = re.compile(
    rf"^(?:[a-z]{{2,9}}\.?,?\s+)?(?:{_DATE}|{_MONTH})(?:[T\s,à]+{_CLOCK})?[\d.:]*\s*(?:Z|[+-]\d\d:?\d\d)?$|^{_CLOCK}$"
    r"|^1\d{9}(?:\.\d+)?$|^1\d{12}$|^1\d{15}$|^1\d{18}$",
    re.IGNORECASE,
)
_LOOKED_AT: Final = 30


def is_time(cell: str) -> bool:
    """Whether a cell looks like an instant, a date or a time of day."""
    return len(cell) <= 50 and _TIME.match(cell.strip()) is not None


@dataclass(frozen=True, slots=True)
class Header:
    """Names of the columns, the rows (counted from 0) that hold them, and the row the data begins with."""

    names: tuple[str, ...]
    rows: tuple[int, ...]
    first: int


def find(rows: Sequence[Sequence[str]], said: Sequence[int] | None = None) -> Header:
    """The header of a table by its first rows. `said`: the rows it is in, counted from 0, where somebody says so."""
    width = max((len(row) for row in rows), default=0)
    if said is not None:
        at = tuple(row for row in said if row < len(rows))
        return Header(_names([rows[row] for row in at], width), at, max(said, default=-1) + 1)
    first = _first_data(rows)
    if first is None:
        at = next(((number,) for number, row in enumerate(rows) if _filled(row)), ())
        return Header(_names([rows[number] for number in at], width), at, at[0] + 1 if at else 0)
    above: list[int] = []
    if first > 0 and len(_filled(rows[first - 1])) > (1 if width > 1 else 0):
        above = [first - 1]
        if first > 1 and _is_group(rows[first - 2], rows[first - 1]):
            above = [first - 2, first - 1]
    if above:  # what a row has beyond its header is a fault of that row
        width = max(len(rows[number]) for number in above)
    return Header(_names([rows[number] for number in above], width), tuple(above), first)


def _first_data(rows: Sequence[Sequence[str]]) -> int | None:
    """The first row with a time in a column where most of the rows that follow have one too."""
    for number, row in enumerate(rows):
        following = [one for one in rows[number : number + _LOOKED_AT] if _filled(one)]
        for column in _filled(row):
            if is_time(row[column]):
                alike = sum(1 for one in following if column < len(one) and is_time(one[column]))
                if alike >= 0.6 * len(following):
                    return number
    return None


def _is_group(upper: Sequence[str], lower: Sequence[str]) -> bool:
    """Whether a row holds names of groups of columns above their names, rather than a title or "machine: lathe 3"."""
    high, low = _filled(upper), _filled(lower)
    if len(high) < 2:
        return False
    if set(high) - set(low):  # names columns that the lower row leaves open: a cell merged downwards
        return True
    return len(high) < len(low) and (high[0] > 0 or high[-1] >= len(lower) / 2)


def _filled(row: Sequence[str]) -> list[int]:
    return [number for number, cell in enumerate(row) if cell.strip()]


def _names(rows: Sequence[Sequence[str]], width: int) -> tuple[str, ...]:
    cells = [[_clean(row[column]) if column < len(row) else "" for column in range(width)] for row in rows]
    if len(cells) == 2:
        upper, lower = cells
        group = ""
        names = []
        for high, low in zip(upper, lower, strict=True):
            # a cell merged across stands in its first column only
            group = high or (group if low else "")
            names.append(f"{group} / {low}" if group and low else group or low)
    else:
        names = cells[0] if cells else [""] * width
    found: list[str] = []
    for number, name in enumerate(names, 1):
        told = name or f"column {number}"
        found.append(told if told not in found else f"{told} ({number})")
    return tuple(found)


def _clean(name: str) -> str:
    return " ".join(name.split())[:200]

"""Numbers in cells: "1 234,5", "1.234,50", "1,234.5"; the decimal mark is stated, or told cell by cell."""

import re
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt

from pipeline.files.tables import polars
from pipeline.kpis.signals import Flags

if TYPE_CHECKING:
    from polars import Series as Cells

Mark = Literal[",", "."]

_SPACES: Final = "[\\s\u00a0\u202f\u2009']"
_GROUPS: Final = r"^[+-]?\d{1,3}(?:{mark}\d{3})+$"


def read(column: "Cells", decimal: Mark | None, separator: str = "") -> tuple[npt.NDArray[np.float64], Flags]:
    """The numbers of a column, NaN where a cell is none; and which cells hold something that is no number.

    Without a stated mark: of two marks the last is the decimal one; a comma alone is the decimal mark, unless commas
    separate cells and the figures come in threes ("1,234"); a dot alone is, unless there are several.
    """
    pl = polars()
    if column.dtype.is_numeric():
        floats = column.cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(np.float64)
        return floats, np.isinf(floats)
    text = column.cast(pl.String).str.strip_chars()
    filled = (text.is_not_null() & (text != "")).fill_null(value=False).to_numpy()
    found = None if decimal == "," else text.cast(pl.Float64, strict=False)
    if found is None or int(found.null_count()) > int((~filled).sum()):
        cleaned = text.str.replace_all(_SPACES, "")
        if decimal is not None:
            cleaned = cleaned.str.replace_all("." if decimal == "," else ",", "", literal=True)
            cleaned = cleaned.str.replace(",", ".", literal=True)
        else:
            cleaned = _told_apart(cleaned, separator)
        clean = cleaned.cast(pl.Float64, strict=False)
        found = clean if found is None else pl.select(pl.coalesce(found, clean)).to_series()
    values = found.fill_null(float("nan")).to_numpy().astype(np.float64)
    return values, filled & ~np.isfinite(values)


def _told_apart(text: "Cells", separator: str) -> "Cells":
    pl = polars()
    frame = pl.DataFrame({"t": text})
    cell = pl.col("t")
    comma_last = cell.str.contains(r"\..*,[^.]*$")
    dot_last = cell.str.contains(r",.*\.[^,]*$")
    dots = cell.str.contains(_GROUPS.replace("{mark}", r"\.")) & (cell.str.count_matches(r"\.") > 1)
    groups = _GROUPS.replace("{mark}", ",")
    commas = cell.str.contains(groups) & (separator == "," or cell.str.count_matches(",") > 1)
    found: Cells = frame.select(
        pl.when(comma_last).then(cell.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True))
        .when(dot_last | commas).then(cell.str.replace_all(",", "", literal=True))
        .when(dots).then(cell.str.replace_all(".", "", literal=True))
        .otherwise(cell.str.replace(",", ".", literal=True))
    ).to_series()  # fmt: skip
    return found


def seconds(cell: str, unit_s: float) -> float:
    """A length of time [s]: "1:30:00", "0:45", "12 min", "1h05", or a number of units [s each]; NaN when it is none."""
    text = cell.strip().lower().replace("\u00a0", " ").replace("\u202f", " ")
    text = re.sub(r"^(1899-12-3\d|1900-01-\d\d|1904-01-\d\d)[t ]", "", text)
    if found := re.fullmatch(r"(?:(\d+)[:h]\s?)(\d{1,2})(?:[:m]\s?(\d{1,2}(?:[.,]\d+)?)s?)?(?:min)?", text):
        hours, minutes, rest = found.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float((rest or "0").replace(",", "."))
    if found := re.fullmatch(r"([\d ]*[.,]?\d+)\s*(s|sec|min|mn|m|h|heures?|hours?|j|d)?\.?", text):
        units = {"s": 1.0, "m": 60.0, "h": 3600.0, "j": 86400.0, "d": 86400.0}
        number = float(found[1].replace(" ", "").replace(",", "."))
        return number * (units[found[2][0]] if found[2] else unit_s)
    return float("nan")

"""Cells of a batch: which are filled, which say that nothing is known, and what is wrong with one."""

from typing import TYPE_CHECKING

from pipeline.files.tables import polars
from pipeline.kpis.signals import Flags
from pipeline.said import Said

if TYPE_CHECKING:
    from polars import DataFrame
    from polars import Series as Cells


def no_number(metric: str, cell: object) -> Said:
    told = str(cell)[:40]
    return Said(f"{metric} is {told!r}: not a number", f"« {told} » n'est pas un nombre")


def no_bit(cell: object) -> Said:
    told = str(cell)[:40]
    return Said(f"{told!r} is neither 0 nor 1", f"« {told} » n'est ni 0 ni 1")


def filled(column: "Cells") -> Flags:
    pl = polars()
    told = column.is_not_null()
    if column.dtype == pl.String:
        told &= (column != "").fill_null(value=False)
    found: Flags = told.to_numpy()
    return found


def any_filled(frame: "DataFrame", columns: list[str]) -> Flags:
    found = filled(frame[columns[0]])
    for name in columns[1:]:
        if found.all():
            break
        found = found | filled(frame[name])
    return found


def unavailable(cells: "Cells") -> Flags:
    pl = polars()
    found: Flags = (cells.cast(pl.String).str.to_uppercase() == "UNAVAILABLE").fill_null(value=False).to_numpy()
    return found

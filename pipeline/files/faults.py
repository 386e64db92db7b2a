"""Rows that could not be used: every one counted once, however many of its cells are bad; the first cells are listed
with their lines and reasons.

Invariants. A row is in one batch, and what is told of a batch is told before the next begins: flags of one batch are
enough to count rows once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.kpis.signals import Flags
from pipeline.said import Said
from telemetry.intervals import Instants

Why = Callable[[int], Said]
"""Why the cell in a row of a batch could not be used."""

LISTED: Final = 1000
"""Most rows listed; beyond, they are counted."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row (line of a text, row of a sheet, both from 1) of which a cell could not be used, and why."""

    line: int
    column: str
    reason: Said


@dataclass
class Faults:
    """The bad rows of one file. `rows` is how many were read in all, blank ones left out; `count` how many of them have
    a cell that could not be used, `by_column` such cells; `back` how many are earlier than one before them, which is no
    fault of theirs; `skipped` how many times the clock never showed."""

    rows: int = 0
    count: int = 0
    back: int = 0
    skipped: int = 0
    listed: list[BadRow] = field(default_factory=list)
    by_column: dict[str, int] = field(default_factory=dict)
    _bad: Flags = field(default_factory=lambda: np.zeros(0, np.bool_), repr=False, compare=False)

    def begin(self, rows: int) -> None:
        """Begin a batch of so many rows."""
        self.rows += rows
        self._bad = np.zeros(rows, np.bool_)

    def add(self, column: str, rows: npt.NDArray[np.intp], lines: Callable[[], Instants], why: Why) -> None:
        """Take down rows of a batch whose cell in `column` could not be used; `lines` are those of the whole batch."""
        before = np.count_nonzero(self._bad)
        self._bad[rows] = True
        self.count += int(np.count_nonzero(self._bad) - before)
        self.by_column[column] = self.by_column.get(column, 0) + len(rows)
        some = rows[: LISTED - len(self.listed)]
        if len(some):
            told = zip(lines()[some].tolist(), some.tolist(), strict=True)
            self.listed += [BadRow(line, column, why(row)) for line, row in told]

    def merge(self, other: "Faults") -> None:
        """Take over those of another part of the same file."""
        self.rows += other.rows
        self.count += other.count
        self.back += other.back
        self.skipped += other.skipped
        for column, times in other.by_column.items():
            self.by_column[column] = self.by_column.get(column, 0) + times
        self.listed = sorted((*self.listed, *other.listed), key=lambda bad: bad.line)[:LISTED]

    def settle(self) -> None:
        """Put the rows listed in the order of the file."""
        self.listed.sort(key=lambda bad: bad.line)

    def notes(self) -> tuple[Said, ...]:
        """The sum of it, for the reader of a report."""
        if not self.count:
            return ()
        first = self.listed[0]
        return (Said(
            f"rows that could not be used, or not in full: {self.count} of {self.rows}; the first: line {first.line}, "
            f"column {first.column!r}: {first.reason.en}",
            f"lignes inutilisables, ou pas en entier : {self.count} sur {self.rows} ; la première : ligne "
            f"{first.line}, colonne « {first.column} » : {first.reason.fr}",
        ),)  # fmt: skip

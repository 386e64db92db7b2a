"""What the columns of an unknown table are, by their headings and by what is in them."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np

from pipeline.files import bits, header, numbers, tables
from pipeline.files.vocabulary import HEADINGS, OPENING, SHIFTS, Role, likeness, plain, state_for
from pipeline.said import Said
from telemetry.glossary import MachineState
from telemetry.plant import StateName

Kind = Literal["time", "number", "word", "empty"]
_FEW_WORDS: Final = 40
_FIRST: Final[tuple[StateName, ...]] = (
    "OUT_OF_SERVICE",
    "MAINTENANCE",
    "SETUP",
    "STARVED",
    "BLOCKED",
    "NOT_AVAILABLE",
    "NOT_EXECUTING",
    "EXECUTING",
)
"""Which state wins where several bits are 1: a machine in fault may keep its cycle bit."""
assert len(_FIRST) == len(MachineState)


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it is: its name, what its cells are, how many of the sample are filled [0…1], and a few of them."""

    name: str
    kind: Kind
    filled: float
    distinct: int
    rising: bool
    examples: tuple[str, ...]


def column_of(name: str, cells: Sequence[str]) -> Column:
    told = [cell for cell in cells if cell]
    counts = Counter(told)
    kind: Kind = "empty"
    rising = False
    if told:
        kind = "word"
        read, wrong = numbers.read(tables.polars().Series(told), None)
        figures = read[~wrong].tolist()
        serials = np.asarray(figures)  # Excel's days, in a column that is called a time
        serial = len(figures) >= 0.6 * len(told) and bool(((serials > 30_000) & (serials < 80_000)).all())
        if (serial and named_time(name)) or (
            sum(header.is_time(cell) for cell in told) >= 0.6 * len(told) and not name_is_count(name)
        ):
            kind = "time"
        elif len(figures) >= 0.6 * len(told):
            kind = "number"
            rising = all(one <= two for one, two in pairwise(figures)) and figures[0] < figures[-1]
    filled = len(told) / len(cells) if cells else 0.0
    return Column(name, kind, filled, len(counts), rising, tuple(word for word, _ in counts.most_common(5)))


def named_time(name: str) -> bool:
    """Whether a heading is of an instant."""
    return max(likeness(name, role) for role in ("time", "end")) >= 0.7


def name_is_count(name: str) -> bool:
    """Whether a heading is of a counter, whose large numbers are not instants."""
    return max(likeness(name, role) for role in ("parts", "parts_good", "parts_scrap")) >= 0.7


_FITS: Final[dict[Role, tuple[Kind, ...]]] = {
    "time": ("time",), "clock": ("time",), "end": ("time",), "duration": ("number", "time", "word"),
    "state": ("word", "number"), "parts": ("number",), "parts_good": ("number",), "parts_scrap": ("number",),
    "product": ("word", "number"), "reason": ("word", "empty"), "order": ("word", "number"), "name": ("word",),
    "value": ("word", "number"), "machine": ("word", "number"),
}  # fmt: skip


def no_time(columns: Sequence[Column]) -> Said:
    """What a table lacks in which no column is a time."""
    names = ", ".join(column.name for column in columns[:20])
    return Said(
        f"no column looks like a time; there are {names}: each row has to say when it was, by a date, or when it began "
        "and ended",
        f"aucune colonne ne ressemble à une heure ; il y a {names} : chaque ligne doit dire quand elle a eu lieu, par "
        "une date, ou par un début et une fin",
    )


def roles(columns: Sequence[Column]) -> dict[Role, tuple[Column, float]]:
    """The best column of each role, that of the time too where there is one; a column has one role, the one that it is
    most like."""
    marks = [
        (mark, -number, role, column)
        for number, column in enumerate(columns)
        for role in HEADINGS
        if column.kind in _FITS[role] and (mark := likeness(column.name, role) * _content(role, column)) > 0.3
    ]
    found: dict[Role, tuple[Column, float]] = {}
    taken: set[str] = set()
    for mark, _, role, column in sorted(marks, key=lambda one: (-one[0], -one[1])):
        if role not in found and column.name not in taken:
            found[role] = column, round(mark, 2)
            taken.add(column.name)
    _by_content(columns, found, taken)
    if "name" in found and "value" not in found:
        del found["name"]
    if "value" in found and "name" not in found:
        del found["value"]
    if "duration" in found and "end" in found:
        del found["duration"]
    if "time" not in found:
        return found
    # a time of day needs a date beside it
    if "clock" in found and not any("/" in cell or "-" in cell or "." in cell for cell in found["time"][0].examples):
        found["time"], found["clock"] = found["clock"], found["time"]
    dates = [cell for cell in found["time"][0].examples if header.is_time(cell)]
    whole = any(":" in cell and ("/" in cell or "-" in cell) for cell in dates)
    if "clock" in found and whole and not all(cell.endswith(("00:00", "00:00:00")) for cell in dates):
        del found["clock"]
    return found


def _content(role: Role, column: Column) -> float:
    """How well what is in a column fits a role [0…1]."""
    if role == "state":
        known = [state_for(word, "words")[1] for word in column.examples]
        return 0.6 + 0.4 * max(known, default=0.0) if column.distinct <= _FEW_WORDS else 0.2
    if role in ("time", "clock", "end"):
        return 1.0 if column.filled > 0.5 else 0.6
    if role == "machine":  # "poste" is a place of work, or a shift
        shifts = sum(plain(word) in SHIFTS for word in column.examples)
        return 0.0 if column.distinct > _FEW_WORDS or 2 * shifts > len(column.examples) else 1.0
    if role == "parts":  # "pièces OK" are good ones
        better = max(likeness(column.name, "parts_good"), likeness(column.name, "parts_scrap"))
        return 0.6 if 0.6 <= better < 1.0 else 1.0
    if role == "product":
        return 1.0 if column.distinct <= 500 else 0.7
    return 1.0


def _by_content(columns: Sequence[Column], found: dict[Role, tuple[Column, float]], taken: set[str]) -> None:
    """Time and state by what the cells are, where no heading says so."""
    free = [column for column in columns if column.name not in taken]
    if "time" not in found:
        when = next((column for column in free if column.kind == "time"), None)
        if when is None and "end" in found:
            when = found.pop("end")[0]
        if when is not None:
            found["time"] = when, 0.6
            free = [column for column in free if column is not when]
    if not {"parts", "parts_good", "parts_scrap"} & set(found) and all(
        name.name.startswith("column ") for name in columns
    ):
        counter = next((column for column in free if column.kind == "number" and column.rising), None)
        if counter is not None:
            found["parts"] = counter, 0.5
            free = [column for column in free if column is not counter]
    if "state" not in found and "name" not in found:
        for column in free:
            marks = [state_for(word, "words")[1] for word in column.examples]
            if column.kind == "word" and marks and sum(marks) / len(marks) >= 0.5 and column.distinct <= _FEW_WORDS:
                found["state"] = column, 0.6
                return


def lengths_of(columns: Sequence[Column]) -> dict[str, StateName]:
    """Of rows that sum up a shift: the columns of how long each kind of stop took; empty where none says how long the
    shift was."""
    if not any(max(likeness(one.name, "duration"), 0) >= 0.9 and plain(_bare(one.name)) in OPENING for one in columns):
        return {}
    found: dict[str, StateName] = {}
    for column in columns:
        state, sure = state_for(_bare(column.name), "words")
        if column.kind == "number" and plain(_bare(column.name)) not in OPENING and state and sure >= 0.6:
            found[column.name] = state
    return {name: state for name, state in found.items() if state != "EXECUTING"}


def _bare(name: str) -> str:
    """A heading without the unit in brackets."""
    return re.sub(r"[(\[].*?[)\]]", " ", name)


def is_bit(column: Column) -> bool:
    """Whether a column holds 0 and 1, or words for them, and hardly anything else."""
    told = {word.strip().lower() for word in column.examples[:2]}
    return 0 < column.distinct <= 4 and told <= {*bits.ON, *bits.OFF}


def bits_of(names: Sequence[str]) -> dict[str, StateName]:
    """Of columns of bits (or names in a long table), those whose name is a word for a state; those that win first."""
    said = {name: state for name in names if (found := state_for(name, "words"))[1] >= 0.6 and (state := found[0])}
    return dict(sorted(said.items(), key=lambda one: _FIRST.index(one[1])))

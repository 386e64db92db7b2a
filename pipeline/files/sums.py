"""Rows that sum up a shift: when it began, how long it was, and how long each kind of stop took in it.

What happened at which time of day is not known, and matters to no sum: stops are laid at the row's start in the order
of their columns, the rest of the row ran. A row that has only a date follows the row before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.files import numbers
from pipeline.said import Said
from telemetry.glossary import MachineState
from telemetry.intervals import Instants
from telemetry.plant import StateName
from telemetry.samples import SECOND_NS

NOTE = Said(
    "each row sums up a shift: its stops are laid one after the other at its start, the times of day are not known",
    "chaque ligne résume un poste : ses arrêts sont posés l'un après l'autre à son début, les heures sont inconnues",
)
TOO_LONG = Said("its stops are longer than the row itself", "ses arrêts sont plus longs que la ligne elle-même")


@dataclass(frozen=True, slots=True)
class Laid:
    """States (and the columns they come from, "" for the rest) at instants; rows whose stops do not fit, or are no
    lengths (with the column)."""

    times_ns: Instants
    states: list[float]
    causes: list[str]
    too_long: list[int]
    unread: list[tuple[int, str]]


def followed(starts_ns: Instants, ends_ns: Instants, reached_ns: int) -> tuple[Instants, Instants]:
    """The rows moved so that none begins before the one before it ends."""
    starts, ends = starts_ns.copy(), ends_ns.copy()
    for row in range(len(starts)):
        if starts[row] == 0:  # its time could not be read
            continue
        late = max(0, reached_ns - int(starts[row]))
        starts[row] += late
        ends[row] += late
        reached_ns = max(reached_ns, int(ends[row]))
    return starts, ends


def laid(
    starts_ns: Instants, ends_ns: Instants, cells: Mapping[str, Sequence[str | None]], states: Mapping[str, StateName],
    unit_s: float,
) -> Laid:  # fmt: skip
    """The stretches of each row. `cells`: of each column of lengths, `unit_s` [s] that of a bare number."""
    found = Laid(np.empty(0, np.int64), [], [], [], [])
    times: list[int] = []
    for row in range(len(starts_ns)):
        at, end = int(starts_ns[row]), int(ends_ns[row])
        for column, state in states.items():
            cell = cells[column][row]
            length = 0.0 if not cell else numbers.seconds(cell, unit_s)
            if not length >= 0:
                found.unread.append((row, column))
                continue
            if length and at + round(length * SECOND_NS) > end:
                if row not in found.too_long[-1:]:
                    found.too_long.append(row)
                length = (end - at) / SECOND_NS
            if length:
                times.append(at)
                found.states.append(float(MachineState[state]))
                found.causes.append(column)
                at += round(length * SECOND_NS)
        if at < end:
            times.append(at)
            found.states.append(float(MachineState.EXECUTING))
            found.causes.append("")
    return Laid(np.array(times, np.int64), found.states, found.causes, found.too_long, found.unread)

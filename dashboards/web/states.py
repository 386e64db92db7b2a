"""States as intervals: what a machine did, and when nobody knows."""

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from telemetry.glossary import MachineState
from telemetry.samples import Quality, Sample, Series, Window

UNKNOWN: Final = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class StateInterval:
    """A stretch [start_ns, end_ns) in one state, with the reason given while it lasted ("" when none was)."""

    start_ns: int
    end_ns: int
    state: str
    reason: str = ""


def name_of(sample: Sample | None) -> str:
    """The state a sample tells, UNKNOWN when it is missing, bad or not a state."""
    if sample is None or sample.quality == Quality.BAD:
        return UNKNOWN
    return _name(sample.value)


def _name(value: float) -> str:
    return MachineState(int(value)).name if value in MachineState.__members__.values() else UNKNOWN


def silences(seen_ns: npt.NDArray[np.int64], stale_ns: int, now_ns: int) -> list[tuple[int, int]]:
    """Where nothing was known: from `stale_ns` after the last thing heard until the next, or now.

    The KPIs know a state for as long (pipeline.kpis.machine), so the page and its figures tell the same story.
    """
    if len(seen_ns) == 0:
        return []
    heard = np.append(np.sort(seen_ns), now_ns)
    gaps = np.flatnonzero(np.diff(heard) > stale_ns)
    return [(int(heard[gap]) + stale_ns, int(heard[gap + 1])) for gap in gaps]


def intervals(
    states: Series, reasons: Series, seen_ns: npt.NDArray[np.int64], window: Window, stale_ns: int
) -> list[StateInterval]:
    """The states of a window in time order, equal neighbours merged. The first keeps its true start if it is known."""
    if len(states) == 0:
        return []
    edges = {int(time) for time in states.times_ns} | {window.end_ns}
    quiet = silences(seen_ns, stale_ns, window.end_ns)
    edges |= {edge for silence in quiet for edge in silence}
    found: list[StateInterval] = []
    ordered = sorted(edge for edge in edges if states.times_ns[0] <= edge <= window.end_ns)
    for start, end in itertools.pairwise(ordered):
        index = int(np.searchsorted(states.times_ns, start, side="right")) - 1
        silent = any(low <= start < high for low, high in quiet)
        bad = states.quality[index] == Quality.BAD
        state = UNKNOWN if silent or bad else _name(float(states.values[index]))
        if found and found[-1].state == state:
            found[-1] = StateInterval(found[-1].start_ns, end, state)
        else:
            found.append(StateInterval(start, end, state))
    return [_with_reason(interval, reasons) for interval in found if interval.end_ns > window.start_ns]


def _with_reason(interval: StateInterval, reasons: Series) -> StateInterval:
    """The last reason given while the interval lasted, or the one in force when it began."""
    if interval.state in (UNKNOWN, MachineState.EXECUTING.name) or len(reasons) == 0:
        return interval
    index = int(np.searchsorted(reasons.times_ns, interval.end_ns, side="left")) - 1
    if index < 0 or reasons.quality[index] == Quality.BAD:
        return interval
    return StateInterval(interval.start_ns, interval.end_ns, interval.state, str(reasons.texts[index]))

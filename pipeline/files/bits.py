"""States from bits: a controller that logs "running", "fault", "set-up" as a column each, of 0 and 1.

The first bit that is 1, in the order given, says the state; where all are 0 the machine does not execute. Where a bit
that stands before is not known, nothing is.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from pipeline.files.tables import polars
from pipeline.kpis.signals import Flags, in_force
from telemetry.glossary import MachineState
from telemetry.plant import StateName
from telemetry.samples import Quality, Series
from telemetry.words import Words

if TYPE_CHECKING:
    from polars import Series as Cells

ON: Final = ("1", "1.0", "true", "vrai", "on", "oui", "yes", "-1")
OFF: Final = ("0", "0.0", "false", "faux", "off", "non", "no")


def read(cells: "Cells") -> tuple[npt.NDArray[np.float64], Flags]:
    """The bits of a column, and which cells are none."""
    pl = polars()
    told = cells.cast(pl.String).str.strip_chars().str.to_lowercase()
    on, off = (told.is_in(list(words)).fill_null(value=False).to_numpy() for words in (ON, OFF))
    return on.astype(np.float64), ~(on | off)


def states(said: Mapping[str, Series], meaning: Mapping[str, StateName]) -> Series:
    """The state at every change of any bit. `meaning`: the state of each bit that is 1, those that win first."""
    bits = [(said[name], MachineState[state]) for name, state in meaning.items() if name in said]
    times = np.unique(np.concatenate([series.times_ns for series, _ in bits]))
    state = np.full(len(times), float(MachineState.NOT_EXECUTING))
    quality = np.full(len(times), Quality.GOOD, np.int8)
    for series, means in reversed(bits):
        row = in_force(series.times_ns, times)
        known = row >= 0
        on = known & (series.values[row.clip(0)] > 0)
        unknown = known & (series.quality[row.clip(0)] == Quality.BAD)
        state[on], quality[on] = float(means), Quality.GOOD
        state[unknown], quality[unknown] = 0.0, Quality.BAD
    kept = np.concatenate(([True], (state[1:] != state[:-1]) | (quality[1:] != quality[:-1])))
    return Series(times[kept], state[kept], quality[kept], Words.none(int(kept.sum())))

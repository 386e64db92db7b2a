"""Which cell, which signal level, when it got slow: a link's packets joined in time with its radio figures.

Pure functions. A serving cell holds until the next; a signal figure is taken for as long as `longest_ns` after it was
measured, then it is not known. Bands of RSRP, RSRQ and SINR are a convention of the trade, not 3GPP's.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.kpis import latency
from telemetry.samples import SECOND_NS, Quality, Series

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

LONGEST_NS: Final = 60 * SECOND_NS

BANDS: Final[dict[str, tuple[tuple[float, str], ...]]] = {
    "rsrp": ((-80, "excellent"), (-90, "good"), (-100, "fair"), (-110, "poor"), (-np.inf, "out")),
    "rsrq": ((-10, "excellent"), (-15, "good"), (-20, "fair"), (-np.inf, "poor")),
    "sinr": ((20, "excellent"), (13, "good"), (0, "fair"), (-np.inf, "poor")),
}
"""Least value of each band, best first [dBm for rsrp, dB]."""

UNKNOWN: Final = ""

FELT_NS: Final = 5 * SECOND_NS
"""How long [ns] a packet counts as sent around a handover, before and after it: routers tell of it late."""


@dataclass(frozen=True, slots=True)
class Group:
    """The packets that were sent under one circumstance: how many, share lost, and round-trip quantiles [ms]."""

    name: str
    packets: int
    loss_ratio: float
    p50_ms: float
    p99_ms: float


def in_force(times_ns: npt.ArrayLike, series: Series, longest_ns: int | None = None) -> Ints:
    """For each instant the row of a series that is in force: the last at or before it, −1 where there is none, it is of
    quality BAD, or it is older than `longest_ns` [ns]."""
    times = np.asarray(times_ns, np.int64)
    row = np.searchsorted(series.times_ns, times, "right") - 1
    if not len(series):
        return np.full(times.shape, -1, np.int64)
    stale = np.zeros(times.shape, bool) if longest_ns is None else times - series.times_ns[row] > longest_ns
    unknown = (row < 0) | stale | (series.quality[row] >= Quality.BAD)
    return np.where(unknown, -1, row)


def by_cell(times_ns: npt.ArrayLike, delay_ms: npt.ArrayLike, cell: Series) -> list[Group]:
    """The packets by serving cell, the slowest p99 first; those without a known cell as ""."""
    row = in_force(times_ns, cell)
    names = np.array([str(text) for text in cell.texts], object) if len(cell) else np.array([UNKNOWN], object)
    return _groups(np.where(row < 0, UNKNOWN, names[row]), np.asarray(delay_ms, np.float64))


def by_band(times_ns: npt.ArrayLike, delay_ms: npt.ArrayLike, signal: Series, metric: str) -> list[Group]:
    """The packets by band of "rsrp", "rsrq" or "sinr" as it was when they were sent, the slowest p99 first."""
    row = in_force(times_ns, signal, LONGEST_NS)
    bands = np.array([band(metric, value) for value in signal.values.tolist()] or [UNKNOWN], object)
    return _groups(np.where(row < 0, UNKNOWN, bands[row]), np.asarray(delay_ms, np.float64))


def by_handover(times_ns: npt.ArrayLike, delay_ms: npt.ArrayLike, cell: Series) -> list[Group]:
    """The packets sent within FELT_NS of a change of the serving cell ("handover") and the others ("steady"), the
    slower p99 first; "" before a cell was known. The first cell, and one after a time not known, is no handover."""
    times = np.asarray(times_ns, np.int64)
    row = in_force(times, cell)
    known = cell.quality < Quality.BAD
    names = cell.texts
    changed = known[1:] & known[:-1] & (names[1:] != names[:-1]) if len(cell) > 1 else np.empty(0, bool)
    handovers = cell.times_ns[1:][changed]
    place = np.searchsorted(handovers, times)
    padded = np.concatenate(([np.iinfo(np.int64).min // 2], handovers, [np.iinfo(np.int64).max // 2]))
    nearest = np.minimum(times - padded[place], padded[place + 1] - times)
    circumstance = np.where(nearest <= FELT_NS, "handover", "steady").astype(object)
    return _groups(np.where(row < 0, UNKNOWN, circumstance), np.asarray(delay_ms, np.float64))


def band(metric: str, value: float) -> str:
    """The band a value lies in. KeyError for a metric without bands."""
    return next(name for least, name in BANDS[metric] if value >= least)


def _groups(names: npt.NDArray[np.object_], delay: Floats) -> list[Group]:
    found: list[Group] = []
    for name in dict.fromkeys(names.tolist()):
        chosen = delay[names == name]
        lost = int(np.isnan(chosen).sum())
        p50, p99 = (latency.percentile(chosen, q, lost) for q in (0.5, 0.99))
        found.append(Group(name, chosen.size, lost / chosen.size, p50, p99))
    return sorted(found, key=lambda group: (np.isnan(group.p99_ms), -np.nan_to_num(group.p99_ms)))

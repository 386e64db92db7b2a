"""Where nobody can tell what a machine did: silence, and a broken connection.

A silence is longer than `stale_after_s` without any sample; the values in force hold for that long into it. A break is
told by `online` = 0 (or BAD): from that instant on nothing is known, until the next sample of an input. Samples that
are filled in later, from a server's history or a device's buffer, are inputs too: they end the break where they begin.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pipeline.kpis import signals
from telemetry.intervals import Instants, Intervals, inside, none
from telemetry.samples import Series, Window

Read = Callable[[str, Window], Series]
"""Reads a metric of the machine over a window, beginning with the value in force for one that holds."""


def silences(
    inputs: Sequence[Instants], longest_ns: int, seen: Window, limit_ns: int, read: Read, others: Sequence[str]
) -> Intervals:
    """Where no metric says anything for longer than the limit. `inputs` come with the most telling one first, of which
    no two samples are further apart than `longest_ns`; what it leaves silent is all that is looked for in the next, and
    read of the other metrics, which may be large."""
    silent = signals.silences(inputs[0], seen.start_ns, seen.end_ns, limit_ns, longest_ns)
    for one in inputs[1:]:
        if len(silent) and len(one):
            silent = _still(silent, one, limit_ns)
    for metric in others:
        if len(silent):
            quiet = Window(int(silent[0, 0]), int(silent[-1, 1]))
            silent = _still(silent, read(metric, quiet).times_ns, limit_ns)
    return silent


def _still(silent: Intervals, heard_ns: Instants, limit_ns: int) -> Intervals:
    """What is still silent for longer than the limit with these samples."""
    low, high = np.searchsorted(heard_ns, silent[:, 0], "right"), np.searchsorted(heard_ns, silent[:, 1], "left")
    counts = np.maximum(high - low, 0)
    if not counts.any():
        return silent
    rows = np.repeat(low - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    alive = np.unique(np.concatenate((silent.ravel(), heard_ns[rows])))
    long = np.flatnonzero(np.diff(alive) > limit_ns)
    long = long[inside(silent, alive[long])]  # from the end of one silence to the next one somebody spoke
    return np.column_stack((alive[long], alive[long + 1]))


def breaks(series: Mapping[str, Series], seen: Window) -> Intervals:
    """Where the connection was broken: from each `online` that is not 1 to the next sample, of `online` itself later,
    of any other input at that instant or later. A break that began before `seen` is cut to it."""
    online = series["online"]
    away = np.flatnonzero(~signals.trusted(online) | (online.values < 1))
    if not len(away):
        return none()
    start = online.times_ns[away]
    end = np.append(online.times_ns, seen.end_ns)[away + 1]
    for metric, one in series.items():
        if metric != "online":
            following = np.searchsorted(one.times_ns, start, "left")
            end = np.minimum(end, np.append(one.times_ns, seen.end_ns)[following])
    found = np.column_stack((start, end)).clip(seen.start_ns, seen.end_ns)
    return found[found[:, 1] > found[:, 0]]

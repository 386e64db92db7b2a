"""The last hour and the last 24 hours of an asset, as the page draws them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from dashboards.web import figures
from dashboards.web.states import StateInterval, intervals, silences
from pipeline.kpis import latency
from telemetry.plant import Asset
from telemetry.protocols import Store
from telemetry.samples import SECOND_NS, KpiValue, Series, SeriesInfo, Window

MINUTE_NS: Final = 60 * SECOND_NS
HOUR_NS: Final = 3600 * SECOND_NS
DAY_NS: Final = 24 * HOUR_NS
BUCKET_NS: Final = 30 * SECOND_NS
MOST_POINTS: Final = 1500

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MachineDay:
    """The last 24 hours of a machine: its states, its hours' TRS."""

    window: Window
    states: list[StateInterval] = field(default_factory=list)
    hours: list[KpiValue] = field(default_factory=list)


@dataclass(frozen=True)
class LinkHour:
    """The last hour of a link in buckets: median and slowest answer [ms], and lost probes, per bucket.

    Arrays of equal length; NaN where no probe was answered. `edges_ns` are the starts of the buckets.
    """

    window: Window
    edges_ns: npt.NDArray[np.int64]
    median: Floats
    worst: Floats
    lost: npt.NDArray[np.int64]


@dataclass(frozen=True)
class LinkDay:
    """The last 24 hours of a link, from the KPI values of the finest windows that tell enough."""

    window: Window
    median: list[KpiValue]
    tail: list[KpiValue]


def machine_days(
    store: Store, assets: Sequence[Asset], held: Sequence[SeriesInfo], window: Window
) -> dict[str, MachineDay]:
    """Of each machine, by its path; `held` is what the store's inventory says."""
    paths = [asset.path for asset in assets]
    hours = store.read_many_kpis(paths, figures.FACTORS[:1], Window(window.start_ns, window.end_ns, "hour"))
    found = {}
    for asset in assets:
        states = states_of(store, asset, [info for info in held if info.asset == asset.path], window)
        found[asset.path] = MachineDay(window, states, hours[asset.path, figures.FACTORS[0]] if states else [])
    return found


def states_of(store: Store, asset: Asset, held: list[SeriesInfo], window: Window) -> list[StateInterval]:
    """The states of a machine, and when nobody knew; `held` is what the store's inventory says of it."""
    stale_ns = round(asset.stale_after_s * SECOND_NS)
    series = {
        info.metric: store.read(asset.path, info.metric, window) for info in held if info.metric in ("state", "reason")
    }
    if "state" not in series:
        return []
    seen = np.concatenate([columns.times_ns for columns in series.values()])
    for info in sorted((info for info in held if info.metric not in series), key=lambda info: _last(info, stale_ns)):
        quiet = [one for one in silences(seen, stale_ns, window.end_ns) if one[1] > window.start_ns]
        if not quiet:
            break
        # what was heard while something else was heard anyway changes nothing: only the silences are looked into
        span = Window(max(quiet[0][0], window.start_ns) - stale_ns, quiet[-1][1])
        seen = np.append(seen, store.read(asset.path, info.metric, span).times_ns)
    return intervals(series["state"], series.get("reason", Series.empty()), seen, window, stale_ns)


def _last(info: SeriesInfo, stale_ns: int) -> tuple[bool, float]:
    """First those that come just often enough to be heard of in time, the rarest of these first; then the others."""
    every_ns = (info.last_ns - info.first_ns) / max(1, info.samples - 1)
    often = every_ns < stale_ns / 4
    return not often, -every_ns if often else every_ns


def link_hour(store: Store, asset: Asset, now_ns: int) -> LinkHour:
    """From the packets themselves. A bucket of 30 s holds too few for a 99th percentile, so it tells its slowest."""
    end = (now_ns // BUCKET_NS + 1) * BUCKET_NS
    window = Window(end - HOUR_NS, end)
    edges = np.arange(window.start_ns, window.end_ns, BUCKET_NS, dtype=np.int64)
    times_ns, delays = latency.packets(
        store.read(asset.path, "rtt", window), store.read(asset.path, "rtt_lost", window)
    )
    median, worst = np.full(len(edges), np.nan), np.full(len(edges), np.nan)
    lost = np.zeros(len(edges), np.int64)
    cuts = np.searchsorted(times_ns, np.append(edges, window.end_ns))
    for bucket in range(len(edges)):
        sent = delays[cuts[bucket] : cuts[bucket + 1]]
        answered = sent[~np.isnan(sent)]
        lost[bucket] = len(sent) - len(answered)
        if len(answered):
            median[bucket], worst[bucket] = np.median(answered), answered.max()
    return LinkHour(window, edges, median, worst, lost)


def link_day(store: Store, asset: Asset, window: Window) -> LinkDay:
    kpis = figures.RTT_MEDIAN, figures.RTT_TAIL
    found = store.read_many_kpis([asset.path], kpis, window)
    median, tail = (_telling(found[asset.path, kpi]) for kpi in kpis)
    return LinkDay(window, median, tail)


def _telling(values: list[KpiValue]) -> list[KpiValue]:
    """The values of the shortest windows that are known for at least half as long as those of any other kind.

    A minute of a slow probe holds too few packets for a 99th percentile; its hour may hold enough.
    """
    kinds: dict[str, list[KpiValue]] = {}
    for value in values:
        kinds.setdefault(value.kind, []).append(value)
    known_ns = {
        kind: sum(value.end_ns - value.start_ns for value in chosen if np.isfinite(value.value))
        for kind, chosen in kinds.items()
        if len(chosen) <= MOST_POINTS
    }
    enough = [kind for kind in known_ns if known_ns[kind] >= min(DAY_NS, max(known_ns.values())) / 2]
    return kinds[max(enough, key=lambda kind: len(kinds[kind]))] if enough else []

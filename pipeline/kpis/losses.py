"""Where required time went, cause by cause: Pareto, cost, what a point of TRS is worth, and Nakajima's six big losses.

Without gaps the losses of a window add up to tR − tU exactly; time whose state is unknown is no loss and no gain.
A negative speed loss means that a reference cycle is too slow (Tp above 1): it is shown, not clipped.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import fsum, nan
from typing import Final, Literal

import numpy as np

from pipeline.kpis.categories import CATEGORIES
from pipeline.kpis.machine import MachineHistory, Stretches
from pipeline.kpis.oee import Oee
from pipeline.kpis.states import SETUP, STOPS, Category
from telemetry.plant import Asset
from telemetry.samples import SECOND_NS, Window

SPEED: Final = "speed"
"""tF − tN: running slower than the reference cycle."""

REJECTS: Final = "rejects"
"""tN − tU: time spent on parts that are not good."""

By = Literal["category", "reason", "machine", "product"]


@dataclass(frozen=True, slots=True)
class Loss:
    """Lost required time [s] of one machine with one cause while making one product, and how often it began.

    `category` is one of STOPS, SPEED or REJECTS; `times` counts stops that began, or rejected parts, 0 for speed;
    `cost` [€] is NaN where the machine has no `hourly_cost`.
    """

    machine: str
    category: str
    reason: str
    product: str
    seconds: float
    times: int
    cost: float


def losses(history: MachineHistory, window: Window) -> list[Loss]:
    """Every loss of the machine over the window, one row per cause and product, the largest first."""
    asset = history.asset
    rate = nan if asset.hourly_cost is None else asset.hourly_cost / 3600
    sums = _stops(history.stretches(window), window)
    for product, made in history.production(window).items():
        sums[SPEED, "", product] = made.counted_running - made.net, 0
        sums[REJECTS, "", product] = made.judged_net - made.useful, round(made.made - made.good)
    rows = [
        Loss(asset.path, category, reason, product, seconds, times, seconds * rate)
        for (category, reason, product), (seconds, times) in sums.items()
        if seconds
    ]
    return sorted(rows, key=lambda loss: -loss.seconds)


def _stops(found: Stretches, window: Window) -> dict[tuple[str, str, str], tuple[float, int]]:
    """Lost time [s] and stops that began, by category, reason and product, in the order of their first stretch."""
    stopped = np.flatnonzero(np.isin(found.category, [CATEGORIES.index(one) for one in STOPS]))
    if not len(stopped):
        return {}
    reasons, products = found.reason.words, found.product.words
    cause = found.category[stopped].astype(np.int64) * len(reasons) + found.reason.codes[stopped]
    begins = np.ones(len(stopped), np.bool_)
    begins[1:] = (np.diff(stopped) != 1) | (np.diff(cause) != 0)
    begins &= found.starts_ns[stopped] >= window.start_ns
    keys, first, row = np.unique(
        cause * len(products) + found.product.codes[stopped], return_index=True, return_inverse=True
    )
    lost_ns = np.zeros(len(keys), np.int64)
    np.add.at(lost_ns, row, found.lengths_ns[stopped])
    times = np.bincount(row, begins, len(keys)).astype(np.int64)
    sums: dict[tuple[str, str, str], tuple[float, int]] = {}
    for n in np.argsort(first).tolist():
        rest, product = divmod(int(keys[n]), len(products))
        category, reason = divmod(rest, len(reasons))
        # a word may stand under two codes: not told, and told to be ""
        key = CATEGORIES[category].value, reasons[reason], products[product]
        before = sums.get(key, (0.0, 0))
        sums[key] = before[0] + int(lost_ns[n]) / SECOND_NS, before[1] + int(times[n])
    return sums


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a Pareto chart: lost time [s], its share of all and that of it and all before it [0…1], cost [€]."""

    name: str
    seconds: float
    share: float
    cumulative: float
    times: int
    cost: float


def pareto(found: Iterable[Loss], by: By) -> list[Bar]:
    """The losses of any machines, grouped, the largest first."""
    sums: dict[str, tuple[float, int, float]] = {}
    for loss in found:
        seconds, times, cost = sums.get(getattr(loss, by), (0.0, 0, 0.0))
        sums[getattr(loss, by)] = seconds + loss.seconds, times + loss.times, cost + loss.cost
    whole = sum(seconds for seconds, _, _ in sums.values())
    bars: list[Bar] = []
    reached = 0.0
    for name, (seconds, times, cost) in sorted(sums.items(), key=lambda one: (-one[1][0], one[0])):
        reached += seconds
        bars.append(
            Bar(name, seconds, seconds / whole if whole else nan, reached / whole if whole else nan, times, cost)
        )
    return bars


@dataclass(frozen=True, slots=True)
class Point:
    """What one point of TRS (0.01) is worth over a window: useful time [unit of the Oee], good parts, money [€]; NaN:
    not known."""

    time: float
    parts: float
    cost: float


def point_of_trs(oee: Oee, asset: Asset) -> Point:
    """As `worth`, of a machine, whose Oee is in seconds."""
    cycles = list(asset.cycle_s.values())
    rate = nan if asset.hourly_cost is None else asset.hourly_cost / 3600
    return worth(oee, cycles[0] if len(cycles) == 1 else nan, rate)


def worth(oee: Oee, cycle: float, rate: float) -> Point:
    """One hundredth of required time, in parts at the mean reference cycle of what was made, or at `cycle` [unit of the
    Oee] where nothing was, and in money at `rate` [€ per that unit]."""
    time = oee.required / 100
    if oee.made > 0:
        cycle = oee.judged_net / oee.made
    return Point(time, time / cycle if cycle else nan, time * rate)


def pooled_point(points: Iterable[Point]) -> Point:
    """A point on each of several machines; NaN where one of those that were required does not say."""
    every = list(points)
    worth = [point for point in every if point.time] or every
    return Point(*(fsum(getattr(point, name) for point in worth) for name in ("time", "parts", "cost")))


@dataclass(frozen=True, slots=True)
class SixLosses:
    """Nakajima's view of the same minutes [unit of the Oee], and its two factors that differ from NF E60-182's.

    Availability loses failures and set-up; performance loses minor stops and reduced speed, so that micro-stops count
    as running. Stops induced from outside, and own stops without another cause, are under failures; inspection and
    upkeep under set-up. Start-up losses cannot be told from other rejects by a counter: they are in `defects`.
    """

    failures: float
    setup_and_adjustment: float
    minor_stops: float
    reduced_speed: float
    defects: float
    availability: float
    performance: float


def six_big_losses(oee: Oee) -> SixLosses:
    """The third view. OEE is the same as TRS: what leaves availability enters performance."""

    def stopped(*categories: Category) -> float:
        return sum(oee.stops.get(category, 0.0) for category in categories)

    minor = stopped(Category.MICRO_STOP)
    running = oee.running if oee.convention.micro_stops_run else oee.running + minor
    return SixLosses(
        failures=stopped(Category.BREAKDOWN, Category.OPERATION, Category.INDUCED),
        setup_and_adjustment=stopped(*SETUP, Category.INSPECTION, Category.UPKEEP),
        minor_stops=minor,
        reduced_speed=oee.counted_running - oee.net - (minor if oee.convention.micro_stops_run else 0.0),
        defects=oee.judged_net - oee.useful,
        availability=running / oee.known if oee.known else nan,
        performance=oee.net / running * oee.known / oee.counted if running and oee.counted else nan,
    )

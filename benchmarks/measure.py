"""Runs contestants in turn, several times, and compares them by the median of their ratios."""

import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks import Row


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of a contestant took: wall and CPU time [s] of this process, for `units` of work."""

    wall_s: float
    cpu_s: float
    units: float


def cost(work: Callable[[], float]) -> Cost:
    """Time `work`, which returns how many units it did. Only this process's CPU time counts, all its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    wall = time.perf_counter()
    units = work()
    wall = time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_SELF)
    return Cost(wall, after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime, units)


def in_turn(contestants: Mapping[str, Callable[[], Cost | float]], unit: str, rounds: int = 5) -> list[Row]:
    """A row per contestant: median rate and CPU time per million units, and the median ratio to the first one's rate.

    Each contestant returns its Cost, or the number of units it did, and is timed. Round by round all run once, so that
    a drift of the machine's speed hits all of them.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, work in contestants.items():
            costs[name].append(_cost_of(work))
    reference = [one.units / one.wall_s for one in next(iter(costs.values()))]
    rows: list[Row] = []
    for name, runs in costs.items():
        rates = [one.units / one.wall_s for one in runs]
        rows.append(
            {
                "what": name,
                f"{unit}/s": round(statistics.median(rates)),
                f"CPU s per million {unit}": round(statistics.median(one.cpu_s / one.units * 1e6 for one in runs), 3),
                "ratio to first": round(statistics.median(r / f for r, f in zip(rates, reference, strict=True)), 3),
                "rounds": rounds,
            }
        )
    return rows


def _cost_of(work: Callable[[], Cost | float]) -> Cost:
    """The contestant's own Cost when it returns one (it excludes its set-up), else what running it took."""
    result: list[Cost | float] = []

    def run() -> float:
        result.append(work())
        return result[0] if not isinstance(result[0], Cost) else result[0].units

    timed = cost(run)
    return result[0] if isinstance(result[0], Cost) else timed

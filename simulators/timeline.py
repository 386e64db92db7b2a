"""What a machine says of its life: events on the wire, in time order, in chunks of any size.

Invariants. Times are whole milliseconds; a metric has at most one event per millisecond and is reported when it has
changed. The events are those of the life, however time is cut into chunks.
"""

import sys
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from simulators.machine import NS_PER_MS, Change, Fact, MachineModel, Turn, facts

Value = int | float | str
Event = tuple[int, str, Value]
"""(time_ns, metric, value): states are the glossary's integers, words are str."""

GAUGE_DECIMALS: Final = 1


def machine_events(model: MachineModel, seed: int, born_ns: int) -> Iterator[Event]:
    """All that a machine reports from birth on, for ever: state, reason, product, counters, its gauge."""
    return told(facts(model, seed, born_ns // NS_PER_MS), model, seed, born_ns)


def told(life: Iterator[Fact], model: MachineModel, seed: int, born_ns: int) -> Iterator[Event]:
    """What a machine reports of a life, which may be one in a line of machines."""
    return _merged(life, model, Random(f"{seed}/{model.path}/gauge"), born_ns)


def _merged(life: Iterator[Fact], model: MachineModel, noise: Random, born_ns: int) -> Iterator[Event]:
    gauge = model.gauge
    every_ns = round(gauge.every_s * 1000) * NS_PER_MS
    tick_ns = born_ns
    mean, deviation = 0.0, 0.0
    state, reason = -1, ""
    made = judged = orders = 0
    register, shown = 0.0, -1
    turn = model.rolls_over_at or sys.maxsize
    verdict = "parts_scrap" if model.counts_scrap else "parts_good"
    yield born_ns, "parts", 0
    yield born_ns, verdict, 0
    for fact in life:
        time_ns = fact.at_ms * NS_PER_MS
        while tick_ns < time_ns:
            value = round(max(0.0, mean + deviation * noise.gauss(0.0, 1.0)), GAUGE_DECIMALS)
            yield tick_ns, gauge.metric, value  # also when unchanged: a meter that falls silent is out of order
            if gauge.energy:
                if int(register) != shown:
                    shown = int(register)
                    yield tick_ns, "energy", shown
                register += value * gauge.every_s / 3600.0  # what it measures holds until it measures again
            tick_ns += every_ns
        if isinstance(fact, Turn):
            mean, deviation = gauge.levels.get(fact.state, (0.0, 0.0))
            if model.told(fact.state) != state:
                state = model.told(fact.state)
                yield time_ns, "state", int(state)
            if fact.reason != reason:
                reason = fact.reason
                yield time_ns, "reason", reason
        elif isinstance(fact, Change):
            yield time_ns, "product", fact.product
            if model.tells_orders:
                orders += 1
                yield time_ns, "order", f"OF-{orders:05d}"
        else:
            made += 1
            yield time_ns, "parts", made % turn
            if fact.good != model.counts_scrap:
                judged += 1
                yield time_ns, verdict, judged % turn


class Timeline:
    """An endless, ordered source of events read in chunks. `wanted` keeps some metrics only."""

    def __init__(self, source: Iterator[Event], wanted: Callable[[str], bool] | None = None) -> None:
        self._source = source if wanted is None else (event for event in source if wanted(event[1]))
        self._next = next(self._source)

    @property
    def next_ns(self) -> int:
        """Time of the next event [ns]."""
        return self._next[0]

    def until(self, end_ns: int) -> list[Event]:
        """The events before `end_ns` [ns] that were not read yet."""
        found: list[Event] = []
        while self._next[0] < end_ns:
            found.append(self._next)
            self._next = next(self._source)
        return found

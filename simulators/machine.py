"""A machine as a seeded process in virtual time: what really happens, before anyone measures it.

Invariants. Facts come in time order, for ever, and depend on (model, seed, birth) alone. Every activity advances
only in working time, so a machine stands still in breaks and takes up afterwards what it was doing. Wear counts in
executing time. All times are whole milliseconds; two turns never share an instant, nor do two parts.
"""

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

from simulators.work_calendar import WorkCalendar
from telemetry.glossary import MachineState

NS_PER_MS: Final = 1_000_000

BREAK: Final = "break"
CHANGEOVER: Final = "changeover"
_EXECUTING: Final = (MachineState.EXECUTING, "production")


@dataclass(frozen=True, slots=True)
class Duration:
    """A log-normal duration: its median [s], the sigma of its logarithm, and the limits it is cut to [s]."""

    median_s: float
    sigma: float = 0.5
    shortest_s: float = 1.0
    longest_s: float = 8 * 3600.0

    def draw_ms(self, random: Random) -> int:
        drawn = self.median_s * math.exp(random.gauss(0.0, self.sigma))
        return max(1, round(1000 * min(max(drawn, self.shortest_s), self.longest_s)))


@dataclass(frozen=True, slots=True)
class Product:
    """What a machine makes. `cycle_s`: reference cycle time tCR [s]; the true one is `slowness` times that, and noise.

    `batch`: fewest and most parts of an order; `scrap`: probability that a part is bad.
    """

    name: str
    cycle_s: float
    batch: tuple[int, int]
    slowness: float = 1.0
    scrap: float = 0.0


@dataclass(frozen=True, slots=True)
class Hazard:
    """Something that stops the machine: breakdown, micro-stop, starving … whatever its state and reason say.

    It strikes after a Weibull time of execution with scale `every_s` [s] and `shape` (1: no memory, above: wear), and
    `spoils` is the probability that it costs the part in work.
    """

    reason: str
    state: MachineState
    every_s: float
    lasts: Duration
    shape: float = 1.0
    spoils: float = 0.0

    def due_in_ms(self, random: Random) -> int:
        return max(1, round(1000 * random.weibullvariate(self.every_s, self.shape)))


@dataclass(frozen=True, slots=True)
class Gauge:
    """A measurement taken every `every_s` [s]: mean and standard deviation by state; other states read 0."""

    metric: str
    every_s: float
    levels: dict[MachineState, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class MachineModel:
    """All that makes one machine what it is. `slow_orders`: how much slower [share] an order may run, at most."""

    path: str
    products: tuple[Product, ...]
    hazards: tuple[Hazard, ...]
    changeover: Duration
    gauge: Gauge
    calendar: WorkCalendar
    slow_orders: float = 0.1
    jitter: float = 0.01


class Turn(NamedTuple):
    """From here on the machine is in this state, for this reason."""

    at_ms: int
    state: MachineState
    reason: str


class Change(NamedTuple):
    """From here on the machine makes this product."""

    at_ms: int
    product: str


class Made(NamedTuple):
    """A part was finished."""

    at_ms: int
    product: str
    good: bool


Fact = Turn | Change | Made


def facts(model: MachineModel, seed: int, born_ms: int) -> Iterator[Fact]:
    """The life of a machine from its birth on [ms since the epoch]; it begins with a Change and a Turn."""
    return _Life(model, Random(f"{seed}/{model.path}/process"), born_ms).run()


class _Life:
    def __init__(self, model: MachineModel, random: Random, born_ms: int) -> None:
        self._model = model
        self._random = random
        self._now = born_ms
        self._work_end = born_ms
        self._working = model.calendar.stretches(born_ms)
        self._shown: tuple[MachineState, str] | None = None
        self._executed = 0
        self._due = [hazard.due_in_ms(random) for hazard in model.hazards]

    def run(self) -> Iterator[Fact]:
        product = self._random.choice(self._model.products)
        yield Change(self._now, product.name)
        while True:
            yield from self._order(product)
            others = [other for other in self._model.products if other is not product]
            product = self._random.choice(others or [product])
            yield from self._spend(MachineState.SETUP, CHANGEOVER, self._model.changeover.draw_ms(self._random))
            if others:
                yield Change(self._now, product.name)

    def _order(self, product: Product) -> Iterator[Fact]:
        random = self._random
        slow = product.slowness * (1.0 + self._model.slow_orders * random.random())
        for _ in range(random.randint(*product.batch)):
            left = max(1, round(1000 * product.cycle_s * slow * (1.0 + self._model.jitter * random.gauss(0.0, 1.0))))
            spoiled = random.random() < product.scrap
            while left > 0:
                due = min(self._due, default=self._executed + left)
                run = min(left, due - self._executed)
                if self._shown == _EXECUTING and self._now + run < self._work_end:
                    self._now += run  # nothing to tell: most parts of a day, so the short way
                else:
                    yield from self._spend(*_EXECUTING, run)
                self._executed += run
                left -= run
                if self._executed == due and left > 0:
                    spoiled |= yield from self._strike(self._due.index(due))
            yield Made(self._now, product.name, not spoiled)

    def _strike(self, number: int) -> Generator[Fact, None, bool]:
        """What is due strikes; whether it spoiled the part in work is returned."""
        hazard = self._model.hazards[number]
        yield from self._spend(hazard.state, hazard.reason, hazard.lasts.draw_ms(self._random))
        self._due[number] = self._executed + hazard.due_in_ms(self._random)
        return self._random.random() < hazard.spoils

    def _spend(self, state: MachineState, reason: str, ms: int) -> Iterator[Fact]:
        """Be in a state for so much working time, standing still in the breaks between."""
        while ms > 0:
            if self._now >= self._work_end:
                start, self._work_end = next(self._working)
                if start > self._now:
                    if self._shown != (MachineState.NOT_EXECUTING, BREAK):
                        yield Turn(self._now, MachineState.NOT_EXECUTING, BREAK)
                    self._shown = MachineState.NOT_EXECUTING, BREAK
                    self._now = start
            if self._shown != (state, reason):
                self._shown = state, reason
                yield Turn(self._now, state, reason)
            step = min(ms, self._work_end - self._now)
            self._now += step
            ms -= step

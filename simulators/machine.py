"""A machine as a seeded process in virtual time: what really happens, before anyone measures it.

Invariants. Facts come in time order, for ever, and depend on (model, seed, birth) alone. Every activity advances
only in working time, so a machine stands still in breaks and takes up afterwards what it was doing. Wear counts in
executing time. All times are whole milliseconds; two turns never share an instant, nor do two parts.
"""

import math
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal, NamedTuple

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


Loss = Literal["breakdown", "operation", "tool_change", "adjustment", "inspection", "changeover", "upkeep", "induced"]
"""What NF E60-182 calls a stop: the author of a machine says so, nobody derives it from words."""

_BY_STATE: Final[dict[MachineState, Loss]] = {
    MachineState.NOT_AVAILABLE: "operation",
    MachineState.OUT_OF_SERVICE: "breakdown",
    MachineState.NOT_EXECUTING: "operation",
    MachineState.SETUP: "changeover",
    MachineState.STARVED: "induced",
    MachineState.BLOCKED: "induced",
    MachineState.MAINTENANCE: "upkeep",
}


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
    loss: Loss | None = None
    """By its state unless given."""

    def due_in_ms(self, random: Random) -> int:
        return max(1, round(1000 * random.weibullvariate(self.every_s, self.shape)))


@dataclass(frozen=True, slots=True)
class Gauge:
    """A measurement taken every `every_s` [s]: mean and standard deviation by state; other states read 0.

    `energy`: a power meter has a register, too, which counts the Wh of what it measured.
    """

    metric: str
    every_s: float
    levels: dict[MachineState, tuple[float, float]]
    energy: bool = False


@dataclass(frozen=True, slots=True)
class MachineModel:
    """All that makes one machine what it is. `slow_orders`: how much slower [share] an order may run, at most.

    `takes_from` is the machine whose good parts it works on, with room for `buffer` parts between them.
    `tells_reasons`: whether its wire has words for reasons; without them a stop is what its state says. `merges`:
    states that its wire has no word for, and what it says instead. `counts_scrap`: it counts bad parts, not good ones.
    `rolls_over_at`: the count that its counters never show, for they begin again at 0. `tells_orders`: it names the
    order that it works on, a new one with each product.
    """

    path: str
    products: tuple[Product, ...]
    hazards: tuple[Hazard, ...]
    changeover: Duration
    gauge: Gauge
    calendar: WorkCalendar
    slow_orders: float = 0.1
    jitter: float = 0.01
    micro_stop_s: float = 120.0
    takes_from: str | None = None
    buffer: int = 20
    tells_reasons: bool = True
    merges: Mapping[MachineState, MachineState] = field(default_factory=dict)
    counts_scrap: bool = False
    rolls_over_at: int | None = None
    tells_orders: bool = False

    def told(self, state: MachineState) -> MachineState:
        """A state in the words of the machine's wire."""
        return self.merges.get(state, state)

    def loss(self, turn: "Turn") -> Loss:
        """What NF E60-182 calls the stop that this turn begins."""
        if self.tells_reasons:
            for hazard in self.hazards:
                if (hazard.reason, hazard.state) == (turn.reason, turn.state) and hazard.loss is not None:
                    return hazard.loss
            return _BY_STATE[turn.state]
        return _BY_STATE[self.told(turn.state)]


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


class Supply:
    """The room between two machines: when the n-th good part was made, and when the n-th part was taken [ms].

    `live_maker` and `live_taker` live the one or the other on by a fact, for whoever waits for it.
    """

    def __init__(
        self, maker: str, taker: str, room: int, live_maker: Callable[[], None], live_taker: Callable[[], None]
    ) -> None:
        self.maker: Final = maker
        self.taker: Final = taker
        self._room = room
        self._live_maker = live_maker
        self._live_taker = live_taker
        self.made_ms: Final[list[int]] = []
        self.taken_ms: Final[list[int]] = []

    def comes_ms(self) -> int:
        """When the next part to be taken was, or will be, there."""
        while len(self.made_ms) <= len(self.taken_ms):
            self._live_maker()
        return self.made_ms[len(self.taken_ms)]

    def leaves_ms(self) -> int | None:
        """When there was, or will be, room for the next part; None: there always was."""
        number = len(self.made_ms) - self._room
        if number < 0:
            return None
        while len(self.taken_ms) <= number:
            self._live_taker()
        return self.taken_ms[number]


def facts(
    model: MachineModel, seed: int, born_ms: int, *, before: Supply | None = None, after: Supply | None = None
) -> Iterator[Fact]:
    """The life of a machine from its birth on [ms since the epoch]; it begins with a Change and a Turn.

    `before` and `after` are the rooms between it and its neighbours in a line.
    """
    return _Life(model, Random(f"{seed}/{model.path}/process"), born_ms, before, after).run()


class _Life:
    def __init__(
        self, model: MachineModel, random: Random, born_ms: int, before: Supply | None, after: Supply | None
    ) -> None:
        self._before = before
        self._after = after
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
            yield from self._wait_for_neighbours()
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
            if self._after is not None and not spoiled:
                self._after.made_ms.append(self._now)
            yield Made(self._now, product.name, not spoiled)

    def _wait_for_neighbours(self) -> Iterator[Fact]:
        """Nothing is begun before there is room for it and something to begin it with."""
        if self._after is not None:
            room_ms = self._after.leaves_ms()
            if room_ms is not None and room_ms > self._now:
                yield from self._spend(MachineState.BLOCKED, waits_for(self._after.taker), until_ms=room_ms)
        if self._before is not None:
            comes_ms = self._before.comes_ms()
            if comes_ms > self._now:
                yield from self._spend(MachineState.STARVED, waits_for(self._before.maker), until_ms=comes_ms)
            self._before.taken_ms.append(self._now)

    def _strike(self, number: int) -> Generator[Fact, None, bool]:
        """What is due strikes; whether it spoiled the part in work is returned."""
        hazard = self._model.hazards[number]
        yield from self._spend(hazard.state, hazard.reason, hazard.lasts.draw_ms(self._random))
        self._due[number] = self._executed + hazard.due_in_ms(self._random)
        return self._random.random() < hazard.spoils

    def _spend(self, state: MachineState, reason: str, ms: int = 0, *, until_ms: int | None = None) -> Iterator[Fact]:
        """Be in a state for so much working time, or until an instant, standing still in the breaks between."""
        while ms > 0 or (until_ms is not None and self._now < until_ms):
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
            wanted = ms if until_ms is None else max(0, until_ms - self._now)
            step = min(wanted, self._work_end - self._now)
            self._now += step
            ms -= step


def waits_for(path: str) -> str:
    """The reason of a machine that stands still for a neighbour."""
    return f"waits for {path.rsplit('/', 1)[-1]}"

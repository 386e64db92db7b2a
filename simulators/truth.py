"""What is true of a simulated machine over a window: taken from the process, in exact fractions.

Nothing here is read from the wire or shared with the pipeline. Definitions (NF E60-182): tR is the working time of
the machine's own calendar inside the window; Do = executing time in tR / tR; tN = Σ parts · tCR; Tp = tN / executing
time; tU = Σ good parts · tCR; Tq = tU / tN; TRS = tU / tR. A part belongs to the window [start, end) that holds the
instant it was finished. Machines stand still outside working time, so no part is made there, except one finished in
the very millisecond in which a break begins: it counts.
"""

import json
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, takewhile
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from simulators.link import PROBE_METRICS, LinkModel, link_events
from simulators.lives import lives
from simulators.machine import NS_PER_MS, Fact, MachineModel, Made, Turn
from simulators.radio_network import RadioNetworkModel
from simulators.timeline import Event, Timeline, Value, told
from simulators.vehicle import VehicleModel
from telemetry.glossary import MachineState

_NONE: Final = Fraction(0)


@dataclass(frozen=True, slots=True)
class MachineTruth:
    """One machine over [start_ns, end_ns): seconds are exact. Ratios are None where their denominator is zero."""

    asset: str
    start_ns: int
    end_ns: int
    required_s: Fraction
    """tR [s]."""
    seconds: dict[MachineState, Fraction]
    """Time in each state inside tR [s]; sums to tR."""
    made: dict[str, int]
    """Parts finished, by product (NPR)."""
    good: dict[str, int]
    """Good parts, by product (NPB)."""
    cycle_s: dict[str, Fraction]
    """Reference cycle time tCR [s], by product."""
    losses: dict[str, Fraction]
    """Time of the stops inside tR [s], by what NF E60-182 calls them; with executing time it sums to tR."""

    @property
    def parts(self) -> int:
        return sum(self.made.values())

    @property
    def parts_good(self) -> int:
        return sum(self.good.values())

    @property
    def executing_s(self) -> Fraction:
        """Executing time inside tR [s]."""
        return self.seconds.get(MachineState.EXECUTING, _NONE)

    @property
    def net_s(self) -> Fraction:
        """tN [s]."""
        return sum((count * self.cycle_s[product] for product, count in self.made.items()), _NONE)

    @property
    def useful_s(self) -> Fraction:
        """tU [s]."""
        return sum((count * self.cycle_s[product] for product, count in self.good.items()), _NONE)

    @property
    def availability(self) -> Fraction | None:
        """Do."""
        return _ratio(self.executing_s, self.required_s)

    @property
    def performance(self) -> Fraction | None:
        """Tp."""
        return _ratio(self.net_s, self.executing_s)

    @property
    def quality(self) -> Fraction | None:
        """Tq."""
        return _ratio(self.useful_s, self.net_s)

    @property
    def trs(self) -> Fraction | None:
        """TRS."""
        return _ratio(self.useful_s, self.required_s)

    def as_json(self) -> dict[str, Any]:
        """JSON-able figures; fractions as floats."""
        ratios = {"Do": self.availability, "Tp": self.performance, "Tq": self.quality, "TRS": self.trs}
        return {
            "asset": self.asset,
            "start_ns": self.start_ns,
            "end_ns": self.end_ns,
            "required_s": float(self.required_s),
            "seconds": {state.name: float(seconds) for state, seconds in sorted(self.seconds.items())},
            "losses": {loss: float(seconds) for loss, seconds in sorted(self.losses.items())},
            "parts": self.parts,
            "parts_good": self.parts_good,
            "by_product": {p: {"parts": n, "parts_good": self.good.get(p, 0)} for p, n in sorted(self.made.items())},
            **{name: None if value is None else float(value) for name, value in ratios.items()},
        }


@dataclass(frozen=True, slots=True)
class LinkTruth:
    """The router's own probes over [start_ns, end_ns): round trips of those answered [ms], and how many were lost."""

    asset: str
    start_ns: int
    end_ns: int
    rtt_ms: tuple[float, ...]
    lost: int

    @property
    def sent(self) -> int:
        return len(self.rtt_ms) + self.lost

    def as_json(self) -> dict[str, Any]:
        return {
            "asset": self.asset,
            "start_ns": self.start_ns,
            "end_ns": self.end_ns,
            "sent": self.sent,
            "lost": self.lost,
            "rtt_min_ms": min(self.rtt_ms, default=None),
            "rtt_max_ms": max(self.rtt_ms, default=None),
        }


def _ratio(numerator: Fraction, denominator: Fraction) -> Fraction | None:
    return numerator / denominator if denominator else None


class _Lived:
    """What has happened so far, kept so that a later question goes on where the last one stopped."""

    def __init__(self, life: Iterator[Fact]) -> None:
        self._life = life
        self._known_ms = 0
        self._turns: list[Turn] = []
        self._made: list[Made] = []

    def turns(self, start_ms: int, end_ms: int) -> list[Turn]:
        """The turn in force at `start_ms` and those after it, before `end_ms` [ms]."""
        self._learn(end_ms)
        first = bisect_right(self._turns, start_ms, key=_at_ms) - 1
        return self._turns[max(0, first) : bisect_left(self._turns, end_ms, key=_at_ms)]

    def made(self, start_ms: int, end_ms: int) -> list[Made]:
        """The parts finished in [start_ms, end_ms)."""
        self._learn(end_ms)
        return self._made[bisect_left(self._made, start_ms, key=_at_ms) : bisect_left(self._made, end_ms, key=_at_ms)]

    def _learn(self, end_ms: int) -> None:
        while self._known_ms < end_ms:
            fact = next(self._life)
            self._known_ms = fact.at_ms
            if isinstance(fact, Turn):
                self._turns.append(fact)
            elif isinstance(fact, Made):
                self._made.append(fact)


def _at_ms(fact: Fact) -> int:
    return fact.at_ms


class Truth:
    """The truth of a plant: asked for any asset over any window after the birth of its machines [ns]."""

    def __init__(
        self,
        machines: Iterable[MachineModel],
        seed: int,
        born_ns: int,
        links: Iterable[LinkModel] = (),
        others: Iterable[VehicleModel | RadioNetworkModel] = (),
    ) -> None:
        self._born_ns = born_ns
        self._seed = seed
        self._models = {model.path: model for model in machines}
        self._links = {link.path: link for link in links}
        self._others = {other.path: other for other in others}
        self._probes: dict[str, tuple[Timeline, list[Event]]] = {}
        self._lived = {path: _Lived(lives(self._models, path, seed, born_ns)) for path in self._models}

    @property
    def assets(self) -> tuple[str, ...]:
        return (*self._models, *self._links)

    def machine(self, asset: str, start_ns: int, end_ns: int) -> MachineTruth:
        """The figures of a machine. Raises KeyError for an unknown asset, ValueError for a window before its birth."""
        model = self._models[asset]
        self._check(start_ns, end_ns)
        lived = self._lived[asset]
        start_ms, end_ms = -(-start_ns // NS_PER_MS), -(-end_ns // NS_PER_MS)  # facts are in whole milliseconds
        required = [
            (max(start * NS_PER_MS, start_ns), min(end * NS_PER_MS, end_ns))
            for start, end in model.calendar.working(start_ns // NS_PER_MS, end_ms)
        ]
        made, good = Counter[str](), Counter[str]()
        for part in lived.made(start_ms, end_ms):
            made[part.product] += 1
            good[part.product] += part.good
        return MachineTruth(
            asset,
            start_ns,
            end_ns,
            Fraction(sum(end - start for start, end in required), 10**9),
            _time_in_states(lived.turns(start_ns // NS_PER_MS, end_ms), required, end_ns),
            dict(made),
            {product: count for product, count in good.items() if count},
            {product.name: Fraction(str(product.cycle_s)) for product in model.products},
            self._losses(model, start_ms, end_ms, required),
        )

    def _losses(
        self, model: MachineModel, start_ms: int, end_ms: int, required: list[tuple[int, int]]
    ) -> dict[str, Fraction]:
        """Stops by cause. One that lasts less than the model's limit, from its last execution to its next, breaks in
        between included, is a micro-stop where it is a breakdown or has no cause of its own."""
        limit_ms = round(model.micro_stop_s * 1000)
        turns = self._lived[model.path].turns(max(start_ms - limit_ms, self._born_ns // NS_PER_MS), end_ms + limit_ms)
        ends = [turn.at_ms for turn in turns[1:]] + [end_ms + limit_ms]
        total = Counter[str]()
        stop: list[tuple[str, int, int]] = []
        for turn, until_ms in [*zip(turns, ends, strict=True), (None, 0)]:
            if turn is not None and turn.state is not MachineState.EXECUTING:
                stop.append((model.loss(turn), turn.at_ms, until_ms))
                continue
            short = bool(stop) and stop[-1][2] - stop[0][1] < limit_ms
            for loss, from_ms, to_ms in stop:
                name = "micro_stop" if short and loss in ("breakdown", "operation") else loss
                total[name] += sum(
                    max(0, min(to_ms * NS_PER_MS, close) - max(from_ms * NS_PER_MS, open_)) for open_, close in required
                )
            stop = []
        return {loss: Fraction(ns, 10**9) for loss, ns in total.items() if ns}

    def link(self, asset: str, start_ns: int, end_ns: int) -> LinkTruth:
        """The router's probes of a link. Raises as `machine`."""
        self._check(start_ns, end_ns)
        timeline, probes = self._probes.get(asset) or (
            Timeline(link_events(self._links[asset], self._seed, self._born_ns), PROBE_METRICS.__contains__),
            [],
        )
        self._probes[asset] = timeline, probes
        probes += timeline.until(end_ns)
        instant = itemgetter(0)
        inside = probes[bisect_left(probes, start_ns, key=instant) : bisect_left(probes, end_ns, key=instant)]
        answered = tuple(float(value) for _, metric, value in inside if metric == "rtt")
        return LinkTruth(asset, start_ns, end_ns, answered, sum(metric == "rtt_lost" for _, metric, _ in inside))

    def in_force(self, asset: str, at_ns: int) -> dict[str, Value]:
        """What is true of any asset at an instant [ns], by metric: what it has said last, had nothing been lost."""
        self._check(at_ns, at_ns)
        if asset in self._models:
            model = self._models[asset]
            story = told(lives(self._models, asset, self._seed, self._born_ns), model, self._seed, self._born_ns)
        else:
            story = {**self._links, **self._others}[asset].events(self._seed, self._born_ns)
        return {metric: value for _, metric, value in takewhile(lambda event: event[0] <= at_ns, story)}

    def write(self, path: Path, start_ns: int, end_ns: int, step_ns: int = 3600 * 10**9) -> None:
        """As a JSON file: for every asset the whole window, and each step (counted from the epoch) that it holds whole.

        Layout: {"seed", "born_ns", "whole": [figures, …], "steps": [figures, …], "in_force": {asset: {metric: value}}},
        the last at the end.
        """
        steps = range(-(-start_ns // step_ns) * step_ns, end_ns - step_ns + 1, step_ns)
        windows = [(start, start + step_ns) for start in steps]
        document = {
            "seed": self._seed,
            "born_ns": self._born_ns,
            "whole": [self._figures(asset, start_ns, end_ns) for asset in self.assets],
            "steps": [self._figures(asset, *window) for asset in self._models for window in windows],
            "in_force": {asset: self.in_force(asset, end_ns) for asset in (*self.assets, *self._others)},
        }
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    def _figures(self, asset: str, start_ns: int, end_ns: int) -> dict[str, Any]:
        question = self.machine if asset in self._models else self.link
        return question(asset, start_ns, end_ns).as_json()

    def _check(self, start_ns: int, end_ns: int) -> None:
        if not self._born_ns <= start_ns <= end_ns:
            raise ValueError(f"the plant was born at {self._born_ns} ns; {start_ns} … {end_ns} ns is not after it")


def _time_in_states(turns: list[Turn], required: list[tuple[int, int]], end_ns: int) -> dict[MachineState, Fraction]:
    """Time [s] that each state overlaps the required intervals [ns]."""
    edges = [(turn.at_ms * NS_PER_MS, turn.state) for turn in turns]
    edges.append((end_ns, MachineState.NOT_AVAILABLE))
    total = Counter[MachineState]()
    first = 0
    for (start, state), (end, _) in pairwise(edges):
        while first < len(required) and required[first][1] <= start:
            first += 1
        for open_ns, close_ns in required[first:]:
            if open_ns >= end:
                break
            total[state] += max(0, min(end, close_ns) - max(start, open_ns))
    return {state: Fraction(ns, 10**9) for state, ns in total.items() if ns}

"""An autonomous vehicle on 5G: missions between stations, a battery, a position, and the radio it has there.

Invariants. As in simulators.machine: events depend on (model, seed, birth) alone, come in time order and in whole
milliseconds. The serving cell is the antenna that is heard best, with a hysteresis; `handovers` counts its changes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from simulators.machine import NS_PER_MS
from simulators.timeline import Event

Place = tuple[float, float]
"""Metres east and north of the corner of the site."""

_HYSTERESIS_DB: Final = 3.0
_PER_METRE: Final = 0.02
"""Battery [%] for a metre, and for a second of charging below."""

_PER_SECOND: Final = 0.05
_LOW: Final = 25.0


@dataclass(frozen=True, slots=True)
class VehicleModel:
    """One vehicle: stations (the first charges), antennas, speed [m/s], seconds of loading, seconds between reports."""

    path: str
    stations: tuple[Place, ...]
    antennas: tuple[Place, ...]
    speed: float = 1.4
    loads_s: float = 45.0
    every_s: float = 2.0

    def events(self, seed: int, born_ns: int) -> Iterator[Event]:
        """Position, speed, battery, mission, RSRP, cell and handovers from birth on [ns], for ever."""
        return _Vehicle(self, Random(f"{seed}/{self.path}/vehicle"), born_ns).run()


class _Vehicle:
    def __init__(self, model: VehicleModel, random: Random, born_ns: int) -> None:
        self._model = model
        self._random = random
        self._now = born_ns
        self._tick_ns = round(1000 * model.every_s) * NS_PER_MS
        self._at = model.stations[0]
        self._battery = 90.0
        self._cell = -1
        self._handovers = -1
        self._told: dict[str, float | int | str] = {}

    def run(self) -> Iterator[Event]:
        station = 0
        while True:
            if self._battery < _LOW:
                yield from self._drive(0)
                yield from self._stay("charges", (95.0 - self._battery) / _PER_SECOND, _PER_SECOND)
                station = 0
            others = [number for number in range(len(self._model.stations)) if number != station]
            station = self._random.choice(others)
            yield from self._drive(station)
            yield from self._stay("loads", self._model.loads_s * self._random.uniform(0.7, 1.6), 0.0)

    def _drive(self, station: int) -> Iterator[Event]:
        (x, y), (to_x, to_y) = self._at, self._model.stations[station]
        far = math.hypot(to_x - x, to_y - y)
        ticks = max(1, math.ceil(far / (self._model.speed * self._model.every_s)))
        for tick in range(1, ticks + 1):
            share = tick / ticks
            self._at = x + share * (to_x - x), y + share * (to_y - y)
            self._battery = max(0.0, self._battery - _PER_METRE * far / ticks)
            yield from self._report(f"drives to station-{station + 1}", far / ticks / self._model.every_s)

    def _stay(self, mission: str, seconds: float, charging: float) -> Iterator[Event]:
        for _ in range(max(1, round(seconds / self._model.every_s))):
            self._battery = min(100.0, self._battery + charging * self._model.every_s)
            yield from self._report(mission, 0.0)

    def _report(self, mission: str, speed: float) -> Iterator[Event]:
        heard = [
            -62.0 - 34.0 * math.log10(max(1.0, math.dist(self._at, antenna) / 10.0)) + self._random.gauss(0.0, 1.0)
            for antenna in self._model.antennas
        ]
        best = max(range(len(heard)), key=heard.__getitem__)
        if self._cell < 0 or heard[best] > heard[self._cell] + _HYSTERESIS_DB:
            self._handovers += best != self._cell
            self._cell = best
        figures: dict[str, float | int | str] = {
            "position_x": round(self._at[0], 2),
            "position_y": round(self._at[1], 2),
            "speed": round(speed, 2),
            "battery": round(self._battery, 1),
            "mission": mission,
            "rsrp": round(max(-140.0, heard[self._cell]), 1),
            "cell": f"gnb-{self._cell + 1}",
            "handovers": self._handovers,
        }
        for metric, value in figures.items():
            if self._told.get(metric) != value:
                self._told[metric] = value
                yield self._now, metric, value
        self._now += self._tick_ns

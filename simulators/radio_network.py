"""What a gNB and a 5G core tell of themselves: counts of devices, load and sessions, as TS 28.552 names them.

Invariants. As in simulators.machine: events depend on (model, seed, birth) alone, come in time order and in whole
milliseconds. Devices come and go by a day's pattern and by chance; no more of them are connected than registered.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from simulators.machine import NS_PER_MS
from simulators.timeline import Event

_DAY_NS: Final = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class RadioNetworkModel:
    """One network function that publishes: a gNB (`core` False) or a core, for so many devices, every so many [s]."""

    path: str
    core: bool
    devices: int = 40
    every_s: float = 30.0
    downlink_mbit_s: float = 600.0

    def events(self, seed: int, born_ns: int) -> Iterator[Event]:
        """gNB: connected_ues, prb_used, throughput_down, throughput_up; core: registered_ues, pdu_sessions."""
        random = Random(f"{seed}/{self.path}/network")
        told: dict[str, float | int] = {}
        load, now = 0.5, born_ns
        while True:
            day = 0.5 - 0.4 * math.cos(2.0 * math.pi * (now % _DAY_NS) / _DAY_NS)
            load = min(1.0, max(0.02, 0.9 * load + 0.1 * day + random.gauss(0.0, 0.03)))
            for metric, value in self._figures(load, random).items():
                if told.get(metric) != value:
                    told[metric] = value
                    yield now, metric, value
            now += round(1000 * self.every_s) * NS_PER_MS

    def _figures(self, load: float, random: Random) -> dict[str, float | int]:
        registered = round(self.devices * (0.6 + 0.4 * load))
        if self.core:
            return {
                "registered_ues": registered,
                "pdu_sessions": registered + sum(random.random() < 0.3 for _ in "123"),
            }
        used = min(100.0, 100.0 * load * random.uniform(0.85, 1.1))
        return {
            "connected_ues": min(registered, round(registered * load)),
            "prb_used": round(used, 1),
            "throughput_down": round(self.downlink_mbit_s * used / 100.0, 1),
            "throughput_up": round(self.downlink_mbit_s * used / 800.0, 1),
        }

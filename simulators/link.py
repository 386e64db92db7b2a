"""A 5G link as seen by its router: radio quality that wanders, cells that change, and round trips that suffer for it.

Invariants. As in simulators.machine: events depend on (model, seed, birth) alone, come in time order and in whole
milliseconds. A probe is answered (`rtt`) or lost (`rtt_lost` = 1), never both.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from simulators.machine import NS_PER_MS
from simulators.timeline import Event

_DISTURBED_NS: Final = 5 * 10**9
"""How long [ns] a change of cell is felt."""

PROBE_METRICS: Final = frozenset({"rtt", "rtt_lost"})


@dataclass(frozen=True, slots=True)
class LinkModel:
    """One link: radio figures and probes every so many [s]; `floor_ms`: shortest round trip [ms].

    `fading_db` [dB]: how far the radio wanders between two figures; `handover`: how likely a bad radio changes the
    cell; `handover_loss`: how likely a probe is lost in the five seconds after that.
    """

    path: str
    radio_s: float = 10.0
    probe_s: float = 5.0
    floor_ms: float = 8.5
    cells: tuple[str, ...] = ("gnb-1/cell-2", "gnb-1/cell-3")
    fading_db: float = 1.1
    handover: float = 0.15
    handover_loss: float = 0.0

    def events(self, seed: int, born_ns: int) -> Iterator[Event]:
        """See link_events."""
        return link_events(self, seed, born_ns)


def link_events(model: LinkModel, seed: int, born_ns: int) -> Iterator[Event]:
    """Radio figures and the router's own probe log from the link's birth on, for ever."""
    return _Link(model, Random(f"{seed}/{model.path}/radio"), born_ns).run()


class _Link:
    def __init__(self, model: LinkModel, random: Random, born_ns: int) -> None:
        self._model = model
        self._random = random
        self._now = born_ns
        self._fading = 0.0
        """How far the radio is from its usual quality [dB]; positive is worse."""
        self._cell = 0
        self._handed_ns = -_DISTURBED_NS
        self._last: dict[str, float | str] = {}

    def run(self) -> Iterator[Event]:
        radio_ns, probe_ns = (round(1000 * every) * NS_PER_MS for every in (self._model.radio_s, self._model.probe_s))
        next_radio = next_probe = self._now
        while True:
            self._now = min(next_radio, next_probe)
            if next_radio == self._now:
                next_radio += radio_ns
                yield from self._radio()
            if next_probe == self._now:
                next_probe += probe_ns
                yield self._probe()

    def _radio(self) -> Iterator[Event]:
        random = self._random
        self._fading = 0.97 * self._fading + random.gauss(0.0, self._model.fading_db)
        if self._fading > 10.0 and random.random() < self._model.handover:
            self._handed_ns = self._now
            self._cell = (self._cell + 1) % len(self._model.cells)
            self._fading -= 8.0
        sinr = 19.0 - 1.3 * self._fading + random.gauss(0.0, 1.0)
        share = min(1.0, max(0.02, math.log2(1.0 + 10.0 ** (sinr / 10.0)) / 7.0))
        figures: dict[str, float | str] = {
            "rsrp": round(min(-44.0, max(-140.0, -86.0 - self._fading + random.gauss(0.0, 0.7))), 1),
            "rsrq": round(min(-3.0, max(-19.5, -10.5 - 0.35 * self._fading + random.gauss(0.0, 0.3))), 1),
            "sinr": round(min(40.0, max(-20.0, sinr)), 1),
            "throughput_up": round(max(0.0, 78.0 * share * (0.85 + 0.15 * random.random())), 2),
            "throughput_down": round(max(0.0, 610.0 * share * (0.8 + 0.2 * random.random())), 2),
            "cell": self._model.cells[self._cell],
        }
        for metric, value in figures.items():
            if self._last.get(metric) != value:
                self._last[metric] = value
                yield self._now, metric, value

    def _probe(self) -> Event:
        random = self._random
        trouble = max(0.0, self._fading)
        if random.random() < 0.0004 + 0.00025 * trouble * trouble:
            return self._now, "rtt_lost", 1
        disturbed = self._now - self._handed_ns < _DISTURBED_NS
        if disturbed and self._model.handover_loss and random.random() < self._model.handover_loss:
            return self._now, "rtt_lost", 1
        queueing = random.expovariate(1.0 / (2.2 + 0.45 * trouble))
        resent = 8.0 * (random.random() < 0.02 + 0.012 * trouble)
        return self._now, "rtt", round(self._model.floor_ms + queueing + resent, 3)

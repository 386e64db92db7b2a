"""When nobody heard an edge node, and what takes the place of "unknown" then, should it have kept what happened. Pure.

Invariants:
- Only what the node wrote within an outage, after the last message that was heard of it and before the births that
  ended it, shows that it kept that outage: nodes keep what happens while they are cut off or their primary host is
  away, and not while another host is. What is older or newer says nothing of it.
- Of an outage that was told, what was in force at its begin is in force until something else is told. That is said of
  devices that were born again with their node; of one that came later, or never, nobody knows when it died.
- A new outage leaves those before it as they are: a node may die once more before it has told what it kept.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from collectors.mqtt.sparkplug_known import Known
from telemetry.glossary import holds
from telemetry.samples import Sample

_REMEMBERED: Final = 8
"""Outages of a node that may still be told; those before them stay unknown: a node that comes and goes fills no
memory."""


@dataclass(slots=True)
class Outage:
    """From the last message heard of a node, written at `heard_ns`, to the birth written at `end_ns` [ns, its clock].

    `kept`, by device and name of a metric: what was in force, at the instant from which on it was said to be unknown,
    and the time of that value [ns]. `back`: the devices that were born again.
    """

    heard_ns: int
    end_ns: int | None = None
    births_until_ns: int = 0
    told: bool = False
    back: dict[str, None] = field(default_factory=dict)
    kept: dict[str, dict[str, tuple[Sample, int]]] = field(default_factory=dict)

    def unknown(self, known: Known, at_ns: int) -> None:
        """From `at_ns` [ns] on it is said to be unknown."""
        if known.last is not None and holds(known.metric):
            in_force = msgspec.structs.replace(known.last, time_ns=at_ns)
            self.kept.setdefault(known.device, {})[known.name] = in_force, known.last.time_ns

    def of(self, device: str) -> Iterator[Sample]:
        """What was in force of that device."""
        return (sample for sample, _ in self.kept.get(device, {}).values())


class Outages:
    """Those of one node. A device may be born `births_ns` [ns] after its node; "" is the node itself."""

    def __init__(self, births_ns: int) -> None:
        self._births_ns: Final = births_ns
        self._known: Final[deque[Outage]] = deque(maxlen=_REMEMBERED)

    def begin(self, heard_ns: int) -> Outage:
        """Nobody hears the node any more; `heard_ns` [ns] is when it wrote the last message, by its clock."""
        self._known.append(Outage(heard_ns))
        return self._known[-1]

    def end(self, written_ns: int, received_ns: int) -> None:
        """The node was born again."""
        if self._known and self._known[-1].end_ns is None:
            self._known[-1].end_ns = written_ns
            self._known[-1].births_until_ns = received_ns + self._births_ns

    def born(self, device: str, received_ns: int) -> Iterator[Sample]:
        """The device was born; what is known again of outages that were told already."""
        for outage in self._known:
            if device not in outage.back and received_ns <= outage.births_until_ns:
                outage.back[device] = None
                if outage.told:
                    yield from outage.of(device)

    def tell(self, known: Known, sample: Sample) -> Iterator[Sample]:
        """The node tells of the past; what is known again by that."""
        for outage in self._known:
            kept = outage.kept.get(known.device, {})
            before, since_ns = kept.get(known.name, (None, 0))
            if before is not None and since_ns <= sample.time_ns <= before.time_ns:  # it was on its way to us
                kept[known.name] = msgspec.structs.replace(sample, time_ns=before.time_ns), sample.time_ns
                if outage.told and known.device in outage.back:
                    yield kept[known.name][0]
            if not outage.told and outage.end_ns is not None and outage.heard_ns < sample.time_ns <= outage.end_ns:
                outage.told = True
                for device in outage.back:
                    yield from outage.of(device)

"""A machine as a server shows it: where its nodes are, and what reads them."""

from dataclasses import dataclass, field
from typing import Protocol

from collectors.opcua.browse import Seen
from collectors.opcua.wire import Reading
from telemetry.samples import Sample


class Reader(Protocol):
    """Makes samples from the readings of one node."""

    @property
    def asset(self) -> str: ...
    @property
    def metric(self) -> str: ...
    @property
    def holds_state(self) -> bool: ...
    def samples(self, reading: Reading, received_ns: int) -> list[Sample]:
        """The samples of a reading. Raises DecodeError."""


@dataclass(frozen=True, slots=True)
class Place:
    """A node within a machine: its path from there, and the node that it belongs to."""

    seen: Seen
    path: str
    owner: "Place | None"


@dataclass(frozen=True, slots=True)
class Told:
    """A node that tells a metric, or a part of one."""

    place: Place
    metric: str
    reader: Reader


@dataclass(slots=True)
class Machine:
    """A machine as the server shows it. `told` is empty until `describe`."""

    seen: Seen
    address: str
    specification: str
    nameplate: dict[str, str] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Paths of nodes whose metric another node tells already, or that do not say enough."""
    notifiers: list[Place] = field(default_factory=list)
    """What of it tells events: the machine, or objects below it."""

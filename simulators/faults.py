"""What can go wrong on the wire, and the devices that do it: scripted by plant time, or drawn from a seed.

Invariants. What a fault does depends on the scenario alone, not on how fast it is played. The journal holds what a
device published, wrong or not; what it lost on the way is `withheld` and in no journal. Faults change what is said,
never what is: the truth does not know them.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Final, Literal, get_args

from pydantic import Field, model_validator

from telemetry.config import Section
from telemetry.plant import AssetPath

MessageFault = Literal[
    "late", "duplicated", "reordered", "lost", "garbage", "type-change", "counter-rollover", "counter-reset", "silence",
    "skew", "drift", "leftovers",
]  # fmt: skip
"""Faults of the messages of MQTT devices."""

WireFault = Literal["broker-restart", "server-restart", "renumbered", "renamed", "frozen", "half-open", "uplink-lost"]
"""Faults of a broker, a server, a connection: whoever runs these makes them happen."""

FaultKind = Literal[MessageFault, WireFault]
MESSAGE_FAULTS: Final[tuple[FaultKind, ...]] = get_args(MessageFault)
WIRE_FAULTS: Final[tuple[FaultKind, ...]] = get_args(WireFault)
FAULTS: Final = (*MESSAGE_FAULTS, *WIRE_FAULTS)

_PER_TOPIC: Final = frozenset({"mqtt", "link", "vehicle", "gnb", "core"})
_DEVICES: Final = _PER_TOPIC | {"printer"}
CONCERNS: Final[dict[str, frozenset[str]]] = {
    **dict.fromkeys(MESSAGE_FAULTS, _DEVICES),
    "type-change": _DEVICES | {"opcua"},
    "counter-rollover": frozenset({"mqtt", "printer"}),
    "counter-reset": frozenset({"mqtt", "printer"}),
    "silence": _PER_TOPIC,  # a report has no word for it
    "leftovers": frozenset({"mqtt"}),
    "broker-restart": _DEVICES | {"sparkplug"},
    "server-restart": frozenset({"opcua"}),
    "renumbered": frozenset({"opcua"}),
    "renamed": frozenset({"opcua"}),
    "frozen": _DEVICES | {"sparkplug", "opcua"},
    "half-open": _DEVICES | {"sparkplug", "opcua"},
    "uplink-lost": frozenset({"sparkplug"}),
}
"""Which kinds of assets a fault concerns."""

COMMON: Final = frozenset({"broker-restart", "server-restart", "renumbered", "frozen", "half-open"})
"""Faults of what all assets behind it share: they befall all of them."""

INSTANTS: Final = COMMON | {"counter-rollover", "counter-reset", "leftovers"}
"""Faults that last as long as they last, whatever the scenario says."""

_LASTS_MIN: Final = 30.0

WORD: Final = 65_536
"""Where a counter rolls over of which nothing else is said: 16 bits."""

MINUTE_NS: Final = 60 * 10**9

EFFECTS: Final[dict[str, str]] = {
    "late": "figures exact, nothing lost: late data is the same as new data",
    "duplicated": "figures exact, duplicates counted: a sample's identity is its time",
    "reordered": "figures exact",
    "lost": "as many samples are missing as were lost; figures of the windows they touch may be wrong",
    "garbage": "figures exact; each message set aside with its reason",
    "type-change": "figures exact: a number in quotes, or of another type, is a number",
    "counter-rollover": "figures exact: the plant file says where its counters begin again",
    "counter-reset": "figures exact: what a reset counter shows, it has counted since",
    "silence": "coverage shrinks by the share of required time nobody knows; figures exact over the rest",
    "skew": "nothing lost; times of the windows touched wrong by no more than the skew, at each end or edge of work",
    "drift": "as skew: the clock goes wrong little by little, and is set right at once",
    "leftovers": "figures exact: retained messages of another year are kept under their own time",
    "broker-restart": "figures exact, nothing lost",
    "server-restart": "figures exact, nothing lost: what was missed is read from the server's history",
    "renumbered": "as server-restart, though the server has numbered its namespaces anew",
    "renamed": "figures exact, nothing lost: what was missed of a node is read from its history once it can be found",
    "frozen": "figures exact, nothing lost",
    "half-open": "figures exact, nothing lost: a connection that is silent is given up",
    "uplink-lost": "figures exact, nothing lost: Sparkplug edge nodes store and forward",
}
"""What each fault may do to the figures: `km0 verify` holds the platform to it."""


class Fault(Section):
    """Something that goes wrong on the wire."""

    kind: FaultKind = Field(description="what goes wrong")
    at_min: float = Field(ge=0, description="when [min after the start]")
    for_min: float | None = Field(
        None, gt=0, description="for how long [min], 30 unless given; late messages come at its end; not of an instant"
    )
    asset: AssetPath | None = Field(
        None, description="whom it concerns; unless given, all that it can concern; not of what befalls all at once"
    )
    share: float = Field(0.1, gt=0, le=1, description="share of the messages that are duplicated, lost or garbage")
    by_s: float = Field(
        7.3, description="skew: how wrong the clock is [s]; drift: how wrong it is in the end; negative: behind"
    )

    @model_validator(mode="after")
    def _heeds_what_it_is_given(self) -> "Fault":
        if self.kind in INSTANTS and self.for_min is not None:
            raise ValueError(f"fault {self.kind!r} has no length of its own: leave `for_min` out")
        if self.kind in COMMON and self.asset is not None:
            raise ValueError(f"fault {self.kind!r} befalls all that are on the same wire at once: leave `asset` out")
        return self

    def concerns(self, path: str, kind: str) -> bool:
        """Whether an asset of a kind can have it."""
        return self.asset in (None, path) and kind in CONCERNS[self.kind]

    def active(self, since_start_ns: int) -> bool:
        """Whether it acts at an instant [ns after the start]."""
        start, end = self.window_ns(0)
        return start <= since_start_ns < end

    def window_ns(self, starts_ns: int) -> tuple[int, int]:
        """[from, until) [ns] for a scenario that starts at `starts_ns`."""
        start = starts_ns + round(self.at_min * MINUTE_NS)
        return start, start + round((_LASTS_MIN if self.for_min is None else self.for_min) * MINUTE_NS)


def possible(kinds: Iterable[str]) -> tuple[FaultKind, ...]:
    """The faults that assets of these kinds can have."""
    there = set(kinds)
    return tuple(fault for fault in FAULTS if CONCERNS[fault] & there)


def scheduled(kinds: Sequence[FaultKind], hours: float) -> tuple[Fault, ...]:
    """One fault of each kind, spread over the middle of a scenario of so many hours [h], so that none hides another."""
    step = 60 * hours * 0.8 / max(1, len(kinds))
    return tuple(
        Fault(
            kind=kind,
            at_min=round(60 * hours * 0.1 + number * step, 3),
            for_min=None if kind in INSTANTS else max(1.0, step * 0.6),
        )
        for number, kind in enumerate(kinds)
    )


def drawn(seed: int, hours: float, kinds: Sequence[FaultKind] = FAULTS, count: int = 6) -> tuple[Fault, ...]:
    """Faults of these kinds at random, from the seed: which, when, for how long, how much."""
    random = Random(f"{seed}/faults")
    found = []
    for _ in range(count):
        kind = random.choice(kinds)
        at_min = round(random.uniform(0.05, 0.8) * 60 * hours, 3)
        for_min = round(random.uniform(3.0, 40.0), 3)
        share = round(random.uniform(0.02, 0.3), 3)
        by_s = round(random.uniform(0.5, 12.0) * random.choice((-1, 1)), 3)
        lasts = None if kind in INSTANTS else for_min
        found.append(Fault(kind=kind, at_min=at_min, for_min=lasts, share=share, by_s=by_s))
    return tuple(found)


@dataclass
class Done:
    """What faults did, for the account: to the messages, published or not, and how often each was made."""

    withheld: list[tuple[str, str, int]] = field(default_factory=list)
    """Identities (asset, metric, time_ns) that were lost on the way."""
    unusable: list[tuple[str, str]] = field(default_factory=list)
    """Topics and payloads (hexadecimal) of messages that nobody can use."""
    unheard: list[tuple[str, str, int]] = field(default_factory=list)
    """Identities of alarms that no OPC UA client has acknowledged: events are told to who listens and kept nowhere."""
    made: dict[int, int] = field(default_factory=dict)
    """How often each fault was made, by its number in the scenario: messages, machines, restarts, connections."""

    def note(self, number: int, times: int = 1) -> None:
        """A fault was really made."""
        if times:
            self.made[number] = self.made.get(number, 0) + times

    @classmethod
    def read(cls, path: Path) -> "Done":
        """As `write` has left it."""
        told = json.loads(path.read_text(encoding="utf-8"))
        return cls(**told | {"made": {int(number): times for number, times in told["made"].items()}})

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

"""What can go wrong on the wire, and the devices that do it: scripted by plant time, or drawn from a seed.

Invariants. What a fault does depends on the scenario alone, not on how fast it is played. The journal holds what a
device published, wrong or not; what it lost on the way is `withheld` and in no journal. Faults change what is said,
never what is: the truth does not know them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal, get_args

from pydantic import Field

from telemetry.config import Section
from telemetry.plant import AssetPath

MessageFault = Literal[
    "late", "duplicated", "reordered", "lost", "garbage", "type-change", "counter-reset", "silence", "skew",
    "leftovers",
]  # fmt: skip
"""Faults of the messages of MQTT devices."""

WireFault = Literal["broker-restart", "server-restart", "renumbered", "frozen", "half-open", "uplink-lost"]
"""Faults of a broker, a server, a connection: whoever runs these makes them happen."""

FaultKind = Literal[MessageFault, WireFault]
MESSAGE_FAULTS: Final[tuple[FaultKind, ...]] = get_args(MessageFault)
WIRE_FAULTS: Final[tuple[FaultKind, ...]] = get_args(WireFault)
FAULTS: Final = (*MESSAGE_FAULTS, *WIRE_FAULTS)

MINUTE_NS: Final = 60 * 10**9

EFFECTS: Final[dict[str, str]] = {
    "late": "figures exact, nothing lost: late data is the same as new data",
    "duplicated": "figures exact, duplicates counted: a sample's identity is its time",
    "reordered": "figures exact",
    "lost": "as many samples are missing as were lost; figures of the windows they touch may be wrong",
    "garbage": "figures exact; each message set aside with its reason",
    "type-change": "figures exact: a number in quotes is a number",
    "counter-reset": "figures exact: what a reset counter shows, it has counted since",
    "silence": "coverage shrinks by the share of required time nobody knows; figures exact over the rest",
    "skew": "nothing lost; times of the windows touched wrong by no more than the skew, at each end or edge of work",
    "leftovers": "figures exact: retained messages of another year are kept under their own time",
    "broker-restart": "figures exact, nothing lost",
    "server-restart": "figures exact, nothing lost: what was missed is read from the server's history",
    "renumbered": "as server-restart, though the server has numbered its namespaces anew",
    "frozen": "figures exact, nothing lost",
    "half-open": "figures exact, nothing lost: a connection that is silent is given up",
    "uplink-lost": "figures exact, nothing lost: Sparkplug edge nodes store and forward",
}
"""What each fault may do to the figures: `km0 verify` holds the platform to it."""


class Fault(Section):
    """Something that goes wrong on the wire."""

    kind: FaultKind = Field(description="what goes wrong")
    at_min: float = Field(ge=0, description="when [min after the start]")
    for_min: float = Field(
        30.0, gt=0, description="for how long [min]; late messages come at its end; a restart is an instant"
    )
    asset: AssetPath | None = Field(None, description="whom it concerns; unless given, all that it can concern")
    share: float = Field(0.1, gt=0, le=1, description="share of the messages that are duplicated, lost or garbage")
    by_s: float = Field(7.3, description="skew: how wrong the clock is [s]; negative: behind")

    def active(self, since_start_ns: int) -> bool:
        """Whether it acts at an instant [ns after the start]."""
        start = round(self.at_min * MINUTE_NS)
        return start <= since_start_ns < start + round(self.for_min * MINUTE_NS)

    def window_ns(self, starts_ns: int) -> tuple[int, int]:
        """[from, until) [ns] for a scenario that starts at `starts_ns`."""
        start = starts_ns + round(self.at_min * MINUTE_NS)
        return start, start + round(self.for_min * MINUTE_NS)


def scheduled(kinds: Sequence[FaultKind], hours: float) -> tuple[Fault, ...]:
    """One fault of each kind, spread over the middle of a scenario of so many hours [h], so that none hides another."""
    step = 60 * hours * 0.8 / max(1, len(kinds))
    return tuple(
        Fault(kind=kind, at_min=round(60 * hours * 0.1 + number * step, 3), for_min=max(1.0, step * 0.6))
        for number, kind in enumerate(kinds)
    )


def drawn(seed: int, hours: float, count: int = 6) -> tuple[Fault, ...]:
    """Faults at random, from the seed."""
    random = Random(f"{seed}/faults")
    return tuple(
        Fault(
            kind=random.choice(FAULTS),
            at_min=round(random.uniform(0.05, 0.8) * 60 * hours, 3),
            for_min=round(random.uniform(3.0, 40.0), 3),
            share=round(random.uniform(0.02, 0.3), 3),
        )
        for _ in range(count)
    )


@dataclass
class Done:
    """What faults did to the messages, for the account: published or not, by kind."""

    withheld: list[tuple[str, str, int]] = field(default_factory=list)
    """Identities (asset, metric, time_ns) that were lost on the way."""
    garbage: int = 0
    duplicated: int = 0
    leftovers: int = 0

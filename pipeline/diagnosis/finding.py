"""A finding: a rule that matched, the figures it rests on, what it would gain, and how sure it is."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from math import isfinite, nan

from pipeline.diagnosis.subject import Machine, Subject
from pipeline.said import Said


class Confidence(IntEnum):
    """How sure a finding is. UNSURE: it may be chance or bad data, and its words say so."""

    UNSURE = 1
    LIKELY = 2
    SURE = 3


@dataclass(frozen=True, slots=True)
class Gain:
    """What solving it would give over the window, at most: machine time [s], good parts, money [€]; NaN: not known."""

    seconds: float = nan
    parts: float = nan
    cost: float = nan

    @staticmethod
    def of(machine: Machine, seconds: float) -> "Gain":
        """So much machine time, in parts at the mean reference cycle and in money at the machine's hourly cost."""
        point = machine.point
        per_second = 1 / point.time if point.time else nan
        return Gain(seconds, seconds * point.parts * per_second, seconds * point.cost * per_second)


@dataclass(frozen=True, slots=True)
class Match:
    """What a rule found: of which asset, with which evidence. `figures` by the names that the rule's words use: [s],
    shares [0…1], counts or [ms], as the words say; `words` are texts from the data."""

    asset: str
    shown: str
    figures: Mapping[str, float]
    confidence: Confidence
    gain: Gain = field(default_factory=Gain)
    words: Mapping[str, str] = field(default_factory=dict)
    variant: str = ""
    misleads: bool = False
    """Whether the figures themselves are wrong, or rest on little, because of it."""


@dataclass(frozen=True, slots=True)
class Words:
    """How a rule speaks. `{name:kind}` stands for a figure (duration, percent, number, ms, points) or a word."""

    title: Said
    evidence: Said
    check: Said


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table: a pure function and its words, by variant of what it may find ("" for the only one)."""

    name: str
    find: Callable[[Subject], Iterable[Match]]
    words: Mapping[str, Words]


@dataclass(frozen=True, slots=True)
class Finding:
    """A match with its rule."""

    rule: str
    match: Match
    words: Words

    @property
    def order(self) -> tuple[bool, float, int, str, str, str]:
        """What makes the figures wrong; then the largest gain; what has none after it, the surest first."""
        gain = self.match.gain.seconds
        return (
            not self.match.misleads,
            -gain if isfinite(gain) else 0.0,
            -self.match.confidence,
            self.rule,
            self.match.asset,
            self.match.variant,
        )


def lowered(confidence: Confidence, coverage: float) -> Confidence:
    """One step less sure where a fifth or more of the time is not known."""
    return Confidence(max(Confidence.UNSURE, confidence - 1)) if coverage < 0.8 else confidence

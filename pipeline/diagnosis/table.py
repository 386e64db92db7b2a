"""The rules, as a table: name and function; their words are in words.toml. To add a rule, add a row and its words."""

import tomllib
from collections import defaultdict
from importlib.resources import files
from typing import Any, Final

from pipeline.diagnosis.finding import Finding, Rule, Words
from pipeline.diagnosis.rules import pace, stops, trust
from pipeline.diagnosis.subject import Subject
from pipeline.kpis.states import Category
from pipeline.said import Said

_SAID: Final[dict[str, Any]] = tomllib.loads(
    files("pipeline.diagnosis").joinpath("words.toml").read_text(encoding="utf-8")
)


def _words(rule: str) -> dict[str, Words]:
    """The words of a rule by variant; "only" is the one of a rule that has no variants."""
    return {
        "" if variant == "only" else variant: Words(*(Said(**said[part]) for part in ("title", "evidence", "check")))
        for variant, said in _SAID[rule].items()
    }


RULES: Final[tuple[Rule, ...]] = tuple(
    Rule(name, find, _words(name))
    for name, find in {
        "largest_losses": stops.largest_losses,
        "micro_stop_clusters": stops.micro_stop_clusters,
        "cycle_drift": pace.cycle_drift,
        "scrap_after_changeover": pace.scrap_after_changeover,
        "slow_mondays": pace.slow_mondays,
        "starved_or_blocked": stops.starved_or_blocked,
        "wrong_reference_cycle": pace.wrong_reference_cycle,
        "low_coverage": trust.low_coverage,
        "clock_problems": trust.clock_problems,
        "losses_after_handovers": trust.losses_after_handovers,
        "network_unfit": trust.network_unfit,
    }.items()
)
"""Every rule."""


def findings(subject: Subject) -> tuple[Finding, ...]:
    """What the rules find: first what makes the figures wrong, then the largest gain."""
    found = [Finding(rule.name, match, rule.words[match.variant]) for rule in RULES for match in rule.find(subject)]
    told: dict[str, float] = defaultdict(float)
    for one in found:
        if one.rule == "starved_or_blocked" and one.match.variant != "chain":
            told[one.match.asset] += one.match.figures["lost"]
    # a loss of which findings of waits leave nothing large is not told twice
    found = [one for one in found if not (
        one.rule == "largest_losses" and one.match.words["category"] == Category.INDUCED
        and one.match.figures["share"] * (1 - told[one.match.asset] / one.match.figures["lost"]) < stops.LARGE
    )]  # fmt: skip
    return tuple(sorted(found, key=lambda one: one.order))

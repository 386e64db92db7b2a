"""Where each minute of required time goes: states and reasons → categories, named by the codes of NF E60-182.

The table is the convention, in one place: a stop's category comes from the state (see STATE), refined by a reason
that is known (see REASON). Nakajima's and ISO 22400-2's views group the same categories.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from telemetry.glossary import MachineState


class Category(StrEnum):
    """What a stretch of known required time was spent on; the French code of NF E60-182 in brackets."""

    RUNNING = "running"  # tF
    BREAKDOWN = "breakdown"  # tP, panne
    OPERATION = "operation"  # tAE, arrêt d'exploitation: an own stop without another cause
    TOOL_CHANGE = "tool_change"  # tCOP, changement d'outil programmé
    ADJUSTMENT = "adjustment"  # tRF, réglage fréquentiel
    INSPECTION = "inspection"  # tDC, contrôle
    CHANGEOVER = "changeover"  # tCF, changement de fabrication
    UPKEEP = "upkeep"  # tEF, entretien fréquentiel
    MICRO_STOP = "micro_stop"  # tMA
    INDUCED = "induced"  # tAI: supply, downstream, staff, energy
    PLANNED = "planned"  # désengagement: outside required time


FUNCTIONAL: Final = frozenset(
    {Category.TOOL_CHANGE, Category.ADJUSTMENT, Category.INSPECTION, Category.CHANGEOVER, Category.UPKEEP}
)
"""tAF, arrêts fonctionnels."""

SETUP: Final = frozenset({Category.CHANGEOVER, Category.ADJUSTMENT, Category.TOOL_CHANGE})
"""Set-up in the sense of ISO 22400-2 (AUST) and of Nakajima's "set-up and adjustment"."""

STOPS: Final = tuple(category for category in Category if category not in (Category.RUNNING, Category.PLANNED))
"""The stops inside required time: tR − tF is their sum."""

MAY_BE_MICRO: Final = frozenset({Category.BREAKDOWN, Category.OPERATION})
"""A short stop is a micro-stop unless its cause was told: a changeover of 90 s stays a changeover."""

STATE: Final[dict[MachineState, Category]] = {
    MachineState.NOT_AVAILABLE: Category.OPERATION,
    MachineState.OUT_OF_SERVICE: Category.BREAKDOWN,
    MachineState.NOT_EXECUTING: Category.OPERATION,
    MachineState.EXECUTING: Category.RUNNING,
    MachineState.SETUP: Category.CHANGEOVER,
    MachineState.STARVED: Category.INDUCED,
    MachineState.BLOCKED: Category.INDUCED,
    # maintenance that was planned is in the calendar, outside required time: what is left is routine upkeep
    MachineState.MAINTENANCE: Category.UPKEEP,
}

REASON: Final[dict[str, Category]] = {
    "breakdown": Category.BREAKDOWN,
    "panne": Category.BREAKDOWN,
    "changeover": Category.CHANGEOVER,
    "changement de fabrication": Category.CHANGEOVER,
    "tool change": Category.TOOL_CHANGE,
    "insert change": Category.TOOL_CHANGE,
    "changement d'outil": Category.TOOL_CHANGE,
    "adjustment": Category.ADJUSTMENT,
    "levelling": Category.ADJUSTMENT,
    "réglage": Category.ADJUSTMENT,
    "inspection": Category.INSPECTION,
    "contrôle": Category.INSPECTION,
    "cleaning": Category.UPKEEP,
    "nettoyage": Category.UPKEEP,
    "no operator": Category.INDUCED,
    "manque de personnel": Category.INDUCED,
    "no material": Category.INDUCED,
    "défaut d'approvisionnement": Category.INDUCED,
    "no power": Category.INDUCED,
    "énergie": Category.INDUCED,
    "no order": Category.PLANNED,
    "sous-charge": Category.PLANNED,
    "trial": Category.PLANNED,
    "essai": Category.PLANNED,
    "training": Category.PLANNED,
    "formation": Category.PLANNED,
    "meeting": Category.PLANNED,
    "réunion": Category.PLANNED,
    "preventive maintenance": Category.PLANNED,
    "maintenance préventive": Category.PLANNED,
}
"""Words as machines and operators write them, in lower case, with spaces for "_". PLANNED takes time out of tR."""


def table(words: Sequence[str], own_states: Mapping[str, str], own_reasons: Mapping[str, str]) -> list[list[Category]]:
    """The category of each state (a row per MachineState, in order) for each of these reasons.

    A reason speaks of a stop: it cannot make a running machine stop. `own_states` and `own_reasons` (of the plant file:
    names of states, or words, to names of categories) come before the tables above.
    """
    states = STATE | {MachineState[state]: Category(name) for state, name in own_states.items()}
    reasons = REASON | {_key(word): Category(name) for word, name in own_reasons.items()}
    refined = [reasons.get(_key(word)) for word in words]
    return [
        [states[state] if states[state] is Category.RUNNING else one or states[state] for one in refined]
        for state in MachineState
    ]


def _key(word: str) -> str:
    return word.strip().lower().replace("_", " ")

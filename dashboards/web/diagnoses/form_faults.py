"""Why a form is no mapping, in the words of its own labels: whoever fills it in knows no key of the mapping's TOML."""

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from dashboards.web import validation
from dashboards.web.texts import mark, translations
from pipeline.said import Said

CYCLE: Final = mark("Reference cycle [s]")
COST: Final = mark("Cost of an hour")
MICRO_STOP: Final = mark("Micro-stop below")
TARGET: Final = mark("Target TRS")
_TIMES: Final = Said("times of day go from 00:00 to 23:59", "les heures vont de 00:00 à 23:59")

_BOUNDS: Final[Mapping[tuple[str, ...], tuple[str, Said]]] = {
    ("machine", "cycle_s"): (CYCLE, Said("more than 0 s is needed", "il faut plus de 0 s")),
    ("machine", "hourly_cost"): (COST, Said("0 € or more is needed", "il faut 0 € ou plus")),
    ("machine", "micro_stop_s"): (
        MICRO_STOP, Said("0 s to a thousand million seconds", "de 0 s à un milliard de secondes"),
    ),
    ("machine", "target_trs"): (
        TARGET, Said("more than 0 % is needed, and at most 100 %", "il faut plus de 0 %, et au plus 100 %"),
    ),
    ("calendar", "shifts"): (mark("Shifts"), _TIMES),
    ("calendar", "breaks"): (mark("Breaks (planned stops)"), _TIMES),
}  # fmt: skip
"""Label and bounds, as the form counts them, of what somebody writes into it."""
_CHOSEN: Final[Mapping[str, str]] = {
    "counts": mark("Counters"), "duration_unit": mark("Unit of lengths"), "timezone": mark("Time zone"),
    "states": mark("Which word is which state"), "bits": mark("Which word is which state"),
}  # fmt: skip
_NO_CHOICE: Final = Said("it is none of the choices", "ce n'est pas un des choix possibles")
_OTHERS: Final = Said("the mapping cannot be", "la correspondance est impossible")


def of(label: str, what: Said) -> Said:
    """What is wrong with the field of a label."""
    if not label:
        return Said(f"{_OTHERS.en}: {what.en}", f"{_OTHERS.fr} : {what.fr}")
    return Said(f"{label}: {what.en}", f"{translations('fr').gettext(label)} : {what.fr}")


def said(error: ValidationError, columns: Mapping[str, str]) -> Said:
    """The first faults of a mapping that a form made; `columns`: labels of its fields that name a column."""
    labels = {**_CHOSEN, **columns}
    found: dict[Said, None] = {}
    for fault in error.errors():
        where = tuple(map(str, fault["loc"]))
        label, what = _BOUNDS.get(where[:2], (labels.get(where[0], "") if where else "", None))
        usual = _NO_CHOICE if fault["type"] == "literal_error" else validation.sentence(fault)
        found[of(label, what or usual)] = None
    shown = list(found)[:3]
    return Said("; ".join(one.en for one in shown), " ; ".join(one.fr for one in shown))

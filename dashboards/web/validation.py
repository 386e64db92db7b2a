"""What pydantic refuses, in a sentence of each language: its own words are English, and meant for programmers."""

from collections.abc import Mapping
from typing import Any, Final

from pipeline.said import Said

_FRENCH: Final[Mapping[str, str]] = {
    "greater_than": "la valeur doit être supérieure à {gt}",
    "greater_than_equal": "la valeur doit être supérieure ou égale à {ge}",
    "less_than": "la valeur doit être inférieure à {lt}",
    "less_than_equal": "la valeur doit être inférieure ou égale à {le}",
    "string_too_short": "le texte doit avoir au moins {min_length} signes",
    "string_too_long": "le texte doit avoir au plus {max_length} signes",
    "too_short": "il en faut au moins {min_length}",
    "too_long": "il en faut au plus {max_length}",
    "string_pattern_mismatch": "le texte n'est pas écrit comme il le faut",
    "literal_error": "ce n'est pas un des choix possibles",
    "enum": "ce n'est pas un des choix possibles",
    "finite_number": "il faut un nombre fini",
    "json_invalid": "ce n'est pas du JSON",
    "json_type": "ce n'est pas du JSON",
}
"""By the type of the fault, with what its context names."""
_KINDS: Final[Mapping[str, str]] = {
    "int": "il faut un nombre entier",
    "float": "il faut un nombre",
    "decimal": "il faut un nombre",
    "bool": "il faut true ou false",
    "date": "il faut une date, comme 2026-03-31",
    "datetime": "il faut une date avec son heure, comme 2026-03-31T06:00:00Z",
    "string": "il faut un texte",
    "list": "il faut une liste",
    "tuple": "il faut une liste",
    "dict": "il faut un objet",
    "model": "il faut un objet",
}
"""By what the type of the fault begins with: "int_parsing", "int_type", "int_from_float"."""


def sentence(fault: Mapping[str, Any]) -> Said:
    """Of one of `ValidationError.errors()`."""
    kind = str(fault["type"])
    if kind == "extra_forbidden":
        return Said("there is no such parameter", "ce paramètre n'existe pas")
    if kind == "missing":
        return Said("this parameter is required", "ce paramètre est obligatoire")
    french = _FRENCH.get(kind) or _KINDS.get(kind.partition("_")[0]) or "cette valeur n'est pas possible"
    return Said(str(fault["msg"]).removeprefix("Value error, "), french.format_map(fault.get("ctx") or {}))

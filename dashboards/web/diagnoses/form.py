"""The mapping as a form: fields of the page to an EventLogConfig and back. What it does not show stays as it was."""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, Final, get_args
from zoneinfo import available_timezones

from pydantic import ValidationError

from dashboards.web.diagnoses import form_faults
from dashboards.web.texts import Language, mark
from pipeline.files.mapping import EventLogConfig, Metric
from pipeline.files.propose import LAYOUT
from pipeline.said import Said
from telemetry.dialects import Dialect, state_of
from telemetry.errors import DecodeError
from telemetry.plant import DAYS, Asset, CalendarConfig, StateName, Turn

COLUMNS: Final[dict[str, str]] = {
    "time": mark("Time"),
    "clock": mark("Time of day, where it is a column of its own"),
    "end": mark("End, where a row is a stop or a stretch"),
    "duration": mark("Length, where there is no end"),
    "name": mark("What the row is about, in a long table"),
    "value": mark("Its value, in a long table"),
    "machines": mark("Machine, where the file is of several"),
}
"""Fields of the mapping that name a column."""

METRICS: Final[dict[str, str]] = {
    "state": mark("State"),
    "parts": mark("Parts made"),
    "parts_good": mark("Good parts"),
    "parts_scrap": mark("Scrap"),
    "product": mark("Product"),
    "reason": mark("Reason of stops"),
    "order": mark("Order"),
    "online": mark("Connected"),
}
assert set(METRICS) == set(get_args(Metric))

CHOICES: Final = ("time_format", "decimal", "counts", "duration_unit", "each", "between", "dialect")
"""Fields of the mapping that are chosen from a few; "": as it is without a word."""
MACHINE: Final = ("machine", "cycle_s", "hourly_cost", "target", "micro_stop_s")
STATES: Final[tuple[str, ...]] = get_args(StateName)
DIALECTS: Final[tuple[Dialect, ...]] = get_args(Dialect)
_LABELS: Final = {
    "hourly_cost": form_faults.COST, "micro_stop_s": form_faults.MICRO_STOP, "target": form_faults.TARGET,
}  # fmt: skip
_TURN: Final = re.compile(r"(\d{1,2}:[0-5]\d)\s*[-–]\s*(\d{1,2}:[0-5]\d)")


class FormError(ValueError):
    """What of the form cannot be; `said` for whoever filled it in."""

    def __init__(self, said: Said) -> None:
        super().__init__(said.en)
        self.said = said


def base(form: Mapping[str, str]) -> EventLogConfig | None:
    """The mapping that a form showed, where it carries it along: it comes back from outside. Raises FormError."""
    if "base" not in form:
        return None
    try:
        return EventLogConfig.model_validate_json(form["base"])
    except ValidationError:
        raise FormError(Said(
            "what the form carries along is no mapping: open the page again",
            "ce que le formulaire transporte n'est pas une correspondance : rouvrez la page",
        )) from None  # fmt: skip


def layout(form: Mapping[str, str], before: EventLogConfig) -> EventLogConfig:
    """How a form says that the table is written, where it does. Raises FormError."""
    said = {key: getattr(before, key) for key in LAYOUT}
    for field in ("sheet", "separator", "encoding"):
        if field in form:
            said[field] = form[field] or None
    if said["encoding"]:
        _known(said["encoding"])
    if "header_lines" in form:
        said["header_lines"] = _lines(form["header_lines"])
    return _mapping({key: value for key, value in said.items() if value is not None})


def same_layout(one: EventLogConfig, other: EventLogConfig) -> bool:
    """Whether two mappings say alike how the table is written."""
    return all(getattr(one, key) == getattr(other, key) for key in LAYOUT)


def chosen(mapping: EventLogConfig, columns: Sequence[str]) -> dict[str, str]:
    """The columns that a mapping names, by field: those that it says, and those that there are by their usual name."""
    named = {key: getattr(mapping, key) or "" for key in COLUMNS}
    return {key: name if key in mapping.model_fields_set or name in columns else "" for key, name in named.items()}


def without_columns(form: Mapping[str, str]) -> dict[str, str]:
    """What a form says whatever the columns of the table are."""
    kept = ("timezone", *LAYOUT, *MACHINE, "shifts", "breaks", "save_as", "preview", "csrf")
    return {key: form[key] for key in kept if key in form}


def read(form: Mapping[str, str], days: Sequence[str], before: EventLogConfig) -> EventLogConfig:
    """The mapping of a form that was filled in, over the one that it showed. What it has no field for stays as it was;
    a field that was emptied says nothing any more. Raises FormError."""
    said: dict[str, Any] = before.model_dump(mode="json", exclude_unset=True)
    for field in (*COLUMNS, *CHOICES):
        if field in form:
            said[field] = form[field] or None
    said |= layout(form, before).model_dump(mode="json", exclude_unset=True)
    said |= {field: None for field in LAYOUT if field in form and not form[field]}
    if form.get("timezone"):
        said["timezone"] = _zone(form["timezone"].strip())
    chosen = {metric: form[f"metric:{metric}"] for metric in METRICS if form.get(f"metric:{metric}")}
    if any(f"metric:{metric}" in form for metric in METRICS):
        said["columns"] = chosen
    bits = _named(form, "bit:")
    if bits and not chosen.get("state"):
        said["bits"] = {name: state for name, state in bits.items() if state}
    elif chosen.get("state", "") != before.columns.get("state", ""):
        said.pop("bits", None)
    if lengths := _named(form, "length:"):
        said["lengths"] = {name: state for name, state in lengths.items() if state}
    if words := _named(form, "word:"):
        said["states"] = _states(words, before, form.get("dialect") or None)
    said["machine"] = _machine(form, before.machine)
    said["calendar"] = _calendar(form, days, before.calendar)
    return _mapping({key: value for key, value in said.items() if value is not None})


def _mapping(said: Mapping[str, object]) -> EventLogConfig:
    try:
        return EventLogConfig.model_validate_json(json.dumps(said))
    except ValidationError as error:
        raise FormError(form_faults.said(error, COLUMNS)) from None


def _named(form: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {key.removeprefix(prefix): value for key, value in form.items() if key.startswith(prefix)}


def meaning(word: str, mapping: EventLogConfig) -> str:
    """The state that a word of a file stands for by a mapping; "" where it is not known."""
    try:
        found = state_of(word, mapping.dialect or "words", mapping.states)
    except DecodeError:
        return ""
    return found.name if found is not None else ""


def _states(words: Mapping[str, str], before: EventLogConfig, dialect: str | None) -> dict[str, str]:
    """The own words of a mapping: what the dialect says already is not said again."""
    known = before.model_copy(update={"states": {}, "dialect": dialect or before.dialect})
    said: dict[str, str] = dict(before.states)
    for word, state in words.items():
        if state and (word in said or meaning(word, known) != state):
            said[word] = state
        elif not state:
            said.pop(word, None)
    return said


def _zone(name: str) -> str:
    if name not in zones():
        raise FormError(Said(
            f'{name[:40]!r} is no time zone: choose one of the list, such as "Europe/Paris"',
            f"« {name[:40]} » n'est pas un fuseau horaire : choisissez-en un de la liste, comme « Europe/Paris »",
        ))  # fmt: skip
    return name


@cache
def zones() -> tuple[str, ...]:
    """The names of time zones."""
    return tuple(sorted(available_timezones()))


def _known(encoding: str) -> None:
    try:
        b" ".decode(encoding, errors="replace")
    except (LookupError, ValueError):
        raise FormError(Said(
            f"there is no encoding {encoding[:40]!r}: choose one of the list, or empty this field",
            f"il n'y a pas d'encodage « {encoding[:40]} » : choisissez-en un de la liste, ou videz ce champ",
        )) from None  # fmt: skip


def _lines(text: str) -> list[int] | None:
    """Lines of a heading, "3" or "3, 4"; 0: there is none."""
    if not text.strip():
        return None
    if not re.fullmatch(r"\s*\d{1,3}(\s*,\s*\d{1,3})?\s*", text, re.ASCII):
        raise FormError(Said(
            f'{text[:40]!r}: the lines of the heading are written "3", or "3, 4" for two, or "0" for none',
            f"« {text[:40]} » : les lignes de l'en-tête s'écrivent « 3 », ou « 3, 4 » pour deux, ou « 0 » pour aucune",
        ))  # fmt: skip
    return [line for line in map(int, text.split(",")) if line > 0]


def _machine(form: Mapping[str, str], before: Asset) -> dict[str, Any]:
    said: dict[str, Any] = before.model_dump(mode="json", exclude_unset=True)
    if form.get("machine"):
        said["name"] = form["machine"]
    for field, label in _LABELS.items():
        if field in form:
            number = _number(form, field, label)
            key = "target_trs" if field == "target" else field
            said[key] = number if number is None or field != "target" else number / 100
    cycles: dict[str, Any] = dict(said.get("cycle_s", {}))
    for product, field in ({"*": "cycle_s"} | {name: f"cycle:{name}" for name in _named(form, "cycle:")}).items():
        if field in form:
            cycles[product] = _number(form, field, form_faults.CYCLE)
    said["cycle_s"] = {product: float(cycle) for product, cycle in cycles.items() if cycle is not None}
    if not said["cycle_s"] and not before.cycle_s:
        del said["cycle_s"]
    return {key: float(one) if isinstance(one, Decimal) else one for key, one in said.items() if one is not None}


def _number(form: Mapping[str, str], field: str, label: str) -> Decimal | None:
    """A number as people write it: "1 250,5" is 1250.5."""
    text = re.sub(r"[\s\u00a0\u202f']", "", form.get(field, "")).replace(",", ".")
    if not text:
        return None
    if not re.fullmatch(r"\d{1,12}(\.\d{1,30})?", text, re.ASCII):
        told = form[field][:40]
        raise FormError(form_faults.of(label, Said(f"{told!r} is no number", f"« {told} » n'est pas un nombre")))
    return Decimal(text)


def written(value: float | None, language: Language, *, percent: bool = False) -> str:
    """A number with all its digits, so that it comes back as it was."""
    if value is None:
        return ""
    number = Decimal(repr(value)) * (100 if percent else 1)
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace(".", ",") if language == "fr" else text


def _calendar(form: Mapping[str, str], days: Sequence[str], before: CalendarConfig | None) -> dict[str, Any] | None:
    """Shifts and breaks as "05:00-13:00, 13:00-21:00"; none: it should work always. Each turn that was there stays as
    it was, and its days too unless other days are chosen."""
    kept = None if before is None else before.model_dump(mode="json", exclude_unset=True)
    if "shifts" not in form and "breaks" not in form:
        return kept
    old = before.shifts if before is not None else ()
    alike = not days or set(days) == set(days_of(before))
    shifts = _turns(form.get("shifts", ""), days, old, alike=alike)
    breaks = _turns(form.get("breaks", ""), DAYS, before.breaks if before is not None else (), alike=True)
    if not shifts and breaks:
        raise FormError(Said(
            "breaks are taken from shifts: say the shifts too, 00:00-24:00 if it should work all day",
            "les pauses se prennent sur les postes : indiquez-les aussi, 00:00-24:00 s'il faut produire sans cesse",
        ))  # fmt: skip
    if not shifts:
        return None
    return (kept or {"name": "file"}) | {"shifts": shifts, "breaks": breaks}


def days_of(calendar: CalendarConfig | None) -> tuple[str, ...]:
    """The days that a form shows as those of its shifts: those on which any starts."""
    if calendar is None or not calendar.shifts:
        return DAYS[:5]
    return tuple(day for day in DAYS if any(day in turn.days for turn in calendar.shifts))


def _turns(text: str, days: Sequence[str], before: Sequence[Turn], *, alike: bool) -> list[dict[str, Any]]:
    left = _TURN.sub("", text)
    if re.search(r"[^\s,;]", left):
        said = text[:60]
        raise FormError(Said(
            f'{said!r}: times of day are written "05:00-13:00, 13:00-21:00"',
            f"« {said} » : les heures s'écrivent « 05:00-13:00, 13:00-21:00 »",
        ))  # fmt: skip
    chosen = [day for day in DAYS if day in days] or list(DAYS)
    left_over = list(before)
    found: list[dict[str, Any]] = []
    for number, (start, end) in enumerate(_TURN.findall(text), start=1):
        turn: dict[str, Any] = {"name": f"{number}", "start": start, "end": end, "days": chosen}
        was = next((one for one in left_over if (one.start, one.end) == (_minutes(start), _minutes(end))), None)
        if was is not None:
            left_over.remove(was)
            turn = was.model_dump(mode="json", exclude_unset=True)
            turn |= {} if alike else {"days": chosen}
        found.append(turn)
    return found


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def turns(planned: Sequence[Turn]) -> str:
    """Shifts or breaks as the form writes them."""
    return ", ".join(
        f"{turn.start // 60:02d}:{turn.start % 60:02d}-{turn.end // 60:02d}:{turn.end % 60:02d}" for turn in planned
    )

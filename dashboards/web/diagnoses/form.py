"""The mapping as a form: fields of the page to an EventLogConfig and back. What it does not show stays as it was."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

from pydantic import ValidationError

from dashboards.web.diagnoses import form_faults
from dashboards.web.texts import mark
from pipeline.files.mapping import EventLogConfig, Metric
from pipeline.said import Said
from telemetry.plant import DAYS, StateName, Turn

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

STATES: Final[tuple[str, ...]] = get_args(StateName)
_TURN: Final = re.compile(r"(\d{1,2}:[0-5]\d)\s*[-–]\s*(\d{1,2}:[0-5]\d)")


class FormError(ValueError):
    """What of the form cannot be; `said` for whoever filled it in."""

    def __init__(self, said: Said) -> None:
        super().__init__(said.en)
        self.said = said


def read(form: Mapping[str, str], days: Sequence[str], before: EventLogConfig) -> EventLogConfig:
    """The mapping of a form that was filled in, over the one that it showed. Raises FormError."""
    said: dict[str, Any] = before.model_dump(mode="json", exclude_unset=True)
    for field in COLUMNS:
        if field in form:
            said[field] = form[field] or None
    said = {key: value for key, value in said.items() if value is not None}
    chosen = {metric: form[f"metric:{metric}"] for metric in METRICS if form.get(f"metric:{metric}")}
    if any(f"metric:{metric}" in form for metric in METRICS):
        said["columns"] = chosen
    said["timezone"] = form.get("timezone") or said.get("timezone")
    if form.get("counts"):
        said["counts"] = form["counts"]
    if form.get("duration_unit"):
        said["duration_unit"] = form["duration_unit"]
    if chosen.get("state"):
        said.pop("bits", None)
    bits = {key.removeprefix("bit:"): value for key, value in form.items() if key.startswith("bit:")}
    if bits and not chosen.get("state"):
        said["bits"] = {name: state for name, state in bits.items() if state}
    words = {key.removeprefix("word:"): value for key, value in form.items() if key.startswith("word:")}
    if words:
        said["states"] = {**said.get("states", {}), **words}
        said["states"] = {word: state for word, state in said["states"].items() if state}
    said["machine"] = before.machine.model_dump(mode="json", exclude_unset=True) | _machine(form)
    said["calendar"] = _calendar(form, days)
    try:
        return EventLogConfig.model_validate_json(json.dumps(said))
    except ValidationError as error:
        raise FormError(form_faults.said(error, COLUMNS)) from None


def _machine(form: Mapping[str, str]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if form.get("machine"):
        said["name"] = form["machine"]
    cycle = _number(form, "cycle_s", form_faults.CYCLE)
    if cycle is not None:
        said["cycle_s"] = {"*": cycle}
    cost = _number(form, "hourly_cost", form_faults.COST)
    if cost is not None:
        said["hourly_cost"] = cost
    micro = _number(form, "micro_stop_s", form_faults.MICRO_STOP)
    if micro is not None:
        said["micro_stop_s"] = micro
    target = _number(form, "target", form_faults.TARGET)
    if target is not None:
        said["target_trs"] = target / 100
    return said


def _number(form: Mapping[str, str], field: str, label: str) -> float | None:
    """A number as people write it: "1 250,5" is 1250.5."""
    text = re.sub(r"[\s\u00a0\u202f']", "", form.get(field, "")).replace(",", ".")
    if not text:
        return None
    if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text, re.ASCII):
        told = form[field][:40]
        raise FormError(form_faults.of(label, Said(f"{told!r} is no number", f"« {told} » n'est pas un nombre")))
    return float(text)


def _calendar(form: Mapping[str, str], days: Sequence[str]) -> dict[str, Any] | None:
    """Shifts and breaks as "05:00-13:00, 13:00-21:00"; none: it should work always."""
    shifts, breaks = _turns(form.get("shifts", ""), days), _turns(form.get("breaks", ""), DAYS)
    if not shifts:
        return None
    return {"name": "file", "shifts": shifts, "breaks": breaks}


def _turns(text: str, days: Sequence[str]) -> list[dict[str, Any]]:
    left = _TURN.sub("", text)
    if re.search(r"[^\s,;]", left):
        said = text[:60]
        raise FormError(Said(
            f'{said!r}: times of day are written "05:00-13:00, 13:00-21:00"',
            f"« {said} » : les heures s'écrivent « 05:00-13:00, 13:00-21:00 »",
        ))  # fmt: skip
    chosen = [day for day in DAYS if day in days] or list(DAYS)
    found = enumerate(_TURN.findall(text), start=1)
    return [{"name": f"{number}", "start": start, "end": end, "days": chosen} for number, (start, end) in found]


def turns(planned: Sequence[Turn]) -> str:
    """Shifts or breaks as the form writes them."""
    return ", ".join(
        f"{turn.start // 60:02d}:{turn.start % 60:02d}-{turn.end // 60:02d}:{turn.end % 60:02d}" for turn in planned
    )

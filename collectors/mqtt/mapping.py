"""From a publisher's value to the value of a metric: words, booleans, numbers in quotes, scale and offset."""

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from collectors.mqtt.decoder import Fault, MessageError
from telemetry.config import Section
from telemetry.glossary import METRICS, MachineState
from telemetry.samples import Quality

StateName = Literal[
    "NOT_AVAILABLE",
    "OUT_OF_SERVICE",
    "NOT_EXECUTING",
    "EXECUTING",
    "SETUP",
    "STARVED",
    "BLOCKED",
    "MAINTENANCE",
]
QualityName = Literal["good", "uncertain", "bad"]

_NUMBER: Final = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\s*", re.ASCII)
_STATES: Final = {state.name.lower(): float(state) for state in MachineState}
_SWITCHES: Final = {"true": 1.0, "on": 1.0, "yes": 1.0, "false": 0.0, "off": 0.0, "no": 0.0}
_QUALITIES: Final = {"good": Quality.GOOD, "ok": Quality.GOOD, "uncertain": Quality.UNCERTAIN, "bad": Quality.BAD}


def word_key(word: str) -> str:
    """How words are compared: without regard to case, blanks, hyphens."""
    return re.sub(r"[\s_-]+", "_", word.strip().lower())


def _known_metric(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"{name!r} is no metric of the glossary (km0 glossary)")
    return name


MetricName = Annotated[str, AfterValidator(_known_metric)]
"""A metric of the glossary, in the plant file."""


class ValueRules(Section):
    """How values are read, whatever the dialect."""

    states: dict[str, StateName] = Field(
        {}, description="the machine's own words (or numbers) for its states; the names of the glossary are known"
    )
    qualities: dict[str, QualityName] = Field(
        {}, description="the source's own words or codes for quality; OPC UA status codes and good/bad are known"
    )
    scale: float = Field(1.0, description="numbers are multiplied by this; not states")
    offset: float = Field(0.0, description="and then this is added")


class Reader:
    """ValueRules made ready: reads values and qualities. Every method raises MessageError."""

    def __init__(self, rules: ValueRules) -> None:
        self._states: Final = _STATES | {
            word_key(word): float(MachineState[name]) for word, name in rules.states.items()
        }
        self._own_states: Final = bool(rules.states)
        self._plain_qualities: Final[dict[str, int]] = {}
        self._qualities: Final[Mapping[str, int]] = _QUALITIES | {
            word_key(word): Quality[name.upper()] for word, name in rules.qualities.items()
        }

    def plain_number(self, metric: str, raw: object) -> float | None:
        """A number that needs no reading, of a metric that is one; None says "use `value`", which says the same."""
        kind = type(raw)
        if (kind is float or (kind is int and -_EXACT < raw < _EXACT)) and metric in _NUMERIC:  # type: ignore[operator]  # a number
            return float(raw)  # type: ignore[arg-type]  # a number
        return None

    def plain_quality(self, word: str) -> int | None:
        """A quality that was read before, or that `quality` reads; None when it is for `quality` to refuse."""
        known = self._plain_qualities.get(word)
        if known is None:
            known = self._qualities.get(word_key(word))
            if known is not None and len(self._plain_qualities) < _SPELLINGS:
                self._plain_qualities[word] = known
        return known

    def value(self, metric: str, raw: object, scale: float, offset: float) -> tuple[float, str, int]:
        """The value, text and quality of a sample of that metric. null says "not known from here on": BAD."""
        if raw is None:
            return 0.0, "", Quality.BAD
        if isinstance(raw, dict | list):
            raise MessageError(Fault.SHAPE, f"{metric} is a JSON {'object' if isinstance(raw, dict) else 'array'}")
        known = METRICS.get(metric)
        if known is not None and known.kind == "word":
            return 0.0, _text(raw), Quality.GOOD
        if metric == "state":
            return self._state(raw), "", Quality.GOOD
        number = _number(raw)
        if number is None:
            if metric in _WORDY_EVENTS:
                return 0.0, _text(raw), Quality.GOOD
            raise MessageError(Fault.VALUE, f"{metric} is the word {_text(raw)[:60]!r}: a number is expected")
        return number * scale + offset, "", Quality.GOOD

    def quality(self, raw: object) -> int:
        """A quality as a word, or as a number: an OPC UA StatusCode, whose two highest bits are the severity."""
        if raw is None:
            return Quality.GOOD
        if isinstance(raw, dict | list):
            raise MessageError(Fault.SHAPE, "the quality is neither a word nor a number")
        text = _text(raw)
        known = self._qualities.get(word_key(text))
        if known is not None:
            return known
        if re.fullmatch(r"\d{1,10}", text, re.ASCII) and (code := int(text)) < 2**32:
            return Quality.of(code)
        raise MessageError(Fault.VALUE, f"quality {text[:60]!r} is not known: add it to `qualities` of this topic")

    def _state(self, raw: object) -> float:
        text = _text(raw)
        state = self._states.get(word_key(text))
        if state is not None:
            return state
        # Numbers of a machine with a table of its own are its numbers, not ours: 3 is not EXECUTING by accident.
        if not isinstance(raw, bool) and not self._own_states and (number := _number(raw)) is not None:
            if number in _STATES.values():
                return number
            raise MessageError(
                Fault.VALUE, f"state {text[:60]} is none of 0 to {max(MachineState)}: add it to `states`"
            )
        raise MessageError(Fault.VALUE, f"state {text[:60]!r} is not known: add it to `states` of this topic")


_NUMERIC: Final = frozenset(name for name, metric in METRICS.items() if metric.kind not in ("word", "state"))


def is_number(metric: str) -> bool:
    """Whether the values of that metric are numbers and nothing else."""
    return metric in _NUMERIC


_EXACT: Final = 2**53
_SPELLINGS: Final = 100

_WORDY_EVENTS: Final = frozenset({"alarm", "break", "repair"})
"""Events that say what happened in words."""


def _text(raw: object) -> str:
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, float) and raw.is_integer() and abs(raw) < _EXACT:
        raw = int(raw)  # state 3.0, article 4711.0: a publisher whose numbers are all floating-point
    return raw if isinstance(raw, str) else repr(raw)


def _number(raw: object) -> float | None:
    """A JSON number, boolean, number in quotes or switch word; None when it is none of these."""
    if isinstance(raw, str):
        if _NUMBER.fullmatch(raw):
            return float(raw)
        return _SWITCHES.get(word_key(raw))
    assert isinstance(raw, int | float)
    try:
        return float(raw)
    except OverflowError:
        raise MessageError(Fault.VALUE, "the number has more digits than any measurement") from None

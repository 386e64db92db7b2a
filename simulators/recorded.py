"""What a recording says: values with their times, whatever it was recorded in, and how both are read."""

import math
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from simulators.timeline import Value
from telemetry.glossary import METRICS, MachineState

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)
_US_NS: Final = 1_000
_END_NS: Final = 1 << 63
"""The year 2262: later instants are no 64-bit integers [ns]."""


class Replayed(NamedTuple):
    """One sample of a recording. `good` is False where nothing is known from `time_ns` [ns] on."""

    time_ns: int
    metric: str
    value: Value
    good: bool = True


def value(metric: str, told: object, *, good: bool) -> Value:
    """What is said of a metric of the glossary: a word, a whole number (states, counts) or a finite one, in quotes or
    not; a state's name, too. Of a bad value nothing is asked. Raises ValueError with a sentence."""
    try:
        return _word(metric, told) if METRICS[metric].kind == "word" else _number(metric, told)
    except ValueError:
        if good:
            raise
        return "" if METRICS[metric].kind == "word" else 0


def instant_ns(text: str) -> int:
    """ISO 8601 with an offset, in whole microseconds [ns]. Raises ValueError."""
    moment = datetime.fromisoformat(text)  # its own ValueError names the text
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset; write 2026-11-05T13:00:00+01:00")
    return _representable((moment - _EPOCH) // _US * _US_NS, text)


def whole_us(seconds: float) -> int:
    """Seconds since 1970, in whole microseconds [ns]. Raises ValueError."""
    if not math.isfinite(seconds):
        raise ValueError(f"{seconds} is no time")
    return _representable(round(seconds * 1e6) * _US_NS, f"{seconds:.0f} s")


def _representable(time_ns: int, told: str) -> int:
    if not 0 <= time_ns < _END_NS:
        raise ValueError(f"{told!r} is no time between 1970 and 2262")
    return time_ns


def _word(metric: str, told: object) -> str:
    if isinstance(told, bool) or not isinstance(told, str | int | float):
        raise ValueError(f"{told!r} is no word, and {metric} is one")
    text = str(told)
    text.encode()  # half a surrogate pair, as JSON can say it, is no text that any wire carries
    return text


def _number(metric: str, told: object) -> int | float:
    known = METRICS[metric]
    if isinstance(told, str) and metric == "state" and told in MachineState.__members__:
        return int(MachineState[told])
    try:
        if isinstance(told, bool) or not isinstance(told, str | int | float):
            raise ValueError
        number = float(told)
    except (ValueError, OverflowError):
        raise ValueError(f"{told!r} is no number, and {metric} is one") from None
    if not math.isfinite(number):
        raise ValueError(f"{told!r} is not finite, and {metric} is a number")
    if number.is_integer():
        return told if isinstance(told, int) else int(number)
    if known.kind == "state" or (known.kind == "counter" and known.unit in ("", "part")):
        raise ValueError(f"{told!r} is not whole, and {metric} is a count or a state")
    return number

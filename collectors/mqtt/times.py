"""Source times as publishers write them: ISO 8601 text, or a count of s, ms, µs or ns since the epoch."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

from collectors.mqtt.decoder import Fault, MessageError
from telemetry.samples import SECOND_NS

TimeUnit = Literal["auto", "s", "ms", "us", "ns"]

_UNIT_NS: Final[dict[str, int]] = {"s": SECOND_NS, "ms": 1_000_000, "us": 1000, "ns": 1}
_LARGEST: Final = 10**20
"""No unit makes an instant of this house from a larger number; it also keeps 1e999999 from being written out."""

_ISO: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:\s?([Zz]|[+-]\d\d(?::?\d\d)?))?", re.ASCII
)
_SECOND: Final = re.compile(r"[0-5]\d\.\d{1,9}Z", re.ASCII)
_minutes: Final[dict[str, int]] = {}
"""Start [ns] of minutes in UTC that were read before, by their text up to the second: what most times begin with."""

_MINUTES: Final = 10_000
_NUMBER: Final = re.compile(r"[+-]?\d{1,20}(\.\d{1,20})?", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def instant_ns(time: object, unit: TimeUnit = "auto", zone: ZoneInfo | None = None) -> int:
    """The instant [ns since the epoch, UTC] that a publisher wrote.

    A text is ISO 8601 (a fraction is kept to the nanosecond) or a number in quotes. A time without offset is wall
    clock in `zone`, its first occurrence when the clock goes back; refused when `zone` is None. Unit "auto" goes by
    magnitude: numbers below 1e11 are seconds, below 1e14 ms, below 1e17 µs, others ns; each of these reads every
    instant of the years 1974 to 5138 right. Raises MessageError.
    """
    if type(time) is str:
        start = _minutes.get(time[:17])
        if start is not None and _SECOND.fullmatch(time, 17):
            digits = time[20:-1]
            return start + int(time[17:19]) * SECOND_NS + int(digits.ljust(9, "0"))
    elif isinstance(time, int | float) and not isinstance(time, bool):
        return _epoch_ns(time, unit)
    if not isinstance(time, str):
        raise MessageError(Fault.TIME, f"the time is {_shown(time)}: neither a text nor a number")
    if found := _ISO.fullmatch(time):
        date, minute, second, fraction, offset = found.groups()
        seconds = int(second or 0)
        if seconds > 59:
            raise MessageError(Fault.TIME, f"the time {time!r} has a second above 59")
        start = _minute_ns(date, minute, offset, zone)
        if offset == "Z" and second is not None:
            if len(_minutes) >= _MINUTES:
                _minutes.clear()
            _minutes[time[:17]] = start
        return start + seconds * SECOND_NS + (int(fraction[:9].ljust(9, "0")) if fraction else 0)
    if _NUMBER.fullmatch(time):
        return _epoch_ns(Decimal(time), unit)
    raise MessageError(Fault.TIME, f"the time {_shown(time)} is neither ISO 8601 nor a number")


def _epoch_ns(count: float | Decimal, unit: TimeUnit) -> int:
    if not -_LARGEST < count < _LARGEST:  # also refuses NaN and the infinities
        raise MessageError(Fault.TIME, f"the time {count} is no instant in any unit")
    if unit == "auto":
        size = abs(float(count))
        unit = "s" if size < 1e11 else "ms" if size < 1e14 else "us" if size < 1e17 else "ns"
    if isinstance(count, int):
        return count * _UNIT_NS[unit]
    # By way of the shortest text: 1700000000.123 s is meant to be .123000000, not the double's .12299990654.
    return int((Decimal(repr(count)) if isinstance(count, float) else count) * _UNIT_NS[unit])


@lru_cache(maxsize=1024)
def _minute_ns(date: str, minute: str, offset: str | None, zone: ZoneInfo | None) -> int:
    """Start [ns] of a minute on the wall. Cached: thousands of samples share one minute."""
    where: tzinfo | None = UTC if offset in ("Z", "z") else zone
    if offset not in (None, "Z", "z"):
        digits = offset[1:].replace(":", "").ljust(4, "0")
        if int(digits[:2]) > 23 or int(digits[2:]) > 59:
            raise MessageError(Fault.TIME, f"the offset {offset!r} is none")
        delta = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        where = timezone(-delta if offset[0] == "-" else delta)
    if where is None:
        raise MessageError(
            Fault.TIME, f'the time "{date}T{minute}…" has no offset: set `timezone` of this topic to read it as local'
        )
    try:
        wall = datetime.fromisoformat(f"{date}T{minute}").replace(tzinfo=where)
        return int((wall.astimezone(UTC) - _EPOCH).total_seconds()) * SECOND_NS
    except (ValueError, OverflowError):
        raise MessageError(Fault.TIME, f'"{date}T{minute}" is no date and time') from None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"

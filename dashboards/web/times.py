"""Times on the wire: ISO 8601 in UTC with nine decimals, so that nanoseconds survive JSON, where a number would not."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from telemetry.samples import SECOND_NS

EXAMPLE: Final = "2026-11-22T03:49:57.123000000Z"

_ISO: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?([Zz]|[+-]\d\d:?\d\d)", re.ASCII
)
_EPOCH: Final = re.compile(r"(\d{1,10})(?:\.(\d{1,9}))?", re.ASCII)


def iso(time_ns: int) -> str:
    """An instant [ns] as "2026-11-22T03:49:57.123000000Z"."""
    seconds, rest = divmod(time_ns, SECOND_NS)
    whole = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def parse(text: str) -> int:
    """ISO 8601 with an offset, or seconds since the epoch, as nanoseconds. Raises ValueError with a way out."""
    if found := _EPOCH.fullmatch(text):
        return _kept(int(found[1]) * SECOND_NS + int((found[2] or "").ljust(9, "0")))
    found = _ISO.fullmatch(text.strip())
    if found is None:
        raise ValueError(
            f'a time is ISO 8601 with an offset, such as "{EXAMPLE}" or "2026-11-22T04:49:57+01:00" '
            "(+ is written %2B in an address), or seconds since 1970"
        )
    day, minutes, seconds, fraction, offset = found.groups()
    try:
        whole = datetime.fromisoformat(f"{day}T{minutes}:{seconds or '00'}{offset.upper().replace('Z', '+00:00')}")
        time_ns = round(whole.timestamp()) * SECOND_NS + int((fraction or "").ljust(9, "0"))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"there is no such time: {error}") from None
    return _kept(time_ns)


def _kept(time_ns: int) -> int:
    if not 0 <= time_ns < 2**63:
        raise ValueError("a time lies between 1970 and 2262")
    return time_ns


def _read(value: Any) -> Any:
    return parse(value) if isinstance(value, str) else value


Instant = Annotated[
    int,
    BeforeValidator(_read),
    PlainSerializer(iso, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": [EXAMPLE]}),
]
"""An instant [ns] that is written as ISO 8601, and read back from it."""

QueryTime = Annotated[
    int,
    BeforeValidator(_read),
    WithJsonSchema({"type": "string", "examples": [EXAMPLE, "2026-11-22T04:49:57+01:00", "1795319397.123"]}),
]
"""An instant in a query: ISO 8601 with its offset, or seconds since the epoch."""

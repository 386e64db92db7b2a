"""What InfluxDB's answers mean that are not "stored": which lines, which limit, which right, and when to come back.

Invariant: an answer that does not plainly refuse lines is a StoreError: keeping and trying again loses nothing.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from time import time
from typing import Final

import msgspec

from telemetry.errors import StoreError

LONGEST_WAIT_S: Final = 600.0
"""More than this is never waited, whatever Retry-After says [s]."""

_UNREADABLE_WAIT_S: Final = 10.0
_LIMIT: Final = re.compile(r"limit exceeded|max-values-per-tag|max-series-per-database|cache-max-memory-size")
_ABOUT_LINES: Final = re.compile(
    r"unable to parse|partial write|dropped=|conflict|retention|line protocol|invalid (field|tag|column)|parse error"
    r"|outside (the )?range|out of range|too (long|large)|max key length",
    re.IGNORECASE,
)
_NO_ROOM: Final = "no space left on device"
_DROPPED: Final = re.compile(r"dropped=(\d+)")


class TooLargeError(Exception):
    """The body is larger than the server takes (413). Handled by whoever sent it: two halves."""


class DiskFullError(StoreError):
    """Its log may be torn. Handled by InfluxServer, which keeps it from writing on behind the torn end."""


@dataclass
class RefusedError(Exception):
    """The server refuses lines of this body for ever (400, 422). Handled by whoever sent it, who finds out which.

    `lines` has the reasons by line number, counted from 0, where the server tells them; `dropped` is how many lines
    it says it left out, None where it does not say.
    """

    reason: str
    lines: Mapping[int, str] = field(default_factory=dict)
    dropped: int | None = None


def raise_for_write(status: int, headers: Mapping[str, str], body: bytes, bucket: str) -> None:
    message = _message(body)
    if status == 413:
        raise TooLargeError(message)
    if status in (400, 422) and not _LIMIT.search(message) and _NO_ROOM not in message:
        lines = _lines(body)
        dropped = _DROPPED.search(message)
        if lines or _ABOUT_LINES.search(message):
            raise RefusedError(message, lines, int(dropped[1]) if dropped else None)
    raise_for_query(status, headers, body, bucket)


def raise_for_query(status: int, headers: Mapping[str, str], body: bytes, bucket: str) -> None:
    message = _message(body) or "no reason given"
    if status in (401, 403):
        raise StoreError(
            f"InfluxDB refuses our token for {bucket!r} ({status}: {message}): give [store] token one that may; "
            "`km0 init influxdb` makes them"
        )
    if status == 404:
        raise trouble(message, bucket)
    if status in (429, 502, 503, 504):
        raise StoreError(f"InfluxDB is busy ({status}: {message})", retry_after_s=_retry_after(headers))
    if _NO_ROOM in message:
        raise DiskFullError(f"InfluxDB's disk is full ({message}): make room and start it anew, twice")
    if _LIMIT.search(message):
        raise StoreError(f"InfluxDB is full: {message}: raise that limit in its configuration")
    raise StoreError(f"InfluxDB answers {status}: {message}")


def trouble(message: str, bucket: str) -> StoreError:
    if "not found" in message:
        return StoreError(
            f"InfluxDB has no {bucket!r} that our token may see ({message}): `km0 init influxdb` makes it"
        )
    return StoreError(f"InfluxDB: {message}")


def _message(body: bytes) -> str:
    """The error in words: {"error": …} of 1.x and 3.x, {"code": …, "message": …} of 2.x, or the body as it is."""
    text = body.decode(errors="replace").strip()
    try:
        # what was asked in MessagePack is refused in it; no JSON begins with this byte
        told = msgspec.msgpack.decode(body) if body[:1] == b"\x81" else json.loads(text)
    except ValueError:
        return text[:1000]
    if isinstance(told, dict):
        return str(told.get("message") or told.get("error") or text)
    return text[:1000]


def _lines(body: bytes) -> dict[int, str]:
    """Reasons by line number from 0, of the JSON that 3.x answers: {"data": [{"line_number": 1, …}]}."""
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    data = told.get("data") if isinstance(told, dict) else None
    entries = data if isinstance(data, list) else [data]
    return {
        entry["line_number"] - 1: str(entry.get("error_message") or told.get("error"))
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("line_number"), int)
    }


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """What Retry-After asks for [s]: seconds or a date; None without one."""
    told = headers.get("Retry-After")
    if told is None:
        return None
    try:
        wait_s = float(told)
    except ValueError:
        try:
            wait_s = parsedate_to_datetime(told).timestamp() - time()
        except (TypeError, ValueError):
            wait_s = _UNREADABLE_WAIT_S
    return min(max(wait_s, 0.0), LONGEST_WAIT_S) if wait_s == wait_s else _UNREADABLE_WAIT_S  # NaN

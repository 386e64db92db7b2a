"""MQTT captures as mosquitto_sub writes them, and what format A says in them.

Two forms, one message a line: JSON (`mosquitto_sub -F %j`), and, exact for binary payloads too, time, bytes in
hexadecimal and topic (`mosquitto_sub -F "%U %x %t"`). Times in a capture are those at which messages came.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from simulators.payloads import iso_time
from simulators.recorded import Replayed, instant_ns, value, whole_us
from telemetry.errors import ConfigError
from telemetry.glossary import METRICS

_DAY_NS: Final = 86_400 * 10**9
_OFFSET: Final = re.compile(r"Z?([+-]\d\d)(\d\d)$")
_SCALES: Final = (1, 10**3, 10**6, 10**9)
"""Numbers of ns in the units in which devices count time."""

_GARBAGE: Final = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


class Captured(NamedTuple):
    """A message, and when it came [ns]."""

    at_ns: int
    topic: str
    payload: bytes


def is_capture(head: str) -> bool:
    """Whether a first line is that of a capture."""
    try:
        _message(head)
    except _GARBAGE:
        return False
    return True


def read_capture(lines: Iterable[str], where: str) -> list[Captured]:
    """The messages, in the order in which they came. Raises ConfigError with the line that is none."""
    found: list[Captured] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(_message(line.rstrip("\r\n")))
        except _GARBAGE:
            raise ConfigError(
                f'{where}, line {number}: no message of a capture; record with mosquitto_sub -F %j, or -F "%U %x %t"'
            ) from None
    return sorted(found, key=lambda one: one.at_ns)


def values_of(messages: Sequence[Captured], where: str) -> dict[str, list[Replayed]]:
    """What messages of format A (one value per topic, `<asset>/<metric>`) say, by asset, in time order.

    Raises ConfigError when none is of that format.
    """
    found: dict[str, list[Replayed]] = {}
    for message in messages:
        asset, _, metric = message.topic.rpartition("/")
        if metric not in METRICS:
            continue
        try:
            said = json.loads(message.payload)
            for one in said if isinstance(said, list) else [said]:
                good = one["value"] is not None and str(one.get("quality", "good")).lower() != "bad"
                told = Replayed(instant_ns(one["time"]), metric, value(metric, one["value"], good=good), good)
                found.setdefault(asset, []).append(told)
        except _GARBAGE:
            continue  # garbage on the wire is part of a capture
    if not found:
        raise ConfigError(
            f"{where}: no message <asset>/<metric> with value and time in it; other captures go over MQTT only"
        )
    for values in found.values():
        values.sort(key=lambda one: one.time_ns)
    return found


def moved(message: Captured, by_ns: int, to_ns: int) -> Captured:
    """The message as it would have been said later by `by_ns` [ns], told at `to_ns` [ns].

    Times in a JSON payload are moved with it: strings that are instants with an offset, and numbers that count s, ms,
    µs or ns since 1970 and mean a day around its coming. Other payloads keep their bytes.
    """
    if message.payload[:1] not in (b"{", b"["):
        return message._replace(at_ns=to_ns)
    try:
        said = _moved(json.loads(message.payload), message.at_ns, by_ns)
    except (ValueError, RecursionError):
        return message._replace(at_ns=to_ns)
    text = json.dumps(said, separators=(",", ":"), ensure_ascii=False)
    # Half a surrogate pair is no UTF-8; what Python writes for it is just what JSON does.
    return Captured(to_ns, message.topic, text.encode(errors="backslashreplace"))


def _moved(said: Any, near_ns: int, by_ns: int) -> Any:
    if isinstance(said, list):
        return [_moved(one, near_ns, by_ns) for one in said]
    if isinstance(said, dict):
        return {name: _moved(one, near_ns, by_ns) for name, one in said.items()}
    if isinstance(said, str):
        try:
            return iso_time(instant_ns(said) + by_ns) if "T" in said else said
        except ValueError:  # the end of time ("9999-12-31…"), too: never is never
            return said
    if isinstance(said, bool) or not isinstance(said, int | float):
        return said
    for scale in _SCALES:
        unit_ns = 10**9 // scale
        if abs(said * unit_ns - near_ns) < _DAY_NS:
            return said + (by_ns // unit_ns if isinstance(said, int) else by_ns / unit_ns)
    return said


def _message(line: str) -> Captured:
    if line.startswith("{"):
        told = json.loads(line)
        payload = told["payload"]
        body = payload if isinstance(payload, str) else json.dumps(payload)
        return Captured(instant_ns(_with_colon(told["tst"])), str(told["topic"]), body.encode())
    at, bytes_in_hex, topic = line.split(" ", 2)
    return Captured(whole_us(float(at)), topic, bytes.fromhex(bytes_in_hex))


def _with_colon(stamp: str) -> str:
    """mosquitto_sub writes offsets as +0100, and some of its versions a Z before them."""
    return _OFFSET.sub(r"\1:\2", stamp)

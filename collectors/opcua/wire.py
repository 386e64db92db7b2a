"""What a server answers to Publish and HistoryRead, decoded straight from its bytes (OPC 10000-6, 5.2).

Invariants:
- times keep the 100 ns of the wire, as integers; the library's datetimes would cut them to 1 µs;
- a DataValue is read in the specification's order (…, SourceTimestamp, SourcePicoseconds, ServerTimestamp, …); the
  library (asyncua 2.1) expects both timestamps first and misreads any server that sends picoseconds;
- common scalars are decoded here; every other variant is left to the library, and what follows it is still found;
- whatever the bytes are, the outcome is a value or a DecodeError.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, Final

import msgspec
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary, variant_from_binary

from telemetry.errors import DecodeError

_TICKS_1601_TO_1970: Final = 116_444_736_000_000_000
_DATA_CHANGE, _EVENTS, _STATUS_CHANGE, _HISTORY_DATA, _HISTORY_MODIFIED = 811, 916, 820, 658, 664


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One DataValue: the value as sent, its StatusCode, and its times [ns since 1970]; 0 where none was sent."""

    value: Any
    status: int
    source_ns: int
    server_ns: int

    @property
    def waiting(self) -> bool:
        """BadWaitingForInitialData: there is no value yet."""
        return self.status & 0xFFFF_0000 == 0x8032_0000


@dataclass(slots=True)
class Publication:
    """One answer to a Publish request; without `readings`, `ended` and `broken` it is a keep-alive.

    `readings` are (client handle, reading) in the server's order; `ended` is the status with which the server ended
    the subscription; `broken` is a notification that could not be decoded: reason and bytes; `published_ns` is the
    server's time of sending; `size` is that of the whole answer [bytes].
    """

    subscription: int
    sequence: int
    readings: list[tuple[int, Reading]] = field(default_factory=list)
    ended: int | None = None
    broken: list[tuple[str, bytes]] = field(default_factory=list)
    carries_data: bool = False
    published_ns: int = 0
    size: int = 0


@dataclass(slots=True)
class HistoryPage:
    """One node's part of an answer to HistoryRead; `more` is the continuation point, empty when there is no more."""

    status: int
    more: bytes
    readings: list[Reading]


def _unpacker(form: str) -> tuple[Callable[[bytes, int], tuple[Any, ...]], int]:
    packed = Struct(form)
    return packed.unpack_from, packed.size


_SCALARS: Final = {
    kind: _unpacker(form)
    for kind, form in enumerate(("<?", "<b", "<B", "<h", "<H", "<i", "<I", "<q", "<Q", "<f", "<d"), 1)
}
"""By the encoding byte of a Variant: Boolean, SByte, Byte, Int16 … Double. The array bits make it another byte."""


def _whole_items(status: str) -> dict[bytes, tuple[Callable[[bytes, int], tuple[Any, ...]], int]]:
    """A MonitoredItemNotification with a scalar and both times, at one go: by its mask and its Variant's encoding byte.
    Picoseconds are padding."""
    mask = 0x0F if status else 0x0D
    return {
        bytes((mask + picoseconds, kind)): _unpacker(
            f"<I2x{form}{status}q{'2x' if picoseconds & 0x10 else ''}q{'2x' if picoseconds & 0x20 else ''}"
        )
        for kind, form in enumerate("?bBhHiIqQfd", 1)
        for picoseconds in (0x00, 0x10, 0x20, 0x30)
    }


_WITHOUT_STATUS: Final = _whole_items("")
_WITH_STATUS: Final = _whole_items("I")

_STRING: Final = 12
_LOCALIZED_TEXT: Final = 21
_ITEM, _ = _unpacker("<IB")
_INT, _ = _unpacker("<i")
_UINT, _ = _unpacker("<I")
_TICKS, _ = _unpacker("<q")


def publication(body: bytes) -> Publication:
    """A PublishResponse. DecodeError when not even its envelope can be read; a broken notification is in `broken`."""
    with _decoding("a PublishResponse"):
        return _publication(body)


def republication(body: bytes, subscription: int) -> Publication:
    """A RepublishResponse. DecodeError when not even its envelope can be read."""
    with _decoding("a RepublishResponse"):
        return _message(body, _after_header(body), subscription)


def history(body: bytes) -> list[HistoryPage]:
    """A HistoryReadResponse to ReadRaw. DecodeError when it cannot be read."""
    with _decoding("a HistoryReadResponse"):
        return _history(body)


@contextlib.contextmanager
def _decoding(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # foreign bytes: whatever the decoder trips over is the sender's fault
        raise DecodeError(f"not {what}: {error}") from error


def _publication(body: bytes) -> Publication:
    at = _after_header(body)
    subscription, available = _UINT(body, at)[0], _INT(body, at + 4)[0]
    at += 8 + 4 * max(0, available) + 1  # AvailableSequenceNumbers, MoreNotifications
    return _message(body, at, subscription)


def _message(body: bytes, at: int, subscription: int) -> Publication:
    """The NotificationMessage at `at`."""
    published_ns = _nanoseconds(_TICKS(body, at + 4)[0])
    found = Publication(subscription, _UINT(body, at)[0], published_ns=published_ns, size=len(body))
    at += 4 + 8  # SequenceNumber, PublishTime
    count = _INT(body, at)[0]
    at += 4
    for _ in range(count):
        found.carries_data = True
        kind, start, at = _extension(body, at)
        if kind in _NOTIFICATIONS:
            what, decode = _NOTIFICATIONS[kind]
            try:
                with _decoding(what):
                    decode(body[start:at], found.readings)
            except DecodeError as error:  # kept whole, so that it can be looked at
                found.broken.append((str(error), body[start:at]))
        elif kind == _STATUS_CHANGE:
            found.ended = _UINT(body, start)[0]
        else:
            found.broken.append((f"notification of an unexpected type, i={kind}", body[start:at]))
    return found


def _history(body: bytes) -> list[HistoryPage]:
    at = _after_header(body)
    count = _INT(body, at)[0]
    at += 4
    pages = []
    for _ in range(count):
        status = _UINT(body, at)[0]
        more, at = _bytes(body, at + 4)
        kind, start, at = _extension(body, at)
        page = HistoryPage(status, more or b"", [])
        if kind in (_HISTORY_DATA, _HISTORY_MODIFIED):
            place = start + 4
            for _ in range(_INT(body, start)[0]):
                reading, place = _data_value(body, place + 1, body[place])
                page.readings.append(reading)
        pages.append(page)
    return pages


def _after_header(body: bytes) -> int:
    buffer = Buffer(body)
    nodeid_from_binary(buffer)
    struct_from_binary(ua.ResponseHeader, buffer)
    return int(buffer.cur_pos)


def _extension(body: bytes, at: int) -> tuple[int, int, int]:
    """An ExtensionObject: number of its encoding in namespace 0 (-1: another), start and end of its content."""
    buffer = Buffer(body, at)
    typeid = nodeid_from_binary(buffer)
    at = buffer.cur_pos
    number = typeid.Identifier if typeid.NamespaceIndex == 0 and isinstance(typeid.Identifier, int) else -1
    if body[at] == 0:
        return -1 if number else 0, at + 1, at + 1
    start = at + 5
    length = _INT(body, at + 1)[0]
    if length < 0 or start + length > len(body):
        raise ValueError(f"content of {length} bytes, {len(body) - start} are there")
    return number, start, start + length


def _data_changes(body: bytes, readings: list[tuple[int, Reading]]) -> None:
    count = _INT(body, 0)[0]
    at = 4
    for _ in range(count):
        layout = body[at + 4 : at + 6]
        if (whole := _WITHOUT_STATUS.get(layout)) is not None:
            handle, value, source, server = whole[0](body, at)
            status = 0
        elif (whole := _WITH_STATUS.get(layout)) is not None:
            handle, value, status, source, server = whole[0](body, at)
        else:
            handle, mask = _ITEM(body, at)
            reading, at = _data_value(body, at + 5, mask)
            readings.append((handle, reading))
            continue
        at += whole[1]
        # as _nanoseconds, without the price of a call
        source_ns = (source - _TICKS_1601_TO_1970) * 100 if source > 0 else 0
        server_ns = (server - _TICKS_1601_TO_1970) * 100 if server > 0 else 0
        readings.append((handle, Reading(value, status, source_ns, server_ns)))


def _events(body: bytes, readings: list[tuple[int, Reading]]) -> None:
    """Events are rare and of any content: the library decodes them. An event's fields are its reading's value."""
    events = struct_from_binary(ua.EventNotificationList, Buffer(body)).Events
    readings += [(int(event.ClientHandle), Reading(list(event.EventFields), 0, 0, 0)) for event in events]


_NOTIFICATIONS: Final = {
    _DATA_CHANGE: ("a DataChangeNotification", _data_changes),
    _EVENTS: ("an EventNotificationList", _events),
}


def _data_value(body: bytes, at: int, mask: int) -> tuple[Reading, int]:
    """The DataValue whose encoding mask was just before `at`, and where it ends."""
    value: Any = None
    status = source = server = 0
    if mask & 0x01:
        kind = body[at]
        scalar = _SCALARS.get(kind)
        if scalar is not None:
            value = scalar[0](body, at + 1)[0]
            at += 1 + scalar[1]
        elif kind == _STRING:
            value, at = _text(body, at + 1)
        else:
            value, at = _variant(body, at)
    if mask & 0x02:
        status = _UINT(body, at)[0]
        at += 4
    if mask & 0x04:
        source = _nanoseconds(_TICKS(body, at)[0])
        at += 8
    if mask & 0x10:
        # Picoseconds are left out: a time is an identity, and a server's history may have kept them or not.
        at += 2
    if mask & 0x08:
        server = _nanoseconds(_TICKS(body, at)[0])
        at += 8
    if mask & 0x20:
        at += 2
    if mask & 0xC0 or at > len(body):
        raise ValueError("no DataValue")
    return Reading(value, status, source, server), at


def _nanoseconds(ticks: int) -> int:
    """Ticks of 100 ns since 1601 as nanoseconds since 1970; the least DateTime means that there is none."""
    return (ticks - _TICKS_1601_TO_1970) * 100 if ticks > 0 else 0


def _variant(body: bytes, at: int) -> tuple[Any, int]:
    if body[at] == _LOCALIZED_TEXT:
        mask = body[at + 1]
        text: str | None = None
        at += 2
        if mask & 0x01:
            _, at = _text(body, at)
        if mask & 0x02:
            text, at = _text(body, at)
        return text, at
    buffer = Buffer(body, at)
    variant = variant_from_binary(buffer)
    return variant.Value, buffer.cur_pos


def _bytes(body: bytes, at: int) -> tuple[bytes | None, int]:
    length = _INT(body, at)[0]
    at += 4
    if length < 0:
        return None, at
    if at + length > len(body):
        raise ValueError(f"{length} bytes announced, {len(body) - at} are there")
    return body[at : at + length], at + length


def _text(body: bytes, at: int) -> tuple[str | None, int]:
    raw, at = _bytes(body, at)
    return None if raw is None else raw.decode("utf-8", "replace"), at

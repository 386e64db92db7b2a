"""Our decoder against the library's encoder, against bytes written by hand, and against damage."""

import struct
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary
from hypothesis import given
from hypothesis import strategies as st

from collectors.opcua.wire import Publication, Reading, history, publication
from telemetry.errors import DecodeError

SECOND = 10**9
NOON_NS = 1_790_000_000 * SECOND
NOON_TICKS = 116_444_736_000_000_000 + 1_790_000_000 * 10**7
"""The same instant in units of 100 ns since 1601, by the offset that Microsoft publishes for 1970."""

SCALARS = {
    "Boolean": st.booleans(),
    "SByte": st.integers(-(2**7), 2**7 - 1),
    "Byte": st.integers(0, 2**8 - 1),
    "Int16": st.integers(-(2**15), 2**15 - 1),
    "UInt16": st.integers(0, 2**16 - 1),
    "Int32": st.integers(-(2**31), 2**31 - 1),
    "UInt32": st.integers(0, 2**32 - 1),
    "Int64": st.integers(-(2**63), 2**63 - 1),
    "UInt64": st.integers(0, 2**64 - 1),
    "Float": st.floats(width=32, allow_nan=False),
    "Double": st.floats(allow_nan=False),
    "String": st.none() | st.text(st.characters(exclude_categories=["Cs"])),
}
times = st.none() | st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy adds the zone


@st.composite
def data_values(draw: st.DrawFn) -> tuple[ua.DataValue, Reading]:
    kind = draw(st.sampled_from([*SCALARS, "LocalizedText", "array", "Guid", "none"]))
    value: Any
    if kind == "none":
        value, variant = None, ua.Variant(None)
    elif kind == "LocalizedText":
        value = draw(st.text("abcé", min_size=1))
        variant = ua.Variant(ua.LocalizedText(value, draw(st.sampled_from([None, "fr"]))))
    elif kind == "array":
        value = draw(st.lists(SCALARS["Int32"], min_size=1, max_size=5))
        variant = ua.Variant(value, ua.VariantType.Int32)
    elif kind == "Guid":
        value = draw(st.uuids())
        variant = ua.Variant(value, ua.VariantType.Guid)
    else:
        value = draw(SCALARS[kind])
        variant = ua.Variant(value, ua.VariantType[kind])
    status = draw(st.integers(0, 2**32 - 1))
    source, server = draw(times), draw(times)
    encoded = ua.DataValue(variant, ua.StatusCode(ua.UInt32(status)), source, server)
    return encoded, Reading(value, status, nanoseconds(source), nanoseconds(server))


def nanoseconds(time: datetime | None) -> int:
    return 0 if time is None else (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def answer(*notifications: Any, sequence: int = 7) -> bytes:
    response = ua.PublishResponse()
    response.Parameters.SubscriptionId = 3
    response.Parameters.AvailableSequenceNumbers = [5, 6, sequence]
    response.Parameters.NotificationMessage.SequenceNumber = sequence
    response.Parameters.NotificationMessage.NotificationData = list(notifications)
    return struct_to_binary(response)


def changes(*values: ua.DataValue) -> ua.DataChangeNotification:
    items = [ua.MonitoredItemNotification(ClientHandle=handle, Value=value) for handle, value in enumerate(values)]
    return ua.DataChangeNotification(MonitoredItems=items)


@given(st.lists(data_values(), max_size=6))
def test_what_the_library_encodes_is_read_back(pairs: list[tuple[ua.DataValue, Reading]]) -> None:
    """Handles, values of every kind, status and both times come out as they went in, in order; the library's own
    decoder finds the same."""
    body = answer(changes(*(encoded for encoded, _ in pairs)))
    found = publication(body)
    theirs = struct_from_binary(ua.PublishResponse, Buffer(body)).Parameters.NotificationMessage.NotificationData
    items = [(one.ClientHandle, one.Value) for one in theirs[0].MonitoredItems]
    assert items == [(handle, encoded) for handle, (encoded, _) in enumerate(pairs)]
    assert (found.subscription, found.sequence, found.broken, found.carries_data) == (3, 7, [], True)
    assert found.readings == [(handle, reading) for handle, (_, reading) in enumerate(pairs)]


@given(st.lists(data_values(), min_size=1, max_size=6))
def test_history_is_read_like_notifications(pairs: list[tuple[ua.DataValue, Reading]]) -> None:
    """The same values have the same times in a history as live, so that both are one sample."""
    response = ua.HistoryReadResponse()
    page = ua.HistoryReadResult(ContinuationPoint=b"more")
    page.HistoryData = ua.HistoryData(DataValues=[encoded for encoded, _ in pairs])
    response.Results = [page, ua.HistoryReadResult(StatusCode=ua.StatusCode(ua.UInt32(0x8072_0000)))]
    first, second = history(struct_to_binary(response))
    assert (first.status, first.more, first.readings) == (0, b"more", [reading for _, reading in pairs])
    assert (second.status, second.more, second.readings) == (0x8072_0000, b"", [])


def by_hand(data_value: bytes) -> Reading:
    """The DataValue, written byte by byte, put into a notification in the place of one that the library made."""
    whole = answer(changes(ua.DataValue(ua.Variant(1.0, ua.VariantType.Double))))
    placed = struct_to_binary(ua.DataValue(ua.Variant(1.0, ua.VariantType.Double)))
    head, tail = whole.split(placed)
    length = len(head) - 8  # of the handle and the count: the Int32 before them is the notification's length
    head = head[: length - 4] + struct.pack("<i", 8 + len(data_value)) + head[length:]
    ((_, reading),) = publication(head + data_value + tail).readings
    return reading


def test_picoseconds_stand_after_their_own_time() -> None:
    """OPC 10000-6, 5.2.2.17: Value, Status, SourceTimestamp, SourcePicoseconds, ServerTimestamp, ServerPicoseconds."""
    data_value = (
        b"\x3d\x0b"  # mask: value, both times, both picoseconds; Double
        + struct.pack("<d", 230.5)
        + struct.pack("<qHqH", NOON_TICKS, 1234, NOON_TICKS + 10**7, 4321)
    )
    assert by_hand(data_value) == Reading(230.5, 0, NOON_NS, NOON_NS + SECOND)


def test_a_tick_of_100_ns_is_kept() -> None:
    """The finest step of a DateTime survives."""
    assert by_hand(b"\x04" + struct.pack("<q", NOON_TICKS + 1)).source_ns == NOON_NS + 100


def test_the_least_time_means_none() -> None:
    """A DateTime of 0 is "no time", not the year 1601."""
    assert by_hand(b"\x04" + struct.pack("<q", 0)).source_ns == 0


def test_keep_alive_and_end() -> None:
    """A keep-alive carries nothing; a StatusChangeNotification carries the status that ended the subscription."""
    body = answer()
    quiet = publication(body)
    assert quiet == Publication(3, 7, published_ns=quiet.published_ns, size=len(body))
    assert abs(quiet.published_ns - time.time_ns()) < 60_000_000_000
    ended = publication(answer(ua.StatusChangeNotification(Status=ua.StatusCode(ua.UInt32(0x800A_0000)))))
    assert ended.ended == 0x800A_0000


def test_one_broken_notification_leaves_the_others() -> None:
    """What cannot be decoded is kept whole with its reason; the values before and after it are delivered."""
    good = changes(ua.DataValue(ua.Variant(1.0, ua.VariantType.Double)))
    bad = ua.ExtensionObject(ua.FourByteNodeId(811), b"\x01\x00\x00\x00\x05\x00")
    found = publication(answer(good, bad, ua.EventNotificationList(), ua.StatusChangeNotification(), good))
    assert [reading.value for _, reading in found.readings] == [1.0, 1.0]
    assert [raw for _, raw in found.broken] == [b"\x01\x00\x00\x00\x05\x00"]
    stranger = publication(answer(good, ua.ReadRequest(), good))
    assert [reading.value for _, reading in stranger.readings] == [1.0, 1.0]
    assert ["unexpected type" in reason for reason, _ in stranger.broken] == [True]


@given(st.lists(data_values(), max_size=3), st.data())
def test_damage_is_a_decode_error_or_a_broken_notification(
    pairs: list[tuple[ua.DataValue, Reading]], data: st.DataObject
) -> None:
    """Cut short or altered anywhere, an answer never raises anything else."""
    whole = bytearray(answer(changes(*(encoded for encoded, _ in pairs))))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    for damaged in (bytes(whole), cut):
        try:
            publication(damaged)
        except DecodeError as error:
            assert "not a PublishResponse" in str(error)  # noqa: PT017 - most damage decodes: raising is one outcome


def test_nonsense_is_a_decode_error() -> None:
    """Empty and foreign answers are refused with a reason."""
    for body in (b"", b"HTTP/1.1 200 OK"):
        with pytest.raises(DecodeError):
            publication(body)
        with pytest.raises(DecodeError):
            history(body)

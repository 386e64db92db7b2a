"""What a machine tells as events, from the fields that a server sends."""

from datetime import UTC, datetime, timedelta

from asyncua import ua
from asyncua.ua.object_ids import ObjectIds

from collectors.opcua.events import FIELDS, EventValues, event_filter, tells_overflow
from collectors.opcua.wire import Reading
from telemetry.samples import Quality, Sample
from telemetry.validity import Gate
from tests.collectors.opcua.peer import MILL

AT = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
AT_NS = 1_795_334_400 * 10**9
ALARM = ObjectIds.AlarmConditionType


def event(kind: int, text: str = "", at_s: int = 0, *, active: bool | None = None, condition: str = "") -> Reading:
    """FIELDS of an event without an error code, of severity 700."""
    of = ua.NodeId(ua.String(condition), ua.Int16(3)) if condition else None
    values = (
        ua.NodeId(ua.Int32(kind)), AT + timedelta(seconds=at_s), ua.LocalizedText(text), 700, "", active, of
    )  # fmt: skip
    return Reading([ua.Variant(one) if one is not None else ua.Variant() for one in values], 0, 0, 0)


def reader() -> EventValues:
    return EventValues(MILL, Gate([MILL]))


def shown(samples: list[Sample]) -> list[tuple[float, str, int, int]]:
    return [(one.value, one.text, one.quality, (one.time_ns - AT_NS) // 10**9) for one in samples]


def test_a_condition_that_a_refresh_does_not_name_is_over() -> None:
    """Two were on when the connection broke; after it the server names one. When the other ended nobody knows."""
    values = reader()
    for name in ("coolant", "door"):
        assert shown(values.samples(event(ALARM, f"{name} open", active=True, condition=name), AT_NS)) == [
            (700.0, f"{name} open", Quality.GOOD, 0)
        ]
    assert values.samples(event(ObjectIds.RefreshStartEventType, at_s=60), AT_NS) == []
    again = values.samples(event(ALARM, "door open", active=True, condition="door"), AT_NS)
    assert shown(again) == [(700.0, "door open", Quality.GOOD, 0)]
    over = values.samples(event(ObjectIds.RefreshEndEventType, at_s=61), AT_NS)
    assert shown(over) == [(0.0, "coolant open", Quality.UNCERTAIN, 61)]
    assert values.samples(event(ObjectIds.RefreshStartEventType, at_s=70), AT_NS) == []
    over = values.samples(event(ObjectIds.RefreshEndEventType, at_s=71), AT_NS)
    assert shown(over) == [(0.0, "door open", Quality.UNCERTAIN, 71)]


def test_a_condition_that_ended_while_we_listened_is_not_ended_twice() -> None:
    """Nor is one that is no condition ended by a refresh: a message is over when it is said."""
    values = reader()
    values.samples(event(ALARM, "coolant low", active=True, condition="coolant"), AT_NS)
    assert shown(values.samples(event(ALARM, "coolant full", 5, active=False, condition="coolant"), AT_NS)) == [
        (0.0, "coolant full", Quality.GOOD, 5)
    ]
    values.samples(event(ObjectIds.BaseEventType, "door", 6), AT_NS)
    values.samples(event(ObjectIds.RefreshStartEventType, at_s=60), AT_NS)
    assert values.samples(event(ObjectIds.RefreshEndEventType, at_s=61), AT_NS) == []


def test_a_queue_of_events_that_was_full_is_no_alarm_of_the_machine() -> None:
    """The server says so by an event of its own."""
    full = event(ObjectIds.EventQueueOverflowEventType, "Event queue overflow")
    assert tells_overflow(full)
    assert reader().samples(full, AT_NS) == []
    assert not tells_overflow(event(ALARM, "coolant", active=True))
    assert not tells_overflow(Reading(3.0, 0, 0, 0))


def test_what_is_asked_for_is_what_is_read() -> None:
    """One operand for each field that every server knows; the node of a condition is no property of it."""
    clauses = event_filter(["http://opcfoundation.org/UA/"]).SelectClauses
    assert len(clauses) == len(FIELDS) - 1
    condition = clauses[FIELDS.index("ConditionId")]
    assert (condition.BrowsePath, condition.AttributeId) == ([], ua.AttributeIds.NodeId)
    assert condition.TypeDefinitionId == ua.NodeId(ua.Int32(2782))

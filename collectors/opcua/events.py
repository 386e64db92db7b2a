"""Alarms, conditions and messages of a machine as samples of `alarm`: severity as value, the message as text.

Invariants:
- Two events of one instant are two samples, whose times differ by less than the 100 ns that the wire knows; one that
  comes again (a refresh after a break, a message sent again) is the same sample.
- A condition that was on and that a refresh does not name is over: it ended while nobody listened.
"""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from collectors.opcua.companion import MACHINE_TOOL
from collectors.opcua.wire import Reading
from telemetry.errors import DecodeError
from telemetry.samples import SECOND_NS, Quality, Sample
from telemetry.validity import MAX_TEXT, Gate

_BASE_EVENT: Final = ua.NodeId(ua.Int32(ObjectIds.BaseEventType))
_CONDITION: Final = ua.NodeId(ua.Int32(ObjectIds.ConditionType))
_ALARM: Final = ua.NodeId(ua.Int32(ObjectIds.AlarmConditionType))
_ALERT: Final = 39
"""AlertType of OPC 40501-1."""

FIELDS: Final = (
    "EventType", "Time", "Message", "Severity", "SourceName", "ActiveState/Id", "ConditionId", "ErrorCode"
)  # fmt: skip
"""What is asked for of every event, in this order (OPC 10000-5, 6.4.2; 10000-9, 5.8.2; 40501-1, AlertType)."""

_REFRESHING: Final = (
    ObjectIds.RefreshStartEventType,
    ObjectIds.RefreshEndEventType,
    ObjectIds.RefreshRequiredEventType,
    ObjectIds.EventQueueOverflowEventType,
)
"""What frames a refresh, or tells that events were lost, and is no event of the machine."""

_MODEL_CHANGE: Final = ObjectIds.BaseModelChangeEventType
_MODEL_CHANGES: Final = (_MODEL_CHANGE, ObjectIds.GeneralModelChangeEventType, ObjectIds.SemanticChangeEventType)
"""What tells that nodes came or went: without saying which, or with (OPC 10000-3, 9.32)."""

_REMEMBERED: Final = 1000
"""Instants of which the events are remembered."""

EVENTS: Final = "alarm"
"""The metric of what a machine tells as events."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def event_filter(namespaces: Sequence[str]) -> Any:
    """Every event of the node; of it, FIELDS. An event without one of them bears a null in its place."""
    wanted = ua.EventFilter()
    for name in FIELDS:
        kind, index, attribute = _BASE_EVENT, 0, AttributeIds.Value
        if name == "ActiveState/Id":
            kind = _ALARM
        elif name == "ConditionId":  # it is no property: the node of the condition itself (OPC 10000-9, 5.5.2)
            kind, attribute = _CONDITION, AttributeIds.NodeId
        elif name == "ErrorCode":
            if MACHINE_TOOL not in namespaces:
                continue
            index = namespaces.index(MACHINE_TOOL)
            kind = ua.NodeId(ua.Int32(_ALERT), ua.Int16(index))
        operand = ua.SimpleAttributeOperand()
        operand.TypeDefinitionId = kind
        path = [] if name == "ConditionId" else name.split("/")
        operand.BrowsePath = [ua.QualifiedName(part, ua.UInt16(index)) for part in path]
        operand.AttributeId = ua.UInt32(attribute)
        wanted.SelectClauses.append(operand)
    return wanted


def model_change_filters() -> list[Any]:
    """What asks for model changes alone: the first that a server takes will do.

    asyncua's server knows a type's own events only, not those of its sub-types; others may know no "or".
    """
    own = [_of_type(number) for number in _MODEL_CHANGES[:2]]
    either = ua.ContentFilterElement(
        FilterOperator=ua.FilterOperator.Or,
        FilterOperands=[ua.ElementOperand(Index=ua.UInt32(number)) for number in (1, 2)],
    )
    kind = ua.SimpleAttributeOperand(
        TypeDefinitionId=_BASE_EVENT,
        BrowsePath=[ua.QualifiedName("EventType", ua.UInt16(0))],
        AttributeId=ua.UInt32(AttributeIds.Value),
    )
    return [
        ua.EventFilter(SelectClauses=[kind], WhereClause=ua.ContentFilter(Elements=elements))
        for elements in ([either, *own], own[:1])
    ]


def _of_type(number: int) -> Any:
    operand = ua.LiteralOperand(Value=ua.Variant(ua.NodeId(ua.Int32(number)), ua.VariantType.NodeId))
    return ua.ContentFilterElement(FilterOperator=ua.FilterOperator.OfType, FilterOperands=[operand])


def tells_model_change(reading: Reading) -> bool:
    """Whether an event asked for so is one; a server may send others all the same. A vendor's own type may be."""
    kind = getattr(reading.value[0], "Value", None) if isinstance(reading.value, list) and reading.value else None
    return isinstance(kind, ua.NodeId) and (kind.NamespaceIndex != 0 or kind.Identifier in _MODEL_CHANGES)


def tells_overflow(reading: Reading) -> bool:
    """Whether the server says that its queue of events was full, and some are lost."""
    return _number(reading) == ObjectIds.EventQueueOverflowEventType


def _number(reading: Reading) -> int:
    """The type of an event of namespace 0; 0 for another."""
    kind = getattr(reading.value[0], "Value", None) if isinstance(reading.value, list) and reading.value else None
    if isinstance(kind, ua.NodeId) and kind.NamespaceIndex == 0 and isinstance(kind.Identifier, int):
        return kind.Identifier
    return 0


class Instants:
    """What was told at which instant."""

    def __init__(self) -> None:
        self._at: Final[OrderedDict[int, list[tuple[float, str]]]] = OrderedDict()

    def apart(self, at_ns: int, content: tuple[float, str]) -> int:
        """The time of an event, apart from other events of the same instant."""
        same = self._at.setdefault(at_ns, [])
        if content not in same:
            same.append(content)
        while len(self._at) > _REMEMBERED:
            self._at.popitem(last=False)
        return at_ns + min(same.index(content), 99)


class EventValues:
    """Reads the events that one node of a machine tells."""

    metric: Final = EVENTS
    holds_state: Final = False

    def __init__(self, asset: str, gate: Gate, instants: Instants | None = None) -> None:
        self.asset: Final = asset
        self._gate: Final = gate
        self._instants: Final = instants or Instants()
        self._on: Final[dict[object, str]] = {}
        """Conditions that are on, and what they say."""
        self._told_again: set[object] | None = None
        """Those that the refresh under way has named; None: there is none."""

    def samples(self, reading: Reading, received_ns: int) -> list[Sample]:
        """A sample; `reading.value` is the list of FIELDS. An alarm that is over has the value 0. DecodeError."""
        fields = reading.value
        if not isinstance(fields, list) or not len(FIELDS) - 1 <= len(fields) <= len(FIELDS):
            raise DecodeError("an event without the fields asked for")
        _, time, message, severity, source, active, condition, *code = (getattr(one, "Value", None) for one in fields)
        if (number := _number(reading)) in _REFRESHING:
            return self._refreshing(number, _nanoseconds(time, received_ns), received_ns)
        text = str(getattr(message, "Text", None) or message or "")
        if code and code[0] and str(code[0]) not in text:
            text = f"{code[0]}: {text}"
        if source and str(source) not in text:
            text = f"{source}: {text}"
        value = float(severity) if isinstance(severity, (int, float)) and active is not False else 0.0
        self._remember(condition, text[:MAX_TEXT], active)
        at_ns = self._instants.apart(_nanoseconds(time, received_ns), (value, text[:MAX_TEXT]))
        sample = Sample(at_ns, self.asset, "alarm", value, text[:MAX_TEXT], 0, received_ns)
        if (refusal := self._gate.refusal(sample)) is not None:
            raise DecodeError(refusal)
        return [sample]

    def _remember(self, condition: object, text: str, active: object) -> None:
        if not isinstance(condition, ua.NodeId) or condition.is_null():
            return
        if self._told_again is not None:
            self._told_again.add(condition)
        if active is True and (condition in self._on or len(self._on) < _REMEMBERED):
            self._on[condition] = text
        elif active is False:
            self._on.pop(condition, None)

    def _refreshing(self, number: int, at_ns: int, received_ns: int) -> list[Sample]:
        """What a refresh shows to be over. When it ended nobody knows: not later than this."""
        if number == ObjectIds.RefreshStartEventType:
            self._told_again = set()
        if number != ObjectIds.RefreshEndEventType or self._told_again is None:
            return []
        over = [condition for condition in self._on if condition not in self._told_again]
        self._told_again = None
        return [
            Sample(
                self._instants.apart(at_ns, (0.0, text)), self.asset, "alarm", 0.0, text, Quality.UNCERTAIN, received_ns
            )
            for text in map(self._on.pop, over)
        ]


def _nanoseconds(time: Any, otherwise_ns: int) -> int:
    if not isinstance(time, datetime):
        return otherwise_ns
    passed = (time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * SECOND_NS + passed.microseconds * 1000

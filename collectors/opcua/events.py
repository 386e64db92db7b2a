"""Alarms, conditions and messages of a machine as samples of `alarm`: severity as value, the message as text."""

from datetime import UTC, datetime
from typing import Any, Final

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds

from collectors.opcua.wire import Reading
from telemetry.errors import DecodeError
from telemetry.samples import SECOND_NS, Sample
from telemetry.validity import MAX_TEXT, Gate

FIELDS: Final = ("Time", "Message", "Severity", "SourceName")
"""What is asked for of every event, in this order (BaseEventType, OPC 10000-5, 6.4.2)."""

_BASE_EVENT: Final = 2041
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def event_filter() -> Any:
    """Every event of the node; of it, FIELDS."""
    wanted = ua.EventFilter()
    for name in FIELDS:
        operand = ua.SimpleAttributeOperand()
        operand.TypeDefinitionId = ua.NodeId(ua.Int32(_BASE_EVENT))
        operand.BrowsePath = [ua.QualifiedName(name)]
        operand.AttributeId = ua.UInt32(AttributeIds.Value)
        wanted.SelectClauses.append(operand)
    return wanted


class EventValues:
    """Reads the events of one machine."""

    metric: Final = "alarm"
    holds_state: Final = False

    def __init__(self, asset: str, gate: Gate) -> None:
        self.asset: Final = asset
        self._gate: Final = gate

    def samples(self, reading: Reading, received_ns: int) -> list[Sample]:
        """One sample; `reading.value` is the list of FIELDS. Raises DecodeError."""
        fields = reading.value
        if not isinstance(fields, list) or len(fields) != len(FIELDS):
            raise DecodeError("an event without the fields asked for")
        time, message, severity, source = (getattr(one, "Value", None) for one in fields)
        text = str(getattr(message, "Text", None) or message or "")
        if source and str(source) not in text:
            text = f"{source}: {text}"
        value = float(severity) if isinstance(severity, (int, float)) else 0.0
        sample = Sample(_nanoseconds(time, received_ns), self.asset, "alarm", value, text[:MAX_TEXT], 0, received_ns)
        if (refusal := self._gate.refusal(sample)) is not None:
            raise DecodeError(refusal)
        return [sample]


def _nanoseconds(time: Any, otherwise_ns: int) -> int:
    if not isinstance(time, datetime):
        return otherwise_ns
    passed = (time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * SECOND_NS + passed.microseconds * 1000

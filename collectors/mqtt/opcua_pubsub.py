"""OPC UA PubSub, JSON over MQTT (OPC 10000-14 v1.05): key and delta frames, every spelling of a field. Pure, no I/O.

A field names itself in every frame, so a delta frame needs no key frame before it: what it leaves out has not changed.
Headers may be missing at every level. What is not data (metadata, status, keep-alive …) is passed.
"""

from typing import Final, Literal

import msgspec
from pydantic import model_validator

from collectors.mqtt.addressing import Addressing, TopicRules
from collectors.mqtt.decoder import Fault, Message, MessageError
from collectors.mqtt.mapping import Reader
from collectors.mqtt.times import instant_ns
from telemetry.glossary import METRICS
from telemetry.samples import Quality, Sample

_FRAMES: Final = (None, "ua-keyframe", "ua-deltaframe")
"""No set: it could not be asked for what JSON may hold instead, a list or an object."""

_HEADER: Final = frozenset(
    (
        "DataSetWriterId",
        "DataSetWriterName",
        "PublisherId",
        "WriterGroupName",
        "SequenceNumber",
        "MetaDataVersion",
        "MinorVersion",
        "Timestamp",
        "Status",
        "MessageType",
    )
)
"""Keys beside which fields stand in a "Payload"; a message without any of them is its fields."""


class OpcUaPubSubTopic(TopicRules):
    """An entry of `topics` whose payloads are OPC UA PubSub in JSON."""

    dialect: Literal["opcua_pubsub"]

    @model_validator(mode="after")
    def _metrics_by_name(self) -> "OpcUaPubSubTopic":
        if self.metric is not None:
            raise ValueError("the fields of a data set name their metrics: give `names` instead of `metric`")
        return self

    def decoder(self) -> "OpcUaPubSubDecoder":
        return OpcUaPubSubDecoder(self)


class OpcUaPubSubDecoder:
    """Decodes what an OpcUaPubSubTopic describes. Fields that are neither in `names` nor in the glossary are passed."""

    def __init__(self, rules: OpcUaPubSubTopic) -> None:
        self._parse: Final = msgspec.json.Decoder().decode
        self._rules: Final = rules
        self._reader: Final = Reader(rules)
        self._addressing: Final = Addressing(rules)

    def decode(self, message: Message) -> list[Sample | MessageError]:
        try:
            document = self._parse(message.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MessageError(Fault.SYNTAX, f"not JSON: {error}") from None
        asset, _ = self._addressing.of(message.topic)
        result: list[Sample | MessageError] = []
        for network_message in document if isinstance(document, list) else [document]:
            for one in _data_set_messages(network_message):
                try:
                    result += self._data_set(one, asset, message.received_ns)
                except MessageError as refusal:
                    result.append(refusal)
        return result

    def _data_set(self, one: object, asset: str, received_ns: int) -> list[Sample | MessageError]:
        if not isinstance(one, dict):
            raise MessageError(Fault.SHAPE, "a DataSetMessage is no JSON object")
        if one.get("MessageType") not in _FRAMES:
            return []
        fields = one.get("Payload") if "Payload" in one or one.keys() & _HEADER else one
        if fields is None:
            return []
        if not isinstance(fields, dict):
            raise MessageError(Fault.SHAPE, "the Payload of a DataSetMessage is no JSON object")
        severity = _severity(one.get("Status"))
        result: list[Sample | MessageError] = []
        for name, field in fields.items():
            metric = self._addressing.named(name)
            if metric in METRICS:
                try:
                    result.append(self._field(asset, metric, field, one.get("Timestamp"), severity, received_ns))
                except MessageError as refusal:
                    result.append(MessageError(refusal.fault, f"{name!r}: {refusal}"))
        return result

    def _field(self, asset: str, metric: str, field: object, sent: object, severity: int, received_ns: int) -> Sample:
        time = sent
        if isinstance(field, dict) and field.keys() & {"Value", "StatusCode", "SourceTimestamp", "ServerTimestamp"}:
            # A DataValue, or {UaType, Value} which looks like one without time and status.
            severity = max(severity, _severity(field.get("StatusCode")))
            time = field.get("SourceTimestamp") or field.get("ServerTimestamp") or sent
            field = field.get("Value")
        if isinstance(field, dict) and "Body" in field:  # {Type, Body} of older versions
            field = field["Body"]
        elif isinstance(field, dict) and "UaType" in field:
            field = field.get("Value")
        if isinstance(field, dict) and ("Text" in field or "text" in field):  # LocalizedText
            field = field.get("Text", field.get("text"))
        try:
            number, text, own = self._reader.value(metric, field, self._rules.scale, self._rules.offset)
        except MessageError:
            if severity != Quality.BAD:
                raise
            number, text, own = 0.0, "", Quality.BAD
        if time is None:
            return Sample(received_ns, asset, metric, number, text, max(severity, own, Quality.UNCERTAIN), received_ns)
        return Sample(instant_ns(time), asset, metric, number, text, max(severity, own), received_ns)


def _data_set_messages(document: object) -> list[object]:
    """The DataSetMessages of a NetworkMessage, of a list of them, or of one that stands alone."""
    if not isinstance(document, dict):
        raise MessageError(Fault.SHAPE, "neither a NetworkMessage nor a DataSetMessage")
    kind = document.get("MessageType")
    if isinstance(kind, str) and kind not in ("ua-data", "ua-keyframe", "ua-deltaframe"):
        return []
    if "Messages" not in document:
        return [document]
    messages = document["Messages"]
    return messages if isinstance(messages, list) else [messages]


def _severity(status: object) -> int:
    """The severity of a StatusCode: absent is Good; a number, or in newer versions {"Code": …, "Symbol": …}."""
    if isinstance(status, dict):
        status = status.get("Code", 0)
    if status is None:
        return Quality.GOOD
    if type(status) is not int or not 0 <= status < 2**32:
        raise MessageError(Fault.VALUE, f"the status {str(status)[:40]!r} is no StatusCode")
    return Quality.of(status)

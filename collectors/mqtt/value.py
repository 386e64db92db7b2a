"""The value dialect: the payload is a bare number or word, the topic says of what. Pure, no I/O."""

from typing import Final, Literal

from pydantic import model_validator

from collectors.mqtt.addressing import Addressing, TopicRules
from collectors.mqtt.decoder import Fault, Message, MessageError
from collectors.mqtt.mapping import Reader
from collectors.mqtt.properties import user_property
from collectors.mqtt.times import instant_ns
from telemetry.samples import Quality, Sample


class ValueTopic(TopicRules):
    """An entry of `topics` whose payloads are bare values. Without a `time_property`, every sample is UNCERTAIN."""

    dialect: Literal["value"]

    @model_validator(mode="after")
    def _metric_is_named(self) -> "ValueTopic":
        if self.metric_template is None or self.metric_template.startswith("/"):
            raise ValueError("a bare value says nothing of its metric: give `metric`, or {metric} in the topic")
        return self

    def decoder(self) -> "ValueDecoder":
        return ValueDecoder(self)


class ValueDecoder:
    """Decodes what a ValueTopic describes."""

    def __init__(self, rules: ValueTopic) -> None:
        self._rules: Final = rules
        self._reader: Final = Reader(rules)
        self._addressing: Final = Addressing(rules)

    def decode(self, message: Message) -> list[Sample | MessageError]:
        try:
            text = message.payload.decode().strip()
        except UnicodeDecodeError as error:
            raise MessageError(Fault.SYNTAX, f"not UTF-8 text (byte {error.start})") from None
        if not text:
            raise MessageError(Fault.SHAPE, "the payload is empty")
        asset, metric = self._addressing.of(message.topic)
        value, word, _ = self._reader.value(metric, text, self._rules.scale, self._rules.offset)
        received_ns = message.received_ns
        if self._rules.time_property is not None:
            stated = user_property(message.properties, self._rules.time_property)
            if stated is not None:
                return [Sample(instant_ns(stated), asset, metric, value, word, Quality.GOOD, received_ns)]
        return [Sample(received_ns, asset, metric, value, word, Quality.UNCERTAIN, received_ns)]

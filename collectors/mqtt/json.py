"""The JSON dialect: any JSON that topic parts and JSON pointers (RFC 6901) can find a way through. Pure, no I/O.

Two shapes: one value per reading (its metric from the topic or by name), or a whole report with several metrics in
it (`metrics`). In both, an array where a reading is expected is a batch of readings.
"""

import re
from functools import cached_property
from typing import Annotated, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from pydantic import AfterValidator, Field, field_validator, model_validator

from collectors.mqtt.addressing import Addressing, TopicRules
from collectors.mqtt.decoder import Fault, Message, MessageError
from collectors.mqtt.mapping import MetricName, Reader
from collectors.mqtt.properties import user_property
from collectors.mqtt.times import TimeUnit, instant_ns
from telemetry.config import Section
from telemetry.samples import Quality, Sample

_POINTER: Final = re.compile(r"(/([^~/]|~[01])*)*")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")

Steps = tuple[tuple[str, int | None], ...]
"""A JSON pointer taken apart: at each level the key and, if it can be one, the array index."""

_MISSING: Final = object()


def _pointer(text: str) -> str:
    if not _POINTER.fullmatch(text):
        raise ValueError(f'{text!r} is no JSON pointer: write "/key/inner key/0", or "" for the whole')
    return text


Pointer = Annotated[str, AfterValidator(_pointer)]


class MetricMap(Section):
    """One metric of a report."""

    metric: MetricName = Field(description="metric of the glossary")
    value: Pointer = Field(description="where its value is, from the reading; where there is none, nothing is said")
    time: Pointer | None = Field(None, description="where its own time is; the reading's unless given")
    quality: Pointer | None = Field(None, description="where its own quality is; the reading's unless given")
    scale: float = Field(1.0, description="numbers are multiplied by this; not states")
    offset: float = Field(0.0, description="and then this is added")


class JsonTopic(TopicRules):
    """An entry of `topics` whose payloads are JSON."""

    dialect: Literal["json"]
    readings: Pointer = Field("", description="where in the payload the reading, or the array of readings, is")
    value: Pointer = Field("/value", description="where the value is, from the reading")
    time: Pointer = Field(
        "/time", description="where the source's time is; without one, the time of arrival stands in, as UNCERTAIN"
    )
    time_unit: TimeUnit = Field("auto", description="unit of times that are numbers; auto: by their magnitude")
    timezone: str | None = Field(
        None, description="IANA zone of times written without an offset; unless given, they are refused"
    )
    quality: Pointer = Field("/quality", description="where the quality is; without one, it is good")
    metrics: tuple[MetricMap, ...] = Field((), description="the metrics of a whole report; instead of `value`")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        try:
            ZoneInfo(value or "UTC")
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f'{value!r} is not an IANA time zone; write for example "Europe/Paris"') from None
        return value

    @model_validator(mode="after")
    def _metric_is_named(self) -> "JsonTopic":
        if self.metrics:
            if self.metric is not None:
                raise ValueError("give `metric` for one value per reading or `metrics` for a report, not both")
            if self.scale != 1 or self.offset != 0:
                raise ValueError(
                    "in a report, `scale` and `offset` belong to the entry of `metrics` they are meant for"
                )
        elif self.metric_template is None:
            raise ValueError(
                "nothing names the metric: give `metric`, {metric} in the topic, or `metrics` for a report"
            )
        elif self.metric_template.startswith("/"):
            _pointer(self.metric_template)
        return self

    @cached_property
    def zone(self) -> ZoneInfo | None:
        return None if self.timezone is None else ZoneInfo(self.timezone)

    def decoder(self) -> "JsonDecoder":
        return JsonDecoder(self)


class Arrival(NamedTuple):
    """What stands in for a time that a reading does not have: its arrival [ns], and before that what `time_property`
    states. `place` is that of the reading in its array."""

    at_ns: int
    stated: str | None
    place: int


class _Field(NamedTuple):
    """Where a value and what belongs to it are, from the reading."""

    metric: str
    value: Steps
    time: Steps
    quality: Steps
    scale: float
    offset: float


class JsonDecoder:
    """Decodes what a JsonTopic describes."""

    def __init__(self, rules: JsonTopic) -> None:
        self._parse: Final = msgspec.json.Decoder().decode
        self._reader: Final = Reader(rules)
        self._addressing: Final = Addressing(rules)
        self._property: Final = rules.time_property
        self._unit: Final = rules.time_unit
        self._zone: Final = rules.zone
        self._readings: Final = _steps(rules.readings)
        time, quality = _steps(rules.time), _steps(rules.quality)
        self._single: Final = _Field("", _steps(rules.value), time, quality, rules.scale, rules.offset)
        named = rules.metric_template
        flat = not rules.metrics and named is not None and not named.startswith("/")
        one = self._single
        self._flat: Final = flat and not self._readings and len(one.value) == len(one.time) == len(one.quality) == 1
        self._keys: Final = (
            (one.value[0][0], one.time[0][0], one.quality[0][0], one.scale, one.offset)
            if self._flat
            else ("", "", "", 1.0, 0.0)
        )
        self._name: Final = _steps(named) if named is not None and named.startswith("/") else None
        self._report: Final = [
            _Field(
                one.metric,
                _steps(one.value),
                time if one.time is None else _steps(one.time),
                quality if one.quality is None else _steps(one.quality),
                one.scale,
                one.offset,
            )
            for one in rules.metrics
        ]

    def decode(self, message: Message) -> list[Sample | MessageError]:
        try:
            document = self._parse(message.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MessageError(Fault.SYNTAX, f"not JSON: {error}") from None
        asset, metric = self._addressing.of(message.topic)
        if self._flat and type(document) is dict:
            return [self._flat_sample(document, asset, metric, message, 0)]
        found = _find(document, self._readings)
        if found is _MISSING:
            raise MessageError(Fault.SHAPE, "there is nothing where `readings` points")
        stated = None if self._property is None else user_property(message.properties, self._property)
        result: list[Sample | MessageError] = []
        for index, reading in enumerate(found if isinstance(found, list) else (found,)):
            # Readings of one array that have no time must not share the instant of arrival: they would be one identity.
            arrival = Arrival(message.received_ns + index, stated, index)
            try:
                if self._flat and type(reading) is dict:
                    result.append(self._flat_sample(reading, asset, metric, message, index))
                elif self._report:
                    result += self._reported(reading, asset, arrival)
                else:
                    result.append(self._sample(reading, asset, metric or self._named(reading), self._single, arrival))
            except MessageError as refusal:
                result.append(refusal)
        return result

    def _flat_sample(self, reading: dict[str, object], asset: str, metric: str, message: Message, place: int) -> Sample:
        """The commonest reading, a number with its time and quality beside it, without a way through pointers.

        Whatever is unusual in it goes the common way, which gives the same: here is speed, there is meaning.
        """
        value, time, quality, scale, offset = self._keys
        number = self._reader.plain_number(metric, reading.get(value))
        stated = reading.get(quality, "good")
        known = self._reader.plain_quality(stated) if type(stated) is str else None
        at = reading.get(time)
        if number is None or known is None or at is None:
            stated = None if self._property is None else user_property(message.properties, self._property)
            return self._sample(
                reading, asset, metric, self._single, Arrival(message.received_ns + place, stated, place)
            )
        time_ns = instant_ns(at, self._unit, self._zone)
        return Sample(time_ns, asset, metric, number * scale + offset, "", known, message.received_ns + place)

    def _reported(self, reading: object, asset: str, arrival: Arrival) -> list[Sample | MessageError]:
        """What a report says; of a metric that it leaves out, nothing."""
        if not isinstance(reading, dict):
            raise MessageError(Fault.SHAPE, "the report is not a JSON object")
        result: list[Sample | MessageError] = []
        for field in self._report:
            if _find(reading, field.value) is not _MISSING:
                try:
                    result.append(self._sample(reading, asset, field.metric, field, arrival))
                except MessageError as refusal:
                    result.append(refusal)
        return result

    def _named(self, reading: object) -> str:
        """The metric that the payload itself names."""
        name = _MISSING if self._name is None else _find(reading, self._name)
        if not isinstance(name, str):
            raise MessageError(Fault.SHAPE, "the name of the metric is not where `metric` points")
        return self._addressing.named(name)

    def _sample(self, reading: object, asset: str, metric: str, field: _Field, arrival: Arrival) -> Sample:
        raw = _find(reading, field.value)
        stated = _find(reading, field.quality)
        quality = Quality.GOOD if stated is _MISSING else self._reader.quality(stated)
        try:
            if raw is _MISSING:
                raise MessageError(Fault.SHAPE, "there is nothing where `value` points")
            number, text, own = self._reader.value(metric, raw, field.scale, field.offset)
        except MessageError:
            if quality != Quality.BAD:
                raise
            number, text, own = (
                0.0,
                "",
                Quality.BAD,
            )  # a bad value need not be readable: it says "not known from here on"
        time = _find(reading, field.time)
        if time is not _MISSING and time is not None:
            time_ns = instant_ns(time, self._unit, self._zone)
        elif arrival.stated is not None:
            time_ns = instant_ns(arrival.stated, self._unit, self._zone) + arrival.place
        else:
            time_ns, own = arrival.at_ns, max(own, Quality.UNCERTAIN)
        return Sample(time_ns, asset, metric, number, text, max(quality, own), arrival.at_ns)


def _steps(pointer: str) -> Steps:
    keys = [key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:]]
    return tuple((key, int(key) if _INDEX.fullmatch(key) else None) for key in keys)


def _find(document: object, steps: Steps) -> object:
    """What the pointer points to, or _MISSING."""
    for key, index in steps:
        if isinstance(document, dict):
            document = document.get(key, _MISSING)
        elif isinstance(document, list) and index is not None and index < len(document):
            document = document[index]
        else:
            return _MISSING
    return document

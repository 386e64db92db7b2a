"""SenML in JSON (RFC 8428): records with base fields, resolved one after the other. Pure, no I/O.

`resolved` is the RFC's resolution alone; the decoder maps names to assets and metrics and units to the glossary's.
"""

import math
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import msgspec
from pydantic import Field, model_validator

from collectors.mqtt.addressing import Addressing, TopicRules
from collectors.mqtt.decoder import Fault, Message, MessageError
from collectors.mqtt.mapping import Reader
from telemetry.glossary import METRICS
from telemetry.samples import SECOND_NS, Quality, Sample

RELATIVE: Final = 2**28
"""A time [s] below this counts from now, from this on it is an instant since 1970 (RFC 8428, 4.5.3)."""

VERSION: Final = 10

_NAME: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-:./_")

_UNITS: Final[dict[tuple[str, str], tuple[float, float]]] = {
    ("Cel", "°C"): (1, 0),
    ("K", "°C"): (1, -273.15),
    ("kW", "W"): (1000, 0),
    ("J", "Wh"): (1 / 3600, 0),
    ("kWh", "Wh"): (1000, 0),
    ("/", "%"): (100, 0),
    ("/100", "%"): (1, 0),
    ("%EL", "%"): (1, 0),
    ("count", "part"): (1, 0),
    ("s", "ms"): (1000, 0),
    ("Hz", "1/min"): (60, 0),
    ("m/s", "mm/s"): (1000, 0),
    ("km/h", "m/s"): (1 / 3.6, 0),
    ("bit/s", "Mbit/s"): (1e-6, 0),
}
"""Units of RFC 8428 and RFC 8798 to those of the glossary that are called otherwise: factor and offset."""


class SenmlTopic(TopicRules):
    """An entry of `topics` whose payloads are SenML packs. Names are mapped whole, or their end by `names`."""

    dialect: Literal["senml"]
    assets: dict[str, str] = Field(
        {},
        description="beginnings of SenML names, such as an urn, and the asset each stands for; else the topic says it",
    )

    @model_validator(mode="after")
    def _metrics_by_name(self) -> "SenmlTopic":
        if self.metric is not None:
            raise ValueError("SenML records name their metrics: give `names` instead of `metric`")
        return self

    def decoder(self) -> "SenmlDecoder":
        return SenmlDecoder(self)


class Record(NamedTuple):
    """A resolved record. `time_s` [s] is as written, relative or not; None when there is no time at all."""

    name: str
    unit: str
    value: float | str | bool | None
    time_s: float | None


class SenmlDecoder:
    """Decodes what a SenmlTopic describes. Names that are neither in `names` nor in the glossary are passed."""

    def __init__(self, rules: SenmlTopic) -> None:
        self._parse: Final = msgspec.json.Decoder().decode
        self._rules: Final = rules
        self._reader: Final = Reader(rules)
        self._addressing: Final = Addressing(rules)
        self._assets: Final = sorted(rules.assets.items(), key=lambda entry: -len(entry[0]))

    def decode(self, message: Message) -> list[Sample | MessageError]:
        try:
            document = self._parse(message.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MessageError(Fault.SYNTAX, f"not JSON: {error}") from None
        topic_asset, _ = self._addressing.of(message.topic)
        result: list[Sample | MessageError] = []
        for index, record in enumerate(resolved(document)):
            if isinstance(record, MessageError):
                result.append(record)
                continue
            asset, name = self._split(record.name, topic_asset)
            metric = self._addressing.named(record.name)
            if metric == record.name:
                metric = self._addressing.named(name)
            if metric in METRICS:
                try:
                    result.append(self._sample(asset, metric, record, message.received_ns, index))
                except MessageError as refusal:
                    result.append(MessageError(refusal.fault, f"{record.name!r}: {refusal}"))
        return result

    def _split(self, name: str, topic_asset: str) -> tuple[str, str]:
        for beginning, asset in self._assets:
            if name.startswith(beginning):
                return asset, name[len(beginning) :].lstrip(":/.")
        return topic_asset, name

    def _sample(self, asset: str, metric: str, record: Record, received_ns: int, index: int) -> Sample:
        scale, offset = self._rules.scale, self._rules.offset
        unit = METRICS[metric].unit
        if record.unit and unit not in ("", record.unit) and (scale, offset) == (1.0, 0.0):
            known = _UNITS.get((record.unit, unit))
            if known is None:
                raise MessageError(Fault.VALUE, f"unit {record.unit[:20]!r} is not known for {metric} [{unit}]")
            scale, offset = known
        number, text, quality = self._reader.value(metric, record.value, scale, offset)
        if record.time_s is None:
            return Sample(
                received_ns + index, asset, metric, number, text, max(quality, Quality.UNCERTAIN), received_ns + index
            )
        if record.time_s < RELATIVE:  # by our clock, not the sender's
            time_ns = received_ns + round(record.time_s * SECOND_NS)
            return Sample(time_ns, asset, metric, number, text, max(quality, Quality.UNCERTAIN), received_ns)
        # A double has 1e-7 s at today's instants: what lies below a microsecond is its own making.
        return Sample(round(record.time_s * 1e6) * 1000, asset, metric, number, text, quality, received_ns)


def resolved(document: object) -> Iterator[Record | MessageError]:
    """The records of a pack with their base fields in, in order; instead of one that is none, why.

    A record without any value only sets base fields. Raises MessageError when the document is no pack.
    """
    if not isinstance(document, list):
        raise MessageError(Fault.SHAPE, "a SenML pack is a JSON array")
    base: dict[str, object] = {}
    for index, record in enumerate(document):
        if not isinstance(record, dict):
            raise MessageError(Fault.SHAPE, f"record {index} of the pack is no JSON object")
        if strange := next((key for key in record if key.endswith("_")), None):
            # RFC 8428, 4.4: a label that ends in "_" must be understood, or the pack not be used.
            raise MessageError(Fault.SHAPE, f"label {strange[:30]!r} must be understood, and is not")
        base |= {key: record[key] for key in ("bn", "bt", "bu", "bv", "bs", "bver") if key in record}
        version = base.get("bver", VERSION)
        if type(version) is not int or version > VERSION:
            raise MessageError(Fault.SHAPE, f"SenML version {str(version)[:20]}: up to {VERSION} is understood")
        try:
            yield from _record(record, base)
        except MessageError as refusal:
            yield MessageError(refusal.fault, f"record {index}: {refusal}")


def _record(record: dict[str, object], base: dict[str, object]) -> Iterator[Record]:
    if not record.keys() & {"v", "vs", "vb", "vd", "s"}:
        if not record.keys() & {"n", "t", "u"}:
            return  # it only sets base fields
        if "bv" not in base:
            raise MessageError(Fault.SHAPE, "has no value")
    name = f"{_text(base.get('bn', ''))}{_text(record.get('n', ''))}"
    if not name or not set(name) <= _NAME or not name[0].isalnum():
        raise MessageError(Fault.SHAPE, f"{name[:60]!r} is no SenML name")
    unit = _text(record.get("u", base.get("bu", "")))
    time_s = _number(base.get("bt", 0)) + _number(record.get("t", 0))
    stated = "t" in record or "bt" in base
    value: float | str | bool | None
    if "vs" in record:
        value = _text(record["vs"])
    elif "vb" in record:
        if not isinstance(record["vb"], bool):
            raise MessageError(Fault.VALUE, "vb is no boolean")
        value = record["vb"]
    elif "v" in record or ("bv" in base and "s" not in record and "vd" not in record):
        value = _number(base.get("bv", 0)) + _number(record.get("v", 0))
    else:
        raise MessageError(Fault.VALUE, "has a sum or data instead of a value")
    yield Record(name, unit, value, time_s if stated and time_s != 0 else None)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > 1e18:
        raise MessageError(Fault.VALUE, f"{str(value)[:40]!r} is no number")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise MessageError(Fault.SHAPE, f"{str(value)[:40]!r} is no text")
    return value

"""The quick reading of Sparkplug numbers says what the common one says, on messages of every kind."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.mqtt.decoder import Message, MessageError
from collectors.mqtt.sparkplug import SparkplugHost
from collectors.mqtt.sparkplug_topic import SparkplugTopic
from collectors.mqtt.sparkplug_values import Values
from telemetry.samples import Sample
from tests.collectors.mqtt.sparkplug_wire import metric, payload

T_MS = 1_795_305_600_000
NAMES = ["parts", "power", "state", "product", "temperature", "alarm"]
RULES: dict[str, Any] = {"dialect": "sparkplug", "host_id": "h", "asset": "a/b", "scale": 0.5, "offset": 3}

TYPES = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 22])
TIMES = st.none() | st.integers(T_MS - 10, T_MS + 10) | st.just(0)
VALUES = (
    st.none()
    | st.booleans()
    | st.floats(allow_nan=True)
    | st.integers(0, 2**64 - 1)
    | st.sampled_from([0, 1, 127, 128, 255, 2**31, 2**32 - 5, 2**53 + 1, 2**63, 2**64 - 1])
    | st.sampled_from(["7", "EXECUTING", "x", b"\xff"])
)


@st.composite
def said(draw: st.DrawFn) -> bytes:
    """A metric of a DATA message: an alias or a name, and anything else."""
    value = draw(VALUES)
    field = draw(st.sampled_from([10, 11, 14])) if isinstance(value, int) else None
    by_alias = draw(st.integers(0, 9))
    built = metric(
        "" if by_alias else draw(st.sampled_from(NAMES)),
        value if not (field == 10 and isinstance(value, int)) else value % 2**32,
        alias=draw(st.integers(0, len(NAMES))) if by_alias else None,
        datatype=draw(st.none() | TYPES),
        at_ms=draw(TIMES),
        historical=draw(st.integers(0, 5)) == 0,
        quality=draw(st.sampled_from([None, None, None, 0, 192, 500])),
        field=field,
    )
    return built + (b"\x38\x01" if draw(st.integers(0, 9)) == 0 else b"")  # is_null beside a value


def heard(host: SparkplugHost, births: list[bytes], messages: list[list[bytes]]) -> list[Any]:
    """All answers, in words; then all that is stale when the node dies, which tells what was remembered."""
    node = payload(metric("bdSeq", 0, datatype=4), at_ms=T_MS, seq=0)
    bodies = [("NBIRTH/E", node), ("DBIRTH/E/D", payload(*births, at_ms=T_MS, seq=1))]
    bodies += [("DDATA/E/D", payload(*one, at_ms=T_MS, seq=(n + 2) % 256)) for n, one in enumerate(messages)]
    bodies.append(("NDEATH/E", payload(metric("bdSeq", 0, datatype=4))))
    answers: list[Any] = []
    for number, (topic, body) in enumerate(bodies):
        try:
            answer = host.decode(Message(f"spBv1.0/G/{topic}", body, T_MS * 1_000_000 + number))
        except MessageError as error:
            answer = [error]
        answers.append([one if isinstance(one, Sample) else str(one) for one in answer])
    return answers


def host() -> SparkplugHost:
    return SparkplugTopic.model_validate_json(json.dumps(RULES)).decoder()


@given(st.lists(TYPES, min_size=len(NAMES), max_size=len(NAMES)), st.lists(st.lists(said(), max_size=5), max_size=6))
@settings(max_examples=150, deadline=None)
def test_the_quick_reading_is_the_common_one(types: list[int], messages: list[list[bytes]]) -> None:
    """Births of any data types, then any metrics: the same samples, refusals and memory without the quick reading."""
    births = [
        metric(name, 0, alias=n, datatype=datatype, at_ms=T_MS)
        for n, (name, datatype) in enumerate(zip(NAMES, types, strict=True))
    ]
    quick = heard(host(), births, messages)
    number = Values.number
    try:
        Values.number = lambda *_: None  # type: ignore[assignment,method-assign]  # nothing is read quickly
        common = heard(host(), births, messages)
    finally:
        Values.number = number  # type: ignore[method-assign]  # as above
    assert repr(quick) == repr(common)


def test_the_common_message_is_read_quickly() -> None:
    """A double that came with its time takes the quick way: this file would prove nothing if it never did."""
    node = host()
    births = [metric("power", 0.0, alias=4, datatype=10, at_ms=T_MS)]
    read: list[float] = []
    number = Values.number

    def watched(self: Values, *rest: Any) -> Sample | None:
        sample = number(self, *rest)
        read.append(sample.value if sample else -1)
        return sample

    try:
        Values.number = watched  # type: ignore[method-assign]  # only watched
        answers = heard(node, births, [[metric(value=8.0, alias=4, at_ms=T_MS + 1)]])
    finally:
        Values.number = number  # type: ignore[method-assign]  # as above
    assert read == [7.0]
    assert answers[2] == [Sample((T_MS + 1) * 1_000_000, "a/b", "power", 7.0, "", 0, T_MS * 1_000_000 + 2)]

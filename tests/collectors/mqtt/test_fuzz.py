"""Whatever bytes come, a decoder answers with samples or MessageErrors; nothing else escapes."""

import json
from contextlib import suppress

from hypothesis import example, given, settings
from hypothesis import strategies as st

from collectors.mqtt.decoder import Decoder, Message, MessageError
from collectors.mqtt.json import JsonTopic
from collectors.mqtt.value import ValueTopic
from telemetry.samples import Sample
from telemetry.validity import Gate
from tests.collectors.mqtt.bench import PLANT
from tests.collectors.mqtt.test_json import FORMAT_A, FORMAT_B, topic

INSIDE: JsonTopic = topic(
    {
        "topic": "{site}/{asset}/{metric}",
        "readings": "/a/0",
        "value": "/b/1/value",
        "time": "/b/time",
        "metric": "/metric",
        "timezone": "Europe/Paris",
        "states": {"1": "EXECUTING"},
        "scale": 1e300,
    }
)
BARE = ValueTopic.model_validate_json(json.dumps({"dialect": "value", "topic": "{site}/{asset}/{metric}"}))
DECODERS: list[tuple[Decoder, tuple[str, ...]]] = [
    (topic(FORMAT_A).decoder(), ("km0/fabrication/cell-2/press-1/state", "a/b/c/d/parts", "////")),
    (topic(FORMAT_B).decoder(), ("printers/printer-1/report", "printers//report")),
    (INSIDE.decoder(), ("a/b/parts", "a/b/c")),
    (BARE.decoder(), ("a/b/state", "a/b/parts", "a/b/reason")),
]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(
        ["good", "bad", "EXECUTING", "printing", "2026-11-22T03:49:57.123Z", "2026-11-22T03:49:57", "1e999"]
    )
)
KEYS = st.sampled_from(["value", "time", "quality", "ts", "state", "job", "made", "a", "b", "metric"]) | st.text()
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=12
)


def answers_well(payload: bytes) -> None:
    """Every decoder answers within its protocol, and the gate has a word on every sample."""
    gate = Gate(PLANT)
    for decoder, topics in DECODERS:
        for name in topics:
            with suppress(MessageError):
                for reading in decoder.decode(Message(name, payload, 1_795_320_000_000_000_000)):
                    if isinstance(reading, Sample):
                        gate.refusal(reading)
                    else:
                        assert isinstance(reading, MessageError)
                        assert str(reading)


@given(st.binary(max_size=200))
@example(b"[" * 50_000 + b"]" * 50_000)
@example(b'{"value": 1e999}')
@example(b'{"value": ' + b"9" * 5000 + b"}")
@example(b'{"value": 1, "time": ' + b"9" * 5000 + b"}")
@example(b'{"value": 1, "time": "' + b"9" * 5000 + b'"}')
@settings(max_examples=300, deadline=None)
def test_any_bytes(payload: bytes) -> None:
    """Arbitrary bytes."""
    answers_well(payload)


@given(DOCUMENTS)
@settings(max_examples=300, deadline=None)
def test_any_json(document: object) -> None:
    """Arbitrary JSON that has the keys the decoders look for."""
    answers_well(json.dumps(document).encode("utf-8", "surrogatepass"))


@given(DOCUMENTS, st.data())
@settings(max_examples=200, deadline=None)
def test_damaged_json(document: object, data: st.DataObject) -> None:
    """JSON with some bytes cut out or overwritten."""
    raw = bytearray(json.dumps(document).encode())
    place = data.draw(st.integers(0, len(raw)))
    raw[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    answers_well(bytes(raw))

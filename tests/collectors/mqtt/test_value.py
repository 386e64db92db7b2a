"""The value dialect: a bare number or word."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from collectors.mqtt.decoder import Fault, Message, MessageError
from collectors.mqtt.value import ValueTopic
from telemetry.samples import Quality, Sample

RECEIVED = 1_795_320_000_000_000_000


def decode(name: str, payload: bytes, **changes: Any) -> list[Sample | MessageError]:
    settings = {"dialect": "value", "topic": "{site}/{asset}/{metric}", **changes}
    topic = ValueTopic.model_validate_json(json.dumps(settings))
    return topic.decoder().decode(Message(name, payload, RECEIVED))


@pytest.mark.parametrize(
    ("metric", "payload", "value", "text"),
    [
        ("parts", b"17", 17.0, ""),
        ("spindle_load", b" -4.25e1\r\n", -42.5, ""),
        ("product", b"gear", 0.0, "gear"),
        ("product", b"4711", 0.0, "4711"),
        ("state", b"executing", 3.0, ""),
        ("online", b"true", 1.0, ""),
    ],
)
def test_the_payload_is_the_value(metric: str, payload: bytes, value: float, text: str) -> None:
    """A number or word is the value of the topic's metric; it has no time of its own, so it is UNCERTAIN."""
    expected = Sample(RECEIVED, "km0/mill-1", metric, value, text, Quality.UNCERTAIN, RECEIVED)
    assert decode(f"km0/mill-1/{metric}", payload) == [expected]


@pytest.mark.parametrize(
    ("payload", "fault"), [(b"", Fault.SHAPE), (b"\xff", Fault.SYNTAX), (b"lots", Fault.VALUE), (b"nan", Fault.VALUE)]
)
def test_what_is_no_value_is_refused(payload: bytes, fault: Fault) -> None:
    """An empty, undecodable or wordy payload for a number is refused."""
    with pytest.raises(MessageError) as refused:
        decode("km0/mill-1/parts", payload)
    assert refused.value.fault is fault


def test_scale_applies_to_numbers_and_not_to_states() -> None:
    """Tenths of a percent become percent."""
    (load,) = decode("km0/mill-1/spindle_load", b"415", scale=0.1)
    (state,) = decode("km0/mill-1/state", b"3", scale=0.1)
    assert isinstance(load, Sample)
    assert isinstance(state, Sample)
    assert load.value == pytest.approx(41.5)
    assert state.value == 3.0


def test_the_metric_must_be_named() -> None:
    """A bare value cannot say of what it is: the settings must."""
    with pytest.raises(ValidationError, match="give `metric`"):
        decode("a/b", b"1", topic="{site}/{asset}")

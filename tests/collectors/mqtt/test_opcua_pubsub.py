"""OPC UA PubSub in JSON: network messages, frames and fields in every spelling, from bytes to samples."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from collectors.mqtt.decoder import Message, MessageError
from collectors.mqtt.opcua_pubsub import OpcUaPubSubTopic
from telemetry.samples import Quality, Sample

RECEIVED = 1_795_320_000_000_000_000
AT, T = "2026-11-22T03:49:57.123Z", 1_795_319_397_123_000_000
EARLIER, T0 = "2026-11-22T03:49:56.0000001Z", 1_795_319_396_000_000_100
ASSET = "km0/hall/mill-1"
NAMES = {"Count": "parts", "State": "state", "Job": "product"}


def decode(document: object, **settings: Any) -> list[Sample | MessageError]:
    rules = {"dialect": "opcua_pubsub", "topic": "opcua/json/data/{pub}/{group}/{asset}", "names": NAMES}
    decoder = OpcUaPubSubTopic.model_validate_json(
        json.dumps(rules | {"asset": "km0/hall/{asset}"} | settings)
    ).decoder()
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return decoder.decode(Message("opcua/json/data/p/g/mill-1", raw, RECEIVED))


def network(*messages: object, **header: object) -> dict[str, object]:
    return {"MessageId": "1", "MessageType": "ua-data", "PublisherId": "p", "Messages": list(messages)} | header


def data(payload: object, **header: object) -> dict[str, object]:
    return {"DataSetWriterId": 1, "SequenceNumber": 7, "Timestamp": AT, "Payload": payload} | header


def good(metric: str, value: float, time_ns: int = T) -> Sample:
    return Sample(time_ns, ASSET, metric, value, "", Quality.GOOD, RECEIVED)


@pytest.mark.parametrize(
    "field",
    [
        5,
        {"Type": 7, "Body": 5},
        {"UaType": 7, "Value": 5},
        {"Value": 5},
        {"Value": {"Type": 9, "Body": "5"}},
        {"Value": {"UaType": 9, "Value": "5"}, "StatusCode": 0},
        {"Value": 5, "StatusCode": {"Code": 0, "Symbol": "Good"}, "SourceTimestamp": AT},
        {"Value": 5, "ServerTimestamp": AT},
    ],
)
def test_every_spelling_of_a_field_is_the_same_sample(field: object) -> None:
    """Raw, {Type, Body} of older versions, {UaType, Value} of 1.05, DataValue; Int64 may be in quotes."""
    assert decode(network(data({"Count": field}))) == [good("parts", 5)]


@pytest.mark.parametrize(
    "document",
    [
        network(data({"Count": 5})),
        network(data({"Count": 5})) | {"Messages": data({"Count": 5})},  # SingleDataSetMessage
        data({"Count": 5}),  # no NetworkMessage header
        [data({"Count": 5})],
        [network(data({"Count": 5}))],
        network(data({"Count": 5}, MessageType="ua-keyframe")),
        network(data({"Count": 5}, MessageType="ua-deltaframe")),
    ],
)
def test_headers_may_be_missing_and_messages_alone_or_in_a_list(document: object) -> None:
    """Every content mask that leaves the time of the message in gives the same sample."""
    assert decode(document) == [good("parts", 5)]


def test_fields_alone_are_uncertain() -> None:
    """Without any header there is no time: the time of arrival stands in, and says so."""
    assert decode({"Count": 5}) == [Sample(RECEIVED, ASSET, "parts", 5.0, "", Quality.UNCERTAIN, RECEIVED)]


def test_a_delta_frame_says_only_what_changed() -> None:
    """Key frame, then a delta frame with one field: one sample, at the delta frame's time."""
    first = decode(network(data({"Count": 5, "State": 3}, MessageType="ua-keyframe", Timestamp=EARLIER)))
    assert first == [good("parts", 5, T0), good("state", 3, T0)]
    assert decode(network(data({"Count": 6}, MessageType="ua-deltaframe"))) == [good("parts", 6)]


def test_the_source_time_of_a_field_goes_before_the_time_of_its_message() -> None:
    """Seven digits of a second (100 ns) are kept."""
    assert decode(network(data({"Count": {"Value": 5, "SourceTimestamp": EARLIER}}))) == [good("parts", 5, T0)]


@pytest.mark.parametrize(
    ("message", "field", "quality"),
    [
        (None, 0x40000000, Quality.UNCERTAIN),
        (None, 0x80350000, Quality.BAD),
        (None, {"Code": 0x808C0000}, Quality.BAD),
        (0x40000000, 0, Quality.UNCERTAIN),
        ({"Code": 0x80000000}, None, Quality.BAD),
        (None, 0x00000480, Quality.GOOD),
    ],
)
def test_the_worse_status_of_message_and_field_counts(message: object, field: object, quality: Quality) -> None:
    """Severity is in the two highest bits; absent is Good."""
    (sample,) = decode(network(data({"Count": {"Value": 1, "StatusCode": field}}, Status=message)))
    assert isinstance(sample, Sample)
    assert sample.quality == quality


def test_words_may_be_localized() -> None:
    """A LocalizedText is its text."""
    (sample,) = decode(network(data({"Job": {"Value": {"Locale": "fr", "Text": "bride"}}})))
    assert isinstance(sample, Sample)
    assert sample.text == "bride"


@pytest.mark.parametrize("kind", ["ua-metadata", "ua-status", "ua-connection", "ua-keepalive", "ua-event"])
def test_what_is_not_data_is_passed(kind: str) -> None:
    """Metadata, status, connection on the level of network messages; keep-alive and events of a data set."""
    assert decode({"MessageType": kind, "PublisherId": "p"}) == []
    assert decode(network({"MessageType": kind, "DataSetWriterId": 1})) == []


def test_a_kind_of_message_that_is_no_word_is_passed() -> None:
    """What it is nobody knows; it is no bug of ours."""
    assert decode(network(data({"Count": 5}, MessageType=["ua-keyframe"]))) == []


def test_fields_that_nobody_named_are_passed() -> None:
    """Neither in `names` nor in the glossary."""
    assert decode(network(data({"Oil": 5, "Count": 5}))) == [good("parts", 5)]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"{", "not JSON"),
        (5, "neither a NetworkMessage"),
        (network(5), "no JSON object"),
        (network(data([5])), "Payload"),
        (network(data({"Count": {"Value": [1]}})), "'Count': parts is a JSON array"),
        (network(data({"Count": 5}, Timestamp="soon")), "neither ISO 8601"),
        (network(data({"Count": 5}, Status="poor")), "no StatusCode"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(document: object, reason: str) -> None:
    """The field is named; other fields of the frame are not lost with it."""
    try:
        (answer,) = decode(document)
    except MessageError as error:
        answer = error
    assert isinstance(answer, MessageError)
    assert reason in str(answer)


def test_a_metric_for_the_whole_topic_makes_no_sense() -> None:
    """The fields name themselves."""
    with pytest.raises(ValidationError, match="give `names`"):
        decode({}, metric="parts")

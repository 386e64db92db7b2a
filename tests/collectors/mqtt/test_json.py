"""The JSON dialect, from the payload's bytes to samples."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from collectors.mqtt.decoder import Fault, Message, MessageError
from collectors.mqtt.json import JsonTopic
from telemetry.samples import Quality, Sample

RECEIVED = 1_795_320_000_000_000_000
PRESS = "km0/fabrication/cell-2/press-1"
T = 1_795_319_397_123_000_000  # 2026-11-22T03:49:57.123Z
FORMAT_A: dict[str, Any] = {"topic": "{site}/{area}/{line}/{asset}/{metric}"}
FORMAT_B: dict[str, Any] = {
    "topic": "printers/{name}/report",
    "asset": "km0/additive/print-hall/{name}",
    "time": "/ts",
    "states": {
        "printing": "EXECUTING",
        "idle": "NOT_EXECUTING",
        "error": "OUT_OF_SERVICE",
        "heating": "SETUP",
        "levelling": "SETUP",
        "off": "NOT_AVAILABLE",
        "paused": "NOT_EXECUTING",
    },
    "metrics": [
        {"metric": "state", "value": "/state"},
        {"metric": "product", "value": "/job"},
        {"metric": "parts", "value": "/made"},
        {"metric": "parts_good", "value": "/good"},
        {"metric": "power", "value": "/power_w"},
    ],
}


def topic(settings: dict[str, Any]) -> JsonTopic:
    return JsonTopic.model_validate_json(json.dumps({"dialect": "json", **settings}))


def decode(settings: dict[str, Any], name: str, payload: bytes | object) -> list[Sample | MessageError]:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return topic(settings).decoder().decode(Message(name, raw, RECEIVED))


def one(settings: dict[str, Any], name: str, payload: object) -> Sample:
    (sample,) = decode(settings, name, payload)
    assert isinstance(sample, Sample), sample
    return sample


def press(metric: str, **reading: object) -> Sample:
    return one(FORMAT_A, f"{PRESS}/{metric}", {"time": "2026-11-22T03:49:57.123Z", **reading})


def refused(settings: dict[str, Any], name: str, payload: object) -> MessageError:
    """The one reason for which the whole of it, or its one reading, is refused."""
    try:
        (error,) = decode(settings, name, payload)
    except MessageError as raised:
        return raised
    assert isinstance(error, MessageError), error
    return error


# --- one value per reading ---


def test_a_reading_is_a_sample_with_its_own_time() -> None:
    """Format A with every default: asset and metric from the topic, value, time and quality from the payload."""
    assert press("parts", value=3, quality="good") == Sample(T, PRESS, "parts", 3.0, "", Quality.GOOD, RECEIVED)


@pytest.mark.parametrize(
    ("metric", "value", "number", "text"),
    [
        ("spindle_load", 41.5, 41.5, ""),
        ("spindle_load", "41.5", 41.5, ""),  # numbers in quotes, as some gateways write them
        ("parts", " 600 ", 600.0, ""),
        ("product", "gear", 0.0, "gear"),
        ("product", 4711, 0.0, "4711"),
        ("reason", True, 0.0, "true"),
        ("state", "EXECUTING", 3.0, ""),
        ("state", "not executing", 2.0, ""),
        ("state", "Not-Executing", 2.0, ""),
        ("state", 3, 3.0, ""),
        ("state", "3", 3.0, ""),
        ("online", True, 1.0, ""),
        ("online", False, 0.0, ""),
        ("online", "OFF", 0.0, ""),
        ("alarm", "door open", 0.0, "door open"),
    ],
)
def test_values_are_read_as_their_metric(metric: str, value: object, number: float, text: str) -> None:
    """Numbers, words, booleans and state words become what their metric is."""
    sample = press(metric, value=value)
    assert (sample.value, sample.text, sample.quality) == (number, text, Quality.GOOD)


@pytest.mark.parametrize(
    ("metric", "value", "reason"),
    [
        ("parts", "many", "number is expected"),
        ("parts", {"a": 1}, "JSON object"),
        ("parts", [1], "JSON array"),
        ("parts", "nan", "number is expected"),
        ("parts", "1_000", "number is expected"),
        ("state", "dancing", "add it to `states`"),
        ("state", True, "add it to `states`"),  # 1 would be OUT_OF_SERVICE: never guessed
        ("state", 9, "none of 0 to 7"),
        ("state", 2.5, "none of 0 to 7"),
    ],
)
def test_a_value_that_is_none_of_its_metric_is_refused(metric: str, value: object, reason: str) -> None:
    """A value that its metric cannot have is refused, with what to do about it."""
    error = refused(FORMAT_A, f"{PRESS}/{metric}", {"value": value, "time": 1795319397})
    assert reason in str(error)
    assert error.fault in (Fault.VALUE, Fault.SHAPE)


def test_whole_numbers_are_the_same_words_with_and_without_a_point() -> None:
    """A publisher whose numbers are all floating-point says state 3.0 and article 4711.0."""
    settings = FORMAT_A | {"states": {"3": "BLOCKED"}, "qualities": {"7": "bad"}}
    reading = {"value": 3.0, "time": 1795319397, "quality": 7.0}
    sample = one(settings, f"{PRESS}/state", reading)
    assert (sample.value, sample.quality) == (6.0, Quality.BAD)
    assert one(settings, f"{PRESS}/product", {"value": 4711.0, "time": 1795319397}).text == "4711"


def test_states_of_the_machine_are_translated() -> None:
    """The machine's own words, whatever their case, and its own numbers are looked up in `states`."""
    settings = FORMAT_A | {"states": {"Running": "EXECUTING", "true": "EXECUTING", "0": "BLOCKED"}}
    for value, state in (("RUNNING", 3.0), (True, 3.0), (0, 6.0), ("setup", 4.0)):
        assert one(settings, f"{PRESS}/state", {"value": value, "time": 1795319397}).value == state
    assert "add it to `states`" in str(refused(settings, f"{PRESS}/state", {"value": 3, "time": 1795319397}))


@pytest.mark.parametrize(
    ("quality", "expected"),
    [
        ("good", Quality.GOOD),
        ("Uncertain", Quality.UNCERTAIN),
        ("BAD", Quality.BAD),
        (0, Quality.GOOD),
        ("0", Quality.GOOD),
        (0x40000000, Quality.UNCERTAIN),
        (0x80340000, Quality.BAD),  # BadNodeIdUnknown
        (None, Quality.GOOD),
    ],
)
def test_qualities_are_words_or_status_codes(quality: object, expected: Quality) -> None:
    """A quality is a word, or an OPC UA StatusCode whose top two bits are the severity."""
    assert press("parts", value=3, quality=quality).quality == expected


def test_own_quality_codes_are_looked_up() -> None:
    """OPC Classic says 192 for good, 0 for bad: a table in the plant file puts it right; unknown words are refused."""
    settings = FORMAT_A | {"qualities": {"192": "good", "0": "bad"}}
    payload: dict[str, object] = {"value": 1, "time": 1795319397}
    assert one(settings, f"{PRESS}/parts", payload | {"quality": 0}).quality == Quality.BAD
    assert "add it to `qualities`" in str(refused(settings, f"{PRESS}/parts", payload | {"quality": "so-so"}))


@pytest.mark.parametrize(
    "reading",
    [{"value": None}, {"value": None, "quality": "good"}, {"quality": "bad"}, {"value": "?", "quality": "bad"}],
)
def test_null_and_bad_say_not_known_from_here_on(reading: dict[str, object]) -> None:
    """null, or a bad value even when unreadable, is a sample of quality BAD at its time: "from here on not known"."""
    assert press("parts", **reading) == Sample(T, PRESS, "parts", 0.0, "", Quality.BAD, RECEIVED)


@pytest.mark.parametrize("payload", [{"value": 3}, {"value": 3, "time": None}])
def test_without_a_time_the_arrival_stands_in_and_quality_says_so(payload: object) -> None:
    """No time of its own: the time it was received, UNCERTAIN."""
    sample = one(FORMAT_A, f"{PRESS}/parts", payload)
    assert (sample.time_ns, sample.quality) == (RECEIVED, Quality.UNCERTAIN)


def test_a_time_that_cannot_be_read_is_not_replaced() -> None:
    """A wrong time is refused; arrival never stands in for a time that was sent."""
    assert refused(FORMAT_A, f"{PRESS}/parts", {"value": 3, "time": "noon"}).fault is Fault.TIME


def test_scale_and_offset() -> None:
    """Numbers are multiplied and shifted: 212 °F is 100 °C."""
    settings = {"topic": "f/{x}", "asset": PRESS, "metric": "temperature", "scale": 5 / 9, "offset": -160 / 9}
    assert one(settings, "f/oven", {"value": 212, "time": 1795319397}).value == pytest.approx(100)


# --- batches ---


def test_an_array_is_a_batch_and_a_bad_reading_does_not_take_the_others_with_it() -> None:
    """Each reading of an array is a sample; the bad one is refused, the others are kept in order."""
    payload: list[dict[str, object]] = [{"value": n, "time": 1795319397 + n} for n in range(3)]
    payload.insert(1, {"value": "x", "time": 1795319397})
    result = decode(FORMAT_A, f"{PRESS}/parts", payload)
    assert [item.value if isinstance(item, Sample) else item.fault for item in result] == [0.0, Fault.VALUE, 1.0, 2.0]
    assert [item.time_ns for item in result if isinstance(item, Sample)] == [(1795319397 + n) * 10**9 for n in range(3)]


def test_readings_of_one_array_without_times_do_not_replace_one_another() -> None:
    """Ten readings without a time are ten identities."""
    result = decode(FORMAT_A, f"{PRESS}/parts", [{"value": n} for n in range(10)])
    assert len({item.time_ns for item in result if isinstance(item, Sample)}) == 10


def test_readings_may_lie_inside_the_payload_and_name_their_metric() -> None:
    """`readings` points to the array, `metric` to the name in each reading, `names` to our name of it."""
    settings = {
        "topic": "gateway/data",
        "asset": PRESS,
        "readings": "/body/points",
        "metric": "/id",
        "value": "/v",
        "time": "/t",
        "names": {"Spindle Load": "spindle_load"},
    }
    points = [{"id": "Spindle Load", "v": 7, "t": 1795319397}, {"id": "parts", "v": 2, "t": 1795319397}, {"v": 1}]
    load, parts, nameless = decode(settings, "gateway/data", {"body": {"points": points}})
    assert isinstance(load, Sample)
    assert isinstance(parts, Sample)
    assert (load.metric, load.value, parts.metric, parts.value) == ("spindle_load", 7.0, "parts", 2.0)
    assert isinstance(nameless, MessageError)
    assert "nothing where `readings`" in str(refused(settings, "gateway/data", {"body": {}}))


def test_pointers_escape_as_rfc_6901_says() -> None:
    """~1 is a slash and ~0 a tilde in a key; a number is an index in an array."""
    settings = {"topic": "x", "asset": PRESS, "metric": "parts", "value": "/a~1b/m~0n/1"}
    assert one(settings, "x", {"a/b": {"m~n": [5, 6]}, "time": 1795319397}).value == 6


def test_a_bare_number_can_be_pointed_to() -> None:
    """The pointer "" is the whole payload."""
    sample = one({"topic": "x", "asset": PRESS, "metric": "parts", "value": ""}, "x", 5)
    assert (sample.value, sample.quality) == (5.0, Quality.UNCERTAIN)


# --- whole reports ---


def test_a_report_is_a_sample_per_mapped_key() -> None:
    """Format B: one time, several metrics, the printer's words translated."""
    payload = {"ts": 1795319397123, "state": "printing", "job": "gear", "made": 12, "good": 11, "power_w": 230.5}
    asset = "km0/additive/print-hall/printer-1"
    assert decode(FORMAT_B, "printers/printer-1/report", payload) == [
        Sample(T, asset, "state", 3.0, "", Quality.GOOD, RECEIVED),
        Sample(T, asset, "product", 0.0, "gear", Quality.GOOD, RECEIVED),
        Sample(T, asset, "parts", 12.0, "", Quality.GOOD, RECEIVED),
        Sample(T, asset, "parts_good", 11.0, "", Quality.GOOD, RECEIVED),
        Sample(T, asset, "power", 230.5, "", Quality.GOOD, RECEIVED),
    ]


def test_keys_that_a_report_leaves_out_say_nothing() -> None:
    """A report of what changed makes samples of that alone; one of nothing makes none, and is no error."""
    assert one(FORMAT_B, "printers/printer-1/report", {"ts": 1795319397123, "made": 13}).metric == "parts"
    assert decode(FORMAT_B, "printers/printer-1/report", {"ts": 1795319397123}) == []


def test_an_unknown_state_word_does_not_take_the_counters_with_it() -> None:
    """One unreadable key of a report is refused; the others are kept."""
    result = decode(FORMAT_B, "printers/printer-1/report", {"ts": 1795319397123, "state": "dancing", "made": 13})
    assert [type(item) for item in result] == [MessageError, Sample]


def test_a_report_that_is_no_object_is_refused() -> None:
    """A number where a report is expected is a mistake, not an empty report."""
    assert refused(FORMAT_B, "printers/printer-1/report", 5).fault is Fault.SHAPE


@pytest.mark.parametrize("payload", [b"", b"\xff", b"{", b'{"value": NaN}', b"[" * 100_000, b'"\\ud800"'])
def test_what_is_not_json_is_refused(payload: bytes) -> None:
    """Bytes that are no JSON are refused as such."""
    assert refused(FORMAT_A, f"{PRESS}/parts", payload).fault is Fault.SYNTAX


# --- settings ---


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"topic": "x/{metric}", "asset": "a/{name}"}, "no part of topic"),
        ({"topic": "x/y", "asset": PRESS}, "nothing names the metric"),
        ({"topic": "x/{metric}"}, "names no asset"),
        ({"topic": "x/y", "asset": PRESS, "metric": "parts", "value": "value"}, "JSON pointer"),
        (
            {"topic": "x/y", "asset": PRESS, "metrics": [{"metric": "partz", "value": "/a"}]},
            "no metric of the glossary",
        ),
        ({"topic": "x/{metric}", "asset": PRESS, "names": {"a": "partz"}}, "no metric of the glossary"),
        ({"topic": "x/{metric}", "asset": PRESS, "timezone": "Paris"}, "IANA"),
        ({"topic": "x/{metric}", "asset": PRESS, "states": {"on": "RUNNING"}}, "EXECUTING"),
        (FORMAT_B | {"metric": "parts"}, "not both"),
        (FORMAT_B | {"scale": 2.0}, "belong to the entry"),
    ],
)
def test_a_mistake_in_the_settings_says_how_to_put_it_right(settings: dict[str, Any], reason: str) -> None:
    """What cannot work is refused when the plant file is read."""
    with pytest.raises(ValidationError, match=reason):
        topic(settings)

"""SenML: the vectors of RFC 8428, and from packs to samples."""

import json
from typing import Any

import pytest

from collectors.mqtt.decoder import Message, MessageError
from collectors.mqtt.senml import Record, SenmlTopic, resolved
from telemetry.samples import Quality, Sample
from tests.support import shared_data

RECEIVED = 1_795_320_000_000_000_000
ASSET = "km0/hall/press-1"
URN = "urn:dev:ow:10e2073a01080063"


def decode(pack: object, **settings: Any) -> list[Sample | MessageError]:
    rules = {"dialect": "senml", "topic": "sensors/{name}", "asset": ASSET} | settings
    decoder = SenmlTopic.model_validate_json(json.dumps(rules)).decoder()
    raw = pack if isinstance(pack, bytes) else json.dumps(pack).encode()
    return decoder.decode(Message("sensors/a", raw, RECEIVED))


def one(pack: object, **settings: Any) -> Sample:
    (sample,) = decode(pack, **settings)
    assert isinstance(sample, Sample), sample
    return sample


@pytest.mark.parametrize("number", range(1, 13))
def test_the_examples_of_the_rfc_resolve_as_published(number: int) -> None:
    """Names, units, values and times of every record of exN are those of its resolved form.

    Where the example has no time, the published form holds the time of its making; ours says that there is none.
    Data values ("vd") are no measurement and are refused by record; the published form leaves them out too.
    """
    pack = json.loads(shared_data(f"senml/ex{number}.json").read_bytes())
    answer = json.loads(shared_data(f"senml/ex{number}.gen.resolved.json").read_bytes())
    found = list(resolved(pack))
    refused = [record for record in found if isinstance(record, MessageError)]
    assert len(refused) == sum("vd" in record for record in pack)
    records = [record for record in found if isinstance(record, Record)]
    answer = [record for record in answer if record.keys() & {"v", "vs", "vb"}]
    assert len(records) == len(answer)
    for record, expected in zip(records, answer, strict=True):
        value = next(expected[key] for key in ("v", "vs", "vb") if key in expected)
        assert (record.name, record.unit) == (expected["n"], expected.get("u", ""))
        assert record.value == pytest.approx(value) if isinstance(value, float) else record.value == value
        if record.time_s is not None and record.time_s >= 2**28:
            assert record.time_s == pytest.approx(expected["t"], abs=1e-6)


def test_a_record_is_a_sample_in_the_unit_of_the_glossary() -> None:
    """Kelvin becomes °C; the name's beginning says the asset, its end the metric; the time is the record's."""
    pack = [{"bn": f"{URN}:", "bt": 1_795_305_600, "n": "temperature", "u": "K", "v": 300.0}]
    sample = one(pack, assets={URN: "km0/hall/oven-1"})
    assert (sample.asset, sample.metric, sample.time_ns) == ("km0/hall/oven-1", "temperature", 1_795_305_600 * 10**9)
    assert sample.value == pytest.approx(26.85)
    assert sample.quality == Quality.GOOD


@pytest.mark.parametrize(
    ("metric", "unit", "value", "expected"),
    [
        ("speed", "m/s", 1.5, 1.5),
        ("speed", "km/h", 36, 10),
        ("position_x", "m", 12, 12),
        ("parts", "count", 12, 12),
        ("battery", "%EL", 80, 80),
        ("spool_fill", "/100", 3, 3),
        ("rtt", "ms", 12, 12),
    ],
)
def test_units_are_those_of_the_registry(metric: str, unit: str, value: float, expected: float) -> None:
    """RFC 8428 12.1 and RFC 8798: also where the glossary calls the unit the same, or has no name for it."""
    assert one([{"n": metric, "u": unit, "v": value}]).value == pytest.approx(expected)


def test_a_time_without_a_date_counts_from_now() -> None:
    """t −5 without base time is five seconds before we received it, by our clock: UNCERTAIN."""
    sample = one([{"n": "power", "u": "W", "v": 5, "t": -5}])
    assert (sample.time_ns, sample.quality) == (RECEIVED - 5 * 10**9, Quality.UNCERTAIN)


def test_records_without_time_do_not_share_an_identity() -> None:
    """Two values of one metric without time: two samples, UNCERTAIN."""
    first, second = decode([{"n": "power", "v": 1}, {"n": "power", "v": 2}])
    assert isinstance(first, Sample)
    assert isinstance(second, Sample)
    assert first.time_ns != second.time_ns
    assert first.quality == second.quality == Quality.UNCERTAIN


def test_names_are_mapped_whole_or_by_their_end() -> None:
    """`names` knows the whole SenML name, or what follows the beginning in `assets`; others are passed."""
    pack = [{"bn": f"{URN}:", "n": "watts", "v": 1}, {"n": "volts", "v": 2}]
    assert one(pack, names={f"{URN}:watts": "power"}).metric == "power"
    assert one(pack, names={"watts": "power"}, assets={URN: ASSET}).metric == "power"


@pytest.mark.parametrize(
    ("pack", "reason"),
    [
        (b"{", "not JSON"),
        ({}, "JSON array"),
        ([1], "no JSON object"),
        ([{"n": "power", "v": 1, "must_": 2}], "must be understood"),
        ([{"bver": 11, "n": "power", "v": 1}], "version"),
        ([{"n": "power", "v": "1"}], "no number"),
        ([{"n": "power"}], "no value"),
        ([{"v": 1}], "no SenML name"),
        ([{"n": "power", "vd": "AQ"}], "data instead"),
        ([{"n": "power", "u": "lon", "v": 1}], "unit 'lon' is not known for power"),
    ],
)
def test_what_is_no_pack_is_refused(pack: object, reason: str) -> None:
    """With a reason its owner can act on."""
    try:
        (answer,) = decode(pack)
    except MessageError as error:
        answer = error
    assert isinstance(answer, MessageError)
    assert reason in str(answer)

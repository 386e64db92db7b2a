"""The JSON dialect on payloads of real publishers: each is read as its note says, trap and all."""

import json
from typing import Any

import pytest

from collectors.mqtt.decoder import Fault, MessageError
from telemetry.samples import Quality, Sample
from tests.collectors.mqtt.test_json import PRESS, decode, one
from tests.support import shared_data


def recorded(name: str) -> dict[str, Any]:
    lines = shared_data("mqtt_samples/payloads.jsonl").read_text(encoding="utf-8").splitlines()
    (found,) = [entry for entry in map(json.loads, lines) if entry["id"] == name]
    return dict(found)


def test_vega_nb14() -> None:
    """Vega NB-14 modem: levels in tenths of dB (RSRP −822 is −82.2 dBm); the sample's own time, not the sending's."""
    metrics = [
        {"metric": "rsrp", "value": "/CellStatus/RSRP", "scale": 0.1},
        {"metric": "rsrq", "value": "/CellStatus/RSRQ", "scale": 0.1},
        {"metric": "temperature", "value": "/Telemetry/temp", "time": "/Telemetry/UTC"},
        {"metric": "temperature", "value": "/Telemetry/onewire/4", "time": "/Telemetry/UTC"},
    ]
    settings = {"topic": "vega", "asset": PRESS, "time": "/Message/UTC", "metrics": metrics}
    result = decode(settings, "vega", recorded("vega_nb14")["payload"])
    assert [(item.time_ns, item.value) for item in result if isinstance(item, Sample)] == [
        (1571227504 * 10**9, pytest.approx(-82.2)),
        (1571227504 * 10**9, pytest.approx(-10.8)),
        (1571227500 * 10**9, 28.0),
        (1571227500 * 10**9, 1.4),
    ]


def test_tasmota_dual_r3() -> None:
    """Tasmota: local time without a zone (refused until one is set); a switch as ON; a key that is an array here."""
    entry = recorded("tasmota_dualr3")
    metrics = [
        {"metric": "online", "value": "/Switch1"},
        {"metric": "energy", "value": "/ENERGY/Total/1", "scale": 1000.0},
    ]
    settings = {
        "topic": "SONOFF/tele/{device}/SENSOR",
        "asset": PRESS,
        "time": "/Time",
        "timezone": "Europe/Paris",
        "metrics": metrics,
    }
    switch, energy = decode(settings, entry["topic"], entry["payload"])
    assert isinstance(switch, Sample)
    assert isinstance(energy, Sample)
    assert switch.time_ns == energy.time_ns == 1_681_191_094_000_000_000  # 2023-04-11T07:31:34+02:00
    assert switch.value == 1.0
    assert energy.value == pytest.approx(2910)
    naive = decode(
        {key: value for key, value in settings.items() if key != "timezone"}, entry["topic"], entry["payload"]
    )
    assert [item.fault for item in naive if isinstance(item, MessageError)] == [Fault.TIME, Fault.TIME]


def test_azure_iot_operations() -> None:
    """Azure IoT Operations: a time per value, in 100 ns; a blank in a tag's name."""
    entry = recorded("azure_iot_ops_opcua")
    metrics = [
        {"metric": "temperature", "value": "/temperature/Value", "time": "/temperature/SourceTimestamp"},
        {"metric": "parts", "value": "/Tag 10/Value", "time": "/Tag 10/SourceTimestamp"},
    ]
    result = decode({"topic": entry["topic"], "asset": PRESS, "metrics": metrics}, entry["topic"], entry["payload"])
    assert [(item.time_ns, item.value) for item in result if isinstance(item, Sample)] == [
        (1_722_265_337_185_843_500, 4558.0),
        (1_722_265_337_185_886_900, 4558.0),
    ]


def test_siemens_mindconnect() -> None:
    """MindConnect: numbers and quality codes in quotes. Its arrays inside an array are reached by index only."""
    entry = recorded("siemens_mindconnect")
    settings = {
        "topic": "tc/{tenant}/{client}/o/mc_v3/ts",
        "asset": PRESS,
        "readings": "/timeseries",
        "time": "/timestamp",
        "metric": "/values/0/dataPointId",
        "value": "/values/0/value",
        "quality": "/values/0/qualityCode",
        "names": {"rotationPerMinute": "spindle_speed"},
    }
    sample = one(settings, "tc/t/c/o/mc_v3/ts", entry["payload"])
    assert (sample.time_ns, sample.metric, sample.value, sample.quality) == (
        1_596_240_910_100_000_000,  # 2020-08-01T00:15:10.100Z
        "spindle_speed",
        600.0,
        Quality.GOOD,
    )

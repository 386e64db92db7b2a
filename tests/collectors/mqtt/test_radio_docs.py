"""The mappings of docs/radio.md, as they stand there, with the payloads that vendors and their users show."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from collectors.mqtt import MqttConfig
from collectors.mqtt.decoder import Message
from collectors.mqtt.json import JsonTopic
from telemetry.config import parse
from telemetry.samples import Quality, Sample

DOC = Path(__file__).parents[3] / "docs" / "radio.md"
RECEIVED = 1_795_320_000_000_000_000
LINK = "km0/network/5g/link-1"


def entries() -> dict[str, JsonTopic]:
    """Every mapping of the page, by its topic, read as the plant file reads it."""
    blocks = re.findall(r"```toml\n(.*?)```", DOC.read_text(), re.DOTALL)
    head = 'kind = "mqtt"\nname = "routers"\nhost = "127.0.0.1"\n'
    text = head + "".join(blocks).replace("[[collectors.topics]]", "[[topics]]")
    found = parse(text, MqttConfig).topics
    return {each.topic: each for each in found if isinstance(each, JsonTopic)}


def said(topic: str, payload: dict[str, Any]) -> list[Sample]:
    """What the mapping makes of a payload of link-1; nothing of it may be refused."""
    template = re.sub(r"\{\w+\}", "link-1", topic)
    samples = entries()[topic].decoder().decode(Message(template, json.dumps(payload).encode(), RECEIVED))
    found = [sample for sample in samples if isinstance(sample, Sample)]
    assert found == samples
    assert {sample.asset for sample in found} == {LINK}
    return found


CRADLEPOINT = {"SINR": "11.6", "SINR_5G": "17.5", "RSRQ": "-12", "RSRP": "-96", "RFCHANNEL": "5230", "DBM": "-65",
               "SS": "100", "RSRQ_5G": "-11", "RSRP_5G": "-88", "RFBANDWIDTH_5G": "100 MHz"}  # fmt: skip
PEPLINK = {
    "stat": "ok",
    "response": {
        "1": {"name": "WAN 1", "type": "ethernet", "message": "Connected"},
        "2": {"name": "Cellular 1", "type": "cellular", "message": "Connected", "cellular": {
            "mobileType": "LTE", "signalLevel": 4, "carrierAggregation": True,
            "rat": [{"name": "LTE", "band": [
                {"name": "B1", "channel": 1850, "signal": {"rsrp": -84, "rsrq": -9, "sinr": 18}},
                {"name": "B3", "channel": 1850, "signal": {"rsrp": -88, "rsrq": -10, "sinr": 15}}]}],
        }},
    },
}  # fmt: skip
VEGA = {
    "Message": {"dev": "NB-14 v0.1", "IMEI": "867723030711443", "num": 3, "UTC": 1571227504},
    "CellStatus": {"TAC": "9C8D", "CID": "0856831D", "SQ": 19, "EARFCN": 1240, "PCID": 26, "RSRP": -822,
                   "RSRQ": -108, "RSSI": -744, "SNR": 119},
    "Telemetry": {"reason": "time", "UTC": 1571227500, "bat": 99},
}  # fmt: skip
UE = {"pci": 1, "rnti": 17921, "cqi": 15, "ri": 1, "dl_mcs": 27, "dl_brate": 291680.0, "dl_nof_ok": 352,
      "dl_bs": 0, "pusch_snr_db": 24.025097, "ul_mcs": 26, "ul_brate": 12838928.0, "bsr": 0}  # fmt: skip
SRSRAN = {"timestamp": 1700671417.005, "ue_list": [{"ue_container": UE}]}
SRSRAN_LATER = {"timestamp": "2026-09-29T12:00:01.000", "cells": [{"cell_metrics": {"pci": 1}, "ue_list": [UE]}]}
TELTONIKA = {"time": "2026-11-22T07:00:00Z", "rsrp": -92, "rsrq": -11, "sinr": 14, "cell": "2A1B01"}


CASES: list[tuple[str, dict[str, Any], int | None, dict[str, Any]]] = [
    ("cradlepoint/{router}/diagnostics", CRADLEPOINT, None, {"rsrp": -88, "rsrq": -11, "sinr": 17.5}),
    ("peplink/{router}/status.wan.connection", PEPLINK, None, {"rsrp": -84, "rsrq": -9, "sinr": 18}),
    ("teltonika/{router}/radio", TELTONIKA, 1_795_330_800_000_000_000,
     {"rsrp": -92, "rsrq": -11, "sinr": 14, "cell": "2A1B01"}),
    ("vega/{modem}", VEGA, 1_571_227_504_000_000_000,
     {"rsrp": -82.2, "rsrq": -10.8, "sinr": 11.9, "cell": "0856831D"}),
    ("srsran/{link}/metrics", SRSRAN, 1_700_671_417_005_000_000,
     {"cqi": 15, "mcs": 27, "cell": "1", "throughput_down": 0.29168, "throughput_up": 12.838928}),
    ("srsran/{link}/cells", SRSRAN_LATER, 1_790_683_201_000_000_000,
     {"cqi": 15, "mcs": 27, "cell": "1", "throughput_down": 0.29168, "throughput_up": 12.838928}),
]  # fmt: skip


@pytest.mark.parametrize(("topic", "payload", "time_ns", "values"), CASES)
def test_a_mapping(topic: str, payload: dict[str, Any], time_ns: int | None, values: dict[str, Any]) -> None:
    """Each figure arrives under our name, in our unit, at the time the router says; at ours, uncertain, if it says
    none."""
    samples = said(topic, payload)
    assert {each.metric: each.text or pytest.approx(each.value) for each in samples} == values
    assert {each.time_ns for each in samples} == {RECEIVED if time_ns is None else time_ns}
    assert {each.quality for each in samples} == {Quality.GOOD if time_ns is not None else Quality.UNCERTAIN}


def test_a_modem_on_4g_says_nothing_of_5g() -> None:
    """A router that has lost its 5G leg tells no 5G figure, and none is taken from the 4G leg."""
    without = {key: value for key, value in CRADLEPOINT.items() if not key.endswith("_5G")}
    assert said_of(without) == []


def said_of(payload: dict[str, Any]) -> list[object]:
    topic = entries()["cradlepoint/{router}/diagnostics"]
    message = Message("cradlepoint/link-1/diagnostics", json.dumps(payload).encode(), RECEIVED)
    return list(topic.decoder().decode(message))


def test_every_mapping_is_tested() -> None:
    """A mapping that is added to the page without a payload here fails."""
    assert set(entries()) == {topic for topic, *_ in CASES}

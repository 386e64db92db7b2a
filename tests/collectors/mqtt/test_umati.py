"""The umati gateway's tree, from topic and bytes to samples."""

import json
from typing import Any

import pytest

from collectors.mqtt.decoder import Message, MessageError
from collectors.mqtt.umati import UmatiTopic, decoded_id
from telemetry.samples import Quality, Sample

RECEIVED = 1_795_320_000_000_000_000
ASSET = "km0/hall/mill-1"
NODE = "nsu=http:_2F_2Fexample.org_2F;s=Mill_201"
MACHINE: dict[str, Any] = {
    "Identification": {"Manufacturer": {"locale": "en", "text": "Maker"}},
    "Monitoring": {
        "MachineTool": {
            "OperationMode": 1,
            "FeedOverride": {"value": 80.0, "properties": {"EURange": {"low": 0, "high": 150}}},
        },
        "Spindle": {"$TypeDefinition": "i=22", "Override": {"value": 95, "properties": {}}},
    },
    "Production": {
        "ActiveProgram": {"Name": "bracket.mpf", "State": {"CurrentState": {"locale": "", "text": "Running"}}},
        "ProductionPlan": {
            "<OrderedObject>": {
                "job1": {"$TypeDefinition": "i=29", "PartsCompleted": 7, "PartsGood": 6, "RunsPlanned": {"value": 9}},
                "job2": {"$TypeDefinition": "i=29", "PartsCompleted": 3, "PartsGood": 3},
            }
        },
        "Statistics": {"PartsProducedInLifetime": 99},
    },
}


def decode(payload: object, topic: str = f"umati/v2/Org/Client/MachineToolType/{NODE}") -> list[Sample | MessageError]:
    rules = {"dialect": "umati", "assets": {"nsu=http://example.org/;s=Mill 1": ASSET}}
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return UmatiTopic.model_validate_json(json.dumps(rules)).decoder().decode(Message(topic, raw, RECEIVED, True))


def values(payload: object) -> dict[str, float | str]:
    samples = decode(payload)
    assert all(isinstance(one, Sample) and one.quality == Quality.UNCERTAIN for one in samples), samples
    return {one.metric: one.text or one.value for one in samples if isinstance(one, Sample)}


def test_a_machine_is_read_by_its_companion_specification() -> None:
    """Program, state, overrides and the counters of all jobs of the plan; lifetime only where there is no plan."""
    assert values(MACHINE) == {
        "state": 3.0,
        "program": "bracket.mpf",
        "feed_override": 80.0,
        "spindle_override": 95.0,
        "parts": 10.0,
        "parts_good": 9.0,
    }
    without_plan = MACHINE | {"Production": {"Statistics": {"PartsProducedInLifetime": {"value": 99}}}}
    assert values(without_plan)["parts"] == 99


@pytest.mark.parametrize(
    ("item", "program", "mode", "state"),
    [
        ("OutOfService", "Running", 1, 1),
        (None, "Interrupted", 1, 2),
        (None, "Ended", 2, 4),
        (None, "Aborted", 4, 7),
        ("Executing", None, 2, 3),
        ("NotAvailable", None, 2, 0),
    ],
)
def test_the_state_is_the_item_state_or_that_of_the_program(
    item: str | None, program: str | None, mode: int, state: int
) -> None:
    """MachineryItemState goes first; a stop in mode setup is SETUP, in service MAINTENANCE."""
    tree: dict[str, Any] = {"Monitoring": {"MachineTool": {"OperationMode": mode}}}
    if program:
        tree["Production"] = {"ActiveProgram": {"State": {"CurrentState": {"value": {"text": program}}}}}
    if item:
        blocks = {"MachineryItemState": {"CurrentState": {"value": {"locale": "", "text": item}, "properties": {}}}}
        tree["MachineryBuildingBlocks"] = blocks
    assert values(tree)["state"] == state


def test_a_machine_that_left_the_gateway_is_unknown() -> None:
    """online/<id> 0 is BAD from then on; 1 says nothing by itself."""
    (sample,) = decode(b"0", f"umati/v2/Org/online/{NODE}")
    assert sample == Sample(RECEIVED, ASSET, "state", 0.0, "", Quality.BAD, RECEIVED)
    assert decode(b"1", f"umati/v2/Org/online/{NODE}") == []


@pytest.mark.parametrize(
    "topic", ["umati/v2/Org/list/MachineToolType", "umati/v2/Org/clientOnline", "umati/v2/Org/gw-version", "x"]
)
def test_what_is_no_machine_of_ours_is_passed(topic: str) -> None:
    """Lists, the gateway's own state, machines that the plant file does not name."""
    assert decode(b"1", topic) == []


@pytest.mark.parametrize("payload", [b"{", b"[1]"])
def test_what_is_no_tree_is_refused(payload: bytes) -> None:
    """With a reason."""
    with pytest.raises(MessageError):
        decode(payload)


@pytest.mark.parametrize(
    ("level", "node"),
    [("ns=4;i=5", "ns=4;i=5"), ("ns=4;s=a_2Fb_20c_5F", "ns=4;s=a/b c_"), ("s=Fr_C3_A4se", "s=Fräse"), ("_FF", "ÿ")],
)
def test_node_ids_are_decoded(level: str, node: str) -> None:
    """Underscore and two hexadecimal digits for every byte that is not alphanumeric or one of - . ~ : ; =."""
    assert decoded_id(level) == (node if level != "_FF" else "_FF".replace("_FF", "\xff"))

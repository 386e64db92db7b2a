"""Whatever bytes come, a decoder answers with samples or MessageErrors; nothing else escapes, nothing is stuck.

Three ways to come by bytes: hypothesis, real payloads damaged, and atheris, which is led by the code that they reach.
"""

import json
import random
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collectors.mqtt.decoder import Decoder, Message, MessageError
from collectors.mqtt.framing import Batch
from collectors.mqtt.json import JsonTopic
from collectors.mqtt.opcua_pubsub import OpcUaPubSubTopic
from collectors.mqtt.senml import SenmlTopic
from collectors.mqtt.sparkplug_topic import SparkplugTopic
from collectors.mqtt.umati import UmatiTopic
from collectors.mqtt.value import ValueTopic
from telemetry.health import Health
from telemetry.samples import Sample
from telemetry.validity import Gate
from tests.collectors.mqtt.bench import ASSET, PLANT, config
from tests.collectors.mqtt.sparkplug_wire import metric, payload
from tests.collectors.mqtt.test_json import FORMAT_A, FORMAT_B, topic
from tests.contracts.memory import MemorySink

INSIDE: JsonTopic = topic(
    {
        "topic": "{site}/{asset}/{metric}",
        "time_property": "at",
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

NAMED = {"names": {"Count": "parts", "State": "state", "Job": "product"}}
PUBSUB = OpcUaPubSubTopic.model_validate_json(
    json.dumps({"dialect": "opcua_pubsub", "topic": "{site}/{asset}/x", **NAMED})
)
SENML = SenmlTopic.model_validate_json(json.dumps({"dialect": "senml", "topic": "{site}/{asset}/x", **NAMED}))
UMATI = UmatiTopic.model_validate_json(json.dumps({"dialect": "umati", "assets": {"a": "km0/hall/mill-1"}}))
SPARKPLUG = SparkplugTopic.model_validate_json(
    json.dumps({"dialect": "sparkplug", "host_id": "h", "asset": "a/b", "node_asset": "a/c", **NAMED})
)
DECODERS += [
    (PUBSUB.decoder(), ("a/b/x",)),
    (SENML.decoder(), ("a/b/x",)),
    (UMATI.decoder(), ("umati/v2/c/MachineToolType/a", "umati/v2/c/online/a")),
    (
        SPARKPLUG.decoder(),
        (
            "spBv1.0/G/NBIRTH/E",
            "spBv1.0/G/DBIRTH/E/D",
            "spBv1.0/G/DDATA/E/D",
            "spBv1.0/G/NDEATH/E",
            "spBv1.0/G/DDEATH/E/D",
            "spBv1.0/STATE/h",
            "spBv1.0/G",
        ),
    ),
]
BORN = payload(metric("bdSeq", 0, datatype=4), metric("Count", 1, alias=1, datatype=8, at_ms=5), at_ms=5, seq=0)
SEEDS = [
    b'{"value": 3, "time": "2026-11-22T03:49:57.123Z", "quality": "good"}',
    b'{"ts": 1795319397123, "state": "printing", "job": "gear", "made": 12, "power_w": 230.5}',
    b'{"Messages": [{"Timestamp": "2026-11-22T03:49:57Z", "Payload": {"Count": {"Value": 5}}}]}',
    b'[{"bn": "a:", "bt": 1795319397, "n": "Count", "v": 5, "u": "W"}, {"n": "State", "vs": "EXECUTING"}]',
    b'{"Production": {"ProductionPlan": {"<O>": {"j": {"PartsCompleted": 5}}}}, "Monitoring": {"MachineTool": {}}}',
    BORN,
    payload(metric(value=2, alias=1, at_ms=9, quality=192), metric("State", "x" * 50), at_ms=9, seq=1),
    b'{"online": false, "timestamp": 5}',
]
"""Payloads that decode, to be damaged."""

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


KINDS: list[tuple[Decoder, str]] = [(decoder, name) for decoder, topics in DECODERS for name in topics]
"""Every decoder on every kind of topic."""

GATE = Gate(PLANT)


def answers_well(decoder: Decoder, name: str, raw: bytes) -> None:
    """The decoder answers within its protocol, and the gate has a word on every sample."""
    with suppress(MessageError):
        for reading in decoder.decode(Message(name, raw, 1_795_320_000_000_000_000, False, raw)):
            if isinstance(reading, Sample):
                GATE.refusal(reading)
            else:
                assert isinstance(reading, MessageError)
                assert str(reading)


def all_answer_well(raw: bytes) -> None:
    for decoder, name in KINDS:
        answers_well(decoder, name, raw)


def damaged(raw: bytes, chance: random.Random) -> bytes:
    """The payload with some bytes overwritten, cut out, doubled or put in."""
    body = bytearray(raw)
    for _ in range(chance.randint(1, 4)):
        at, size = chance.randrange(len(body) + 1), chance.randint(0, 6)
        part = bytes(body[at : at + size]) * chance.choice((0, 0, 1, 2))
        body[at : at + size] = chance.choice((part, chance.randbytes(size), b"\xff" * size, b"9" * size))
    return bytes(body)


@pytest.mark.parametrize("inputs", [5000, pytest.param(1_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
def test_damaged_payloads_of_every_dialect(inputs: int) -> None:
    """So many different damaged payloads, each into a decoder on a kind of topic; edge nodes are born now and then."""
    chance = random.Random(inputs)
    for n in range(inputs):
        answers_well(*chance.choice(KINDS), damaged(chance.choice(SEEDS), chance))
        if n % 50 == 0:
            all_answer_well(BORN)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this system")
def test_a_million_inputs_led_by_the_code_that_they_reach(tmp_path: Path) -> None:
    """atheris from the seeds on: a million runs, and no exception but MessageError."""
    for number, seed in enumerate(SEEDS):
        for kind in range(len(KINDS)):
            (tmp_path / f"{number}-{kind}").write_bytes(bytes([kind]) + seed)
    command = [sys.executable, "-m", "tests.collectors.mqtt.fuzz", "-runs=1000000", "-max_len=400", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 1000000 runs" in done.stderr


async def test_every_refused_message_is_a_dead_letter_and_none_stops_the_others() -> None:
    """Damaged and good messages through the collector: each one refused is there whole with its reason, in order."""
    chance, sink, kinds = random.Random(1), MemorySink(), KINDS[:4]
    topics = [FORMAT_A | {"dialect": "json"}, {"dialect": "value", "topic": "{site}/{asset}/{metric}"}]
    collector = config(1883, topics=topics).build(PLANT, Health())
    names = [f"{ASSET}/parts", f"{ASSET}/state", "a/b/parts", "a/b/state"]
    batch, refused = Batch(), []
    for _ in range(2000):
        message = Message(chance.choice(names), damaged(chance.choice(SEEDS), chance), 1_795_320_000_000_000_000)
        batch.messages.append(message)
        decoder = kinds[0][0] if message.topic.startswith(ASSET) else BARE.decoder()
        try:
            readings = decoder.decode(message)
        except MessageError as error:
            readings = [error]
        if any(isinstance(one, MessageError) or GATE.refusal(one) for one in readings):
            refused.append((f"mqtt:{message.topic}", message.payload))
    await collector._keep(batch, sink, None)  # type: ignore[arg-type]  # a session is only asked to forget strangers
    assert [(letter.source, letter.raw) for letter in sink.dead_letters] == refused
    assert all(letter.reason for letter in sink.dead_letters)
    assert 100 < len(refused) < 2000


@given(st.binary(max_size=200))
@example(b"[" * 50_000 + b"]" * 50_000)
@example(b'{"value": 1e999}')
@example(b'{"value": ' + b"9" * 5000 + b"}")
@example(b'{"value": 1, "time": ' + b"9" * 5000 + b"}")
@example(b'{"value": 1, "time": "' + b"9" * 5000 + b'"}')
@settings(max_examples=300, deadline=None)
def test_any_bytes(raw: bytes) -> None:
    """Arbitrary bytes."""
    all_answer_well(raw)


@given(DOCUMENTS)
@settings(max_examples=300, deadline=None)
def test_any_json(document: object) -> None:
    """Arbitrary JSON that has the keys the decoders look for."""
    all_answer_well(json.dumps(document).encode("utf-8", "surrogatepass"))


@given(DOCUMENTS, st.data())
@settings(max_examples=200, deadline=None)
def test_damaged_json(document: object, data: st.DataObject) -> None:
    """JSON with some bytes cut out or overwritten."""
    raw = bytearray(json.dumps(document).encode())
    place = data.draw(st.integers(0, len(raw)))
    raw[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    all_answer_well(bytes(raw))

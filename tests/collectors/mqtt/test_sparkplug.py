"""The Sparkplug dialect: a recorded edge node, topics, and STATE (Sparkplug B 3.0.0, chapters 4 and 5)."""

import json

import pytest

from collectors.mqtt.decoder import Message, MessageError
from telemetry.samples import Quality, Sample
from tests.collectors.mqtt.sparkplug_conversation import MS, T_MS, Conversation, S, T
from tests.collectors.mqtt.sparkplug_wire import payload
from tests.support import shared_data

# --- the recorded capture ---


def test_a_captured_edge_node_is_read_as_its_note_says() -> None:
    """The npm client: Int8 −3 that arrives as 4294967293, good count 1200 → 1240, then all unknown by its NDEATH."""
    names = {"Good Count": "parts_good", "Reject Count": "parts_scrap", "Temp": "temperature", "Neg": "delay_up"}
    conversation = Conversation(names=names | {"Cycle Time": "rtt", "State": "state", "N": "energy"})
    samples: list[tuple[str, float, int]] = []
    for line in shared_data("sparkplug/npm_sparkplug-client_3.2.4.txt").read_text().splitlines():
        topic, size, raw = line.split()
        body = bytes.fromhex(raw)
        assert len(body) == int(size)
        for one in conversation.host.decode(Message(topic, body, 1_800_000_000 * S)):
            assert isinstance(one, Sample), one
            samples.append((one.metric, one.value, one.quality))
    assert samples[:7] == [
        ("state", 3, Quality.GOOD),
        ("parts_good", 1200, Quality.GOOD),
        ("parts_scrap", 10, Quality.GOOD),
        ("rtt", 0.5, Quality.GOOD),
        ("temperature", -3, Quality.GOOD),
        ("delay_up", -5, Quality.GOOD),
        ("energy", 0, Quality.BAD),  # null
    ]
    assert samples[7] == ("parts_good", 1240, Quality.GOOD)
    assert {name for name, _, quality in samples[8:]} == {
        "parts_good",
        "parts_scrap",
        "rtt",
        "temperature",
        "delay_up",
        "energy",
        "state",
    }
    assert all(quality == Quality.BAD for _, _, quality in samples[8:])


# --- 5.1 topics and STATE ---


def test_state_is_will_and_birth_of_one_time() -> None:
    """STATE: QoS 1, retained, JSON; the will has the time of the birth of that connection, the end its own."""
    opening = Conversation().host.opening(T + 5 * MS)
    farewell = opening.farewell(T + 9 * MS)
    for said, online, at_ms in ((opening.will, False, 5), (opening.greeting, True, 5), (farewell, False, 9)):
        assert (said.topic, said.qos, said.retain) == ("spBv1.0/STATE/km0", 1, True)
        assert json.loads(said.payload) == {"online": online, "timestamp": T_MS + at_ms}


@pytest.mark.parametrize(("stated", "answered"), [(T_MS - 9, T_MS), (T_MS + 9, T_MS + 9)])
def test_an_offline_state_of_our_own_is_contradicted_at_once(stated: int, answered: int) -> None:
    """online: true again, with a time that edge nodes take for not older."""
    conversation = Conversation()
    said = json.dumps({"online": False, "timestamp": stated}).encode()
    assert conversation.host.decode(Message("spBv1.0/STATE/km0", said, T)) == []
    (publication,) = conversation.host.say()
    assert json.loads(publication.payload) == {"online": True, "timestamp": answered}


@pytest.mark.parametrize("said", [b'{"online": true, "timestamp": 5}', b'{"online": true, "timestamp": 1}'])
def test_other_states_are_passed(said: bytes) -> None:
    """Our own birth, and what other hosts say, is nothing to answer."""
    conversation = Conversation()
    assert conversation.host.decode(Message("spBv1.0/STATE/km0", said, T)) == []
    assert conversation.host.decode(Message("spBv1.0/STATE/other", b"OFFLINE", T)) == []
    assert conversation.asked() == []


@pytest.mark.parametrize(
    "topic", ["spBv1.0/G", "spBv1.0/G/NBIRTH", "spBv1.0/G/NDATA/E/D", "spBv1.0/G/DDATA/E", "spBv1.0/G/WHAT/E", "a/b/c"]
)
def test_a_topic_that_is_none_is_refused(topic: str) -> None:
    """A topic without its levels, or of an unknown type."""
    with pytest.raises(MessageError):
        Conversation().host.decode(Message(topic, payload(seq=0), T))


def test_commands_of_other_hosts_are_passed() -> None:
    """NCMD and DCMD are not for us."""
    conversation = Conversation()
    assert conversation.hear("NCMD", b"\xff") == conversation.hear("DCMD", b"\xff") == []

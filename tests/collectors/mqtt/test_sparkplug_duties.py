"""The Sparkplug dialect: the duties of a host application (Sparkplug B 3.0.0), one by one."""

import pytest

from collectors.mqtt.decoder import Message, MessageError
from telemetry.health import Health
from telemetry.samples import Sample
from tests.collectors.mqtt.bench import PLANT, config
from tests.collectors.mqtt.dialects import SPARKPLUG
from tests.collectors.mqtt.sparkplug_conversation import MS, T_MS, Conversation, S, T, good, reasons, stale
from tests.collectors.mqtt.sparkplug_wire import metric, payload


def test_the_death_of_a_node_makes_all_unknown_when_we_hear_of_it() -> None:
    """NDEATH with the bdSeq of the birth: node and devices offline, stale at host receive time, once."""
    conversation = Conversation()
    conversation.nbirth(metric("Speed", 5.0, datatype=10, at_ms=T_MS), bd=3)
    conversation.dbirth(metric("Good Count", 100, datatype=8, at_ms=T_MS), at_ms=T_MS + 2)  # its clock is ours
    assert stale(conversation.ndeath(3)) == {"spindle_speed": conversation.now, "parts_good": conversation.now}
    assert conversation.ndeath(3) == []
    assert "before the NBIRTH" in reasons(conversation.ddata(metric("Good Count", 101), seq=2))


def test_a_death_with_a_seq_is_accepted_and_counted() -> None:
    """The specification forbids it, some publishers send it: the node is dead all the same."""
    conversation = Conversation().born()
    answer = conversation.hear("NDEATH", payload(metric("bdSeq", 0, datatype=4), seq=3))
    assert set(stale(answer)) == {"parts_good", "state"}
    assert conversation.host.counts["seq_in_death"] == 1


@pytest.mark.parametrize("bd", [2, 4, None])
def test_the_late_will_of_an_older_session_is_ignored(bd: int | None) -> None:
    """NDEATH with another bdSeq, or none."""
    conversation = Conversation()
    conversation.nbirth(bd=3)
    conversation.dbirth(metric("Good Count", 100, datatype=8, at_ms=T_MS))
    assert conversation.ndeath(bd) == []
    assert len(conversation.ddata(metric("Good Count", 101, at_ms=T_MS + 1), seq=2)) == 1
    assert conversation.host.counts["deaths_ignored"] == 1


def test_a_new_session_whose_death_never_came_makes_the_old_values_unknown() -> None:
    """NBIRTH with the next bdSeq while we believe the node online: what the old session said ends there."""
    conversation = Conversation().born()
    answer = conversation.nbirth(bd=1, at_ms=T_MS + 5000)
    assert stale(answer) == {"parts_good": T + 5000 * MS, "state": T + 5000 * MS}


def test_the_death_of_a_device_is_at_its_own_time() -> None:
    """DDEATH: the metrics of that device are stale at the payload's timestamp; the node goes on."""
    conversation = Conversation()
    conversation.nbirth(metric("Speed", 5.0, datatype=10, at_ms=T_MS))
    conversation.dbirth(metric("Good Count", 100, alias=1, datatype=8, at_ms=T_MS))
    assert stale(conversation.hear("DDEATH", payload(at_ms=T_MS + 700, seq=2))) == {"parts_good": T + 700 * MS}
    assert "before its DBIRTH" in reasons(conversation.ddata(metric(value=101, alias=1), seq=3))
    assert conversation.asked() == ["spBv1.0/G/NCMD/E"]


def test_unknown_is_always_later_than_the_last_value() -> None:
    """The clock of the edge node is an hour ahead: its death still ends its last value."""
    conversation = Conversation().born()
    ahead = T_MS + 3_600_000
    conversation.ddata(metric(value=101, alias=1, at_ms=ahead), seq=2)
    assert stale(conversation.ndeath(0))["parts_good"] == ahead * MS + 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (metric(value=1, alias=99), "alias 99 is in no birth"),
        (metric("Never Born", 1), "'Never Born' is in no birth"),
    ],
)
def test_what_no_birth_described_is_not_guessed(data: bytes, reason: str) -> None:
    """Set aside with its reason, and the births are asked for."""
    conversation = Conversation().born()
    assert reason in reasons(conversation.ddata(data, seq=2))
    assert conversation.asked() == ["spBv1.0/G/NCMD/E"]


def test_a_payload_that_is_none_is_refused_and_births_are_asked_for() -> None:
    """Bytes that are no protobuf may have been anything, a birth too."""
    conversation = Conversation().born()
    assert "protobuf" in reasons(conversation.hear("DDATA", b"\xff\xff\xff"))
    assert conversation.asked() == ["spBv1.0/G/NCMD/E"]


def test_the_end_of_our_connection_makes_all_unknown_from_the_last_message_on() -> None:
    """The broker keeps nothing for a host that is away: what held before is not known to hold."""
    conversation = Conversation().born()
    conversation.ddata(metric(value=105, alias=1, at_ms=T_MS + 5), seq=9, at_ms=T_MS + 3)  # waits for 2 … 8
    heard = conversation.now
    first, *rest = conversation.host.ended(heard + 60 * S)
    assert good(first) == [("parts_good", 105, 5)]
    assert stale(rest) == {"parts_good": max(heard, T + 5 * MS + 1), "state": heard}
    assert conversation.host.ended(heard + 61 * S) == []


def test_state_is_not_mixed_up_between_nodes() -> None:
    """Two nodes with one alias each: every one reads by its own births."""
    conversation = Conversation(asset="km0/hall/{edge}/{device}")
    host = conversation.host
    for edge, name in (("e1", "Good Count"), ("e2", "Speed")):
        host.decode(Message(f"spBv1.0/G/NBIRTH/{edge}", payload(at_ms=T_MS, seq=0), T))
        host.decode(Message(f"spBv1.0/G/DBIRTH/{edge}/d", payload(metric(name, 1, alias=1, datatype=8), seq=1), T))
    answers = [
        host.decode(Message(f"spBv1.0/G/DDATA/{edge}/d", payload(metric(value=2, alias=1), at_ms=T_MS, seq=2), T))
        for edge in ("e1", "e2")
    ]
    said = [(one.asset, one.metric) for answer in answers for one in answer if isinstance(one, Sample)]
    assert said == [("km0/hall/e1/d", "parts_good"), ("km0/hall/e2/d", "spindle_speed")]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_the_session_is_clean_and_ends_with_the_connection(protocol: str) -> None:
    """A host application has no persistent session: Clean Start and expiry 0, or a clean session of MQTT 3.1.1."""
    settings = config(1883, topics=[SPARKPLUG], protocol=protocol).build(PLANT, Health())._settings()
    assert (settings.clean_start, settings.expiry_s) == (True, 0)
    assert settings.will is not None
    assert settings.will.topic == "spBv1.0/STATE/km0"


@pytest.mark.parametrize("kind", ["NDATA", "DDATA", "DBIRTH", "DDEATH"])
def test_what_comes_before_the_birth_of_its_node_is_refused(kind: str) -> None:
    """Data, births and deaths of devices: nothing is read, and the births are asked for."""
    conversation = Conversation()
    body = payload(metric("Good Count", 1, datatype=8, at_ms=T_MS), at_ms=T_MS, seq=4)
    assert f"{kind} came before the NBIRTH" in reasons(conversation.hear(kind, body))
    assert conversation.asked() == ["spBv1.0/G/NCMD/E"]


@pytest.mark.parametrize("kind", ["NBIRTH", "DBIRTH", "DDATA", "NDEATH"])
def test_what_an_edge_node_left_retained_is_old(kind: str) -> None:
    """Nothing but STATE may be retained: an old birth puts no node online, an old death ends none."""
    conversation = Conversation()
    name = f"spBv1.0/G/{kind}/E" + ("/D" if kind[0] == "D" else "")
    body = payload(metric("bdSeq", 0, datatype=4), metric("Good Count", 1, datatype=8), at_ms=T_MS, seq=0)
    with pytest.raises(MessageError, match="is retained"):
        conversation.host.decode(Message(name, body, T, True))
    assert conversation.asked() == ["spBv1.0/G/NCMD/E"]
    conversation.born()
    with pytest.raises(MessageError, match="is retained"):
        conversation.host.decode(Message(name, body, T, True))
    assert len(conversation.ddata(metric(value=101, alias=1, at_ms=T_MS + 1), seq=2)) == 1

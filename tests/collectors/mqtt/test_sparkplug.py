"""The Sparkplug dialect: the rules of Sparkplug B 3.0.0, one by one, from bytes to samples and to what we publish."""

import json
from typing import Any

import pytest

from collectors.mqtt.decoder import Message, MessageError
from collectors.mqtt.sparkplug import SparkplugHost
from collectors.mqtt.sparkplug_topic import SparkplugTopic
from telemetry.samples import Quality, Sample
from tests.collectors.mqtt.sparkplug_wire import metric, payload
from tests.support import shared_data

MS = 1_000_000
S = 1_000_000_000
T_MS = 1_795_305_600_000
T = T_MS * MS
PRESS = "km0/hall/plant1/press1"
RULES: dict[str, Any] = {
    "dialect": "sparkplug",
    "host_id": "km0",
    "asset": "km0/hall/plant1/press1",
    "node_asset": "km0/hall/plant1/edge1",
    "names": {"Good Count": "parts_good", "State": "state", "Speed": "spindle_speed", "Job": "product"},
    "states": {"RUNNING": "EXECUTING", "STOPPED": "NOT_EXECUTING"},
}


class Conversation:
    """A host application and what an edge node of group G, E with device D says to it."""

    def __init__(self, **changes: Any) -> None:
        self.host: SparkplugHost = SparkplugTopic.model_validate_json(json.dumps(RULES | changes)).decoder()
        self.now = T
        self.host.opening(T)

    def hear(self, kind: str, body: bytes, *, device: str = "D", after_ms: int = 1) -> list[Sample | MessageError]:
        self.now += after_ms * MS
        name = f"spBv1.0/G/{kind}/E" + (f"/{device}" if kind.startswith("D") else "")
        try:
            return self.host.decode(Message(name, body, self.now))
        except MessageError as error:
            return [error]

    def nbirth(self, *metrics: bytes, bd: int = 0, seq: int = 0, at_ms: int = T_MS) -> list[Sample | MessageError]:
        return self.hear("NBIRTH", payload(metric("bdSeq", bd, datatype=4), *metrics, at_ms=at_ms, seq=seq))

    def dbirth(self, *metrics: bytes, seq: int = 1, at_ms: int = T_MS) -> list[Sample | MessageError]:
        return self.hear("DBIRTH", payload(*metrics, at_ms=at_ms, seq=seq))

    def ddata(self, *metrics: bytes, seq: int, at_ms: int = T_MS, after_ms: int = 1) -> list[Sample | MessageError]:
        return self.hear("DDATA", payload(*metrics, at_ms=at_ms, seq=seq), after_ms=after_ms)

    def ndeath(self, bd: int | None) -> list[Sample | MessageError]:
        return self.hear("NDEATH", payload(*([] if bd is None else [metric("bdSeq", bd, datatype=4)])))

    def born(self) -> "Conversation":
        """With NBIRTH and a DBIRTH of Good Count (alias 1) = 100 and State (alias 2) = RUNNING."""
        self.nbirth()
        self.dbirth(
            metric("Good Count", 100, alias=1, datatype=8, at_ms=T_MS),
            metric("State", "RUNNING", alias=2, datatype=12, at_ms=T_MS),
        )
        return self

    def asked(self) -> list[str]:
        """Topics of what we publish now."""
        return [publication.topic for publication in self.host.say()]


def good(*answer: Sample | MessageError) -> list[tuple[str, float, int]]:
    """Metric, value and time [ms after T] of samples that are good; everything must be one."""
    assert all(isinstance(one, Sample) and one.quality == Quality.GOOD for one in answer), answer
    return [(one.metric, one.value, (one.time_ns - T) // MS) for one in answer if isinstance(one, Sample)]


def reasons(answer: list[Sample | MessageError]) -> str:
    assert answer
    assert all(isinstance(one, MessageError) for one in answer), answer
    return "; ".join(map(str, answer))


def stale(answer: list[Sample | MessageError]) -> dict[str, int]:
    """Metric and time [ns] of samples that say "not known from here on"; everything must be one."""
    assert all(isinstance(one, Sample) and one.quality == Quality.BAD for one in answer), answer
    return {one.metric: one.time_ns for one in answer if isinstance(one, Sample)}


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


# --- 5.2 births, aliases, sequence ---


def test_births_and_data_are_samples() -> None:
    """A birth names metric, alias and type; data has only the alias. Asset, metric, value and time are right."""
    conversation = Conversation()
    assert good(*conversation.nbirth(metric("Speed", 12.5, datatype=10, at_ms=T_MS + 1))) == [
        ("spindle_speed", 12.5, 1)
    ]
    born = conversation.dbirth(metric("Good Count", 100, alias=7, datatype=8, at_ms=T_MS + 2))
    assert good(*born) == [("parts_good", 100, 2)]
    (sample,) = conversation.ddata(metric(value=101, alias=7, at_ms=T_MS + 500), seq=2)
    assert sample == Sample(T + 500 * MS, PRESS, "parts_good", 101.0, "", Quality.GOOD, conversation.now)


def test_the_type_of_the_birth_reads_the_data() -> None:
    """Int16 −5 as 65531 in int_value, without a datatype in the data: the birth knew the type."""
    conversation = Conversation()
    conversation.nbirth(metric("Speed", 0, alias=1, datatype=2, field=10))
    (sample,) = conversation.hear("NDATA", payload(metric(value=65531, alias=1, field=10), at_ms=T_MS, seq=1))
    assert isinstance(sample, Sample)
    assert sample.value == -5


def test_what_the_plant_file_does_not_name_is_passed() -> None:
    """Metrics that are neither in `names` nor in the glossary make no sample and no dead letter."""
    conversation = Conversation().born()
    assert conversation.dbirth(metric("Oil", 1.0, alias=9, datatype=10), seq=2) == []
    assert conversation.ddata(metric(value=2.0, alias=9), seq=3) == []


@pytest.mark.parametrize("first", [0, 1, 200, 255])
def test_any_first_seq_is_accepted_and_counted_on_from(first: int) -> None:
    """The two chapters of the specification disagree on the seq of an NBIRTH."""
    conversation = Conversation()
    conversation.nbirth(seq=first)
    assert good(*conversation.dbirth(metric("Good Count", 1, datatype=8), seq=(first + 1) % 256)) == [
        ("parts_good", 1, 0)
    ]
    assert conversation.asked() == []


def test_seq_wraps_from_255_to_0() -> None:
    """300 messages in order: no gap."""
    conversation = Conversation().born()
    for n in range(300):
        assert len(conversation.ddata(metric(value=n, alias=1, at_ms=T_MS + n), seq=(n + 2) % 256)) == 1
    assert conversation.host.counts == {}


def test_messages_that_overtook_one_another_act_in_order() -> None:
    """seq 4, 3, 2: the first two wait; with 2 all three are there, in the order they were sent."""
    conversation = Conversation().born()
    assert conversation.ddata(metric(value=104, alias=1, at_ms=T_MS + 4), seq=4) == []
    assert conversation.ddata(metric(value=103, alias=1, at_ms=T_MS + 3), seq=3) == []
    answer = conversation.ddata(metric(value=102, alias=1, at_ms=T_MS + 2), seq=2)
    assert [value for _, value, _ in good(*answer)] == [102, 103, 104]
    assert conversation.host.expire(conversation.now + 60 * S) == []
    assert conversation.asked() == []


def test_a_gap_that_stays_ends_in_a_rebirth_request() -> None:
    """After the reorder timeout what waited is read, and the births are asked for, by name, without alias."""
    conversation = Conversation(reorder_timeout_s=2).born()
    conversation.ddata(metric(value=105, alias=1, at_ms=T_MS + 5), seq=5)
    waiting = conversation.now
    assert conversation.host.expire(waiting + 2 * S - 1) == []
    assert conversation.asked() == []
    assert good(*conversation.host.expire(waiting + 2 * S)) == [("parts_good", 105, 5)]
    (publication,) = conversation.host.say()
    assert (publication.topic, publication.qos, publication.retain) == ("spBv1.0/G/NCMD/E", 0, False)
    assert b"\x0a\x14Node Control/Rebirth" in publication.payload
    assert b"\x20\x0b\x70\x01" in publication.payload, "Boolean, true"
    assert conversation.host.counts["seq_gaps"] == 1
    assert good(*conversation.ddata(metric(value=106, alias=1, at_ms=T_MS + 6), seq=6)) == [("parts_good", 106, 6)]


def test_the_rebirth_request_is_the_known_one() -> None:
    """The vector of the fact sheet but for the metric's own time: NCMD at 1700000000000."""
    conversation = Conversation()
    conversation.now = 1_700_000_000_000 * MS - 1 * MS
    conversation.ddata(seq=5)
    (publication,) = conversation.host.say()
    time = bytes.fromhex("80d095ffbc31")
    expected = b"\x08" + time + b"\x12\x21\x0a\x14Node Control/Rebirth\x18" + time + b"\x20\x0b\x70\x01"
    assert publication.payload == expected


def test_rebirth_requests_are_rate_limited() -> None:
    """A node that says what nobody understands again and again is asked every 30 s, not for every message."""
    conversation = Conversation(rebirth_interval_s=30)
    asked = 0
    for _ in range(100):
        assert "before the NBIRTH" in reasons(conversation.ddata(metric(value=1, alias=1), seq=7, after_ms=1000))
        asked += len(conversation.asked())
    assert asked == 4  # at 0, 30, 60, 90 s


def test_a_late_message_is_read_by_its_own_time() -> None:
    """One that comes after the timeout has given it up is stored where it belongs, and the count does not go back."""
    conversation = Conversation().born()
    conversation.ddata(metric(value=103, alias=1, at_ms=T_MS + 3), seq=3)
    conversation.host.expire(conversation.now + 10 * S)
    assert good(*conversation.ddata(metric(value=102, alias=1, at_ms=T_MS + 2), seq=2)) == [("parts_good", 102, 2)]
    assert good(*conversation.ddata(metric(value=104, alias=1, at_ms=T_MS + 4), seq=4)) == [("parts_good", 104, 4)]
    assert conversation.host.counts["seq_late"] == 1


def test_a_rebirth_starts_the_count_anew_and_says_nothing_is_lost() -> None:
    """NBIRTH of the same bdSeq: aliases may change, values go on, nothing becomes unknown."""
    conversation = Conversation().born()
    conversation.nbirth(seq=0, at_ms=T_MS + 1000)
    again = conversation.dbirth(metric("Good Count", 120, alias=9, datatype=8, at_ms=T_MS + 1000), seq=1)
    assert good(*again) == [("parts_good", 120, 1000)]
    assert good(*conversation.ddata(metric(value=121, alias=9, at_ms=T_MS + 1001), seq=2)) == [
        ("parts_good", 121, 1001)
    ]
    assert "alias 1 is in no birth" in reasons(conversation.ddata(metric(value=1, alias=1), seq=3))


def test_a_device_that_is_not_born_again_is_unknown() -> None:
    """After a rebirth of the node, a device without DBIRTH within the reorder timeout is stale."""
    conversation = Conversation(reorder_timeout_s=2).born()
    conversation.nbirth(seq=0, at_ms=T_MS + 1000)
    limit = conversation.now + 2 * S
    assert conversation.host.expire(limit - 1) == []
    assert stale(conversation.host.expire(limit)) == {"parts_good": limit, "state": limit}
    assert conversation.host.expire(limit + S) == [], "said once"


def test_what_holds_is_said_again_at_the_time_of_the_birth() -> None:
    """A birth whose state carries the time of its last change: in force then, and when the birth was written.

    Else an outage that began after that change would seem to last for ever.
    """
    conversation = Conversation()
    conversation.nbirth(at_ms=T_MS + 9000)
    answer = conversation.dbirth(
        metric("State", "RUNNING", datatype=12, at_ms=T_MS + 1000),
        metric("temperature", 20.0, datatype=10, at_ms=T_MS + 1000),
        at_ms=T_MS + 9000,
    )
    assert good(*answer) == [("state", 3, 1000), ("state", 3, 9000), ("temperature", 20, 1000)]


def test_historical_values_keep_their_time_and_change_nothing_that_is_known_now() -> None:
    """is_historical: stored where they belong; a death after them counts from the latest live value."""
    conversation = Conversation().born()
    answer = conversation.ddata(metric(value=90, alias=1, at_ms=T_MS - 60_000, historical=True), seq=2)
    assert good(*answer) == [("parts_good", 90, -60_000)]
    assert stale(conversation.ndeath(0))["parts_good"] == conversation.now


@pytest.mark.parametrize(
    ("code", "quality"),
    [(0, Quality.BAD), (192, Quality.GOOD), (500, Quality.BAD), (64, Quality.UNCERTAIN), (None, Quality.GOOD)],
)
def test_the_quality_property(code: int | None, quality: Quality) -> None:
    """0 BAD, 192 GOOD, 500 STALE; the rest as in OPC classic."""
    (sample,) = Conversation().born().ddata(metric(value=1, alias=1, quality=code), seq=2)
    assert isinstance(sample, Sample)
    assert sample.quality == quality


def test_null_says_not_known() -> None:
    """is_null is BAD from its time on."""
    (sample,) = Conversation().born().ddata(metric(alias=1, at_ms=T_MS + 5), seq=2)
    assert stale([sample]) == {"parts_good": T + 5 * MS}


def test_a_value_without_any_time_is_uncertain() -> None:
    """Neither metric nor payload has a timestamp: the time of arrival stands in."""
    conversation = Conversation().born()
    (sample,) = conversation.hear("DDATA", payload(metric(value=1, alias=1), seq=2))
    assert isinstance(sample, Sample)
    assert (sample.time_ns, sample.quality) == (conversation.now, Quality.UNCERTAIN)


@pytest.mark.parametrize(("datatype", "kind", "field"), [(16, "DataSet", 17), (19, "Template", 18)])
def test_data_sets_and_templates_are_set_aside_by_name(datatype: int, kind: str, field: int) -> None:
    """A dead letter names the metric; what stands beside it is read."""
    conversation = Conversation()
    conversation.nbirth()
    structured = metric("Recipe", b"\x08\x01", datatype=datatype, field=field)
    first, second = conversation.dbirth(structured, metric("Good Count", 5, datatype=8))
    assert reasons([first]).startswith(f"'Recipe' is a {kind}")
    assert good(second) == [("parts_good", 5, 0)]


def test_text_that_is_no_utf8_is_refused() -> None:
    """As a value and as a name: protobuf hands out bytes instead of text. Found by fuzzing."""
    conversation = Conversation().born()
    text = metric("State", "stopped", alias=2).replace(b"stopped", b"\xfftopped")
    assert "not UTF-8" in reasons(conversation.ddata(text, seq=2))
    name = metric("State", "STOPPED", datatype=12).replace(b"\x0a\x05State", b"\x0a\x05\xfftate")
    assert "no name that is text" in reasons(conversation.dbirth(name, seq=3))


def test_an_array_of_one_is_its_element() -> None:
    """Int16Array [−30000] packed little-endian; a longer one has no single value."""
    conversation = Conversation()
    conversation.nbirth()
    assert good(*conversation.dbirth(metric("Speed", b"\xd0\x8a", datatype=23))) == [("spindle_speed", -30000, 0)]
    refused = conversation.dbirth(metric("Speed", b"\xd0\x8a\x30\x75", datatype=23), seq=2)
    assert "array of 2" in reasons(refused)


# --- 5.3 duties of a host application ---


def test_the_death_of_a_node_makes_all_unknown_when_we_hear_of_it() -> None:
    """NDEATH with the bdSeq of the birth: node and devices offline, stale at host receive time, once."""
    conversation = Conversation()
    conversation.nbirth(metric("Speed", 5.0, datatype=10, at_ms=T_MS), bd=3)
    conversation.dbirth(metric("Good Count", 100, datatype=8, at_ms=T_MS))
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
    conversation.ddata(metric(value=105, alias=1, at_ms=T_MS + 5), seq=9)  # waits for 2 … 8
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

"""The Sparkplug dialect: births, aliases, sequence, quality: the rules of Sparkplug B 3.0.0, one by one."""

import pytest

from telemetry.samples import Quality, Sample
from tests.collectors.mqtt.sparkplug_conversation import MS, PRESS, T_MS, Conversation, S, T, good, reasons, stale
from tests.collectors.mqtt.sparkplug_wire import metric, payload


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
    conversation = Conversation()
    conversation.nbirth()
    assert conversation.dbirth(metric("Oil", 1.0, alias=9, datatype=10)) == []
    assert conversation.ddata(metric(value=2.0, alias=9), seq=2) == []


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
    again = conversation.dbirth(
        metric("Good Count", 120, alias=9, datatype=8, at_ms=T_MS + 1000),
        metric("State", "RUNNING", alias=2, datatype=12, at_ms=T_MS + 1000),
        seq=1,
    )
    assert good(*again) == [("parts_good", 120, 1000), ("state", 3, 1000)]
    assert good(*conversation.ddata(metric(value=121, alias=9, at_ms=T_MS + 1001), seq=2)) == [
        ("parts_good", 121, 1001)
    ]
    assert "alias 1 is in no birth" in reasons(conversation.ddata(metric(value=1, alias=1), seq=3))


def test_a_device_that_is_not_born_again_is_unknown() -> None:
    """After a rebirth of the node, a device without DBIRTH within the reorder timeout is stale."""
    conversation = Conversation(reorder_timeout_s=2).born()
    conversation.now = T + 999 * MS
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
    answer = conversation.ddata(metric(value=90, alias=1, at_ms=T_MS - 60_000, historical=True), seq=2, at_ms=T_MS + 3)
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
    assert "no name that is text" in reasons(conversation.dbirth(name, seq=3)[:1])


def test_an_array_of_one_is_its_element() -> None:
    """Int16Array [−30000] packed little-endian; a longer one has no single value."""
    conversation = Conversation()
    conversation.nbirth()
    assert good(*conversation.dbirth(metric("Speed", b"\xd0\x8a", datatype=23))) == [("spindle_speed", -30000, 0)]
    refused = conversation.dbirth(metric("Speed", b"\xd0\x8a\x30\x75", datatype=23), seq=2)
    assert "array of 2" in reasons(refused)


def test_a_device_born_again_has_the_aliases_of_its_new_birth_only() -> None:
    """A DBIRTH replaces the one before: an alias and a metric that it leaves out are no longer of a birth."""
    conversation = Conversation().born()
    answer = conversation.dbirth(metric("Good Count", 110, alias=5, datatype=8, at_ms=T_MS + 9), seq=2, at_ms=T_MS + 9)
    assert good(answer[0]) == [("parts_good", 110, 9)]
    assert stale(answer[1:]) == {"state": T + 9 * MS}, "what is in no birth is not known"
    assert "alias 1 is in no birth" in reasons(conversation.ddata(metric(value=111, alias=1), seq=3))
    assert "'State' is in no birth" in reasons(conversation.ddata(metric("State", "RUNNING"), seq=4))
    assert len(good(*conversation.ddata(metric(value=111, alias=5, at_ms=T_MS + 10), seq=5))) == 1


def test_an_alias_of_two_metrics_reads_neither() -> None:
    """Aliases are unique in an edge node, its devices included: what a doubled one means is not guessed."""
    conversation = Conversation()
    conversation.nbirth(metric("Speed", 5.0, alias=1, datatype=10, at_ms=T_MS))
    born = conversation.dbirth(metric("Good Count", 100, alias=1, datatype=8, at_ms=T_MS))
    assert "alias 1 is 'Good Count' and 'Speed'" in reasons([one for one in born if not isinstance(one, Sample)])
    assert good(*(one for one in born if isinstance(one, Sample))) == [("parts_good", 100, 0)]
    assert "alias 1 is in no birth" in reasons(conversation.ddata(metric(value=7, alias=1), seq=2))
    assert len(conversation.ddata(metric("Good Count", 101, at_ms=T_MS + 1), seq=3)) == 1, "by name it is clear"

"""The Sparkplug dialect where clocks differ or are set, connections break, and what waits for its turn."""

from typing import Any

import pytest

from collectors.mqtt.decoder import Message, MessageError
from telemetry.samples import Quality, Sample
from tests.collectors.mqtt.sparkplug_conversation import MS, T_MS, Conversation, S, T, good, reasons, stale
from tests.collectors.mqtt.sparkplug_wire import metric, payload

BEHIND_MS = 5000


def in_force(*answers: Any) -> tuple[float, int]:
    """Value and quality of the state that is in force at the end of all time."""
    states = [one for answer in answers for one in answer if isinstance(one, Sample) and one.metric == "state"]
    last = max(reversed(states), key=lambda sample: sample.time_ns)  # of one instant, what was said last
    return last.value, last.quality


def running(conversation: Conversation, bd: int, at_ms: int) -> list[Any]:
    """Births of a node and its device, whose state is RUNNING since ever."""
    state = metric("State", "RUNNING", alias=2, datatype=12, at_ms=T_MS)
    return conversation.nbirth(bd=bd, at_ms=at_ms) + conversation.dbirth(state, at_ms=at_ms)


def test_a_birth_ends_an_outage_though_the_clock_of_the_node_is_behind_ours() -> None:
    """Five seconds behind, away for one: by our clock the birth would lie before the outage, and never be in force."""
    conversation = Conversation()
    conversation.now = T + BEHIND_MS * MS
    before = running(conversation, 0, T_MS)
    lost = conversation.host.ended(conversation.now)
    assert in_force(before, lost)[1] == Quality.BAD
    conversation.now += S
    assert in_force(before, lost, running(conversation, 1, T_MS + 1000)) == (3.0, Quality.GOOD)


def test_a_birth_right_after_a_death_is_in_force_though_the_clock_of_the_node_is_behind_ours() -> None:
    """A broker publishes the will when the same client connects anew: death and birth come within milliseconds."""
    conversation = Conversation()
    conversation.now = T + BEHIND_MS * MS
    before = running(conversation, 0, T_MS)
    conversation.now += 60 * S
    dead = conversation.ndeath(0)
    assert stale(dead)["state"] > T + 59 * S, "it was known until it died"
    again = running(conversation, 1, T_MS + 60_000 + 3)
    assert in_force(before, dead, again) == (3.0, Quality.GOOD)


def test_a_node_that_is_silent_is_asked_for_its_births_after_our_connection_broke() -> None:
    """It reports by exception, and nothing changes all night: unless asked, it would stay unknown until morning."""
    conversation = Conversation().born()
    conversation.host.ended(conversation.now)
    conversation.host.opening(conversation.now + S)
    conversation.host.expire(conversation.now + S)
    assert conversation.asked() == ["spBv1.0/G/NCMD/E"]


def test_a_dead_node_is_not_asked_after_our_connection_broke() -> None:
    """It comes with a birth of its own."""
    conversation = Conversation().born()
    conversation.ndeath(0)
    conversation.host.ended(conversation.now)
    conversation.host.expire(conversation.now + S)
    assert conversation.asked() == []


def test_what_waits_for_its_turn_is_not_lost_by_a_birth() -> None:
    """Message 2 is missing, 3 waits for it, and somebody asked the node for its births meanwhile."""
    conversation = Conversation().born()
    assert conversation.ddata(metric(value=105, alias=1, at_ms=T_MS + 50), seq=3, at_ms=T_MS + 50) == []
    assert good(*conversation.nbirth(at_ms=T_MS + 100)) == [("parts_good", 105, 50)]


def test_what_came_before_its_own_birth_waits_for_it() -> None:
    """Data of the next session overtook both its births: it is read by them, not by those of the session before."""
    conversation = Conversation().born()
    later = T_MS + 9000
    assert conversation.ddata(metric(value=7, alias=2, at_ms=later + 3), seq=3, at_ms=later + 3) == []
    conversation.nbirth(bd=1, at_ms=later)
    assert good(*conversation.dbirth(metric("Good Count", 1, alias=2, datatype=8, at_ms=later), at_ms=later)) == [
        ("parts_good", 1, 9000)
    ]
    assert good(*conversation.ddata(seq=2, at_ms=later + 2)) == [("parts_good", 7, 9003)]
    assert conversation.asked() == []


def test_what_waits_is_not_held_up_by_a_clock_that_is_set_back() -> None:
    """An hour back: the two seconds that a message may wait are over all the same, and births are asked for."""
    conversation = Conversation().born()
    conversation.ddata(metric(value=105, alias=1, at_ms=T_MS + 50), seq=3, at_ms=T_MS + 50)
    assert good(*conversation.host.expire(conversation.now - 3600 * S)) == [("parts_good", 105, 50)]
    assert conversation.asked() == ["spBv1.0/G/NCMD/E"]


def test_births_are_asked_for_again_after_the_clock_was_set_back() -> None:
    """Asked a moment ago, by a clock that is set back an hour right after: not an hour of silence."""
    conversation = Conversation()
    conversation.ddata(seq=5)
    assert conversation.asked() == ["spBv1.0/G/NCMD/E"]
    conversation.now -= 3600 * S
    conversation.ddata(seq=6)
    assert conversation.asked() == ["spBv1.0/G/NCMD/E"]


def test_a_time_that_cannot_be_moves_no_death() -> None:
    """A state of the year 2100 is not kept; that the node died today is."""
    conversation = Conversation().born()
    conversation.ddata(metric(value="STOPPED", alias=2, at_ms=4_102_444_800_000), seq=2)
    assert stale(conversation.ndeath(0))["state"] < T + S


def test_a_message_time_that_cannot_be_moves_no_death() -> None:
    """Microseconds for milliseconds, once: that the node died a minute later is said, at that minute."""
    conversation = Conversation().born()
    conversation.ddata(metric(value=101, alias=1, at_ms=T_MS + 5), seq=2, at_ms=(T_MS + 5) * 1000)
    conversation.now = T + 60 * S
    assert T + 59 * S < stale(conversation.ndeath(0))["state"] < T + 61 * S


def test_one_message_from_the_future_moves_no_death() -> None:
    """A time two hours ahead, once: a clock in summer and in another zone."""
    conversation = Conversation().born()
    conversation.now = T + 60 * S
    conversation.ddata(metric(value=101, alias=1, at_ms=T_MS + 60_000), seq=2, at_ms=T_MS + 7_260_000)
    conversation.now = T + 70 * S
    conversation.ddata(metric(value=102, alias=1, at_ms=T_MS + 70_000), seq=3, at_ms=T_MS + 70_000)
    conversation.now = T + 120 * S
    assert T + 119 * S < stale(conversation.ndeath(0))["state"] < T + 121 * S


def test_a_clock_that_was_set_ahead_is_believed_when_it_says_so_twice() -> None:
    """By its own clock, which its values are written by, the node died two hours later."""
    conversation = Conversation().born()
    for seq, at_s in ((2, 60), (3, 70)):
        conversation.now, ahead_ms = T + at_s * S, T_MS + at_s * 1000 + 7_200_000
        conversation.ddata(metric(value=99 + seq, alias=1, at_ms=ahead_ms), seq=seq, at_ms=ahead_ms)
    conversation.now = T + 120 * S
    assert T + 7_319 * S < stale(conversation.ndeath(0))["state"] < T + 7_321 * S


def test_a_birth_without_a_time_that_can_be_still_says_what_is_in_force() -> None:
    """The node writes microseconds for milliseconds in all of its messages: its state is known after an outage."""
    conversation = Conversation()
    before = running(conversation, 0, T_MS * 1000)
    conversation.now = T + 60 * S
    dead = conversation.ndeath(0)
    conversation.now = T + 120 * S
    assert in_force(before, dead)[1] == Quality.BAD
    assert in_force(before, dead, running(conversation, 1, (T_MS + 120_000) * 1000)) == (3.0, Quality.GOOD)


def test_a_message_that_came_late_does_not_say_that_the_clock_is_behind() -> None:
    """Ten minutes late by a backlog; the node dies fifty minutes later, and its state was known until then."""
    conversation = Conversation().born()
    conversation.now = T + 600 * S
    conversation.ddata(metric(value=101, alias=1, at_ms=T_MS + 5), seq=2, at_ms=T_MS + 5)
    conversation.now = T + 3600 * S
    assert T + 3599 * S < stale(conversation.ndeath(0))["state"] < T + 3601 * S


def test_a_birth_ends_an_outage_though_the_clock_of_the_node_was_set_back() -> None:
    """An hour back while the node was heard: its death is placed by the clock that it had, its birth by the new."""
    conversation = Conversation()
    before = running(conversation, 0, T_MS)
    conversation.now = T + 60 * S
    set_back = conversation.ddata(seq=2, at_ms=T_MS + 60_000 - 3_600_000)
    dead = conversation.ndeath(0)
    assert in_force(before, set_back, dead)[1] == Quality.BAD
    conversation.now = T + 70 * S
    again = running(conversation, 1, T_MS + 70_000 - 3_600_000)
    assert in_force(before, set_back, dead, again) == (3.0, Quality.GOOD)


def test_until_a_clock_that_was_set_back_has_caught_up_each_new_value_is_in_force() -> None:
    """What a birth said to be in force at the instant of the death, which is still to come by the clock of the node,
    does not overtake what happens meanwhile: also what is said as a past, and after births that were asked for."""
    back = 3_600_000
    conversation = Conversation()
    said = running(conversation, 0, T_MS)
    conversation.now = T + 60 * S
    said += conversation.ddata(seq=2, at_ms=T_MS + 60_000 - back) + conversation.ndeath(0)
    conversation.now = T + 70 * S
    said += running(conversation, 1, T_MS + 70_000 - back)

    def state(word: str, second: int, seq: int, *, historical: bool = False) -> None:
        at_ms = T_MS + second * 1000 - back
        said.extend(
            conversation.ddata(metric(value=word, alias=2, at_ms=at_ms, historical=historical), seq=seq, at_ms=at_ms)
        )

    state("STOPPED", 80, 2)
    assert in_force(said) == (2.0, Quality.GOOD)
    state("RUNNING", 75, 3, historical=True)
    assert in_force(said) == (2.0, Quality.GOOD), "it was older"
    state("RUNNING", 90, 4, historical=True)
    assert in_force(said) == (3.0, Quality.GOOD)
    state_now = metric("State", "RUNNING", alias=2, datatype=12, at_ms=T_MS + 90_000 - back)
    said += conversation.nbirth(bd=1, at_ms=T_MS + 100_000 - back)
    said += conversation.dbirth(state_now, at_ms=T_MS + 100_000 - back)
    state("STOPPED", 110, 2)
    assert in_force(said) == (2.0, Quality.GOOD)
    state("RUNNING", 3_700, 3)
    state("STOPPED", 3_710, 4)
    assert in_force(said) == (2.0, Quality.GOOD)
    assert max(one.time_ns for one in said if isinstance(one, Sample)) == T + 110 * S, "it has caught up"


def test_made_up_devices_fill_no_memory() -> None:
    """Births of ever new devices are refused at some point; those known before are still read."""
    conversation = Conversation().born()
    answers = [conversation.hear("DBIRTH", payload(at_ms=T_MS, seq=n % 256), device=f"x{n}") for n in range(2, 6002)]
    assert "devices of one edge node" in reasons(answers[-1])
    assert good(*conversation.ddata(metric(value=101, alias=1, at_ms=T_MS + 9), seq=6002 % 256)) == [
        ("parts_good", 101, 9)
    ]


def test_a_device_too_many_does_not_make_its_node_tell_all_births_again_and_again() -> None:
    """Its birth would be refused once more; where a device is dead, the new one takes its place."""
    conversation = Conversation().born()
    for n in range(2, 5003):
        conversation.hear("DBIRTH", payload(at_ms=T_MS, seq=n % 256), device=f"x{n}")
    conversation.ddata(seq=5003 % 256)
    conversation.now += 60 * S
    state = metric("State", "RUNNING", datatype=12, at_ms=T_MS)
    conversation.hear("DDATA", payload(state, seq=5004 % 256), device="new")
    assert conversation.asked() == []
    conversation.hear("DDEATH", payload(at_ms=T_MS, seq=5005 % 256), device="x7")
    conversation.hear("DDATA", payload(state, seq=5006 % 256), device="new")
    assert conversation.asked() == ["spBv1.0/G/NCMD/E"]
    assert good(*conversation.hear("DBIRTH", payload(state, at_ms=T_MS, seq=5007 % 256), device="new")) == [
        ("state", 3, 0)
    ]


def test_no_answer_is_published_to_a_topic_that_no_broker_allows() -> None:
    """What claims to be a broker sends "+" as the name of a group: refused, and nothing is said to it."""
    conversation = Conversation()
    with pytest.raises(MessageError, match="no topic of an edge node"):
        conversation.host.decode(Message("spBv1.0/+/NDATA/E", payload(), T))
    assert conversation.asked() == []

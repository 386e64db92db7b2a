"""The Sparkplug dialect where a node was not heard and tells later what it kept: what is known again, what is not."""

from typing import Any

from telemetry.samples import Quality, Sample
from tests.collectors.mqtt.sparkplug_conversation import T_MS, Conversation, S, T, good, stale
from tests.collectors.mqtt.sparkplug_wire import metric, payload

EACH = "km0/hall/plant1/{device}"
GOOD, BAD = Quality.GOOD, Quality.BAD


def over(*answers: Any) -> dict[tuple[str, int], tuple[float, int]]:
    """What remains of all answers, the last word of an instant: (metric, time [ns after T]) → value and quality."""
    return {
        (one.metric, one.time_ns - T): (one.value, one.quality)
        for answer in answers
        for one in answer
        if isinstance(one, Sample)
    }


def test_a_node_that_stores_and_forwards_leaves_no_gap() -> None:
    """It died after a minute and comes back after two, with what it kept: a part counted while its death was on the way
    to us, one later. The state, of which it tells nothing, was RUNNING all the time; without history it is unknown."""
    conversation = Conversation()
    births = conversation.nbirth() + conversation.dbirth(
        metric("Good Count", 100, alias=1, datatype=8, at_ms=T_MS),
        metric("State", "RUNNING", alias=2, datatype=12, at_ms=T_MS),
    )
    conversation.now = T + 60 * S
    died = conversation.ndeath(0)
    at_ns = stale(died)["state"] - T
    assert 59 * S < at_ns < 61 * S
    later = T_MS + 120_000
    again = conversation.nbirth(bd=1, at_ms=later) + conversation.dbirth(
        metric("Good Count", 102, alias=1, datatype=8, at_ms=T_MS + 90_000),
        metric("State", "RUNNING", alias=2, datatype=12, at_ms=T_MS),
        at_ms=later,
    )
    assert over(births, died, again)["state", at_ns][1] == Quality.BAD
    meanwhile = conversation.ddata(metric(value=102, alias=1, at_ms=T_MS + 90_000, historical=True), seq=2, at_ms=later)
    kept = over(births, died, again, meanwhile)
    assert kept["state", at_ns] == (3.0, Quality.GOOD)
    assert kept["parts_good", at_ns] == (100.0, Quality.GOOD)
    before = conversation.ddata(metric(value=101, alias=1, at_ms=T_MS + 59_000, historical=True), seq=3, at_ms=later)
    kept = over(births, died, again, meanwhile, before)
    assert kept["parts_good", at_ns] == (101.0, Quality.GOOD)
    assert kept["parts_good", 90 * S] == (102.0, Quality.GOOD)


def counted(value: int, at_s: int) -> bytes:
    """A count that the node kept, `at_s` [s] after T."""
    return metric("Good Count", value, datatype=8, at_ms=T_MS + at_s * 1000, historical=True)


def reborn(conversation: Conversation, bd: int, at_s: int) -> list[Any]:
    """The births of a session, written and heard `at_s` [s] after T; the state is RUNNING since ever."""
    conversation.now = T + at_s * S
    later = T_MS + at_s * 1000
    state = metric("State", "RUNNING", alias=2, datatype=12, at_ms=T_MS)
    count = metric("Good Count", 100, alias=1, datatype=8, at_ms=T_MS)
    return conversation.nbirth(bd=bd, at_ms=later) + conversation.dbirth(count, state, at_ms=later)


def test_a_node_that_dies_again_before_it_tells_what_it_kept_leaves_no_gap_either() -> None:
    """Our connection broke; the node gave birth when we asked, and died at once, as one does that was told only then
    that its primary host was gone. What it kept comes with its next births, and is of the first outage alone."""
    conversation = Conversation()
    said = reborn(conversation, 0, 0)
    lost = conversation.host.ended(conversation.now)
    first_ns = stale(lost)["state"] - T
    said += lost + reborn(conversation, 0, 600)
    conversation.now = T + 601 * S
    died = conversation.ndeath(0)
    second_ns = stale(died)["state"] - T
    said += died + reborn(conversation, 1, 603)
    assert over(said)["state", first_ns] == over(said)["state", second_ns] == (0.0, BAD)
    said += conversation.ddata(counted(101, 300), seq=2, at_ms=T_MS + 603_000)
    assert over(said)["state", first_ns] == (3.0, GOOD)
    assert over(said)["state", second_ns] == (0.0, BAD), "of these two seconds it has told nothing"
    said += conversation.ddata(counted(101, 602), seq=3, at_ms=T_MS + 603_000)
    assert over(said)["state", second_ns] == (3.0, GOOD)


def test_a_birth_that_cannot_be_read_makes_nothing_known() -> None:
    """It died, its births tell a state that nobody knows, it dies again: of a state unknown since the first death
    nothing is told by what it kept of the second."""
    conversation = Conversation()
    said = reborn(conversation, 0, 0)
    conversation.now = T + 60 * S
    died = conversation.ndeath(0)
    first_ns = stale(died)["state"] - T
    said += died
    for session, at_s in ((1, 120), (2, 240)):
        conversation.now, later = T + at_s * S, T_MS + at_s * 1000
        odd = metric("State", "NO SUCH WORD", alias=2, datatype=12, at_ms=later)
        count = metric("Good Count", 100, alias=1, datatype=8, at_ms=T_MS)
        said += conversation.nbirth(bd=session, at_ms=later) + conversation.dbirth(count, odd, at_ms=later)
        if session == 1:
            conversation.now = T + 180 * S
            said += conversation.ndeath(1)
    said += conversation.ddata(counted(101, 200), seq=2, at_ms=T_MS + 240_000)
    assert {at: told for (name, at), told in over(said).items() if name == "state" and at > 0} == {first_ns: (0.0, BAD)}


def test_what_happened_before_or_after_an_outage_says_nothing_of_it() -> None:
    """A value of the day before, one that was heard, and one of a later outage: nobody knows what was kept of this."""
    conversation = Conversation()
    said = reborn(conversation, 0, 0)
    conversation.now = T + 60 * S
    died = conversation.ndeath(0)
    at_ns = stale(died)["state"] - T
    said += died + reborn(conversation, 1, 120)
    kept = counted(99, -86_400), counted(100, 0), counted(107, 200)
    answer = conversation.ddata(*kept, seq=2, at_ms=T_MS + 201_000)
    assert len(answer) == 3
    assert over(said, answer)["state", at_ns] == (0.0, BAD)


def test_what_a_node_said_itself_to_be_unknown_stays_so_when_another_device_tells_of_the_past() -> None:
    """It was heard all the time, and device D is dead since a minute: the past of another device tells nothing of D."""
    conversation = Conversation(asset=EACH).born()
    count = metric("Good Count", 5, datatype=8, at_ms=T_MS)
    conversation.hear("DBIRTH", payload(count, at_ms=T_MS, seq=2), device="F")
    conversation.now = T + 60 * S
    assert stale(conversation.hear("DDEATH", payload(at_ms=T_MS + 60_000, seq=3)))["state"] == T + 60 * S
    answer = conversation.hear("DDATA", payload(counted(6, 10), at_ms=T_MS + 61_000, seq=4), device="F")
    assert good(*answer) == [("parts_good", 6, 10_000)]


def died_and_back_with_one_device(conversation: Conversation) -> tuple[list[Any], int]:
    """What a node said that died after a minute, came back after two with its device F alone and told what that had
    kept; and from when on device D is unknown [ns after T]."""
    count = metric("Good Count", 5, datatype=8, at_ms=T_MS)
    said = reborn(conversation, 0, 0) + conversation.hear("DBIRTH", payload(count, at_ms=T_MS, seq=2), device="F")
    conversation.now = T + 60 * S
    died = conversation.ndeath(0)
    at_ns = stale([one for one in died if isinstance(one, Sample) and one.asset.endswith("D")])["state"] - T
    conversation.now, later = T + 120 * S, T_MS + 120_000
    said += died + conversation.nbirth(bd=1, at_ms=later)
    said += conversation.hear("DBIRTH", payload(count, at_ms=later, seq=1), device="F")
    said += conversation.hear("DDATA", payload(counted(6, 90), at_ms=later, seq=2), device="F")
    return said, at_ns


def test_a_device_that_is_born_later_than_its_node_was_not_known_meanwhile() -> None:
    """The node tells what it kept, of its device F. D may have died any time in the outage: it comes an hour later."""
    conversation = Conversation(asset=EACH)
    said, at_ns = died_and_back_with_one_device(conversation)
    conversation.now, later = T + 3600 * S, T_MS + 3_600_000
    state = metric("State", "RUNNING", datatype=12, at_ms=T_MS)
    said += conversation.hear("DBIRTH", payload(state, at_ms=later, seq=3), device="D")
    assert over(said)["state", at_ns] == (0.0, BAD)
    assert over(said)["state", 3600 * S] == (3.0, GOOD)
    assert over(said)["parts_good", at_ns] == (5.0, GOOD)


def test_a_device_that_is_born_after_its_node_told_of_the_past_is_known_again_too() -> None:
    """Births and what was kept are mixed: device by device."""
    conversation = Conversation(asset=EACH)
    said, at_ns = died_and_back_with_one_device(conversation)
    state = metric("State", "RUNNING", datatype=12, at_ms=T_MS)
    said += conversation.hear("DBIRTH", payload(state, at_ms=T_MS + 120_000, seq=3), device="D")
    assert over(said)["state", at_ns] == (3.0, GOOD)

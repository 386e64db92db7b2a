"""The account of a verification: what is excused, what is not, one identity at a time."""

from pathlib import Path

import pytest

from collectors.mqtt.decoder import MessageError
from km0.samples_account import Samples, account, latest
from pipeline.ingest.spool import Spool
from simulators.faults import Done, Fault
from simulators.journal import Published
from simulators.scenario import open_scenario
from telemetry.samples import SECOND_NS, Sample
from tests.collectors.mqtt.sparkplug_conversation import T_MS, Conversation
from tests.collectors.mqtt.sparkplug_wire import metric, payload
from tests.contracts.memory import MemoryStore

CELL = open_scenario("machining-cell").model_copy(update={"faults": (Fault(kind="frozen", at_min=470),)})
LINE = open_scenario("packaging-line")
LATHE = CELL.machines[0].path
T0 = 1_795_000_000 * SECOND_NS
ALARMS = [Published(LATHE, "alarm", T0 + second * SECOND_NS, 700) for second in range(5)]


def stored(alarms: list[Published], late_ns: int = 0) -> list[Sample]:
    return [Sample(one.time_ns + late_ns, one.asset, one.metric, float(one.value)) for one in alarms]


async def accounted(folder: Path, samples: list[Sample], unheard: list[Published]) -> Samples:
    """The account of five alarms beside a wire that broke, of which these are stored and those nobody heard."""
    store, done = MemoryStore(), Done(unheard=[(one.asset, one.metric, one.time_ns) for one in unheard])
    store.write(samples)
    async with Spool(folder / "spool.sqlite") as spool:
        return account(store, spool.dead_letters, len(samples), ALARMS, latest(ALARMS), done, CELL)


async def test_an_alarm_that_somebody_heard_is_not_excused(tmp_path: Path) -> None:
    """A wire breaks in the scenario, and three of five alarms are nowhere: two of them were acknowledged."""
    found = await accounted(tmp_path, stored(ALARMS[:2]), unheard=ALARMS[2:3])
    assert (found.sent, found.stored, found.lost, found.lost_on_the_way) == (5, 2, 3, 1)
    assert not found.ok


async def test_alarms_that_nobody_heard_are_lost_on_the_way(tmp_path: Path) -> None:
    """While the server was cut off three were raised; one more was never acknowledged and yet is stored."""
    found = await accounted(tmp_path, stored(ALARMS[:2]), unheard=ALARMS[1:])
    assert (found.lost, found.lost_on_the_way, found.invented) == (3, 3, 0)
    assert found.ok


@pytest.mark.parametrize("unheard", [[], ALARMS])
async def test_as_many_alarms_under_other_times_are_lost_and_invented(tmp_path: Path, unheard: list[Published]) -> None:
    """Five were published and five are stored, none of them at its time."""
    found = await accounted(tmp_path, stored(ALARMS, late_ns=5 * SECOND_NS + 7), unheard)
    assert (found.stored, found.lost, found.invented) == (0, 5, 5)
    assert not found.ok


@pytest.mark.parametrize("broken", [True, False])
async def test_what_a_host_heard_before_the_births_is_odd_only_where_no_wire_broke(
    tmp_path: Path, broken: bool
) -> None:
    """It comes back, asks for the births and hears data before them; garbage is odd in any case."""
    conversation = Conversation().born()
    conversation.host.ended(conversation.now)
    said = [payload(metric(value=1, alias=number, at_ms=T_MS), seq=number) for number in (2, 1, 77)]
    answers = [(said[0], conversation.hear("DDATA", said[0])), (b"\xff", conversation.hear("DDATA", b"\xff"))]
    conversation.nbirth()
    answers.append((said[1], conversation.hear("DDATA", said[1])))
    conversation.dbirth(metric("Good Count", 100, alias=1, datatype=8, at_ms=T_MS), seq=2)
    answers.append((said[2], conversation.hear("DDATA", payload(metric(value=1, alias=77, at_ms=T_MS), seq=3))))
    scenario = LINE.model_copy(update={"faults": (Fault(kind="half-open", at_min=90),) if broken else ()})
    async with Spool(tmp_path / "spool.sqlite") as spool:
        for body, errors in answers:
            (error,) = errors
            assert isinstance(error, MessageError)
            await spool.set_aside("line:a/topic", str(error), body)
        found = account(MemoryStore(), spool.dead_letters, 0, [], {}, Done(), scenario)
    assert (found.set_aside, found.set_aside_again, found.set_aside_odd) == ((4, 2, 2) if broken else (4, 0, 4))

"""The account of a verification: what is excused, what is not, one identity at a time."""

from pathlib import Path

import pytest

from km0.samples_account import Samples, account, latest
from pipeline.ingest.spool import Spool
from simulators.faults import Done, Fault
from simulators.journal import Published
from simulators.scenario import open_scenario
from telemetry.samples import SECOND_NS, Sample
from tests.contracts.memory import MemoryStore

CELL = open_scenario("machining-cell").model_copy(update={"faults": (Fault(kind="frozen", at_min=470),)})
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

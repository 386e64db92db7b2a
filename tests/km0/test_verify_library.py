"""Every scenario of the library through the whole platform, with and without faults, on both stores."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from km0.verification import Verification, verified
from km0.verify import chosen_faults, opened_store
from simulators.faults import FAULTS
from simulators.nursery import Nursery
from simulators.scenario import library, open_scenario
from tests.pipeline.stores.influxd import Influxd
from tests.support import require_program

Section = dict[str, Any]
Changes = dict[str, Any]


def rolling(name: str, turn: int) -> Changes:
    """The machines of a scenario, their counters beginning again at 0 instead of showing `turn`."""
    return {"assets": tuple(one.model_copy(update={"counter_rolls_at": turn}) for one in open_scenario(name).assets)}


QUICK: dict[str, tuple[str, Changes]] = {
    "demonstrator": ("late,duplicated", {"hours": 1.0}),
    "good-week": (
        "reordered,counter-rollover",
        {"hours": 1.0, "start": datetime.fromisoformat("2026-11-02T12:00+01:00")},
    ),
    "dying-spindle": ("renumbered", {"hours": 1.0}),
    "starved-line": ("renamed", {"hours": 1.0} | rolling("starved-line", 64)),  # over OPC UA; each makes some 80 parts
    "handover-storm": ("skew", {"hours": 3.0}),
    "wrong-reference-cycle": ("garbage,counter-reset,silence,leftovers,lost,type-change,duplicated", {"hours": 3.0}),
    "two-products": ("server-restart", {"hours": 2.0}),
    "dst-night": ("drift", {"hours": 3.0, "start": datetime.fromisoformat("2026-10-25T01:00+02:00")}),
    "machining-cell": ("frozen,type-change", {"hours": 1.0}),
    "autonomous-vehicle": ("reordered,broker-restart,half-open", {"hours": 1.0}),
    "packaging-line": ("uplink-lost", {"hours": 1.0}),
}
"""A short stretch of each, with faults that its wires can have, and with an hour that they leave to every figure."""

WELL: dict[str, Changes] = {
    "handover-storm": {"hours": 1.0},
    "dst-night": {"hours": 2.0, "start": datetime.fromisoformat("2026-10-25T02:00+02:00")},
}
"""Where less is enough when no fault takes hours away: of the night, the hour that comes twice."""


@pytest.fixture(scope="module")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """One server for all; each run has databases of its own."""
    require_program("influxd", "influxdb")
    server = Influxd(tmp_path_factory.mktemp("influxd"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["duckdb", "influxdb"])
def store(request: pytest.FixtureRequest) -> Callable[[Path], Section]:
    """The section of an empty store for a run in a folder; where influxd is absent, its half is skipped and says so."""
    if request.param == "duckdb":
        return lambda folder: {"kind": "duckdb", "path": str(folder / "km0.duckdb")}
    server: Influxd = request.getfixturevalue("influxd")
    return lambda folder: server.databases(f"{folder.parent.name}-{folder.name}-").model_dump(mode="json")


async def played(
    name: str, faults: str, folder: Path, store: Section, nursery: Nursery | None = None, **changes: Any
) -> Verification:
    scenario = open_scenario(name).model_copy(update=changes)
    scenario = scenario.model_copy(update={"faults": chosen_faults(faults, scenario)})
    return await verified(scenario, name, folder, store, lambda _share: None, nursery)


def true(found: Verification) -> None:
    """Nothing is wrong, nothing is missing but what never left its device, and no asset and no KPI went unjudged."""
    assert {f"{line.asset} {line.kpi}": line.wrong for line in found.lines if line.wrong} == {}
    assert found.samples.ok, found.samples
    assert found.samples.stored > 0
    judged = [line for line in found.lines if line.windows]
    assert {line.asset for line in judged} == {line.asset for line in found.lines}
    assert {line.kpi for line in judged} == {line.kpi for line in found.lines}
    assert found.ok


def test_the_library_is_here_whole() -> None:
    """A scenario that is added is verified in short form, too; and together they know every fault."""
    assert set(QUICK) == set(library())
    assert set(FAULTS) == {kind for faults, _ in QUICK.values() for kind in faults.split(",")}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", QUICK)
async def test_each_scenario_is_true_in_short_without_faults_and_with(
    name: str, store: Callable[[Path], Section], tmp_path: Path, km0_nursery: Nursery
) -> None:
    """Every sample is accounted for and every figure is the truth's, when all is well and when wires misbehave."""
    faults, changes = QUICK[name]
    folders = [tmp_path / "well", tmp_path / "faulty"]
    for folder in folders:
        folder.mkdir()
    well, faulty = await asyncio.gather(
        *(
            played(name, kinds, folder, store(folder), km0_nursery, **stretch)
            for kinds, folder, stretch in zip(
                ("none", faults), folders, (WELL.get(name, changes), changes), strict=True
            )
        )
    )
    for found in (well, faulty):
        true(found)
    assert [fault.kind for fault, made in zip(faulty.faults, faulty.made, strict=True) if not made] == []
    assert {fault.kind for fault in faulty.faults} == set(faults.split(","))
    assert not well.samples.lost
    assert min((line.coverage for line in well.lines), default=1.0) == 1.0
    if name == "machining-cell":  # states told by several nodes at once are written once
        assert well.samples.duplicated <= well.samples.sent // 20
    if name == "wrong-reference-cycle":
        samples = faulty.samples
        assert samples.lost == samples.lost_on_the_way > 0
        assert samples.duplicated == samples.duplicated_by_devices > 0
        assert samples.set_aside == samples.set_aside_expected > 0
        assert min(line.coverage for line in faulty.lines if line.kpi == "do") < 0.9


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["duckdb", "influxdb"])
@pytest.mark.parametrize("faults", ["none", "all", "random"])
@pytest.mark.parametrize("name", library())
async def test_the_whole_matrix_is_true(name: str, faults: str, kind: str, tmp_path: Path) -> None:
    """Each scenario at its full length (a week: two days where wires break), with no fault, with all, with some."""
    if kind == "influxdb":
        require_program("influxd", "influxdb")
    whole = open_scenario(name).hours
    with opened_store(kind, tmp_path) as section:
        found = await played(name, faults, tmp_path, section, hours=whole if faults == "none" else min(whole, 48.0))
    true(found)
    assert sum(line.windows for line in found.lines) > 0

"""Every scenario of the library through the whole platform, with and without faults, on both stores."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from km0.verification import Verification, verified
from km0.verify import chosen_faults, opened_store
from simulators.faults import FAULTS
from simulators.scenario import library, open_scenario
from tests.support import require_program

pytestmark = pytest.mark.timeout(300)

QUICK: dict[str, tuple[str, dict[str, Any]]] = {
    "demonstrator": ("late,duplicated", {"hours": 1.0}),
    "good-week": (
        "reordered,counter-rollover",
        {"hours": 1.0, "start": datetime.fromisoformat("2026-11-02T12:00+01:00")},
    ),
    "dying-spindle": ("renumbered", {"hours": 1.0}),
    "starved-line": ("renamed", {"hours": 1.0}),
    "handover-storm": ("skew", {"hours": 3.0}),
    "wrong-reference-cycle": ("garbage,counter-reset,silence,leftovers,lost,type-change,duplicated", {"hours": 3.0}),
    "two-products": ("none", {"hours": 2.0}),
    "dst-night": ("drift", {"hours": 3.0, "start": datetime.fromisoformat("2026-10-25T01:00+02:00")}),
    "machining-cell": ("none", {"hours": 1.0}),
    "autonomous-vehicle": ("reordered,broker-restart", {"hours": 1.0}),
    "packaging-line": ("uplink-lost", {"hours": 1.0}),
}
"""A short stretch of each, with faults that its wires can have, and with an hour that they leave to every figure. Those
that take seconds to be found out, a frozen process and a connection that is half open, and a server's restart, which
others bring with them, are in the whole matrix (`make soak`)."""


def played(name: str, faults: str, folder: Path, store: str = "duckdb", **changes: Any) -> Verification:
    scenario = open_scenario(name).model_copy(update=changes)
    scenario = scenario.model_copy(update={"faults": chosen_faults(faults, scenario)})
    with opened_store(store, folder) as section:
        return asyncio.run(verified(scenario, name, folder, section, lambda _share: None))


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
    """A scenario that is added is verified in short form, too; and together they know most faults."""
    assert set(QUICK) == set(library())
    asked = {kind for faults, _ in QUICK.values() for kind in faults.split(",")} - {"none"}
    assert set(FAULTS) - asked == {"frozen", "half-open", "server-restart"}


@pytest.mark.parametrize("name", QUICK)
def test_each_scenario_is_true_in_short(name: str, tmp_path: Path) -> None:
    """Every sample is accounted for and every figure is the truth's, though wires misbehave."""
    faults, changes = QUICK[name]
    found = played(name, faults, tmp_path, **changes)
    true(found)
    if name == "machining-cell":  # states told by several nodes at once are written once
        assert found.samples.duplicated <= found.samples.sent // 20
    if name == "wrong-reference-cycle":
        samples = found.samples
        assert samples.lost == samples.lost_on_the_way > 0
        assert samples.duplicated == samples.duplicated_by_devices > 0
        assert samples.set_aside == samples.set_aside_expected > 0
        assert min(line.coverage for line in found.lines if line.kpi == "do") < 0.9


def test_influxdb_holds_the_same_truth_in_short(tmp_path: Path) -> None:
    """The other store, a real influxd, with a device that is late, stammers and loses its counter's way."""
    require_program("influxd", "influxdb")
    found = played("wrong-reference-cycle", "late,duplicated,reordered,counter-reset", tmp_path, "influxdb", hours=1.0)
    true(found)
    assert found.store == "influxdb"


@pytest.mark.soak
@pytest.mark.parametrize("store", ["duckdb", "influxdb"])
@pytest.mark.parametrize("faults", ["none", "all", "random"])
@pytest.mark.parametrize("name", library())
def test_the_whole_matrix_is_true(name: str, faults: str, store: str, tmp_path: Path) -> None:
    """Each scenario at its full length (a week: two days where wires break), with no fault, with all, with some."""
    if store == "influxdb":
        require_program("influxd", "influxdb")
    whole = open_scenario(name).hours
    found = played(name, faults, tmp_path, store, hours=whole if faults == "none" else min(whole, 48.0))
    true(found)

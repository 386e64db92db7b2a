"""The account of a cell and of orders, from a store; every expected value by hand."""

import math

import pytest

from pipeline.kpis.account import account, order_accounts
from telemetry.glossary import MachineState
from telemetry.plant import Asset, Plant
from telemetry.samples import SECOND_NS, Sample, Window
from tests.contracts.memory import MemoryStore

MINUTE = 60 * SECOND_NS
T0 = 1_767_567_600 * SECOND_NS
HOUR = Window(T0, T0 + 60 * MINUTE)
NOW = T0 + 600 * MINUTE
RUN, DOWN = MachineState.EXECUTING, MachineState.OUT_OF_SERVICE
MILL = Asset(path="km0/a/cell/mill", name="mill", cycle_s={"*": 60.0}, stale_after_s=1e6, hourly_cost=90.0)
LATHE = Asset(path="km0/a/cell/lathe", name="lathe", cycle_s={"*": 30.0}, stale_after_s=1e6, hourly_cost=60.0)
PLANT = Plant(assets=(MILL, LATHE))


def at(asset: Asset, metric: str, minutes: float, value: float = 0.0, text: str = "") -> Sample:
    return Sample(T0 + round(minutes * MINUTE), asset.path, metric, value, text)


def filled() -> MemoryStore:
    """The mill: 30 min down for a belt, 20 good parts of 60 s. The lathe: 60 min running, 100 parts of 30 s, 10 bad."""
    store = MemoryStore()
    store.write(
        [
            at(MILL, "state", 0, RUN), at(MILL, "state", 10, DOWN), at(MILL, "reason", 10, text="belt"),
            at(MILL, "reason", 40, text=""), at(MILL, "state", 40, RUN), at(MILL, "parts", 0, 0),
            at(MILL, "parts", 50, 20), at(MILL, "parts_good", 0, 0), at(MILL, "parts_good", 50, 20),
            at(LATHE, "state", 0, RUN), at(LATHE, "parts", 0, 0), at(LATHE, "parts", 59, 100),
            at(LATHE, "parts_good", 0, 0), at(LATHE, "parts_good", 59, 90),
            at(MILL, "order", 0, text="A"), at(MILL, "order", 40, text="B"),
        ]
    )  # fmt: skip
    return store


def test_the_account_of_a_cell() -> None:
    """Of 120 min the mill lost 30 (45 €) and 10 (15 €), the lathe 10 (10 €) and 5 (5 €): tU is 65 min."""
    found = account(filled(), PLANT, "km0/a/cell", HOUR, NOW)
    assert (found.oee.required, found.oee.useful) == (7200, 65 * 60)
    assert {path: oee.useful for path, oee in found.machines.items()} == {MILL.path: 1200, LATHE.path: 2700}
    rows = [(bar.name, bar.seconds, bar.cost) for bar in found.pareto("category")]
    assert rows == [("breakdown", 1800, 45), ("speed", 1200, 25), ("rejects", 300, 5)]
    assert [(bar.name, bar.seconds) for bar in found.pareto("machine")] == [(MILL.path, 2400), (LATHE.path, 900)]
    assert next((bar.name, bar.times) for bar in found.pareto("reason")) == ("belt", 1)
    assert found.oee.useful + sum(loss.seconds for loss in found.losses) == found.oee.required
    # a point: 36 s of each machine; 0.6 and 1.2 parts; 0.90 € and 0.60 €
    assert (found.point.time, found.point.parts) == (72, pytest.approx(1.8))
    assert found.point.cost == pytest.approx(1.5)


def test_a_cost_that_one_machine_does_not_say_is_not_known_for_all() -> None:
    """The lathe has no hourly cost: the cell's point has none, and is not understated."""
    plant = Plant(assets=(MILL, LATHE.model_copy(update={"hourly_cost": None})))
    found = account(filled(), plant, "km0", HOUR, NOW)
    assert math.isnan(found.point.cost)
    assert math.isnan(found.pareto("category")[1].cost)
    with pytest.raises(ValueError, match="no machine"):
        account(filled(), plant, "km0/b", HOUR, NOW)


def test_each_order_has_its_own_figures() -> None:
    """A: 40 min, of which 10 run; B: the last 20 min, all running, 20 parts of a minute, and goes on."""
    first, second = order_accounts(filled(), PLANT, MILL, HOUR, NOW)
    assert (first.name, first.open, first.oee.total, first.oee.running) == ("A", False, 2400, 600)
    assert (second.name, second.open, second.oee.total, second.oee.trs.value) == ("B", True, 1200, 1.0)
    assert order_accounts(filled(), PLANT, LATHE, HOUR, NOW) == []

"""Figures of simulated machines against the truth of their process: exact where all is known, bounded where not."""

from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from random import Random

import pytest

from pipeline.kpis.machine import MachineHistory
from pipeline.kpis.oee import Oee
from simulators.demo import MACHINES
from simulators.machine import MachineModel
from simulators.timeline import Timeline, machine_events
from simulators.truth import MachineTruth, Truth
from telemetry.plant import Asset, CalendarConfig, Turn
from telemetry.samples import SECOND_NS, Series, Window
from tests.pipeline.kpis.timeline import HOUR, PARIS, reader

BORN = 1_795_000_000 * SECOND_NS
DAY = Window(BORN + 6 * HOUR, BORN + 30 * HOUR)
END = BORN + 40 * HOUR
CALENDAR = CalendarConfig(
    name="3x8",
    shifts=tuple(Turn(name=str(start), start=start, end=end) for start, end in ((1260, 300), (300, 780), (780, 1260))),
    breaks=tuple(Turn(name=str(start), start=start, end=start + 20) for start in (60, 540, 1020)),
)
Gap = tuple[int, int]


def asset_of(path: str, model: MachineModel) -> Asset:
    cycles = {product.name: product.cycle_s for product in model.products}
    return Asset(
        path=path, name="m", cycle_s=cycles, micro_stop_s=model.micro_stop_s, stale_after_s=3600,
        reason_categories={"levelling": "changeover"},  # as the simulated printer understands it
    )  # fmt: skip


def figures(path: str, model: MachineModel, seed: int, gaps: Iterable[Gap] = ()) -> Oee:
    """The day of a machine whose connection was broken over the gaps: what it said then is lost for ever."""
    rows: dict[str, list[tuple[int, float, str]]] = {"online": [(BORN, 1.0, "")]}
    said = everything(path, seed)
    for time_ns, metric, value in said:
        if not any(start <= time_ns < end for start, end in gaps):
            word = isinstance(value, str)
            rows.setdefault(metric, []).append((time_ns, 0.0 if word else float(value), value if word else ""))
    for start, end in gaps:
        rows["online"] += [(start, 0.0, ""), (end, 1.0, "")]
        # a collector that is back asks for what is in force: it says so at once
        for metric in ("state", "reason", "product", "parts", "parts_good"):
            before = [row for row in said if row[1] == metric and row[0] <= end][-1]
            word = isinstance(before[2], str)
            rows[metric].append((end, 0.0 if word else float(before[2]), before[2] if word else ""))
    series = {metric: Series.of(*sorted(set(found))) for metric, found in rows.items()}
    history = MachineHistory(asset_of(path, model), CALENDAR, PARIS, DAY, END, reader(series), series.keys())
    return history.over(DAY)


@cache
def everything(path: str, seed: int) -> list[tuple[int, str, float | str]]:
    return Timeline(machine_events(MACHINES[path][0], seed, BORN)).until(END)


def true(path: str, model: MachineModel, seed: int, start: int = DAY.start_ns, end: int = DAY.end_ns) -> MachineTruth:
    return Truth([model], seed, BORN).machine(path, start, end)


@pytest.mark.parametrize("path", MACHINES)
@pytest.mark.parametrize("seed", [1, 2])
def test_with_complete_data_the_truth_is_met(path: str, seed: int) -> None:
    """Every factor to 1e-9, parts to the part, each kind of stop to the millisecond, coverage whole."""
    model = MACHINES[path][0]
    found, truth = figures(path, model, seed), true(path, model, seed)
    assert (found.made_all, found.good_all) == (truth.parts, truth.parts_good)
    for figure, exact in (
        (found.availability, truth.availability), (found.performance, truth.performance),
        (found.quality, truth.quality), (found.trs, truth.trs),
    ):  # fmt: skip
        assert exact is not None
        assert figure.value == pytest.approx(float(exact), abs=1e-9)
        assert figure.coverage == 1.0
    assert {name: length for name, length in found.stops.items() if length} == {
        name: pytest.approx(float(length), abs=1e-3) for name, length in truth.losses.items() if length
    }


@pytest.mark.parametrize("path", MACHINES)
@pytest.mark.parametrize("seed", range(3))
def test_with_gaps_the_truth_lies_within_the_stated_bound(path: str, seed: int) -> None:
    """Do is exact over what is known, and its coverage too. The Do and TRS of the whole day lie within `bounds`, but
    for a part that is counted on one side of a gap and was begun on the other: one cycle for each end of a gap."""
    model, random = MACHINES[path][0], Random(seed)
    starts = sorted(random.sample(range(7, 28, 4), 3))
    gaps = [(BORN + at * HOUR + 1, BORN + at * HOUR + random.randint(60, 7000) * SECOND_NS) for at in starts]
    found, truth = figures(path, model, seed, gaps), true(path, model, seed)
    inside = [true(path, model, seed, *gap) for gap in gaps]
    known = truth.required_s - sum((gap.required_s for gap in inside), Fraction(0))
    running = truth.executing_s - sum((gap.executing_s for gap in inside), Fraction(0))
    assert found.known == pytest.approx(float(known), abs=1e-3)
    assert found.availability.value == pytest.approx(float(running / known), abs=1e-6)
    assert found.availability.coverage == pytest.approx(float(known / truth.required_s), abs=1e-6)
    assert truth.availability is not None
    assert truth.trs is not None
    low, high = found.availability.bounds
    assert low - 1e-9 <= float(truth.availability) <= high + 1e-9
    assert 0 < found.trs.coverage < 1
    cycle = max(float(product.cycle_s) for product in model.products)
    slack = 2 * len(gaps) * cycle / float(truth.required_s)
    low, high = found.trs.bounds
    assert low - slack <= float(truth.trs) <= high + slack

"""The truth: definitions applied to the process itself, checked by counting another way and by hand."""

import json
from fractions import Fraction
from pathlib import Path

import pytest

from simulators.demo import LINK, MACHINES, THREE_SHIFTS
from simulators.machine import Duration, Gauge, MachineModel, Product
from simulators.timeline import Timeline, machine_events
from simulators.truth import Truth
from simulators.work_calendar import WorkCalendar
from telemetry.glossary import MachineState

BORN_NS = 1_795_000_000_000_000_000
SECOND_NS = 10**9
HOUR_NS = 3600 * SECOND_NS
MODELS = [model for model, _ in MACHINES.values()]


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth(MODELS, 1, BORN_NS, [LINK])


@pytest.mark.parametrize("path", MACHINES)
def test_states_partition_required_time(truth: Truth, path: str) -> None:
    """In any window the times in states add up to the required time, exactly."""
    for start_s, end_s in ((0, 86400), (1, 2), (12345, 23456), (3600, 7200), (0, 0)):
        figures = truth.machine(path, BORN_NS + start_s * SECOND_NS, BORN_NS + end_s * SECOND_NS)
        assert sum(figures.seconds.values()) == figures.required_s


@pytest.mark.parametrize("path", MACHINES)
def test_windows_add_up(truth: Truth, path: str) -> None:
    """Sums over the hours of a day are the sums of the day: nothing is counted twice or falls between."""
    day = truth.machine(path, BORN_NS, BORN_NS + 24 * HOUR_NS)
    hours = [truth.machine(path, BORN_NS + n * HOUR_NS, BORN_NS + (n + 1) * HOUR_NS) for n in range(24)]
    assert sum(h.required_s for h in hours) == day.required_s == 24 * 3600 - 3 * 1200
    assert sum(h.parts for h in hours) == day.parts
    assert sum(h.useful_s for h in hours) == day.useful_s
    for state in MachineState:
        assert sum(h.seconds.get(state, Fraction(0)) for h in hours) == day.seconds.get(state, 0)


@pytest.mark.parametrize("path", MACHINES)
def test_counts_equal_the_events_on_the_wire(truth: Truth, path: str) -> None:
    """The parts of a window are the increments that the machine reports in it."""
    start, end = BORN_NS + 5 * HOUR_NS, BORN_NS + 17 * HOUR_NS
    events = Timeline(machine_events(MACHINES[path][0], 1, BORN_NS)).until(end)
    figures = truth.machine(path, start, end)
    assert figures.parts == sum(m == "parts" and t >= start for t, m, _ in events)
    assert figures.parts_good == sum(m == "parts_good" and t >= start for t, m, _ in events)


@pytest.mark.parametrize("path", MACHINES)
def test_trs_is_the_product_of_its_factors_and_plausible(truth: Truth, path: str) -> None:
    """TRS = Do · Tp · Tq to the last digit, and every machine of the demonstrator has room for improvement."""
    for seed in range(1, 6):
        day = Truth(MODELS, seed, BORN_NS).machine(path, BORN_NS, BORN_NS + 48 * HOUR_NS)
        assert day.availability is not None
        assert day.performance is not None
        assert day.quality is not None
        assert day.trs is not None
        assert day.trs == day.availability * day.performance * day.quality
        assert 0.5 < day.trs < 0.82
        assert day.performance < 1


def test_a_machine_without_troubles_by_hand() -> None:
    """10 s parts without noise, hazards or scrap, 5 to an order, setups of 30 s: a pattern of 80 s, known by heart."""
    always = WorkCalendar("UTC", ((0, 24 * 60),))
    model = MachineModel(
        "a/b",
        (Product("x", 8.0, (5, 5), slowness=1.25),),
        (),
        Duration(30.0, 0.0),
        Gauge("power", 30.0, {}),
        always,
        slow_orders=0.0,
        jitter=0.0,
    )
    born = 1_795_000_000 * SECOND_NS
    figures = Truth([model], 9, born).machine("a/b", born, born + 800 * SECOND_NS)
    assert figures.required_s == 800
    assert figures.seconds == {MachineState.EXECUTING: 500, MachineState.SETUP: 300}
    assert figures.made == figures.good == {"x": 50}
    assert figures.availability == Fraction(500, 800)
    assert figures.performance == Fraction(50 * 8, 500)
    assert figures.quality == 1
    assert figures.trs == Fraction(50 * 8, 800)


def test_a_part_belongs_to_the_window_that_holds_its_instant() -> None:
    """A part finished at the very start of a window is in it, one finished at its end is not."""
    always = WorkCalendar("UTC", ((0, 24 * 60),))
    model = MachineModel(
        "a/b", (Product("x", 10.0, (5, 5)),), (), Duration(30.0, 0.0), Gauge("power", 30.0, {}), always, 0.0, 0.0
    )
    born = 1_795_000_000 * SECOND_NS
    truth = Truth([model], 9, born)
    assert truth.machine("a/b", born, born + 10 * SECOND_NS).parts == 0
    assert truth.machine("a/b", born + 10 * SECOND_NS, born + 20 * SECOND_NS).parts == 1
    assert truth.machine("a/b", born + 10 * SECOND_NS, born + 20 * SECOND_NS + 1).parts == 2


def test_nothing_is_asked_of_the_time_before_birth(truth: Truth) -> None:
    """A window before the birth of the plant is an error, not zeros."""
    with pytest.raises(ValueError, match="born"):
        truth.machine(MODELS[0].path, BORN_NS - 1, BORN_NS)


def test_the_link_counts_its_probes(truth: Truth) -> None:
    """720 probes an hour, answered or lost."""
    assert truth.link(LINK.path, BORN_NS + HOUR_NS, BORN_NS + 2 * HOUR_NS).sent == 720


def test_truth_is_written_as_json(truth: Truth, tmp_path: Path) -> None:
    """The file holds the whole window for every asset, and every whole hour inside it for every machine."""
    path = tmp_path / "truth.json"
    truth.write(path, BORN_NS, BORN_NS + 3 * HOUR_NS)
    document = json.loads(path.read_text())
    assert [entry["asset"] for entry in document["whole"]] == [*MACHINES, LINK.path]
    assert len(document["steps"]) == 2 * len(MACHINES)  # born at 11:06:40: 12–13 h and 13–14 h UTC
    for entry in document["steps"]:
        assert entry["start_ns"] % HOUR_NS == 0
        assert sum(entry["seconds"].values()) == pytest.approx(entry["required_s"])


@pytest.mark.parametrize(
    ("midnight_ms", "hours"),
    [
        (1_792_879_200_000, 25),  # 2026-10-25 in Paris: the clocks go back at 03:00
        (1_774_738_800_000, 23),  # 2026-03-29 in Paris: they go forward at 02:00
    ],
)
def test_breaks_follow_the_clock_on_the_wall(midnight_ms: int, hours: int) -> None:
    """On the days the clock changes, the day in Paris is longer or shorter and has its three breaks."""
    stretches = THREE_SHIFTS.working(midnight_ms, midnight_ms + hours * 3_600_000)
    assert sum(end - start for start, end in stretches) == hours * 3_600_000 - 3 * 1_200_000


def test_the_hour_that_comes_twice_is_worked_twice() -> None:
    """A night shift 21:00–05:00 lasts nine hours when the clocks go back and seven when they go forward."""
    night = WorkCalendar("Europe/Paris", ((21 * 60, 5 * 60),))
    for noon_ms, hours in ((1_792_843_200_000, 9), (1_774_699_200_000, 7), (1_795_003_200_000, 8)):
        stretches = night.working(noon_ms, noon_ms + 24 * 3600 * 1000)
        assert sum(end - start for start, end in stretches) == hours * 3_600_000


def test_a_calendar_of_weekdays_leaves_the_weekend_free() -> None:
    """A night shift of Friday that ends on Saturday belongs to Friday: Saturday 04:59 works, Saturday 05:00 does not,
    and Monday 00:00 does not either, because Sunday has no shift."""
    nights = WorkCalendar("UTC", ((21 * 60, 5 * 60, (0, 1, 2, 3, 4)),))
    friday_ms = 1_794_528_000_000  # 2026-11-13, a Friday
    at = {minute: nights.works_at(friday_ms + minute * 60_000) for minute in (20 * 60 + 59, 21 * 60, 1739, 1740, 2880)}
    assert at == {20 * 60 + 59: False, 21 * 60: True, 1739: True, 1740: False, 2880: False}
    assert not nights.works_at(friday_ms + 3 * 86_400_000)

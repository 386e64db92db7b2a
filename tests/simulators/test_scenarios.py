"""Scenario files: the library is sound, the same file gives the same lives, and what is wrong is said with its line."""

from fractions import Fraction
from pathlib import Path

import pytest

from simulators.demo import reference_cycles
from simulators.link import link_events
from simulators.lives import lives
from simulators.scenario import HOUR_NS, Scenario, find, library, open_scenario
from simulators.timeline import Timeline, told
from simulators.truth import MachineTruth, Truth
from telemetry.config import parse
from telemetry.errors import ConfigError
from telemetry.glossary import MachineState

SAW, DRILL, WASHER = (f"km0/fabrication/line-1/{name}" for name in ("saw-1", "drill-1", "washer-1"))


def truth_of(scenario: Scenario) -> Truth:
    return Truth(scenario.models.values(), scenario.seed, scenario.starts_ns(0), scenario.link_models.values())


def whole(name: str, asset: str) -> MachineTruth:
    scenario = open_scenario(name)
    start = scenario.starts_ns(0)
    return truth_of(scenario).machine(asset, start, start + scenario.length_ns)


def test_the_library_holds_the_telling_ones() -> None:
    """Every scenario that the documentation names is shipped, and says what is to be seen in it."""
    names = {"demonstrator", "good-week", "dying-spindle", "starved-line", "handover-storm", "wrong-reference-cycle",
             "two-products", "dst-night", "packaging-line", "machining-cell",
             "autonomous-vehicle"}  # fmt: skip
    assert names <= set(library())
    assert all(len(open_scenario(name).about) > 30 for name in library())


@pytest.mark.parametrize("name", library())
def test_the_same_file_gives_the_same_lives(name: str) -> None:
    """Two readings of a scenario tell the same events, and another seed tells others."""
    one, two = open_scenario(name), open_scenario(name)
    start = one.starts_ns(0)

    def events(scenario: Scenario, seed: int) -> list[object]:
        found: list[object] = []
        for path, model in scenario.models.items():
            life = told(lives(scenario.models, path, seed, start), model, seed, start)
            found.append(Timeline(life).until(start + 6 * HOUR_NS))
        links = scenario.link_models.values()
        return found + [Timeline(link_events(link, seed, start)).until(start + HOUR_NS) for link in links]

    assert events(one, one.seed) == events(two, two.seed)
    assert events(one, one.seed) != events(one, one.seed + 1)


@pytest.mark.parametrize("name", library())
def test_losses_and_execution_are_all_of_required_time(name: str) -> None:
    """No second of required time is without a cause, and none has two."""
    scenario = open_scenario(name)
    start, truth = scenario.starts_ns(0), truth_of(scenario)
    for path in scenario.models:
        for hour in range(0, min(24, int(scenario.hours)), 3):
            figures = truth.machine(path, start + hour * HOUR_NS, start + (hour + 3) * HOUR_NS)
            assert figures.executing_s + sum(figures.losses.values()) == figures.required_s


def test_the_demonstrator_has_the_reference_cycles_of_the_plant_file() -> None:
    """What the scenario calls tCR is what plant.toml calls it; a figure of 9 s for the clip is published in both."""
    assert reference_cycles()["km0/fabrication/cell-2/press-1"] == {"clip": 9.0, "lid": 12.5}


def test_a_wrong_reference_cycle_lifts_performance_above_one() -> None:
    """The clip runs at 0.8 of its reference cycle, and three quarters of the parts are clips or more: Tp > 1."""
    figures = whole("wrong-reference-cycle", "km0/fabrication/cell-2/press-1")
    assert figures.performance is not None
    assert figures.performance > 1


def test_the_night_of_the_clock_change_is_an_hour_longer() -> None:
    """From 19:00 to 09:00 on the wall are 15 hours less one break (01:00): 14 h 40 min of required time."""
    scenario = open_scenario("dst-night")
    start = scenario.starts_ns(0)
    figures = truth_of(scenario).machine("km0/fabrication/cell-2/press-1", start, start + 15 * HOUR_NS)
    assert figures.required_s == 15 * 3600 - 20 * 60


def test_a_worn_spindle_costs_availability_by_breakdowns() -> None:
    """The breakdowns of the dying spindle are its largest loss, and many times those of the lathe beside it."""
    mill = whole("dying-spindle", "km0/fabrication/cell-1/mill-1").losses
    lathe = whole("dying-spindle", "km0/fabrication/cell-1/lathe-1").losses
    assert max(mill, key=mill.__getitem__) == "breakdown"
    assert mill["breakdown"] > 3 * lathe.get("breakdown", Fraction(0))


def test_nobody_in_a_line_works_on_parts_that_are_not_there() -> None:
    """At every instant the drill has made no more than the saw's good parts, and the saw is no more ahead than there
    is room: 12 parts between them and the one that is in work."""
    scenario = open_scenario("starved-line")
    start, truth = scenario.starts_ns(0), truth_of(scenario)
    for minute in range(5, 480, 5):
        saw, drill = (truth.machine(path, start, start + minute * 60 * 10**9) for path in (SAW, DRILL))
        assert drill.parts <= saw.parts_good <= drill.parts + 12 + 1


def test_neighbours_in_a_line_starve_and_block_one_another() -> None:
    """The washer starves behind the saw's breakdowns; the saw is blocked when the buffer before the drill is full."""
    assert whole("starved-line", WASHER).seconds[MachineState.STARVED] > 1000
    assert whole("starved-line", SAW).seconds[MachineState.BLOCKED] > 0


def test_asking_one_machine_of_a_line_first_changes_nothing() -> None:
    """The life of a machine in a line does not depend on whose life was told before."""
    scenario = open_scenario("starved-line")
    start = scenario.starts_ns(0)

    def first(path: str) -> list[object]:
        life = lives(scenario.models, path, scenario.seed, start)
        return [next(life) for _ in range(1000)]

    assert [first(path) for path in (SAW, DRILL, WASHER)] == [first(path) for path in (WASHER, DRILL, SAW)][::-1]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("slowness", "slownes", ("slownes", "did you mean 'slowness'")),
        ('calendar = "3x8"', 'calendar = "2x8"', ("no calendar '2x8'",)),
        ('state = "STARVED"', 'state = "EXECUTING"', ("state",)),
        ("batch = [20, 50]", "batch = [50, 20]", ("fewest before most",)),
        ('metric = "spindle_load"', 'metric = "parts"', ("no gauge",)),
        ("start = 2026-11-02T05:00:00+01:00", "start = 2026-11-02T05:00:00", ("offset",)),
        ('path = "km0/fabrication/cell-1/lathe-1"', 'path = "km0/fabrication/cell-1/mill-1"', ("there twice",)),
        ("hours = 8", 'hours = 8\n[[faults]]\nkind = "late"\nat_min = 1\nasset = "a/b"\n', ("no asset",)),
        (
            "hours = 8",
            'hours = 8\n[[faults]]\nkind = "uplink-lost"\nat_min = 1\n',
            ("concerns nothing in this", "late,"),
        ),
        (
            "hours = 8",
            'hours = 8\n[[faults]]\nkind = "renamed"\nat_min = 1\nasset = "km0/fabrication/cell-2/press-1"\n',
            ("concerns nothing at km0/fabrication/cell-2/press-1; there can be late,",),
        ),
        (
            "hours = 8",
            'hours = 8\n[[faults]]\nkind = "server-restart"\nat_min = 1\nasset = "km0/fabrication/cell-1/mill-1"\n',
            ("befalls all", "leave `asset` out"),
        ),
        ("hours = 8", 'hours = 8\n[[faults]]\nkind = "frozen"\nat_min = 1\nfor_min = 9\n', ("leave `for_min` out",)),
        ('kind = "link"', 'kind = "lnk"', ("link",)),
    ],
)
def test_what_is_wrong_in_a_scenario_is_said_with_its_line(old: str, new: str, words: tuple[str, ...]) -> None:
    """A teacher's slip is answered with the file, the line and what to write instead."""
    text = find("demonstrator").read_text(encoding="utf-8")
    assert old in text
    if "[[faults]]" in new:
        text, new = text + new.partition("\n")[2], old
    with pytest.raises(ConfigError) as said:
        parse(text.replace(old, new, 1), Scenario, "mine.toml")
    assert all(word in str(said.value) for word in ("mine.toml:", *words)), said.value


def test_an_unknown_scenario_is_answered_with_the_library(tmp_path: Path) -> None:
    """A misspelt name lists those that there are; a missing file says so."""
    with pytest.raises(ConfigError, match="dst-night"):
        open_scenario("dts-night")
    with pytest.raises(ConfigError, match="No such file"):
        open_scenario(str(tmp_path / "none.toml"))


def test_machines_that_feed_one_another_in_a_ring_are_refused() -> None:
    """Nobody could begin."""
    text = find("starved-line").read_text(encoding="utf-8")
    ring = text.replace(f'path = "{SAW}"\n', f'path = "{SAW}"\ntakes_from = "{WASHER}"\n', 1)
    with pytest.raises(ConfigError, match="from itself"):
        parse(ring, Scenario)

"""What `km0 verify` holds figures to: the truth of what is known, and nothing to say of what is not."""

from math import nan

import pytest

from km0.comparison import HOUR_NS, Excuses, Line, machine_lines
from simulators.scenario import open_scenario
from simulators.truth import Truth
from telemetry.samples import KpiValue, Window
from tests.contracts.memory import MemoryStore

SCENARIO = open_scenario("wrong-reference-cycle")
[PRESS] = SCENARIO.models
START = SCENARIO.starts_ns(0)
SILENT = Excuses(silent=((START + HOUR_NS // 2, START + 2 * HOUR_NS + 60 * 10**9),))
"""From the middle of the first hour until a minute into the third: of the second nobody knows anything."""


def judged(*parts: tuple[float, float]) -> Line:
    """The line of `parts` when the platform says so: (value, coverage) of each hour."""
    store = MemoryStore()
    values = [
        KpiValue(
            PRESS, "parts", "hour", START + n * HOUR_NS, START + (n + 1) * HOUR_NS, value, value, 1.0, covered, 9, True
        )
        for n, (value, covered) in enumerate(parts)
    ]
    store.write_kpis(values, 1)
    truth = Truth(SCENARIO.models.values(), SCENARIO.seed, START)
    span = Window(START, START + len(parts) * HOUR_NS)
    return next(line for line in machine_lines(store, truth.machine, PRESS, span, SILENT) if line.kpi == "parts")


def told(start_ns: int, end_ns: int) -> int:
    return Truth(SCENARIO.models.values(), SCENARIO.seed, START).machine(PRESS, start_ns, end_ns).parts


def test_of_an_hour_of_silence_there_is_nothing_to_say() -> None:
    """Nobody can say that no part was made in an hour of silence; what was heard is counted."""
    first, third = told(START, SILENT.silent[0][0]), told(SILENT.silent[0][1], START + 3 * HOUR_NS)
    assert first > 0 < third
    line = judged((first, 0.5), (nan, 0.0), (third, 59 / 60))
    assert (line.wrong, line.windows) == ([], 3)
    assert line.computed == line.truth == first + third


@pytest.mark.parametrize("claimed", [0.0, 1.0])
def test_a_count_of_an_hour_that_nobody_heard_is_wrong(claimed: float) -> None:
    """A platform that says 0, or any number, of an hour of silence has made it up."""
    first, third = told(START, SILENT.silent[0][0]), told(SILENT.silent[0][1], START + 3 * HOUR_NS)
    assert len(judged((first, 0.5), (claimed, 0.0), (third, 59 / 60)).wrong) == 1
    assert len(judged((first, 0.5), (nan, 0.0), (third + 1, 59 / 60)).wrong) == 1

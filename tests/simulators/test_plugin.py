"""The documentation of the simulators is true: its scenario is valid and its test runs as it stands there."""

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from simulators.faults import EFFECTS, FAULTS
from simulators.scenario import Scenario, library
from simulators.truth import Truth
from telemetry.config import parse

PAGE = (Path(__file__).parents[2] / "docs" / "simulators.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def test_the_documented_scenario_is_valid_and_has_a_truth() -> None:
    """A teacher who copies the page has a plant: four hours with a 20-minute break."""
    scenario = parse(block("toml"), Scenario)
    start = scenario.starts_ns(0)
    truth = Truth(scenario.models.values(), scenario.seed, start)
    figures = truth.machine("school/lab/cell-1/press-1", start, start + scenario.length_ns)
    assert figures.required_s == 4 * 3600 - 20 * 60
    assert figures.parts > 500


def test_every_scenario_and_fault_is_documented() -> None:
    """Nothing is shipped that the page does not explain."""
    assert all(f"| `{name}` |" in PAGE for name in library())
    assert all(f"`{kind}`" in PAGE for kind in FAULTS)
    assert EFFECTS.keys() == set(FAULTS)


@pytest.mark.timeout(100)
def test_the_documented_test_runs(tmp_path: Path) -> None:
    """The example of the page, alone in a folder of its own, passes; with a wrong expectation it fails."""
    installed = any(point.value == "simulators.pytest_plugin" for point in entry_points(group="pytest11"))
    load = [] if installed else ["-p", "simulators.pytest_plugin"]
    right, wrong = tmp_path / "test_right.py", tmp_path / "test_wrong.py"
    right.write_text(block("python"))
    wrong.write_text(block("python").replace("{truth.parts}", "{truth.parts + 1}"))
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", *load, "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True, text=True, timeout=90, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert "1 failed, 1 passed" in answer.stdout, answer.stdout + answer.stderr

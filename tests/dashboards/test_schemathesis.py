"""A foreign judge: schemathesis asks the described API what nobody would, and holds every answer to its description."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

QUESTIONS = Path(__file__).with_name("schemathesis_questions.py")


@pytest.mark.parametrize("which", ["not soak", pytest.param("soak", marks=pytest.mark.soak)])
@pytest.mark.timeout(1800)
def test_the_api_keeps_to_its_description(which: str) -> None:
    """No server error, no undescribed status or shape, and nothing wrong is accepted, whatever is asked."""
    plugins = ["-p", "schemathesis.pytest.plugin", "-p", "no:cacheprovider"]
    asked = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, "-m", which, str(QUESTIONS)],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2], timeout=1700,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
    )  # fmt: skip
    assert asked.returncode == 0, asked.stdout + asked.stderr

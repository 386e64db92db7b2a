"""docs/security.md keeps its word that each claim names the test that fails when it is no longer true."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.findall(
    r"`((?:[\w/]+/)?test_\w+\.py)(?:::(\w+))?`", (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
)


def test_the_page_names_tests() -> None:
    """One for each row of its tables at the least, and some by name."""
    assert len(NAMED) > 20
    assert len([name for _, name in NAMED if name]) > 3


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED)))
def test_each_test_that_the_page_names_exists(path: str, name: str) -> None:
    """Its file, from the top of the repository or beside the tests of the dashboards, and in it the test."""
    found = [file for file in (ROOT / path, ROOT / "tests" / "dashboards" / path) if file.exists()]
    assert found
    assert not name or f"def {name}(" in found[0].read_text(encoding="utf-8")

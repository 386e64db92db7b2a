"""The reference pages are generated from the code, and are current."""

from pathlib import Path

import pytest

from km0.reference import pages

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", sorted(pages()))
def test_reference_page_is_current(name: str) -> None:
    """Every setting, metric, KPI and command is documented as it is now; `make docs` writes the pages."""
    assert (FOLDER / name).read_text(encoding="utf-8") == pages()[name], "run `make docs` and commit the result"

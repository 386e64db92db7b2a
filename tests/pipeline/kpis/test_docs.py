"""docs/kpis.md and docs/kpis.fr.md: every figure of a machine, with the example worked by hand."""

import re
from pathlib import Path

import pytest

from pipeline.kpis.catalogue import CATALOGUE
from telemetry.samples import Window
from tests.pipeline.kpis.test_losses import history
from tests.pipeline.kpis.timeline import HOUR

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("page", ["kpis.md", "kpis.fr.md"])
def test_every_figure_is_explained_and_its_example_is_what_is_computed(page: str) -> None:
    """One row per figure: formula and source as in the catalogue, and the value of the hour."""
    text = (DOCS / page).read_text(encoding="utf-8")
    rows = {cells[0]: cells for line in text.splitlines() if (cells := re.findall(r"[^|]+", line)) and "`" in cells[0]}
    found = {name.strip(" `"): [cell.strip() for cell in cells] for name, cells in rows.items()}
    oee = history().over(Window(0, HOUR))
    for kpi in (one for one in CATALOGUE if one.of == "machine"):
        assert kpi.name in found, f"{page} does not explain {kpi.name}"
        _, reference, _, meaning, example = found[kpi.name]
        assert reference == kpi.reference
        assert meaning == (kpi.meaning_fr if page.endswith(".fr.md") else kpi.meaning)
        number = float(example.removesuffix(" s").removesuffix(" %").replace(",", "."))
        computed = kpi.compute(oee).value * (100 if example.endswith("%") else 1)
        assert number == pytest.approx(computed, abs=0.051), kpi.name

"""docs/kpis.md and docs/kpis.fr.md: every figure of a machine, with the example worked by hand."""

import re
from pathlib import Path

import pytest

from pipeline.files.mapping import EventLogConfig
from pipeline.kpis.catalogue import CATALOGUE, Kpi
from telemetry.config import parse
from telemetry.samples import Window
from tests.pipeline.kpis.test_losses import history
from tests.pipeline.kpis.timeline import HOUR

DOCS = Path(__file__).parents[3] / "docs"


def rows(page: str) -> dict[str, list[str]]:
    """The rows of its tables that begin with a name between backticks, by that name."""
    found = [re.findall(r"[^|]+", line) for line in (DOCS / page).read_text(encoding="utf-8").splitlines()]
    return {cells[0].strip(" `"): [one.strip() for one in cells] for cells in found if cells and "`" in cells[0]}


@pytest.mark.parametrize("page", ["kpis.md", "kpis.fr.md"])
def test_every_figure_is_explained_and_its_example_is_what_is_computed(page: str) -> None:
    """One row per figure: formula and source as in the catalogue, and the value of the hour."""
    found, french = rows(page), page.endswith(".fr.md")
    oee = history().over(Window(0, HOUR))
    for kpi in (one for one in CATALOGUE if one.of == "machine"):
        assert kpi.name in found, f"{page} does not explain {kpi.name}"
        _, reference, _, meaning, example = found[kpi.name]
        assert reference == (kpi.reference_fr if french else kpi.reference)
        assert meaning == (f"{kpi.name_fr} – {kpi.meaning_fr}" if french else kpi.meaning)
        number = float(example.removesuffix(" s").removesuffix(" %").replace(",", "."))
        computed = kpi.compute(oee).value * (100 if example.endswith("%") else 1)
        assert number == pytest.approx(computed, abs=0.051), kpi.name


@pytest.mark.parametrize("page", ["kpis.md", "kpis.fr.md"])
def test_the_times_of_the_model_are_explained_too(page: str) -> None:
    """60 min in all, 41 at the reference cycles of what was made, 38 of what is good."""
    oee, found = history().over(Window(0, HOUR)), rows(page)
    for name, computed, minutes in (("tT", oee.total, 60), ("tN", oee.net, 41), ("tU", oee.useful, 38)):
        assert computed == pytest.approx(60 * minutes)
        assert found[name][4] == f"{60 * minutes} s"


@pytest.mark.parametrize("kpi", CATALOGUE, ids=lambda kpi: kpi.name)
def test_french_explains_a_figure_and_does_not_only_name_it(kpi: Kpi) -> None:
    """At least half as many words as in English, which are not the name, and nothing in English."""
    assert 2 * len(kpi.meaning_fr.split()) >= len(kpi.meaning.split())
    assert kpi.name_fr
    assert kpi.meaning_fr != kpi.name_fr
    assert not re.search(r"\b(of|the|with|whose|this|and|annex)\b", f"{kpi.reference_fr} {kpi.meaning_fr}")


@pytest.mark.parametrize(("page", "silence"), [("kpis.md", "a year of silence"), ("kpis.fr.md", "un an de silence")])
def test_both_pages_tell_the_same(page: str, silence: str) -> None:
    """The mapping of an event log is one that loads, and what becomes of parts after a silence is told."""
    text = (DOCS / page).read_text(encoding="utf-8")
    assert silence in text
    [mapping] = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    config = parse(mapping, EventLogConfig)
    assert (config.timezone, config.machine.hourly_cost) == ("Europe/Paris", 90)

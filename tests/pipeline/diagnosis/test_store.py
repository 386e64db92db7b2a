"""A diagnosis of a plant: any assets and interval, from a real store, with the figures the catalogue computes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboards.reports.content import content
from pipeline.diagnosis.diagnosis import of_store
from pipeline.kpis.evaluate import history_of
from pipeline.stores.duckdb import DuckDbStore
from telemetry.glossary import MachineState as S
from telemetry.plant import Asset, Plant
from telemetry.samples import SECOND_NS, Sample, Window

T0 = 1_772_409_600 * SECOND_NS  # 2026-03-02T00:00:00Z
MINUTE = 60 * SECOND_NS
PLANT = Plant(
    name="Atelier", timezone="Europe/Paris",
    assets=(
        Asset(path="km0/a/saw", name="Scie", cycle_s={"*": 60.0}, stale_after_s=1e6),
        Asset(path="km0/a/lathe", name="Tour", cycle_s={"*": 60.0}, hourly_cost=60.0, stale_after_s=1e6),
        Asset(path="km0/net/link", name="Lien 5G", kind="link", use_case="mobile-robots-standard"),
    ),
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbStore]:
    """Ten hours: the saw breaks down for 30 min every two hours, the lathe starves with it; a part a minute else."""
    one = DuckDbStore(tmp_path / "plant.duckdb")
    samples = []
    for path, down in (("km0/a/saw", S.OUT_OF_SERVICE), ("km0/a/lathe", S.STARVED)):
        parts = 0
        for minute in range(600):
            stopped = minute % 120 >= 90
            if minute % 120 in (0, 90):
                at = T0 + minute * MINUTE
                samples.append(
                    Sample(at, path, "state", float(down if stopped else S.EXECUTING), "", 0, at - 9 * SECOND_NS)
                )
            if not stopped:
                parts += 1
                at = T0 + minute * MINUTE + 59 * SECOND_NS
                samples += [Sample(at, path, metric, float(parts)) for metric in ("parts", "parts_good")]
    for n in range(3000):
        delay = 300.0 if n % 20 < 3 else 12.0
        samples.append(Sample(T0 + n * SECOND_NS // 25, "km0/net/link", "rtt", delay))
    one.write(samples)
    yield one
    one.close()


def test_a_plant_is_diagnosed(store: DuckDbStore) -> None:
    """The lathe waits for the saw for 2.5 of 10 h, which cost 150 €; the link is not fit; the sources are ahead."""
    window = Window(T0, T0 + 600 * MINUTE)
    found = of_store(store, PLANT, [one.path for one in PLANT.assets], window, T0 + 10**15)
    by_rule = {(one.rule, one.match.variant, one.match.asset): one for one in found.findings}
    waits = by_rule["starved_or_blocked", "starved_by", "km0/a/lathe"].match
    assert waits.words["other"] == "Scie"
    assert (waits.gain.seconds, waits.gain.cost) == pytest.approx((9000, 150))
    assert ("network_unfit", "not_met", "km0/net/link") in by_rule
    assert by_rule["clock_problems", "ahead", "km0/a/saw"].match.figures["lag"] == pytest.approx(9)
    history = history_of(
        store, PLANT, PLANT.asset("km0/a/lathe"), window, T0 + 10**15, ["state", "parts", "parts_good"]
    )
    assert found.subject.machine("km0/a/lathe").oee == history.over(window)
    assert found.subject.machine("km0/a/lathe").oee.running == pytest.approx(7.5 * 3600)


def test_the_report_of_a_plant_has_every_asset(store: DuckDbStore) -> None:
    """Machines and links, in both languages; nothing of a file."""
    window = Window(T0, T0 + 600 * MINUTE)
    found = of_store(store, PLANT, [one.path for one in PLANT.assets], window, T0 + 10**15)
    for language, word in (("fr", "Synthèse"), ("en", "Summary")):
        said = content(found, language)  # type: ignore[arg-type]
        assert [one["name"] for one in said["machines"]] == ["Scie", "Tour"]
        assert [one["name"] for one in said["links"]] == ["Lien 5G"]
        assert said["headings"]["summary"].startswith(word)
        assert said["quality"]["bad_rows"] is None


def test_an_interval_without_data_is_empty_not_wrong(store: DuckDbStore) -> None:
    """Nothing is known of the day before: said as such."""
    found = of_store(store, PLANT, ["km0/a/saw", "km0/net/link"], Window(T0 - 10**14, T0 - 10**13), T0)
    assert [one.rule for one in found.findings] == ["low_coverage"]
    assert content(found, "fr")["summary"]["figures"][0]["TRS"] == "—"


def test_an_asset_that_is_not_in_the_plant(store: DuckDbStore) -> None:
    """The caller is told."""
    with pytest.raises(KeyError):
        of_store(store, PLANT, ["km0/a/none"], Window(T0, T0 + MINUTE), T0)

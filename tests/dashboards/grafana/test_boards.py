"""What every board has, in both languages, and that the rendered files are those of the code."""

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dashboards.grafana import alerts, looks
from dashboards.grafana.boards import BOARDS
from dashboards.grafana.render import boards, files
from dashboards.grafana.texts import Texts
from km0.grafana import app
from km0.plantfile import PlantFile, sample_file
from pipeline.kpis.use_cases import USE_CASES
from pipeline.stores.influxdb_config import InfluxDbConfig
from telemetry.config import load
from telemetry.plant import Asset, Plant
from tests.dashboards.grafana.asking import panels
from tests.dashboards.grafana.simulated_day import demonstrator

PLANT = load(sample_file(), PlantFile).plant
RENDERED = Path(__file__).parents[3] / "dashboards" / "grafana" / "rendered"
LANGUAGES = pytest.mark.parametrize("language", ["fr", "en"])


def every_panel(language: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(name, panel) for name, board in boards(PLANT, language).items() for panel in panels(board)]


def test_rendered_files_are_current() -> None:
    """What is in the repository is what the code makes of plant.toml; `km0 grafana render` brings it up to date."""
    result = CliRunner().invoke(app, ["render", str(sample_file()), "--out", str(RENDERED), "--check"])
    assert result.exit_code == 0, result.output


def test_a_differing_file_is_named_and_put_right(tmp_path: Path) -> None:
    """`--check` exits 1 and names the file; rendering again writes that one alone."""
    arguments = ["render", str(sample_file()), "--out", str(tmp_path)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    spoilt = tmp_path / "fr" / "wall.json"
    spoilt.write_text("{}")
    checked = CliRunner().invoke(app, [*arguments, "--check"])
    assert checked.exit_code == 1
    assert "wall.json" in checked.output.replace("\n", "")
    assert "1 of them written" in CliRunner().invoke(app, arguments).output.replace("\n", " ")
    assert spoilt.read_text() == files(PLANT, InfluxDbConfig(url="http://influxdb:8086"))[Path("fr/wall.json")]


def test_every_text_has_its_french() -> None:
    """Nothing on a French board stays English by accident."""
    texts = Texts("fr")
    for make in BOARDS:
        make(PLANT, texts).build()
    for rule in alerts.rules(demonstrator(), texts):
        alerts.as_grafana(rule, texts)
    assert texts.missing == set()


@LANGUAGES
def test_every_panel_says_how_its_figure_is_made(language: Any) -> None:
    """A title, a description of some length, a word for "no data", and a unit or words where there are figures."""
    for board, panel in every_panel(language):
        assert panel["title"], board
        assert len(panel["description"]) > 30, (board, panel["title"])
        assert panel["fieldConfig"]["defaults"]["noValue"], (board, panel["title"])
        assert panel["targets"], (board, panel["title"])


@LANGUAGES
def test_oee_and_latency_figures_name_their_standard(language: Any) -> None:
    """Panels that show KPI values name NF E60-182, ISO 22400, an RFC or TS 22.104."""
    for board, panel in every_panel(language):
        shown = {kpi for target in panel["targets"] for kpi in re.findall(r"\"kpi\" = '(\w+)'", target["query"])}
        if shown & {"trs", "do", "tp", "tq", "parts", "parts_good", "mtbf", "rtt_p50", "rtt_p99", "loss", "jitter"}:
            standard = r"NF E60-182|ISO 22400|RFC \d+|TS 22\.104|hourly cost|coût horaire|required time|temps requis"
            assert re.search(standard, panel["description"]), (board, panel["title"])


@LANGUAGES
def test_boards_link_to_one_another(language: Any) -> None:
    """From every board one reaches every other in the same language, the time range kept; the choice of assets too
    where the other has the same kind of them, and can show several."""
    about = {"network": "links", "data_path": "sources"}
    made = boards(PLANT, language)
    uids = {board["uid"] for board in made.values()}
    for name, board in made.items():
        reached = {link["url"].removeprefix("/d/") for link in board["links"] if link["keepTime"]}
        assert reached == uids - {board["uid"]}, name
        for link in board["links"]:
            other = next((key for key, one in made.items() if link["url"].endswith(one["uid"])), name)
            alike = about.get(other) == about.get(name) and other != "machine"
            assert link["includeVars"] == (alike or other == name), (name, other)


@LANGUAGES
def test_variables_lead_down_the_isa_95_path(language: Any) -> None:
    """Site, area, line, asset, each asked with the choices above it."""
    for board in boards(PLANT, language).values():
        variables = board["templating"]["list"]
        assert [variable["name"] for variable in variables[:4]] == ["site", "area", "line", "asset"]
        for place, variable in enumerate(variables[:4]):
            assert variable["query"].count("=~") == place


def test_both_languages_ask_the_same() -> None:
    """Only words differ: queries, units, thresholds and places are one source."""
    asked = {
        language: [target["query"] for _, panel in every_panel(language) for target in panel["targets"]]
        for language in ("fr", "en")
    }
    assert asked["fr"] == asked["en"]


def test_states_look_as_on_the_pages() -> None:
    """The colour of a running machine on a board is the one the page's style sheet gives to `--run`."""
    css = (Path(__file__).parents[3] / "dashboards/web/static/app.css").read_text()
    running = re.search(r"--run: (#\w+);", css)
    assert running is not None
    mapping = looks.state_mappings(Texts("en"))[0]
    assert mapping.options["3"].color == running[1]  # type: ignore[union-attr,index]  # the first is the map of values
    assert mapping.options["3"].text == "Running"  # type: ignore[union-attr,index]  # as above


def test_panels_fit_the_grid_without_overlap() -> None:
    """Grafana moves panels that overlap: none does, and none is wider than the grid."""
    for name, board in boards(PLANT, "en").items():
        cells: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24, (name, panel["title"])
            own = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                   for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
            assert not own & cells, (name, panel["title"])
            cells |= own


def test_thresholds_come_from_the_plant_file() -> None:
    """The mill's target of 75 % turns its tile green, 85 % of that is where red ends."""
    [tile, *_] = [panel for panel in panels(boards(PLANT, "en")["wall"]) if panel["title"].startswith("TRS")]
    levels = tile["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [level["value"] for level in levels] == [None, 0.6375, 0.75]
    assert "75%" in tile["title"]


def test_each_link_is_judged_by_its_own_use_case() -> None:
    """Motion control allows 1 ms and is red from there on; asset management a minute; both have an alert of their own,
    by the availability that their rows of TS 22.104 ask for. One without a case has the limits of before."""
    cases = {"a": "motion-control-2", "b": "asset-management", "c": None}
    plant = Plant(assets=tuple(Asset(path=f"km0/5g/{n}", name=n, kind="link", use_case=c) for n, c in cases.items()))
    tiles = [one for one in panels(boards(plant, "en")["wall"]) if "99 % of round trips" in one["title"]]
    levels = [[step["value"] for step in one["fieldConfig"]["defaults"]["thresholds"]["steps"]] for one in tiles]
    assert levels == [[None, 0.5, 1], [None, 30_000, 60_000], [None, 50, 100]]
    told = {
        (rule.key.split("-")[0], rule.title[-1]): (rule.side, rule.limit) for rule in alerts.rules(plant, Texts("en"))
    }
    assert {key: limit for key, limit in told.items() if key[0] in ("latency", "service", "loss")} == {
        ("latency", "a"): ("gt", 1), ("latency", "b"): ("gt", 60_000), ("latency", "c"): ("gt", 100),
        ("service", "a"): ("lt", USE_CASES["motion-control-2"].availability),
        ("service", "b"): ("lt", USE_CASES["asset-management"].availability), ("loss", "c"): ("gt", 0.01),
    }  # fmt: skip


def test_two_machines_of_one_name_are_two_to_alerts_and_a_figure_has_its_unit() -> None:
    """Each rule asks by the whole path; its sentence says per cent, minutes or milliseconds."""
    said = {rule.key: alerts.as_grafana(rule, Texts("en")) for rule in alerts.rules(demonstrator(), Texts("en"))}
    for key, rule in said.items():
        assert 'GROUP BY "site", "area", "line", "asset"' in rule["data"][0]["model"]["query"], key
    assert said["stopped"]["annotations"]["summary"].endswith('(now {{ printf "%.1f" $values.B.Value }} min)')
    for key, rule in said.items():
        if key.startswith("trs-"):
            assert "{{ humanizePercentage $values.B.Value }}" in rule["annotations"]["summary"]
    assert said["silent"]["annotations"]["summary"] == "The platform is silent"


def test_no_secret_is_written_into_a_file() -> None:
    """The token of InfluxDB is a file that Grafana reads, the address for alerts an environment variable."""
    text = (RENDERED / "provisioning" / "datasources" / "km0.yaml").read_text()
    assert "Token $__file{/run/secrets/km0_grafana_token}" in text
    assert "$KM0_ALERT_EMAIL" in (RENDERED / "provisioning" / "alerting-fr" / "km0.yaml").read_text()


def test_the_guide_explains_every_panel_and_alert() -> None:
    """docs/dashboards.md has the description of each panel and the advice of each rule, word for word."""
    guide = (Path(__file__).parents[3] / "docs" / "dashboards.md").read_text(encoding="utf-8")
    for board, panel in every_panel("en"):
        assert panel["description"] in guide, (board, panel["title"])
    for rule in alerts.rules(demonstrator(), Texts("en")):
        assert rule.todo in guide, rule.key


def workshop(machines: int, *, one_name: bool = False) -> Plant:
    """A plant with so many machines, each with a target and a cost."""
    names = ["Mill" if one_name else f"Mill {n}" for n in range(machines)]
    return Plant(
        assets=tuple(
            Asset(path=f"km0/hall/cell-{n}/mill", name=name, target_trs=0.7, hourly_cost=80)
            for n, name in enumerate(names)
        )
    )


def test_a_workshop_of_thirty_machines_has_its_boards() -> None:
    """Panels with a query per machine ask all thirty, each under a name of its own that goes on after Z as AA."""
    asked = [
        [target["refId"] for target in panel["targets"]]
        for board in boards(workshop(30), "en").values()
        for panel in panels(board)
    ]
    many = [names for names in asked if len(names) >= 30]
    assert len(many) == 4  # who needs help, target by shift, the table of shifts, cost of losses
    for names in many:
        assert names[:2] + names[25:28] == ["A", "B", "Z", "AA", "AB"]
        assert len(set(names)) == 30


def test_machines_of_one_name_are_told_apart_by_their_paths() -> None:
    """Two machines that people call the same are two on every board and in every alert; unique names stay names."""
    plant = workshop(2, one_name=True)
    plant = plant.model_copy(update={"assets": (*plant.assets, Asset(path="km0/hall/cell-9/lathe", name="Lathe"))})
    made = boards(plant, "en")
    [ranking] = [panel for panel in panels(made["wall"]) if panel["title"].startswith("Who needs help")]
    assert [one["alias"] for one in ranking["targets"]] == ["km0/hall/cell-0/mill", "km0/hall/cell-1/mill", "Lathe"]
    [table] = [panel for panel in panels(made["shift"]) if panel["title"] == "Shifts"]
    assert len(table["targets"]) == 3
    titles = [rule.title for rule in alerts.rules(plant, Texts("en"))]
    assert len(titles) == len(set(titles))


def test_steps_of_energy_do_not_depend_on_the_width_of_a_screen() -> None:
    """Panels that add up steps of `$__interval` fix how many there may be: the same kWh on a wall and a telephone."""
    summed = [panel for panel in panels(boards(PLANT, "en")["energy"])
              if any("$__interval_ms" in target["query"] for target in panel["targets"])]  # fmt: skip
    assert len(summed) == 2
    assert [panel["maxDataPoints"] for panel in summed] == [720, 720]

"""What was recognised is shown with its doubts, everything can be corrected, and nothing that was said is lost."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from httpx2 import Client

from dashboards.web.diagnoses import form
from pipeline.files.mapping import EventLogConfig
from telemetry.plant import DAYS, CalendarConfig
from tests.dashboards.confirmed import fields
from tests.dashboards.diagnosing import FRENCH, bring, finished, visited

AMERICAN = "Date,State,Good\n" + "".join(
    f"{month}/2/2026 08:00:00,{state},{made}\n"
    for month, state, made in ((3, "run", 0), (4, "stop", 90), (5, "run", 90))
)
"""The second of March, April and May: a day first would make it the third, fourth and fifth of February."""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Client]:
    with visited(tmp_path, max_upload_mb=1, keep_mb=4) as client:
        yield client


def posted(app: Client, number: str, said: dict[str, Any], language: str = "fr") -> Any:
    return app.post(f"/diagnoses/{number}?lang={language}", data=said, follow_redirects=False)


def field(page: str, name: str) -> str:
    """The HTML of a field, with what stands below it."""
    [found] = re.findall(
        rf'<div class="field">(?:(?!<div class="field">).)*name="{re.escape(name)}".*?</div>', page, re.DOTALL
    )
    return str(found)


def test_american_dates_are_doubted_and_mended_on_the_page(app: Client) -> None:
    """No day above twelve: "à confirmer"; month first makes it March in the preview and May in the result."""
    number = bring(app, AMERICAN.encode(), "line.csv")
    page = app.get(f"/diagnoses/{number}?lang=fr").text
    assert "à confirmer" in field(page, "time_format")
    assert "jour d'abord" in field(page, "time_format")
    [month] = re.findall(r'<option value="(%m[^"]*)"', field(page, "time_format"))
    said = fields(page) | {"time_format": month, "timezone": "America/Chicago"}
    preview = posted(app, number, said | {"preview": "1"}).text
    assert "02/03/2026 08:00:00" in preview
    assert 'value="America/Chicago"' in preview
    assert posted(app, number, said).status_code == 303
    assert finished(app, number) == "done"
    result = app.get(f"/api/v1/diagnoses/{number}/result").json()
    assert (result["start"][:10], result["end"][:10], result["bad_rows"]) == ("2026-03-02", "2026-05-02", 0)


FULL: dict[str, Any] = {
    "timezone": "Europe/Zurich", "time": "Date", "time_format": "%d/%m/%Y %H:%M:%S", "decimal": ".",
    "columns": {"state": "État", "parts": "Quantité", "product": "Article"}, "counts": "since_last",
    "states": {"Marche": "SETUP", "tourne vite": "EXECUTING"}, "encoding": "cp1252", "header_lines": [1],
    "machine": {
        "path": "site/presse", "name": "Presse", "cycle_s": {"A": 12.125, "B": 30.0, "*": 0.125},
        "micro_stop_s": 90.5, "stale_after_s": 900.0, "target_trs": 0.8125, "hourly_cost": 1250.125,
        "counter_rollover": 65536.0, "state_categories": {"MAINTENANCE": "breakdown"},
    },
    "calendar": {
        "name": "deux-huit", "holidays": ["2026-12-25"],
        "shifts": [
            {"name": "matin", "start": "05:00", "end": "13:00", "days": ["mon", "tue"]},
            {"name": "nuit", "start": "21:00", "end": "05:00", "days": ["fri"]},
        ],
        "breaks": [{"name": "pause", "start": "09:00", "end": "09:20", "days": ["mon"]}],
    },
}  # fmt: skip


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_saved_mapping_that_is_filled_in_and_sent_is_the_same(app: Client, language: str) -> None:
    """Cycles of products with all their digits, formats, own words, turns of other days, what has no field: kept."""
    assert app.put("/api/v1/mappings/Presse", json=FULL).status_code == 200
    number = bring(app)
    page = app.get(f"/diagnoses/{number}?saved=Presse&again=true&lang={language}").text
    assert posted(app, number, fields(page) | {"save_as": "Encore"}, language).status_code == 303
    kept = {one["name"]: one["mapping"] for one in app.get("/api/v1/mappings").json()["mappings"]}
    before, after = (EventLogConfig.model_validate_json(json.dumps(kept[name])) for name in ("Presse", "Encore"))
    assert before == EventLogConfig.model_validate_json(json.dumps(FULL))
    assert after == before
    assert "stale_after_s" in after.machine.model_fields_set, "said, though it is the default: a silence counts"


def test_what_is_emptied_is_gone_and_what_is_not_shown_stays(app: Client) -> None:
    """The usual cycle, the cost and the target are taken away; those of products and the rollover stay."""
    app.put("/api/v1/mappings/Presse", json=FULL)
    number = bring(app)
    said = fields(app.get(f"/diagnoses/{number}?saved=Presse&again=true&lang=fr").text)
    said |= {"cycle_s": "", "cycle:B": "", "hourly_cost": "", "target": "", "save_as": "Moins"}
    assert posted(app, number, said).status_code == 303
    [kept] = [one["mapping"] for one in app.get("/api/v1/mappings").json()["mappings"] if one["name"] == "Moins"]
    machine = kept["machine"]
    assert machine["cycle_s"] == {"A": 12.125}
    assert not {"hourly_cost", "target_trs"} & machine.keys()
    assert machine["counter_rollover"] == 65536


def test_each_product_of_the_file_may_have_its_cycle(app: Client) -> None:
    """Two words in the column of products, two fields."""
    content = "Date;Etat;Produit;Bonnes\n02/11/2026 08:00;Marche;A1;0\n02/11/2026 09:00;Marche;B2;50\n"
    number = bring(app, (content + "14/11/2026 10:00;Arrêt;B2;90\n").encode())
    said = fields(app.get(f"/diagnoses/{number}?lang=fr").text)
    assert {"cycle:A1", "cycle:B2"} <= said.keys()
    assert posted(app, number, said | {"cycle:A1": "12,5", "save_as": "Produits"}).status_code == 303
    [kept] = app.get("/api/v1/mappings").json()["mappings"]
    assert kept["mapping"]["machine"]["cycle_s"] == {"A1": 12.5}


def test_a_workbook_with_a_cover_gets_to_figures_by_its_second_sheet(app: Client, tmp_path: Path) -> None:
    """The page says that no column is a time; the other sheet is chosen, read, and computed."""
    book = openpyxl.Workbook()
    cover, data = book.active, book.create_sheet("Relevé")
    assert cover is not None
    for told in (("Presse 3", "atelier B"), ("responsable", "Mme Muller"), ("version", "2")):
        cover.append(told)
    rows = (
        ("02/11/2026 08:00:00", "Marche", 0),
        ("02/11/2026 11:00:00", "Arrêt", 150),
        ("02/11/2026 12:00:00", "Marche", 150),
    )
    for row in (("Date", "État", "Bonnes"), *rows):
        data.append(row)
    path = tmp_path / "releve.xlsx"
    book.save(path)
    number = bring(app, path.read_bytes(), "releve.xlsx")
    answer = app.get(f"/diagnoses/{number}?lang=fr")
    assert answer.status_code == 200
    assert "aucune colonne ne ressemble à une heure" in field(answer.text, "time")
    said = fields(answer.text) | {"sheet": "Relevé", "machine": "Presse 3", "cycle_s": "60"}
    assert posted(app, number, said).status_code == 422, "computed only when its columns were seen"
    page = posted(app, number, said | {"preview": "1"}).text
    read = fields(page)
    assert (read["time"], read["metric:state"], read["sheet"]) == ("Date", "État", "Relevé")
    assert (read["machine"], read["cycle_s"]) == ("Presse 3", "60")
    assert posted(app, number, read).status_code == 303
    assert finished(app, number) == "done"
    figures = {one["kpi"]: one["value"] for one in app.get(f"/api/v1/diagnoses/{number}/result").json()["figures"]}
    assert figures["do"] == pytest.approx(0.75, abs=1e-4)
    assert figures["trs"] == pytest.approx(150 / 240, abs=1e-3)


def test_a_file_without_any_table_can_be_deleted_on_its_page(app: Client) -> None:
    """Parquet by its first and last bytes only: the sentence, and the form that takes it away."""
    number = bring(app, b"PAR1" + b"\0" * 64 + b"PAR1", "releve.parquet")
    page = app.get(f"/diagnoses/{number}?lang=fr")
    assert page.status_code == 200
    assert 'role="alert"' in page.text
    assert f'action="/diagnoses/{number}/remove"' in page.text


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"timezone": "Mars/Olympus"}, "n&#39;est pas un fuseau horaire"),
        ({"breaks": "09:00-09:20"}, "indiquez-les aussi"),
        ({"header_lines": "trois"}, "lignes de l&#39;en-tête"),
        ({"encoding": "klingon"}, "klingon"),
        ({"base": "{}}"}, "rouvrez la page"),
        ({"base": '{"timezone": 5}'}, "rouvrez la page"),
    ],
    ids=["zone", "breaks without shifts", "heading", "encoding", "no JSON", "no mapping"],
)
def test_what_cannot_be_is_said_and_the_form_stays(app: Client, wrong: dict[str, str], sentence: str) -> None:
    """A sentence in the language of the page; nothing runs."""
    number = bring(app)
    said = fields(app.get(f"/diagnoses/{number}?lang=fr").text)
    answer = posted(app, number, said | wrong)
    assert answer.status_code == 422
    [told] = re.findall(r'role="alert">(.*?)</p>', answer.text)
    assert sentence in told
    assert app.get(f"/api/v1/diagnoses/{number}").json()["state"] == "mapping"


def test_every_guess_is_shown_with_why(app: Client) -> None:
    """A list of stops with a unit that nobody wrote: its state, the state between, the unit and the zone say why."""
    rows = "Début;Durée;Cause\n" + "".join(f"{day}/11/2026 08:00:00;{day};panne\n" for day in range(2, 20))
    page = app.get(f"/diagnoses/{bring(app, rows.encode())}?lang=fr").text
    for name in ("each", "duration_unit"):
        assert "à confirmer" in field(page, name), name
    for name in ("timezone", "time_format", "encoding"):
        assert re.search(r"<small[^>]*>[^<]+</small>", field(page, name)), name
    assert fields(page)["each"] == "NOT_EXECUTING"
    assert fields(page)["between"] == "EXECUTING"


def test_a_turn_keeps_its_name_and_days_unless_others_are_chosen() -> None:
    """Of two shifts on their own days one is moved: the other stays; other days are those of both."""
    calendar = CalendarConfig.model_validate_json(json.dumps(FULL["calendar"]))
    before = EventLogConfig(calendar=calendar)
    shown = form.days_of(calendar)
    assert shown == ("mon", "tue", "fri")
    moved = form.read({"shifts": "05:00-13:00, 22:00-05:00", "breaks": "09:00-09:20"}, shown, before).calendar
    assert moved is not None
    assert (moved.shifts[0], moved.breaks, moved.holidays) == (calendar.shifts[0], calendar.breaks, calendar.holidays)
    assert (moved.shifts[1].start, moved.shifts[1].days) == (22 * 60, shown)
    daily = form.read({"shifts": form.turns(calendar.shifts), "breaks": ""}, DAYS, before).calendar
    assert daily is not None
    assert [(turn.name, turn.days) for turn in daily.shifts] == [("matin", DAYS), ("nuit", DAYS)]
    assert daily.breaks == ()


def test_a_mapping_that_names_what_the_file_has_not_says_so(app: Client) -> None:
    """Of another export: its column stands there, marked; its sheet is told, and the table is read as it is found."""
    app.put("/api/v1/mappings/Autre", json={"timezone": "UTC", "time": "Horodatage", "separator": "!"})
    number = bring(app, FRENCH)
    page = app.get(f"/diagnoses/{number}?saved=Autre&again=true&lang=fr").text
    assert "pas dans ce fichier" in field(page, "time") or 'role="alert"' in page
    assert "n&#39;y a pas de correspondance" in app.get(f"/diagnoses/{number}?saved=rien&again=true&lang=fr").text

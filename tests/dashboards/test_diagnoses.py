"""From a strange spreadsheet to its figures, by page and API. What must do no harm: test_diagnoses_hostile.py."""

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Client
from starlette.testclient import TestClient

from dashboards.web.app import create_app
from dashboards.web.config import WebConfig
from dashboards.web.diagnoses import form, plant
from dashboards.web.diagnoses.shelf import Shelf
from pipeline.files import meanings
from pipeline.files.mapping import EventLogConfig
from pipeline.said import Said
from telemetry.plant import DAYS
from telemetry.samples import SECOND_NS
from tests.dashboards.diagnosing import FRENCH, bring, computed, finished, visited
from tests.dashboards.seeded import LINK, MILL, PRESS, Clock, full
from tests.dashboards.test_pages import text


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Client]:
    with visited(tmp_path, max_upload_mb=1, keep_mb=2) as client:
        yield client


def test_a_french_spreadsheet_becomes_figures(app: Client) -> None:
    """cp1252, semicolons, French dates: 3 h of 4 running, 150 parts at 60 s are 2.5 h, 140 good are 140/240 of tR."""
    result = computed(app, bring(app), cycle_s={"*": 60.0}, hourly_cost=50.0)
    figures = {figure["kpi"]: figure["value"] for figure in result["figures"]}
    assert result["times"]["tR"] == pytest.approx(4 * 3600, abs=1)
    assert figures["do"] == pytest.approx(0.75, abs=1e-4)
    assert figures["tp"] == pytest.approx(150 / 180, abs=1e-3)
    assert figures["trs"] == pytest.approx(140 / 240, abs=1e-3)
    [stop] = [bar for bar in result["by_reason"] if bar["name"] == "bourrage"]
    assert (stop["seconds"], stop["cost"]) == (3600, 50)
    assert result["start"] == "2026-11-02T07:00:00.000000000Z"


def test_bad_rows_are_listed_with_line_and_reason(app: Client) -> None:
    """Line 5 says "pas un nombre" where a count should be: listed in both languages, and downloadable."""
    number = bring(app)
    result = computed(app, number)
    assert [(bad["line"], bad["column"]) for bad in result["bad_rows_listed"]] == [(5, "Quantité")]
    rows = app.get(f"/api/v1/diagnoses/{number}/bad-rows.csv?lang=fr").content.decode("utf-8-sig")
    assert rows.splitlines()[1].startswith("5,Quantité,")


def test_the_pages_lead_from_file_to_figures(app: Client) -> None:
    """Proposal with its doubts, confirmation, result; then the mapping can be corrected and the file deleted."""
    number = bring(app)
    page = app.get(f"/diagnoses/{number}?lang=fr").text
    assert "<option selected>Date</option>" in page
    assert '<option value="EXECUTING" selected>' in page
    fields = dict(re.findall(r'<input name="(\w+)" [^>]*value="([^"]*)"', page)) | {
        "timezone": "Europe/Paris", "time": "Date", "metric:state": "État", "metric:parts": "Quantité",
        "metric:parts_good": "Bonnes", "metric:reason": "Motif", "word:Marche": "EXECUTING",
        "word:Arrêt": "NOT_EXECUTING",
        "cycle_s": "60,0", "machine": "Presse <1>", "save_as": "Presse 1",
    }  # fmt: skip
    answer = app.post(f"/diagnoses/{number}", data=fields, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/diagnoses/{number}")
    assert finished(app, number) == "done"
    page = app.get(f"/diagnoses/{number}?lang=fr").text
    assert "<1>" not in page
    assert "58,3 %" in text(page)
    assert "bourrage" in page
    assert "Presse 1" in app.get("/diagnoses").text
    other = bring(app, FRENCH.replace(b"Marche", b"Tourne"))
    assert 'value="60"' in app.get(f"/diagnoses/{other}?saved=Presse 1&again=true&lang=fr").text
    assert app.post(f"/diagnoses/{number}/remove", follow_redirects=False).status_code == 303
    assert app.get(f"/api/v1/diagnoses/{number}").status_code == 404


def test_the_result_has_its_charts(app: Client) -> None:
    """With the figures of the file: 4 h required, 1 h stopped for a jam, 0.5 h of slow cycles, 10 parts of 60 s bad."""
    number = bring(app)
    computed(app, number, cycle_s={"*": 60.0})
    drawn = {}
    for name in ("waterfall", "pareto", "reasons"):
        spec = app.get(f"/charts/diagnoses/{number}/{name}?lang=fr").json()["spec"]
        assert "vega-lite" in spec["$schema"]
        [drawn[name]] = spec["datasets"].values()
    hours = {row["name"]: row["to"] - row["from"] for row in drawn["waterfall"]}
    assert hours["Temps requis (tR)"] == pytest.approx(4, abs=1e-3)
    assert hours["Temps de fonctionnement (tF)"] == pytest.approx(3, abs=1e-3)
    assert hours["Temps net (tN)"] == pytest.approx(2.5, abs=1e-3)
    assert hours["Temps utile (tU)"] == pytest.approx(140 / 60, abs=1e-3)
    assert [row["hours"] for row in drawn["pareto"]] == pytest.approx([1, 0.5, 1 / 6], abs=1e-3)
    first = drawn["reasons"][0]
    assert (first["name"], first["hours"]) == ("bourrage", 1)


def test_the_report_is_handed_out_in_both_languages(app: Client) -> None:
    """PDF, HTML and JSON as downloads; the page shows each finding with its evidence."""
    number = bring(app)
    assert app.get(f"/api/v1/diagnoses/{number}/report.pdf").status_code == 409
    result = computed(app, number, cycle_s={"*": 60.0})
    for language in ("fr", "en"):
        pdf = app.get(f"/api/v1/diagnoses/{number}/report.pdf?lang={language}")
        assert pdf.content.startswith(b"%PDF")
        assert pdf.headers["content-disposition"] == f'attachment; filename="diagnosis-{language}.pdf"'
        report = app.get(f"/api/v1/diagnoses/{number}/report.json?lang={language}").json()
        assert report["source"]["name"] == "presse.csv"
        page = html.unescape(text(app.get(f"/diagnoses/{number}?lang={language}").text))
        for finding in report["findings"]:
            assert re.sub(r"\s+", " ", finding["evidence"]) in page
    assert report["findings"]
    assert "<script" not in app.get(f"/api/v1/diagnoses/{number}/report.html").text
    assert app.get(f"/api/v1/diagnoses/{number}/report.exe").status_code == 422
    assert result["bad_rows"] == 1


def test_diagnoses_are_paged_newest_first(app: Client) -> None:
    """Following `next` gives each once."""
    shelf: Shelf = app.app.state.desk.shelf  # type: ignore[attr-defined]  # as above
    clock = Clock()
    shelf._now_ns = clock  # the files come a second apart
    brought = []
    for _ in range(5):
        brought.append(bring(app))
        clock.now_ns += 10**9
    found, address = [], "/api/v1/diagnoses?limit=2"
    while address:
        page = app.get(address).json()
        found += [one["id"] for one in page["diagnoses"]]
        address = page["next"]
    assert found == brought[::-1]


def test_a_file_that_says_nothing_of_states_fails_with_a_sentence(app: Client) -> None:
    """The diagnosis says what is missing, and can be run again with another mapping."""
    number = bring(app, b"time;colour\n2026-11-02T08:00:00Z;red\n2026-11-02T09:00:00Z;blue\n")
    answer = app.post(f"/api/v1/diagnoses/{number}/run", json={"timezone": "UTC", "time": "time"})
    assert answer.status_code == 202
    assert finished(app, number) == "failed"
    assert "state" in app.get(f"/api/v1/diagnoses/{number}").json()["fault"]
    assert app.get(f"/api/v1/diagnoses/{number}/result").status_code == 409


def test_a_file_of_one_instant_fails_with_a_sentence(app: Client) -> None:
    """All rows at the same time: no chart can be drawn of it, which was a fault of ours."""
    number = bring(app, b"time;state\n" + b"2026-11-02T08:00:00Z;run\n" * 3)
    assert app.post(f"/api/v1/diagnoses/{number}/run", json={"timezone": "UTC"}).status_code == 202
    assert finished(app, number) == "failed"
    assert "all rows have the same time" in app.get(f"/api/v1/diagnoses/{number}").json()["fault"]


def test_the_plant_itself_is_diagnosed_over_any_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One shift of a machine, and a year of one with a link, of what is stored; what cannot be brings the form back as
    it was filled in, with why: no machine, no time of day, the future, more samples than are read."""
    seeded = full(config=WebConfig(port=0, folder=tmp_path), rtt_every_ns=60 * SECOND_NS)
    with TestClient(create_app(seeded.context), base_url="http://127.0.0.1", follow_redirects=False) as client:
        shift = {"asset": [MILL], "start": "2026-11-21T13:00", "end": "2026-11-21T21:00"}
        year = {"asset": [PRESS, LINK], "start": "2025-11-22T00:00", "end": "2026-11-22T11:00"}
        number = ""
        for form, start, end in ((shift, "2026-11-21T12:00:00", "2026-11-21T20:00:00"), (year, "2025-11-21T23", "")):
            answer = client.post("/diagnoses/plant", data=form)
            assert answer.status_code == 303
            number = answer.headers["location"].removeprefix("/diagnoses/")
            assert finished(client, number) == "done"
            report = client.get(f"/api/v1/diagnoses/{number}/report.json?lang=fr").json()
            assert [one["asset"] for one in report["machines"]] == form["asset"][:1]
            assert report["from"].startswith(start)
            assert report["to"].startswith(end)
        assert "Presse" in client.get(f"/diagnoses/{number}?lang=fr").text
        assert client.get(f"/api/v1/diagnoses/{number}/result").status_code == 409
        assert client.post("/diagnoses/plant", data=shift | {"asset": ["km0/x/y"]}).status_code == 404
        monkeypatch.setattr(plant, "MOST_SAMPLES", 1_000)
        for wrong, said in (
            ({"asset": []}, "Choisissez au moins une machine"), ({"start": "2026-11-21"}, "une date et une heure"),
            ({"start": "2026-11-23T00:00", "end": "2026-11-24T00:00"}, "du passé"), ({}, "choisissez un intervalle"),
        ):  # fmt: skip
            answer = client.post("/diagnoses/plant?lang=fr", data=year | wrong)
            assert answer.status_code == 422
            assert said in html.unescape(answer.text)
            kept: dict[str, Any] = year | wrong
            assert f'name="start" value="{kept["start"]}"' in answer.text
            ticked = re.findall(r'name="asset" value="([^"]*)" checked', answer.text)
            assert sorted(ticked) == sorted(kept["asset"])
        client.app.state.close()  # type: ignore[attr-defined]  # as above


def test_mappings_are_saved_listed_and_forgotten(app: Client) -> None:
    """Under their name, the later in place of the earlier; a name that is a path is none."""
    for column in ("date", "heure"):
        assert app.put("/api/v1/mappings/Presse 1", json={"time": column}).status_code == 200
    [kept] = app.get("/api/v1/mappings").json()["mappings"]
    assert (kept["name"], kept["mapping"]["time"]) == ("Presse 1", "heure")
    assert app.put("/api/v1/mappings/a%5Cb", json={}).status_code == 422
    assert app.delete("/api/v1/mappings/Presse 1").status_code == 204
    assert app.delete("/api/v1/mappings/'; DROP TABLE mappings --").status_code == 404


@pytest.mark.parametrize(
    ("field", "value"), [("cycle_s", "douze"), ("shifts", "5h-13h"), ("hourly_cost", "-3"), ("target", "1e9")]
)
def test_a_form_that_makes_no_sense_is_shown_again_with_why(app: Client, field: str, value: str) -> None:
    """422, the sentence, and the form; nothing runs."""
    number = bring(app)
    answer = app.post(f"/diagnoses/{number}?lang=fr", data={"timezone": "Europe/Paris", field: value})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert app.get(f"/api/v1/diagnoses/{number}").json()["state"] == "mapping"


def test_a_form_with_a_mistake_keeps_what_was_filled_in(app: Client) -> None:
    """One field is wrong: the others, words and days included, are not to be filled in again; nor is the wrong one."""
    number = bring(app)
    fields = {
        "timezone": "UTC", "time": "Date", "metric:state": "État", "words_of": "État", "metric:parts_scrap": "Motif",
        "metric:parts": "", "metric:parts_good": "", "metric:reason": "",
        "word:Marche": "SETUP", "word:Arrêt": "OUT_OF_SERVICE", "counts": "since_last", "duration_unit": "h",
        "machine": 'La "grande" presse', "cycle_s": "12,5", "hourly_cost": "1 250,5", "target": "80 pour cent",
        "micro_stop_s": "90", "shifts": "5:00-13:00", "breaks": "9:00-9:20", "day": ["tue", "sat"], "save_as": "Presse",
    }  # fmt: skip
    page = app.post(f"/diagnoses/{number}?lang=fr", data=fields)
    assert page.status_code == 422
    written = ("timezone", "machine", "cycle_s", "hourly_cost", "target", "micro_stop_s", "shifts", "breaks", "save_as")
    shown = dict(re.findall(r'<input name="(\w+)"[^>]* value="([^"]*)"', page.text))
    assert {name: html.unescape(shown[name]) for name in written} == {name: fields[name] for name in written}
    chosen = dict(re.findall(r'<select name="([^"]*)"(?:(?!</select>).)*? selected>([^<]*)<', page.text))
    assert chosen == {
        "time": "Date", "metric:state": "État", "metric:parts_scrap": "Motif",
        "word:Marche": "Réglage", "word:Arrêt": "En panne", "counts": "montrent les pièces depuis la ligne précédente",
        "duration_unit": "h",
    }  # fmt: skip
    assert re.findall(r'name="day" value="(\w+)" checked', page.text) == ["tue", "sat"]


def test_the_span_of_a_file_is_told_by_the_clock_of_the_file(app: Client) -> None:
    """The plant is in Paris, the file in New York: it speaks of eight to twelve by its own clock."""
    number = bring(app)
    mapping = app.get(f"/api/v1/diagnoses/{number}/proposal").json()["mapping"] | {"timezone": "America/New_York"}
    assert app.post(f"/api/v1/diagnoses/{number}/run", json=mapping).status_code == 202
    assert finished(app, number) == "done"
    page = app.get(f"/diagnoses/{number}?lang=en").text
    assert "2026-11-02 08:00 – 2026-11-02 12:00 · America/New_York" in page


def test_a_form_says_numbers_and_hours_as_people_write_them() -> None:
    """ "1 250,5 €" an hour, two shifts from Monday to Friday with a break."""
    said = {
        "hourly_cost": "1\u202f250,5", "cycle_s": "12,5", "target": "80", "shifts": "5:00-13:00, 13:00–21:00",
        "breaks": "09:00-09:20",
    }  # fmt: skip
    found = form.read(said, DAYS[:5], EventLogConfig())
    assert (found.machine.hourly_cost, found.machine.cycle_s, found.machine.target_trs) == (1250.5, {"*": 12.5}, 0.8)
    assert found.calendar is not None
    assert [(turn.start, turn.end, turn.days) for turn in found.calendar.shifts] == [
        (300, 780, DAYS[:5]), (780, 1260, DAYS[:5]),
    ]  # fmt: skip
    assert form.turns(found.calendar.breaks) == "09:00-09:20"


def test_an_interrupted_diagnosis_says_so_at_the_next_start(tmp_path: Path) -> None:
    """What was running when the process ended is one to be run again; what was half brought is gone."""
    shelf = Shelf(tmp_path)
    number = shelf.room(1)
    found = shelf.add(number, "", "a.csv", 10)
    assert shelf.begin(found, "{}")
    half = shelf.room(1)
    shelf.close()
    again = Shelf(tmp_path)
    found_again = again.get(1, number)
    assert found_again is not None
    assert (found_again.state, found_again.fault) == (
        "failed", Said("interrupted: run it again", "interrompu : relancez le calcul"),
    )  # fmt: skip
    assert not again.folder(half).exists()
    assert again.folder(number).exists()
    again.close()


def test_those_made_at_the_same_instant_are_all_listed(tmp_path: Path) -> None:
    """Three at a clock that stands still, in pages of one: each is on one of them."""
    shelf = Shelf(tmp_path, lambda: 10**18)
    made = {shelf.add(shelf.room(1), "", f"{n}.csv", 0).id for n in range(3)}
    listed, before = [], None
    while page := shelf.list(1, 1, before):
        listed += [one.id for one in page]
        before = page[-1].made_ns
    assert len(listed) == 3
    assert set(listed) == made
    shelf.close()


SEVERAL = (
    b"Date;Machine;Etat;Bonnes\n02/11/2026 08:00;Presse 1;Marche;0\n02/11/2026 08:00;Tour 2;Panne;0\n"
    b"02/11/2026 10:00;Tour 2;Marche;0\n02/11/2026 12:00;Presse 1;Marche;90\n02/11/2026 12:00;Tour 2;Marche;50\n"
    b"02/11/2026 08:00;Scie 3;Marche;0\n02/11/2026 12:00;Scie 3;Marche;240\n02/11/2026 08:00;Four 4;Panne;0\n"
    b"02/11/2026 11:00;Four 4;Marche;0\n02/11/2026 12:00;Four 4;Marche;60\n"
)


def test_a_file_of_several_machines_has_a_part_for_each(app: Client) -> None:
    """The page leads from one to the other, the report holds both; one alone when the mapping says so."""
    number = bring(app, SEVERAL, "atelier.csv")
    first = computed(app, number, cycle_s={"*": 60.0})
    assert (first["machine"], first["machines"]) == ("Presse 1", ["Presse 1", "Tour 2", "Scie 3", "Four 4"])
    second = app.get(f"/api/v1/diagnoses/{number}/result?machine=1").json()
    running = {one["machine"]: one["times"]["tF"] for one in (first, second)}
    assert running == pytest.approx({"Presse 1": 4 * 3600, "Tour 2": 2 * 3600}, abs=1)
    assert app.get(f"/api/v1/diagnoses/{number}/result?machine=4").status_code == 404
    page = app.get(f"/diagnoses/{number}?machine=1&lang=fr").text
    assert f'href="/diagnoses/{number}?machine=0"' in page
    assert '<strong aria-current="page">Tour 2</strong>' in page
    # of four machines a table, by lost time: 3 h stood still, 150 min slow, 2 h stood still and 70 min slow, nothing
    assert re.findall(r'<td class="text">(\w+ \d)</td><td class="n">([^<]*)<', page) == [
        ("Tour 2", "3\u00a0h\u00a010"), ("Four 4", "3\u00a0h\u00a000"), ("Presse 1", "2\u00a0h\u00a030"),
        ("Scie 3", "0\u00a0s"),
    ]  # fmt: skip
    report = app.get(f"/api/v1/diagnoses/{number}/report.json").json()
    assert [one["name"] for one in report["machines"]] == ["Presse 1", "Tour 2", "Scie 3", "Four 4"]
    mapping = app.get(f"/api/v1/diagnoses/{number}/proposal").json()["mapping"] | {"only": "Tour 2"}
    assert app.post(f"/api/v1/diagnoses/{number}/run", json=mapping).status_code == 202
    assert finished(app, number) == "done"
    assert app.get(f"/api/v1/diagnoses/{number}/result").json()["machines"] == ["Tour 2"]
    assert app.get(f"/api/v1/diagnoses/{number}/result?machine=1").status_code == 404, "of the mapping before"


def test_a_file_of_mostly_bad_rows_says_so_loudly(app: Client) -> None:
    """On the page as an alert, and as the first finding of the report; a file of good rows says nothing of it."""
    rows = "".join(f"02/11/2026 08:{n:02d};{('Marche', 'Zzz')[n % 3 > 0]};{n}\n" for n in range(60))
    number = bring(app, f"Date;Etat;Bonnes\n{rows}".encode())
    computed(app, number)
    page = app.get(f"/diagnoses/{number}?lang=fr").text
    assert "Ces chiffres reposent sur peu" in page
    report = app.get(f"/api/v1/diagnoses/{number}/report.json").json()
    assert (report["findings"][0]["rule"], report["findings"][0]["variant"]) == ("low_coverage", "mostly_bad")
    good = bring(app, SEVERAL)
    computed(app, good)
    assert "reposent sur peu" not in app.get(f"/diagnoses/{good}?lang=fr").text


def test_another_column_of_states_is_asked_what_its_words_mean(app: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The form comes back with the words of the column that was chosen, read once; then it runs."""
    read: list[object] = []
    real = meanings.words_in
    monkeypatch.setattr(meanings, "words_in", lambda *asked, **more: read.append(asked) or real(*asked, **more))
    content = "Date;Etat;Mode\n02/11/2026 08:00;Marche;X7\n02/11/2026 09:00;Arrêt;Y8\n02/11/2026 10:00;Marche;X7\n"
    number = bring(app, content.encode())
    fields = {
        "timezone": "Europe/Paris", "time": "Date", "metric:state": "Mode", "words_of": "Etat",
        "word:Marche": "EXECUTING",
    }  # fmt: skip
    answer = app.post(f"/diagnoses/{number}?lang=fr", data=fields)
    assert answer.status_code == 422
    assert 'name="word:X7"' in answer.text
    assert len(read) == 1
    fields |= {"words_of": "Mode", "word:X7": "EXECUTING", "word:Y8": "SETUP"}
    assert app.post(f"/diagnoses/{number}", data=fields, follow_redirects=False).status_code == 303
    assert finished(app, number) == "done"
    assert app.get(f"/api/v1/diagnoses/{number}/result").json()["times"]["tF"] == pytest.approx(3600, abs=1)

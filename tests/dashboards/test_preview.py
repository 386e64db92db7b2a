"""What a mapping would make of a file, seen before it is computed."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx2 import Client

from dashboards.web.diagnoses.preview import ROWS
from dashboards.web.texts import LANGUAGES
from tests.dashboards.accounts.companies import companies
from tests.dashboards.diagnosing import EVIL, FRENCH, bring, by_the_command, finished, visited
from tests.dashboards.test_pages import text

CHOSEN = {
    "timezone": "Europe/Paris", "time": "Date", "metric:state": "État", "metric:parts": "Quantité",
    "metric:parts_good": "Bonnes", "metric:reason": "Motif", "words_of": "État", "word:Marche": "EXECUTING",
    "word:Arrêt": "NOT_EXECUTING", "cycle_s": "60", "save_as": "Presse 1",
}  # fmt: skip


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Client]:
    with visited(tmp_path, max_upload_mb=2) as client:
        yield client


def previewed(app: Client, number: str, **fields: str) -> str:
    """The section of the page, as HTML."""
    answer = app.post(f"/diagnoses/{number}?lang=fr", data=fields | {"preview": "1"}, follow_redirects=False)
    assert answer.status_code == 200
    [found] = re.findall(r'<section[^>]* id="preview".*?</section>', answer.text, re.DOTALL)
    return str(found)


def said(section: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(text(section)))


def test_a_preview_shows_what_the_file_says(app: Client, tmp_path: Path) -> None:
    """3 h of 4 running, 150 parts of 60 s, 140 good: Do 75 %, TRS 140/240; the same as `km0 oee --events` says."""
    number = bring(app)
    section = previewed(app, number, **CHOSEN)
    shown = said(section)
    assert "Sur tout le fichier" in shown
    assert "TRS 58,3 % couverture 100 % Do 75,0 % couverture 100 % Tp 83,3 %" in shown
    figures = re.findall(r"<dd>(.*?)<span", section)
    bars = [float(width) for width in re.findall(r'<rect width="([\d.]+)%"', section)]
    assert bars == pytest.approx([100, 100, 75, 62.5, 58.33], abs=0.01)
    assert "1 ligne sur 5 n'a pas pu" in shown
    assert "Ligne 5, Quantité" in shown
    assert "tF 3 h 00 Temps net tN 2 h 30 Temps utile tU 2 h 20" in shown
    assert (
        "02/11/2026 08:00:00 2 h 00 En production 02/11/2026 10:00:00 1 h 00 À l'arrêt bourrage "
        "02/11/2026 11:00:00 1 h 00 En production"
    ) in shown
    file = tmp_path / "presse.csv"
    file.write_bytes(FRENCH)
    assert figures == by_the_command(file, "fr")


def test_a_preview_claims_no_time_that_nothing_tells(app: Client) -> None:
    """Without a cycle there is no net time, nor a useful one: a dash and no bar, not zero."""
    number = bring(app)
    section = previewed(app, number, **CHOSEN | {"cycle_s": ""})
    assert "tF 3 h 00 Temps net tN — Temps utile tU —" in said(section)
    assert section.count('<rect class="cumulative"') == 3
    assert app.post(f"/diagnoses/{number}?lang=fr", data=CHOSEN | {"cycle_s": ""}).status_code in (200, 303)
    assert finished(app, number) == "done"
    chart = app.get(f"/charts/diagnoses/{number}/waterfall?lang=fr").text
    assert "(tF)" in chart
    assert not re.search(r"\(t[NU]\)", chart)


def test_a_preview_computes_nothing_and_keeps_what_was_filled_in(app: Client) -> None:
    """The diagnosis still waits, no mapping is saved, and the form is as it was sent."""
    number = bring(app)
    page = app.post(f"/diagnoses/{number}?lang=fr", data=CHOSEN | {"preview": "1"}, follow_redirects=False).text
    assert app.get(f"/api/v1/diagnoses/{number}").json()["state"] == "mapping"
    assert app.get("/api/v1/mappings").json()["mappings"] == []
    assert 'name="cycle_s" inputmode="decimal" value="60"' in page
    assert 'name="save_as" maxlength="100" value="Presse 1"' in page


@pytest.mark.parametrize(("rows", "whole"), [(ROWS, True), (ROWS + 1, False)])
def test_a_file_longer_than_the_part_says_so(app: Client, rows: int, whole: bool) -> None:
    """A row every second, running but for the last one that is read: of one row more, only the first part is shown."""
    lines = [f"{1_790_000_000 + n};{'Marche' if n < ROWS - 1 else 'Arrêt'}" for n in range(rows)]
    number = bring(app, "\n".join(["Date;État", *lines]).encode())
    section = previewed(
        app, number, **{key: CHOSEN[key] for key in CHOSEN if not key.startswith("metric:p") and "reason" not in key}
    )
    shown = said(section)
    assert ("Sur tout le fichier" in shown, "Sur les 20 000 premières lignes seulement" in shown) == (whole, not whole)
    assert "sur 20 000 n" in shown
    assert "5 h 33" in shown  # 19,999 s


@pytest.mark.parametrize(
    ("content", "wrong", "french"),
    [
        (FRENCH, {"time": "Motif"}, "pas d'heure"),
        (FRENCH, {"metric:parts": "Motif"}, "n'est pas un nombre"),
        (b"Date;Motif\n2026-11-02T08:00:00Z;a\n2026-11-02T09:00:00Z;b\n", {}, "rien ne dit l'état"),
        (b"Date;Mode\n" + b"2026-11-02T08:00:00Z;Marche\n" * 3, {"metric:state": "Mode"}, "même heure"),
    ],
    ids=["no times", "no numbers", "no state", "one instant"],
)
def test_a_wrong_choice_gives_the_sentence_that_computing_gives(
    app: Client, content: bytes, wrong: dict[str, str], french: str
) -> None:
    """The same words, before anything runs; French ones on a French page, also once it has failed, and by the API."""
    number = bring(app, content)
    fields = (CHOSEN if content is FRENCH else {"timezone": "UTC", "time": "Date"}) | wrong
    fields.pop("save_as", None)
    before = {}
    for language in LANGUAGES:
        answer = app.post(f"/diagnoses/{number}?lang={language}", data=fields | {"preview": "1"})
        [sentence] = re.findall(r'<p class="fault" role="alert">(.*?)</p>', answer.text)
        before[language] = html.unescape(sentence)
    assert app.post(f"/diagnoses/{number}", data=fields, follow_redirects=False).status_code == 303
    assert finished(app, number) == "failed"
    for language in LANGUAGES:
        for asked in ({"params": {"lang": language}}, {"headers": {"Accept-Language": language}}):
            assert app.get(f"/api/v1/diagnoses/{number}", **asked).json()["fault"] == before[language]  # type: ignore[arg-type]
        page = app.get(f"/diagnoses/{number}?lang={language}").text
        [shown] = re.findall(r'<p class="card fault" role="alert">(.*?)</p>', page)
        assert html.unescape(shown) == before[language]
    assert french in before["fr"]
    assert app.get(f"/api/v1/diagnoses/{number}").json()["fault"] == before["en"]


def test_a_form_that_makes_no_sense_has_no_preview_but_why(app: Client) -> None:
    """A cycle of "douze"; and another column of states is asked what its words mean."""
    number = bring(app)
    assert "n'est pas un nombre" in said(previewed(app, number, **CHOSEN | {"cycle_s": "douze"}))
    assert "les mots de ses états" in said(previewed(app, number, **CHOSEN | {"metric:state": "Motif"}))


def test_a_preview_is_never_markup(app: Client) -> None:
    """What the file says of reasons and columns is text."""
    number = bring(app, FRENCH.replace(b"bourrage", EVIL.encode()).replace(b"Quantit\xe9", EVIL.encode()))
    section = previewed(app, number, **CHOSEN | {"metric:parts": EVIL})
    assert "onerror" in section
    assert "<img" not in section


def test_only_who_may_compute_previews(tmp_path: Path) -> None:
    """Neither another company, nor a viewer, nor a form without the token of its page."""
    both = companies(tmp_path)
    ours = both.client("engineer")
    number = bring(ours)
    assert both.client("guest").post(f"/diagnoses/{number}", data=CHOSEN | {"preview": "1"}).status_code == 404
    assert both.client("viewer").post(f"/diagnoses/{number}", data=CHOSEN | {"preview": "1"}).status_code == 403
    assert 'id="preview"' not in both.client("viewer").get(f"/diagnoses/{number}").text
    del ours.headers["X-CSRF-Token"]
    assert ours.post(f"/diagnoses/{number}", data=CHOSEN | {"preview": "1"}).status_code == 403
    both.app.state.close()

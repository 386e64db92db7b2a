"""A network measurement beside a file: the page, the API and the PDF say of 5G what `km0 diagnose --link` says."""

import html
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx2 import Client
from typer.testing import CliRunner

from dashboards.web.diagnoses import upload
from dashboards.web.diagnoses.shelf import Shelf
from km0.cli import app as km0
from tests.dashboards.accounts.companies import Companies, companies
from tests.dashboards.diagnosing import FRENCH, bring, computed, visited
from tests.dashboards.test_pages import text
from tests.support import require_program

CASE = "mobile-robots"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Client]:
    with visited(tmp_path / "web", max_upload_mb=1, keep_mb=2) as client:
        yield client


def ping(slowest_ms: int = 15, packets: int = 3000) -> bytes:
    """Two minutes of ping -D, 25 a second; one answer of seven is the slowest."""
    lines = [
        f"[{1793606400 + n * 0.04:.6f}] 64 bytes from 10.0.0.1: icmp_seq={n + 1} ttl=64 "
        f"time={slowest_ms if n % 7 == 6 else 9} ms"
        for n in range(packets)
    ]
    return ("PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.\n" + "\n".join(lines) + "\n").encode()


def put(client: Client, number: str, content: bytes | None = None, **query: str) -> int:
    asked = {"name": "ping atelier.txt", "use_case": CASE, "lang": "fr"} | query
    answer = client.put(
        f"/api/v1/diagnoses/{number}/link", params=asked, content=ping() if content is None else content
    )
    return int(answer.status_code)


def test_the_verdict_on_the_network_is_on_page_json_and_pdf_as_by_the_command(app: Client, tmp_path: Path) -> None:
    """Mobile robots want 10 ms and one packet of seven takes 15: not met, as `km0 diagnose` says it."""
    number = bring(app)
    assert "Mesure réseau (facultative)" in app.get(f"/diagnoses/{number}?lang=fr").text
    assert put(app, number) == 200
    shown = app.get(f"/api/v1/diagnoses/{number}").json()
    assert (shown["link"], shown["use_case"]) == ("ping atelier.txt", CASE)
    card = text(app.get(f"/diagnoses/{number}?lang=fr").text)
    assert "ping atelier.txt , robots mobiles, conduite précise" in re.sub(r"\s+,", " ,", card)
    computed(app, number, cycle_s={"*": 60.0})
    report = app.get(f"/api/v1/diagnoses/{number}/report.json?lang=fr").json()

    file, link, mapping = tmp_path / "presse.csv", tmp_path / "ping atelier.txt", tmp_path / "map.toml"
    file.write_bytes(FRENCH)
    link.write_bytes(ping())
    arguments = ["diagnose", str(file), "--cycle", "60", "--link", str(link), "--use-case", CASE]
    told = CliRunner().invoke(km0, [*arguments, "--save-mapping", str(mapping), "--json"], catch_exceptions=False)
    by_command = json.loads(told.stdout)
    assert report["links"] == by_command["links"]
    assert (report["links"][0]["verdict"], report["links"][0]["sent"]) == ("not met", 3000)
    assert report["findings"] == by_command["findings"]

    verdict = "ping atelier.txt, robots mobiles, conduite précise : non tenu"
    page = text(html.unescape(app.get(f"/diagnoses/{number}?lang=fr").text)).replace("\u00a0", " ")
    assert verdict in page
    pdf = tmp_path / "report.pdf"
    pdf.write_bytes(app.get(f"/api/v1/diagnoses/{number}/report.pdf?lang=fr").content)
    read = subprocess.run([require_program("pdftotext"), pdf, "-"], capture_output=True, text=True, check=True).stdout
    assert re.sub(r"\s", "", verdict) in re.sub(r"\s", "", read)


def test_without_a_measurement_the_report_says_how_to_come_by_one(app: Client) -> None:
    """In words of whoever stands before the page, who has no command line and no option --link."""
    number = bring(app)
    computed(app, number)
    for language, words in (("fr", "donnez-la avec le fichier"), ("en", "give it with the file")):
        report = app.get(f"/api/v1/diagnoses/{number}/report.html?lang={language}").text
        assert "--link" not in report
        assert words in text(report)
        assert words in text(app.get(f"/diagnoses/{number}?lang={language}").text)


def test_another_measurement_use_case_or_none(app: Client) -> None:
    """The later stands in place of the earlier, another application judges it anew, and it can be taken away."""
    number = bring(app)
    shelf: Shelf = app.app.state.desk.shelf  # type: ignore[attr-defined]  # Starlette's client, seen as httpx's
    assert put(app, number) == 200
    assert put(app, number, ping(9), name="b.txt", use_case="") == 200
    assert [one.name for one in shelf.folder(number).glob("link-*/*")] == ["b.txt"]
    page = f"/diagnoses/{number}/link"
    assert app.post(page, data={"use_case": "augmented-reality"}, follow_redirects=False).status_code == 303
    computed(app, number)
    [link] = app.get(f"/api/v1/diagnoses/{number}/report.json").json()["links"]
    assert (link["name"], link["use_case"], link["verdict"] == "not met") == ("b.txt", "augmented-reality", False)
    assert app.post(page, data={"use_case": "teleportation"}).status_code == 404
    assert app.post(page, data={"drop": "1"}, follow_redirects=False).status_code == 303
    assert app.get(f"/api/v1/diagnoses/{number}").json()["link"] == ""
    assert list(shelf.folder(number).glob("link-*")) == []
    assert app.post(page, data={"use_case": CASE}).status_code == 409, "there is none to judge"
    assert put(app, number) == 200
    assert app.delete(f"/api/v1/diagnoses/{number}/link").status_code == 204
    assert app.delete(f"/api/v1/diagnoses/{number}").status_code == 204
    assert not shelf.folder(number).exists()


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (FRENCH, "presse.csv", "ni le texte de ping"),
        (re.sub(rb"\[.*\] ", b"", ping()), "ping.txt", "ping -D"),
        (ping() * 2, "ping.txt", "passages de ping dans un fichier"),
        (b'{"round_trips": [', "irtt.json", "irtt"),
        (b"sent_ms,received_ms\n1,x\n", "table.csv", "Ligne 2, colonne"),
        (b"", "ping.txt", "vide"),
        (b"\x1f\x8b\x08", "irtt.json.gz", "gzip"),
        (ping(), "../ping.txt", "chemin"),
    ],
)
def test_what_is_no_recording_is_refused_in_french(
    app: Client, tmp_path: Path, content: bytes, name: str, says: str
) -> None:
    """With what to do, without a path of the server, and nothing of it stays."""
    number = bring(app)
    query = {"name": name, "use_case": CASE, "lang": "fr"}
    answer = app.put(f"/api/v1/diagnoses/{number}/link", params=query, content=content)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert str(tmp_path) not in answer.text
    assert app.get(f"/api/v1/diagnoses/{number}").json()["link"] == ""
    assert [one.name for one in (tmp_path / "web" / "diagnoses").iterdir()] == [number]


def test_measurements_are_bounded_and_count_for_what_is_kept(app: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the size of any file, by their own, and by the room of the company: three times 0.8 MB are too much in 2."""
    large = ping(packets=11_500)
    number = bring(app, FRENCH + b";;;;\r\n" * 150_000)
    other = bring(app)
    assert put(app, number, large * 2) == 413
    assert put(app, number, large) == 200
    assert put(app, other, large) == 507
    assert put(app, number, use_case="teleportation") == 404
    assert app.delete(f"/api/v1/diagnoses/{number}/link").status_code == 204
    assert put(app, other, large) == 200
    monkeypatch.setattr(upload, "LARGEST_LINK", 1000)
    assert put(app, number) == 422


def test_while_it_runs_nothing_of_it_changes(app: Client) -> None:
    """What a report says it is of is what it is of."""
    number = bring(app)
    assert put(app, number) == 200
    shelf: Shelf = app.app.state.desk.shelf  # type: ignore[attr-defined]  # as above
    found = shelf.get(0, number)
    assert found is not None
    assert shelf.begin(found, "{}")
    assert put(app, number) == 409
    coming = shelf.room(0)
    assert not shelf.join(coming, found, "x", "")
    assert not shelf.part(found)
    assert not shelf.judge_by(found, "")
    assert app.delete(f"/api/v1/diagnoses/{number}/link").status_code == 409
    assert app.get(f"/api/v1/diagnoses/{number}").json()["link"] == "ping atelier.txt"
    shelf.clear(coming)


def test_another_company_brings_and_takes_nothing(tmp_path: Path) -> None:
    """As if the diagnosis were not there; a viewer of the own may not either. Who brought and took it is in the log."""
    both: Companies = companies(tmp_path)
    ours, theirs, viewer = (both.client(name) for name in ("engineer", "guest", "viewer"))
    number = bring(ours)
    assert put(ours, number) == 200
    for stranger, status in ((theirs, 404), (viewer, 403)):
        assert put(stranger, number) == status
        assert stranger.delete(f"/api/v1/diagnoses/{number}/link").status_code == status
        assert stranger.post(f"/diagnoses/{number}/link", data={"drop": "1"}).status_code == status
    assert viewer.get(f"/api/v1/diagnoses/{number}").json()["link"] == "ping atelier.txt"
    assert "data-upload" not in viewer.get(f"/diagnoses/{number}").text
    assert ours.delete(f"/api/v1/diagnoses/{number}/link").status_code == 204
    told = [(one.who, one.what, one.detail) for one in both.book.ledger.entries(both.who("engineer").organisation)]
    assert told[:2] == [
        ("engineer", "network measurement deleted", "presse.csv"),
        ("engineer", "network measurement brought", "ping atelier.txt: presse.csv"),
    ]
    both.app.state.close()

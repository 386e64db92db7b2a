"""What may be brought to a diagnosis that must do no harm: no tables, floods, formulas, markup, another company."""

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx2 import Client

from dashboards.web.diagnoses import desk
from tests.dashboards.accounts.companies import Companies, companies
from tests.dashboards.diagnosing import EVIL, FRENCH, bring, computed, visited
from tests.dashboards.seeded import MILL


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Client]:
    with visited(tmp_path, max_upload_mb=1, keep_mb=2) as client:
        yield client


def workbook_with_macros() -> bytes:
    """A workbook that holds a program, under the name of one that does not."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as parts:
        parts.writestr("xl/workbook.xml", "<workbook/>")
        parts.writestr("xl/vbaProject.bin", b"Sub Auto_Open()")
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("../../etc/passwd", FRENCH, "chemin"),
        ("a\\b.csv", FRENCH, "chemin"),
        ("..", FRENCH, "chemin"),
        ("<img src=x>.csv", FRENCH, "chemin"),
        ("vide.csv", b"", "vide"),
        ("photo.csv", b"\x89PNG\r\n\x1a\n0000", "image"),
        ("classeur.xlsx", FRENCH, "extension"),
        ("macros.xlsx", workbook_with_macros(), "macros"),
    ],
)
def test_what_is_no_table_is_refused_in_a_sentence_and_nothing_is_kept(
    app: Client, tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    """Path tricks, empty files, pictures, wrong endings and macros, in the language of whoever brings them."""
    answer = app.post("/api/v1/diagnoses", params={"name": name, "lang": "fr"}, content=content)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]
    assert list((tmp_path / "diagnoses").iterdir()) == []


def test_a_file_too_large_is_refused_as_soon_as_it_is(app: Client, tmp_path: Path) -> None:
    """By its announced length before a byte is read; by its bytes when it announces none. Nothing stays on disk."""

    def endless() -> Iterator[bytes]:
        for _ in range(30):
            yield b"a;b\n" * 10_000

    for content in (b"a;b\n" * 300_000, endless()):
        answer = app.post("/api/v1/diagnoses", params={"name": "grand.csv"}, content=content)
        assert answer.status_code == 413
    assert list((tmp_path / "diagnoses").iterdir()) == []


def test_what_an_organisation_keeps_is_bounded(app: Client) -> None:
    """Three files of 0.9 MB into 2 MB: the third has no room until one is deleted."""
    content = FRENCH + b";;;;\r\n" * 130_000
    numbers = [bring(app, content) for _ in range(2)]
    query = {"name": "c.csv"}
    assert app.post("/api/v1/diagnoses", params=query, content=content).status_code == 507
    assert app.delete(f"/api/v1/diagnoses/{numbers[0]}").status_code == 204
    bring(app, content)


def test_what_is_made_of_files_takes_room_too(tmp_path: Path) -> None:
    """Reports count: else small files, or diagnoses of the plant, which bring none, would fill the disk."""
    with visited(tmp_path, keep_mb=1) as client:
        number, shelf = bring(client), client.app.state.desk.shelf  # type: ignore[attr-defined]  # Starlette's client
        found = shelf.get(0, number)
        (shelf.folder(number) / "report-fr.pdf").write_bytes(bytes(1_000_000))
        shelf.end(found)
        coming, left = shelf.room(0), 1_000_000 - len(FRENCH)
        assert [shelf.take(coming, size, 2_000_000) for size in (left + 1, left)] == [False, True]
        shelf.clear(coming)
        plant = {"assets": [MILL], "from": "2026-11-21T00:00:00Z", "to": "2026-11-22T00:00:00Z"}
        answer = client.post("/api/v1/diagnoses/plant", json=plant)
        assert (answer.status_code, answer.json()["type"]) == (507, "urn:km0:problem:no-room")
        assert client.delete(f"/api/v1/diagnoses/{number}").status_code == 204
        assert client.post("/api/v1/diagnoses/plant", json=plant).status_code == 202


@pytest.mark.parametrize("cell", ["=1+1", "+33", "-2", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_downloaded_table_holds_a_formula(cell: str) -> None:
    """What a machine or a visitor wrote is text to a spreadsheet, whatever it begins with; numbers stay numbers."""
    rows = desk.table(("a", "b"), [(cell, -2.5)]).decode("utf-8-sig")
    assert f"'{cell}" in rows
    assert ",-2.5" in rows


@pytest.mark.parametrize(
    "cell",
    [
        "a;=1+1", "a; @SUM(A1)", 'a;"b";-1', "a\n=1+1", "a\t+1", 'x;"=cmd()', 'x; ""  "@SUM(A1)', 'a;"=1+1;', ';"+1',
        "a;\"=cmd|'/c calc'!A1;b",
    ],
)  # fmt: skip
def test_no_downloaded_table_holds_a_formula_where_lines_are_cut_at_semicolons(cell: str) -> None:
    """A French spreadsheet that opens it by a double click cuts it so, quotes or not."""
    rows = desk.table(("a", "b"), [("x", cell), (cell, "x")]).decode("utf-8-sig")
    cells = [part.strip(' "') for line in rows.splitlines() for part in re.split("[;\t]", line)]
    assert len(cells) > 3
    assert not [part for part in cells if part.startswith(("=", "+", "-", "@"))]


@pytest.mark.timeout(60)
def test_a_cell_of_line_breaks_alone_holds_nobody_up() -> None:
    """Two hundred thousand: looked at sign by sign that is no time, each with all after it a quarter of an hour."""
    cell = "a" + "\n" * 200_000 + "=1"
    assert "\n'=1" in desk.table(("a",), [(cell,)]).decode("utf-8-sig")


def test_what_a_file_says_is_never_markup_nor_a_formula(app: Client) -> None:
    """HTML in headings, states, machines and reasons, on the mapping, the result, the report; formulas in downloads."""
    content = (
        f"Date;Machine;Etat;Motif {EVIL}\n02/11/2026 08:00;{EVIL};Marche;\n02/11/2026 09:00;{EVIL};Arrêt;{EVIL}\n"
        f"02/11/2026 10:00;=cmd|'/c calc'!A1;{EVIL};=1+1\n02/11/2026 11:00;=cmd|'/c calc'!A1;Arrêt;=1+1\n"
        f"02/11/2026 12:00;{EVIL};Marche;\n02/11/2026 12:00;=cmd|'/c calc'!A1;Marche;\n"
    )
    number = bring(app, content.encode())
    assert EVIL not in app.get(f"/diagnoses/{number}?lang=fr").text
    computed(app, number)
    for address in (
        f"/diagnoses/{number}?lang=fr", f"/diagnoses/{number}?machine=1&lang=fr", "/diagnoses",
        f"/api/v1/diagnoses/{number}/report.html?lang=fr",
    ):  # fmt: skip
        page = app.get(address).text
        assert "<img src=x" not in page, address
    losses = app.get(f"/api/v1/diagnoses/{number}/losses.csv?machine=1").content.decode("utf-8-sig")
    assert "'=1+1" in losses
    assert ",=1+1" not in losses


def test_one_company_never_sees_anothers_diagnoses(tmp_path: Path) -> None:
    """Neither page, file, result nor mapping, as if they were not there; a viewer of the own changes nothing. Who took
    what away, and who deleted it, is in the log of the company whose it is."""
    both: Companies = companies(tmp_path)
    ours, theirs = both.client("engineer"), both.client("guest")
    number = bring(ours)
    computed(ours, number)
    ours.put("/api/v1/mappings/ours", json={})
    for path in ("", "/proposal", "/result", "/losses.csv", "/bad-rows.csv"):
        assert theirs.get(f"/api/v1/diagnoses/{number}{path}").status_code == 404
    assert theirs.get(f"/diagnoses/{number}").status_code == 404
    assert theirs.get(f"/charts/diagnoses/{number}/pareto").status_code == 404
    assert theirs.delete(f"/api/v1/diagnoses/{number}").status_code == 404
    assert theirs.post(f"/api/v1/diagnoses/{number}/run", json={}).status_code == 404
    assert theirs.get("/api/v1/diagnoses").json()["diagnoses"] == []
    assert theirs.get("/api/v1/mappings").json() == {"mappings": [], "next": None}
    assert theirs.delete("/api/v1/mappings/ours").status_code == 404
    viewer = both.client("viewer")
    assert viewer.get(f"/api/v1/diagnoses/{number}/result").status_code == 200
    assert viewer.delete(f"/api/v1/diagnoses/{number}").status_code == 403
    assert 'id="upload"' not in viewer.get("/diagnoses").text
    assert viewer.get(f"/api/v1/diagnoses/{number}/losses.csv").status_code == 200
    assert ours.get(f"/api/v1/diagnoses/{number}/report.json").status_code == 200
    assert ours.delete(f"/api/v1/diagnoses/{number}").status_code == 204
    told = [(one.who, one.what, one.detail) for one in both.book.ledger.entries(both.who("engineer").organisation)]
    assert told[:4] == [
        ("engineer", "diagnosis deleted", "presse.csv"),
        ("engineer", "downloaded", "report.json: presse.csv"),
        ("viewer", "downloaded", "losses.csv: presse.csv"),
        ("engineer", "file brought", "presse.csv"),
    ]
    both.app.state.close()

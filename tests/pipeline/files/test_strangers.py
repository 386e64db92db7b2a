"""Sheets as small workshops bring them: each gets to its figures by what is proposed, without a correction, or to a
sentence that says what to put right. Answers are by hand."""

from collections.abc import Callable
from datetime import datetime, time
from pathlib import Path

import openpyxl
import pytest
from typer.testing import CliRunner

from km0.cli import app as km0
from pipeline.files import eventlog
from pipeline.files.mapping import EventLogConfig
from pipeline.files.propose import propose
from pipeline.files.times import forms_of
from pipeline.kpis.oee import Oee
from pipeline.kpis.states import Category
from telemetry.errors import DecodeError


def text(content: str, encoding: str = "cp1252") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "presse 3.csv"
        path.write_text(content, encoding=encoding)
        return path

    return write


def sheet(*rows: tuple[object, ...], merged: tuple[str, ...] = ()) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        book = openpyxl.Workbook()
        page = book.active
        assert page is not None
        for row in rows:
            page.append(list(row))
        for cells in merged:
            page.merge_cells(cells)
        book.save(folder / "suivi.xlsx")
        return folder / "suivi.xlsx"

    return write


MONDAY = datetime(2026, 3, 9)  # noqa: DTZ001
STRANGERS: dict[str, tuple[Callable[[Path], Path], dict[str, object]]] = {
    "no header at all": (
        text(
            "13/03/2026 05:00;Marche;0\n13/03/2026 07:12;Arrêt;131\n13/03/2026 07:30;Marche;131\n"
            "13/03/2026 09:00;Réglage;220\n13/03/2026 09:40;Marche;220\n13/03/2026 13:00;Marche;410\n"
        ),
        {"required": 8 * 60, "running": 8 * 60 - 18 - 40, "good": 410, Category.CHANGEOVER: 40, Category.OPERATION: 18},
    ),
    "merged titles, French events, a total and a note at the end": (
        sheet(
            ("SUIVI DE PRODUCTION - PRESSE 3",), ("Semaine 11",), (),
            ("Date", "Heure", "Evènement", "Qté bonne", "Qté rebut", "Observations"),
            (MONDAY, time(5, 0), "Début production", 0, 0, None),
            (MONDAY, time(6, 40), "Arrêt panne robot", 95, 2, "vu maintenance"),
            (MONDAY, time(7, 25), "Reprise production", 0, 0, None),
            (MONDAY, time(12, 0), "Changement outil", 260, 5, None),
            (MONDAY, time(12, 50), "Reprise production", 0, 0, None),
            (MONDAY, time(13, 0), "Fin de poste", 12, 0, None),
            (), ("Total", None, None, 367, 7), ("NB : le robot a été changé le 12/03 (voir avec Michel)",),
            merged=("A1:F1", "A2:F2"),
        ),
        {"required": 8 * 60, "running": 385, "good": 367, "made": 374, Category.BREAKDOWN: 45,
         Category.CHANGEOVER: 50, "bad": 2},
    ),
    "minutes as lengths of stops, one of them in hours": (
        text(
            "Date;Machine;Motif d'arrêt;Temps d'arrêt (mn)\n09/03/2026 06:40;Presse 3;panne robot;45\n"
            "09/03/2026 10:05;Presse 3;bourrage;8\n09/03/2026 12:00;Presse 3;changement de série;50\n"
            "10/03/2026 05:30;Presse 3;manque matière;1h05\n"
        ),
        {"required": 23 * 60 + 55, "running": 23 * 60 + 55 - 45 - 8 - 50 - 65},
    ),
    "from and to": (
        text(
            "Du;Au;Situation;Pièces OK;Pièces NOK\n09/03/2026 05:00;09/03/2026 06:40;Production;95;2\n"
            "09/03/2026 06:40;09/03/2026 07:25;En panne;0;0\n09/03/2026 07:25;09/03/2026 12:00;Production;260;5\n"
            "09/03/2026 12:00;09/03/2026 12:50;Chgt série;0;0\n09/03/2026 12:50;09/03/2026 13:00;Production;12;0\n",
            "utf-8-sig",
        ),
        {"required": 8 * 60, "running": 385, "good": 367, "made": 374, Category.BREAKDOWN: 45, Category.CHANGEOVER: 50},
    ),
    "a row per shift with minutes and quantities": (
        text(
            "Date;Poste;Temps d'ouverture (min);Pannes (min);Réglages (min);Manque pièces (min);Qté bonnes;Qté rebuts\n"
            "09/03/2026;Matin;480;45;50;0;367;7\n09/03/2026;Après-midi;480;0;35;20;402;3\n"
            "10/03/2026;Matin;480;10;0;65;377;11\n10/03/2026;Après-midi;480;120;30;0;290;9\n"
        ),
        {"required": 4 * 480, "running": 4 * 480 - 175 - 115 - 85, "good": 1436, "made": 1466,
         Category.BREAKDOWN: 175, Category.CHANGEOVER: 115, Category.INDUCED: 85},
    ),
    "Excel times as fractions of a day, with a note below": (
        sheet(
            ("Horodatage", "Etat", "Compteur"), (46090.2083333333, "Marche", 1000), (46090.2777777778, "Arrêt", 1095),
            (46090.3090277778, "Marche", 1095), (46090.5416666667, "Marche", 1367), (),
            ("* compteur remis à zéro le lundi",),
        ),
        {"required": 8 * 60, "running": 8 * 60 - 45, "good": 367, Category.OPERATION: 45, "bad": 1},
    ),
}  # fmt: skip


def said(oee: Oee, bad: int) -> dict[str, object]:
    """The figures of a file by the names above; times in minutes."""
    found: dict[str, object] = {
        "required": oee.required / 60, "running": oee.running / 60, "good": oee.good_all, "made": oee.made_all,
        "bad": bad,
    }  # fmt: skip
    return found | {cause: length / 60 for cause, length in oee.stops.items()}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_strange_sheet_gets_to_its_figures_without_a_correction(tmp_path: Path, name: str) -> None:
    """As proposed, read: times, parts and causes are those that its author meant."""
    write, answer = STRANGERS[name]
    path = write(tmp_path)
    log = eventlog.load(path, propose(path).mapping)
    found = said(log.history(log.span).over(log.span), log.faults.count)
    assert {key: found[key] for key in answer} == pytest.approx(answer, abs=1e-3)  # type: ignore[comparison-overlap]


def test_stops_longer_than_their_shift_are_told(tmp_path: Path) -> None:
    """500 minutes of breakdown in a shift of 480, and a length that is none: both rows are listed, none runs longer."""
    path = text(
        "Date;Poste;Temps d'ouverture (min);Pannes (min);Réglages (min);Qté bonnes\n09/03/2026;Matin;480;500;5;0\n"
        "09/03/2026;Nuit;480;peu;10;200\n10/03/2026;Matin;480;30;10;300\n11/03/2026;Matin;480;20;10;310\n"
    )(tmp_path)
    log = eventlog.load(path, propose(path).mapping)
    oee = log.history(log.span).over(log.span)
    assert oee.required / 60 == pytest.approx(4 * 480, abs=1e-3)
    assert oee.stops[Category.BREAKDOWN] / 60 == pytest.approx(480 + 30 + 20, abs=1e-3)
    assert [bad.line for bad in log.faults.listed] == [2, 3]


def test_a_sheet_without_any_time_says_what_it_lacks(tmp_path: Path) -> None:
    """A table of causes and minutes: it is shown, with what a row needs, in both languages; the command stops."""
    path = text("Cause;Minutes\npanne;45\nbourrage;8\n")(tmp_path)
    found = propose(path)
    assert [column.name for column in found.columns] == ["Cause", "Minutes"]
    assert found.lacking is not None
    assert "each row has to say when" in found.lacking.en
    assert "chaque ligne doit dire quand" in found.lacking.fr
    assert [(guess.field, guess.value, guess.sure) for guess in found.unsure if guess.field == "time"] == [
        ("time", "", False)
    ]
    refused = CliRunner().invoke(km0, ["diagnose", str(path)])
    assert "each row has to say when" in str(refused.exception)


def test_what_is_known_of_how_a_table_is_written_makes_its_columns(tmp_path: Path) -> None:
    """Of a workbook its second sheet; of a text its separator, its encoding and the line of its heading."""
    book = openpyxl.Workbook()
    cover, data = book.active, book.create_sheet("Relevé")
    assert cover is not None
    for row in (("Presse 3", "atelier B"), ("responsable", "Mme Muller")):
        cover.append(row)
    for row in (("Date", "Etat"), ("02/03/2026 08:00", "Marche"), ("02/03/2026 09:00", "Panne")):
        data.append(row)
    path = tmp_path / "releve.xlsx"
    book.save(path)
    assert propose(path).lacking is not None
    found = propose(path, layout=EventLogConfig(sheet="Relevé"))
    assert (found.mapping.sheet, found.mapping.time, found.lacking) == ("Relevé", "Date", None)
    written = text("cause: é;x\nDate!État\n02/03/2026 08:00!Marche\n02/03/2026 09:00!Panne\n", "mac_roman")(tmp_path)
    layout = EventLogConfig(separator="!", encoding="mac_roman", header_lines=(2,))
    found = propose(written, layout=layout)
    assert (found.mapping.time, found.mapping.columns) == ("Date", {"state": "État"})
    assert [one.word for one in found.words] == ["Marche", "Panne"]
    with pytest.raises(DecodeError, match="klingon"):
        propose(written, layout=EventLogConfig(encoding="klingon"))
    with pytest.raises(DecodeError, match="text encoding"):
        propose(written, layout=EventLogConfig(encoding="hex"))


def test_the_other_orders_of_a_date_are_offered_with_their_format() -> None:
    """3/2/2026 may be either; 13/2/2026 can only have its day first; where there is no date, every order."""
    both = forms_of(["3/2/2026 08:00", "4/2/2026 09:30"])
    assert both == {"day": "%d/%m/%Y %H:%M", "month": "%m/%d/%Y %H:%M"}
    assert forms_of(["13/2/2026", "14/2/2026"]) == {"day": "%d/%m/%Y"}
    assert forms_of(["2026-02-13"]) == {"year": "%Y-%m-%d"}
    assert set(forms_of([])) == {"day", "month", "year"}


def test_what_of_the_writing_is_not_sure_says_so(tmp_path: Path) -> None:
    """Old Mac letters that are hardly French, and commas that may be of thousands."""
    few = text("time;state;Quantité\n02/03/2026 08:00;run;1,250\n14/03/2026 09:00;stop;2,500\n")(tmp_path)
    assert {guess.field: guess.sure for guess in propose(few).guesses if guess.field in ("encoding", "decimal")} == {
        "encoding": True, "decimal": False,
    }  # fmt: skip
    odd = text("time;state;Größe¤¤¤¤¤\n02/03/2026 08:00;run;1,25\n14/03/2026 09:00;stop;2,5\n")(tmp_path)
    assert not next(guess for guess in propose(odd).guesses if guess.field == "encoding").sure


def test_products_are_told_the_most_frequent_first(tmp_path: Path) -> None:
    """Three rows of B, one of A; in a long table the same."""
    rows = [("08:00", "run", "B"), ("09:00", "stop", "A"), ("10:00", "run", "B"), ("11:00", "stop", "B")]
    wide = "time;state;Produit\n" + "".join(f"02/03/2026 {at};{state};{made}\n" for at, state, made in rows)
    assert propose(text(wide)(tmp_path)).products == ("B", "A")
    long = "time;name;value\n" + "".join(
        f"02/03/2026 {at};state;{state}\n02/03/2026 {at};product;{made}\n" for at, state, made in rows
    )
    found = propose(text(long)(tmp_path))
    assert (found.products, found.names) == (("B", "A"), ("state", "product"))

"""Sheets as small workshops bring them: each gets to its figures by what is proposed, without a correction, or to a
sentence that says what to put right. Answers are by hand."""

from collections.abc import Callable
from datetime import datetime, time
from pathlib import Path

import openpyxl
import pytest

from pipeline.files import eventlog
from pipeline.files.guard import RefusedFileError
from pipeline.files.propose import propose
from pipeline.kpis.oee import Oee
from pipeline.kpis.states import Category


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


def test_a_sheet_without_any_time_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    """A table of causes and minutes: the sentence says that a row needs a date, in both languages."""
    path = text("Cause;Minutes\npanne;45\nbourrage;8\n")(tmp_path)
    with pytest.raises(RefusedFileError, match="each row has to say when") as refused:
        propose(path)
    assert "chaque ligne doit dire quand" in refused.value.said.fr

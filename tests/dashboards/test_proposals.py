"""A file that was brought is looked at once, and no longer than it is there."""

from pathlib import Path

import pytest

from dashboards.web.diagnoses import proposals
from dashboards.web.diagnoses.proposals import Proposals
from pipeline.files.guard import RefusedFileError

ROWS = "time;state;parts\n2026-03-02 06:00;run;0\n2026-03-02 07:00;stop;60\n"


def test_a_file_is_looked_at_once_for_each_zone(tmp_path: Path) -> None:
    """The same proposal again; another zone is another."""
    path = tmp_path / "press.csv"
    path.write_text(ROWS)
    kept = Proposals(10**6)
    first = kept.of(path, "Europe/Paris")
    assert kept.of(path, "Europe/Paris") is first
    assert kept.of(path, "UTC").mapping.timezone == "UTC"
    assert kept.of(path, "Europe/Paris") is first


def test_what_is_taken_away_is_forgotten_and_what_was_refused_asked_again(tmp_path: Path) -> None:
    """After `forget` another file of the same name is looked at anew; so is one that was refused."""
    path = tmp_path / "press.csv"
    path.write_text(ROWS)
    kept = Proposals(10**6)
    assert kept.of(path, "UTC").mapping.columns["state"] == "state"
    kept.forget(path)
    path.write_text(ROWS.replace("state", "status"))
    assert kept.of(path, "UTC").mapping.columns["state"] == "status"
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(RefusedFileError):
        kept.of(empty, "UTC")
    empty.write_text(ROWS)
    assert kept.of(empty, "UTC").mapping.columns["state"] == "state"


def test_what_is_held_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three files the two asked for last are held; one with long cells never is."""
    monkeypatch.setattr(proposals, "KEPT", 2)
    kept = Proposals(10**7)
    paths = [tmp_path / f"{number}.csv" for number in range(3)]
    for path in paths:
        path.write_text(ROWS)
    first, second = (kept.of(path, "UTC") for path in paths[:2])
    assert kept.of(paths[0], "UTC") is first
    kept.of(paths[2], "UTC")
    assert kept.of(paths[0], "UTC") is first
    assert kept.of(paths[1], "UTC") is not second
    long = tmp_path / "long.csv"
    long.write_text(ROWS.replace("\n", ";note\n", 1).replace(";0\n", f";0;{'x' * 2000}\n"))
    monkeypatch.setattr(proposals, "LONGEST", 1999)
    assert kept.of(long, "UTC") is not kept.of(long, "UTC")

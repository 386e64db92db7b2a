"""Files that must not be opened, each refused with a sentence that says what to do."""

import contextlib
import os
import random
import struct
import zipfile
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from pipeline.files import eventlog
from pipeline.files.guard import RefusedFileError, checked, safe_name
from pipeline.files.mapping import EventLogConfig
from pipeline.files.propose import propose
from telemetry.errors import DecodeError


def workbook(path: Path) -> Path:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["time", "state"])
    book.active.append(["2026-03-13 06:00", "run"])
    book.save(path)
    return path


def refused(path: Path, sentence: str) -> None:
    with pytest.raises(RefusedFileError, match=sentence) as caught:
        checked(path)
    assert caught.value.said.fr != caught.value.said.en


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("f.csv", b"", "empty"), ("f.csv", b"\xef\xbb\xbf\r\n \n", "empty"), ("f.xlsx", b"", "empty"),
        ("f.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "old Excel"),
        ("f.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "password"),
        ("f.pdf", b"%PDF-1.7\n", "PDF"), ("f.csv.gz", b"\x1f\x8b\x08" + bytes(30), "unpack"),
        ("f.csv", b"\x89PNG\r\n\x1a\n" + bytes(30), "picture"), ("f.csv", b"\x7fELF" + bytes(60), "program"),
        ("f.xls", b"<html><table><tr><td>1", "web page"), ("f.xml", b"<?xml version='1.0'?><Workbook>", "XML"),
        ("f.csv", b"\x01\x02\x00\x07\x00\x00\x00\x00ab" * 30, "neither text"),
        ("f.xlsx", b"time;state\n2026-03-13;run\n", "ends in .xlsx, but it is a text table"),
        ("f.parquet", b"time;state\n2026-03-13;run\n", "ends in .parquet"),
        ("f.csv", b"PAR1" + bytes(60), "ends in .csv, but it is a Parquet file"),
    ],
)  # fmt: skip
def test_what_is_no_table(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    """By what it is, not by what it is called."""
    path = tmp_path / name
    path.write_bytes(content)
    refused(path, sentence)


def test_wrong_ending_of_a_workbook(tmp_path: Path) -> None:
    """A workbook called .csv is told to be one."""
    workbook(tmp_path / "f.xlsx").rename(tmp_path / "f.csv")
    refused(tmp_path / "f.csv", "ends in .csv, but it is an Excel workbook")


def test_macros(tmp_path: Path) -> None:
    """By name or by content."""
    path = workbook(tmp_path / "f.xlsx")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"Attribute VB_Name")
    refused(path, "macros")
    refused(workbook(tmp_path / "g.xlsx").rename(tmp_path / "g.xlsm"), "macros")


def test_other_archives(tmp_path: Path) -> None:
    """A zip of CSV files, and a damaged workbook."""
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as archive:
        archive.writestr("a.csv", "time;state\n")
    refused(tmp_path / "f.zip", "no Excel workbook")
    whole = workbook(tmp_path / "g.xlsx").read_bytes()
    (tmp_path / "g.xlsx").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "g.xlsx", "damaged")


def test_a_zip_bomb(tmp_path: Path) -> None:
    """A hundred megabytes of zeros in a tenth of one: refused by what its directory says."""
    path = workbook(tmp_path / "f.xlsx")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/media/x", "w") as bomb:
        for _ in range(80):
            bomb.write(bytes(1 << 20))
    refused(path, "fill a disk")


def test_a_zip_bomb_that_lies(tmp_path: Path) -> None:
    """The directory says 100 bytes: the archive is unpacked, counted and thrown away, and does not get far."""
    path = workbook(tmp_path / "f.xlsx")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/x", bytes(100 << 20))
        real = archive.getinfo("xl/media/x").file_size
    content = path.read_bytes().replace(struct.pack("<L", real), struct.pack("<L", 100))
    path.write_bytes(content)
    refused(path, "damaged|fill a disk")


def test_too_many_members(tmp_path: Path) -> None:
    """A hundred thousand small files are a bomb too."""
    path = workbook(tmp_path / "f.xlsx")
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(10_001):
            archive.writestr(f"x{number}", b"")
    refused(path, "fill a disk")


def test_ten_gigabytes(tmp_path: Path) -> None:
    """A sparse file of 10 GB is refused by its size, unread."""
    path = tmp_path / "f.csv"
    path.write_text("time;state\n")
    os.truncate(path, 10_000_000_000)
    refused(path, r"10\.0 GB and 2\.1 GB is the most")
    with pytest.raises(RefusedFileError, match="is the most"):
        propose(workbook(tmp_path / "f.xlsx"), largest=1000)


def test_not_a_file(tmp_path: Path) -> None:
    """A folder, nothing at all, a pipe that would wait for ever."""
    refused(tmp_path, "not a file")
    refused(tmp_path / "none.csv", "cannot be opened")
    os.mkfifo(tmp_path / "pipe.csv")
    refused(tmp_path / "pipe.csv", "not a file")


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..", "", "/etc/passwd", "C:\\x.csv", "a/b.csv", "a\0.csv", "a\n.csv", "x" * 300 + ".csv"],
)
def test_names_that_are_paths(name: str) -> None:
    """An uploaded name is a name."""
    with pytest.raises(RefusedFileError, match="path"):
        safe_name(name)


def test_names_as_people_give_them() -> None:
    """Spaces, accents and brackets are fine."""
    assert safe_name("Relevé presse n°3 (mars) d'atelier.xlsx") == "Relevé presse n°3 (mars) d'atelier.xlsx"


def test_formulas_and_html_are_words(tmp_path: Path) -> None:
    """What a spreadsheet would run is read as text, and nothing else happens."""
    path = tmp_path / "f.csv"
    path.write_text("time;state;cause\n2026-03-13 06:00;stop;=cmd|'/c calc'!A1\n2026-03-13 06:10;run;\"<script>\"\n")
    log = eventlog.load(path, EventLogConfig(timezone="UTC", columns={"reason": "cause"}))
    assert log.series["reason"].texts.tolist() == ["=cmd|'/c calc'!A1", "<script>"]


@pytest.mark.parametrize("seed", range(30))
def test_damaged_files_never_crash(tmp_path: Path, seed: int) -> None:
    """Bytes flipped anywhere in a workbook, a Parquet file or a text: read, or refused with a sentence."""
    rng = random.Random(seed)
    frame = pl.DataFrame({"time": ["2026-03-13 06:00", "2026-03-13 07:00"] * 50, "state": ["run", "stop"] * 50})
    path = tmp_path / ("f.csv", "f.xlsx", "f.parquet")[seed % 3]
    if path.suffix == ".csv":
        frame.write_csv(path)
    elif path.suffix == ".xlsx":
        workbook(path)
    else:
        frame.write_parquet(path)
    data = bytearray(path.read_bytes())
    for _ in range(rng.randint(1, 20)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    path.write_bytes(bytes(data))
    with contextlib.suppress(DecodeError):
        eventlog.load(path, propose(path).mapping)

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

from pipeline.files import eventlog, sheets
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


def _workbook(path: Path, rows: str, shared: str = "") -> Path:
    """A workbook as its bytes are, of which a library would write no such thing."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
        other = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
        package = "http://schemas.openxmlformats.org/package/2006/relationships"
        archive.writestr("_rels/.rels", (
            f'<Relationships xmlns="{package}"><Relationship Id="r1" Type="{other}/officeDocument"'
            ' Target="xl/workbook.xml"/></Relationships>'
        ))  # fmt: skip
        archive.writestr("xl/workbook.xml", (
            f'<workbook xmlns="{main}" xmlns:r="{other}"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets>'
            "</workbook>"
        ))  # fmt: skip
        archive.writestr("xl/_rels/workbook.xml.rels", (
            f'<Relationships xmlns="{package}"><Relationship Id="r1" Type="{other}/worksheet"'
            f' Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="{other}/sharedStrings"'
            ' Target="sharedStrings.xml"/></Relationships>'
        ))  # fmt: skip
        archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{main}"><si><t>{shared}</t></si></sst>')
        sheet = f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>'
        archive.writestr("xl/worksheets/sheet1.xml", sheet)
    return path


_WORD = '<c r="%s" t="inlineStr"><is><t>%s</t></is></c>'
_HEAD = f'<row r="1">{_WORD % ("A1", "time")}{_WORD % ("B1", "state")}</row>'


@pytest.mark.parametrize(
    ("rows", "shared"),
    [
        ('<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>', ""),
        ("".join(f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>' for n in range(2, 3002)), "x" * 1_000_000),
    ],
)
def test_a_small_workbook_that_takes_all_memory(tmp_path: Path, rows: str, shared: str) -> None:
    """A cell in the last corner (550 GB where cells are laid out), a text stored once and used 3,000 times (3 GB):
    refused in both languages, and the process that read it is not ours."""
    path = _workbook(tmp_path / "b.xlsx", _HEAD + rows, shared)
    assert path.stat().st_size < 100_000
    with pytest.raises(RefusedFileError, match=r"more than \d+ MB") as caught:
        sheets.read(path, None, memory=2 << 30)
    assert "Mo" in caught.value.said.fr


def test_the_process_that_reads_a_sheet_tells_what_it_found(tmp_path: Path) -> None:
    """Its cells as text, and the names of the sheets; what it refuses is said as if there were no other process."""
    path = _workbook(tmp_path / "b.xlsx", _HEAD + '<row r="2"><c r="A2"><v>46000.5</v></c></row>')
    found = sheets.read(path, None)
    assert (found.name, found.names) == ("S", ("S",))
    assert found.frame.rows() == [("time", "state"), ("46000.5", None)]
    with pytest.raises(DecodeError, match="there is no sheet 'T'; there are S"):
        sheets.read(path, "T")


def test_more_columns_than_anybody_reads(tmp_path: Path) -> None:
    """A quarter of a megabyte of separators is not looked at column by column: that took minutes for each page."""
    path = tmp_path / "wide.csv"
    path.write_text("time," * 50_000 + "\n2026-01-01\n")
    with pytest.raises(RefusedFileError, match="2000 is the most"):
        propose(path)


def test_a_line_without_an_end(tmp_path: Path) -> None:
    """A hundred megabytes in one line are no table: they are not gathered in memory."""
    path = tmp_path / "line.csv"
    with path.open("wb") as file:
        file.write(b"time,state\n2026-01-01T00:00:00Z,run\n")
        file.writelines([b"x" * (1 << 20)] * 100)
    with pytest.raises(RefusedFileError, match="line 3 has more than 64 MB"):
        eventlog.load(path, EventLogConfig())


def test_a_cell_as_long_as_a_file(tmp_path: Path) -> None:
    """A Parquet file of four kilobytes holds a word of ten megabytes: it is cut as Excel would, not compared whole."""
    path = tmp_path / "word.parquet"
    times = ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"]
    pl.DataFrame({"time": times, "state": ["run", "x" * 10_000_000]}).write_parquet(path)
    table = eventlog.opened(path)
    assert max(len(cell) for row in table.sample for cell in row) == 32_767
    assert [batch.frame["state"].str.len_bytes().max() for batch in table.read(["state"])] == [32_767]

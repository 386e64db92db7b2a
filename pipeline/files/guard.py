"""Which files are opened at all: by what they are, not by what they are called.

A file is hostile until it was looked at: its name, its size, its first bytes, and of a workbook the archive around it.
Every refusal is one sentence that says what to do instead.
"""

import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from pipeline.said import Said
from telemetry.errors import DecodeError

Kind = Literal["text", "xlsx", "parquet"]

LARGEST_BYTES: Final = 2 << 30
"""Largest file that is read [bytes]."""
LARGEST_UNPACKED: Final = 2 << 30
"""Largest workbook when unpacked [bytes]: a sheet of a million full rows is about a third of it."""
WORST_RATIO: Final = 200
"""A sheet of repeated numbers packs 1 : 30; what packs better than this [bytes : byte] was made to."""
_MOST_MEMBERS: Final = 10_000
_HEAD: Final = 4096

_ENDINGS: Final[dict[str, Kind]] = {
    ".xlsx": "xlsx", ".parquet": "parquet", ".csv": "text", ".tsv": "text", ".txt": "text", ".log": "text",
    ".dat": "text", ".shdr": "text", "": "text",
}  # fmt: skip
_CALLED: Final[dict[Kind, Said]] = {
    "text": Said("a text table", "un tableau en texte"),
    "xlsx": Said("an Excel workbook (.xlsx)", "un classeur Excel (.xlsx)"),
    "parquet": Said("a Parquet file (.parquet)", "un fichier Parquet (.parquet)"),
}
_NEVER: Final[tuple[tuple[bytes, Said], ...]] = (
    (
        b"\xd0\xcf\x11\xe0",
        Said(
            "it is an old Excel file (.xls) or one with a password: save it as .xlsx without a password",
            "c'est un ancien fichier Excel (.xls) ou un fichier protégé : enregistrez-le en .xlsx sans mot de passe",
        ),
    ),
    (b"%PDF", Said("it is a PDF: export the table itself as CSV or .xlsx",
                   "c'est un PDF : exportez le tableau lui-même en CSV ou .xlsx")),
    (b"\x1f\x8b", Said("it is a gzip archive: unpack it first", "c'est une archive gzip : décompressez-la d'abord")),
    (b"7z\xbc\xaf", Said("it is a 7z archive: unpack it first", "c'est une archive 7z : décompressez-la d'abord")),
    (b"Rar!", Said("it is a RAR archive: unpack it first", "c'est une archive RAR : décompressez-la d'abord")),
    (b"\x89PNG", Said("it is a picture, not a table", "c'est une image, pas un tableau")),
    (b"\xff\xd8\xff", Said("it is a picture, not a table", "c'est une image, pas un tableau")),
    (b"\x7fELF", Said("it is a program, not a table", "c'est un programme, pas un tableau")),
)  # fmt: skip


class RefusedFileError(DecodeError):
    """A file that cannot be used, or not as its mapping says; `said` is the sentence for its owner in both languages:
    the English one may name keys of the mapping's TOML, the French one is read on pages, which have fields instead."""

    def __init__(self, said: Said) -> None:
        super().__init__(said.en)
        self.said = said


def why(error: DecodeError) -> Said:
    """The sentence of any error of a file: what a library or another room said in English only is said to be that."""
    if isinstance(error, RefusedFileError):
        return error.said
    return Said(str(error), f"le fichier ne se lit pas ; le lecteur dit en anglais : {error}")


def safe_name(name: str) -> str:
    """The name of an uploaded file, when it is a plain name. Raises RefusedFileError for a path or worse."""
    plain = PurePosixPath(name.replace("\\", "/")).name == name and name not in ("", ".", "..")
    if not plain or len(name.encode()) > 200 or any(ord(sign) < 32 or sign in ':*?"<>|' for sign in name):
        raise RefusedFileError(Said(
            "the name of the file holds a path or signs that no file name has: rename it, letters and digits will do",
            "le nom du fichier contient un chemin ou des signes interdits : renommez-le, lettres et chiffres suffisent",
        ))  # fmt: skip
    return name


def checked(path: Path, *, largest: int = LARGEST_BYTES) -> Kind:
    """What the file is. Raises RefusedFileError when it is not to be read."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise RefusedFileError(Said("it is not a file", "ce n'est pas un fichier"))
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise RefusedFileError(Said(
            f"it cannot be opened: {error.strerror}", f"il ne peut pas être ouvert : {error.strerror}"
        )) from error  # fmt: skip
    if found.st_size > largest:
        size, most = found.st_size / 1e9, largest / 1e9
        raise RefusedFileError(Said(
            f"it has {size:.1f} GB and {most:.1f} GB is the most that is read: export a shorter period",
            f"il fait {size:.1f} Go, le maximum est {most:.1f} Go : exportez une période plus courte".replace(".", ","),
        ))  # fmt: skip
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        raise RefusedFileError(Said("it is empty", "il est vide"))
    kind = _kind(head, path)
    ending = path.suffix.lower()
    if ending in (".xlsm", ".xltm", ".xlsb"):
        raise RefusedFileError(_MACROS)
    if _ENDINGS.get(ending, kind) != kind:
        raise RefusedFileError(Said(
            f"its name ends in {ending}, but it is {_CALLED[kind].en}: give it its right ending",
            f"son nom finit par {ending}, mais c'est {_CALLED[kind].fr} : donnez-lui la bonne extension",
        ))  # fmt: skip
    return kind


def _kind(head: bytes, path: Path) -> Kind:
    for magic, said in _NEVER:
        if head.startswith(magic):
            raise RefusedFileError(said)
    if head.startswith(b"PK\x03\x04"):
        _check_workbook(path)
        return "xlsx"
    if head.startswith(b"PAR1"):
        return "parquet"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:200].lower()
    if start.startswith((b"<html", b"<!doctype", b"<?xml", b"<workbook")):
        raise RefusedFileError(Said(
            "it is a web page or XML under another name: open it and save it as CSV or .xlsx",
            "c'est une page web ou du XML sous un autre nom : ouvrez-le et enregistrez-le en CSV ou .xlsx",
        ))  # fmt: skip
    if b"\0" in head and not _is_utf16(head):
        raise RefusedFileError(Said(
            "it is neither text nor an Excel or Parquet file: export the table as CSV or .xlsx",
            "ce n'est ni du texte, ni un fichier Excel ou Parquet : exportez le tableau en CSV ou .xlsx",
        ))  # fmt: skip
    return "text"


def _is_utf16(head: bytes) -> bool:
    """Text of which every other byte is zero."""
    return head[1::2].count(0) > 0.8 * len(head[1::2]) or head[::2].count(0) > 0.8 * len(head[::2])


_MACROS: Final = Said(
    "it holds macros, which are never read: save it as .xlsx without macros",
    "il contient des macros, qui ne sont jamais lues : enregistrez-le en .xlsx sans macros",
)


def _check_workbook(path: Path) -> None:
    """Raises RefusedFileError for an archive that is no workbook, has macros or a password, or is a bomb."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = {member.filename.lower() for member in members}
            if any(name.endswith("vbaproject.bin") for name in names):
                raise RefusedFileError(_MACROS)
            if "xl/workbook.bin" in names or "xl/workbook.xml" not in names:
                raise RefusedFileError(Said(
                    "it is an archive, but no Excel workbook: unpack it, or save the table as .xlsx or CSV",
                    "c'est une archive, mais pas un classeur Excel : décompressez-la, ou enregistrez en .xlsx ou CSV",
                ))  # fmt: skip
            _check_unpacked(archive, members, path.stat().st_size)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError, ValueError, zlib.error) as error:
        raise RefusedFileError(Said(
            f"its archive is damaged or has a password ({error}): open it in Excel and save it again",
            f"son archive est endommagée ou protégée ({error}) : ouvrez-le dans Excel et enregistrez-le à nouveau",
        )) from error  # fmt: skip


def _check_unpacked(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], packed: int) -> None:
    """What an archive says of its sizes is not believed: it is unpacked, counted and thrown away."""
    most = min(LARGEST_UNPACKED, max(WORST_RATIO * packed, 64 << 20))
    bomb = RefusedFileError(Said(
        f"unpacked it would take more than {most / 1e6:.0f} MB: this is how archives are built that fill a disk",
        f"décompressé, il dépasserait {most / 1e6:.0f} Mo : c'est ainsi qu'on fabrique une archive piégée",
    ))  # fmt: skip
    if len(members) > _MOST_MEMBERS or sum(member.file_size for member in members) > most:
        raise bomb
    reached = 0
    for member in members:
        with archive.open(member) as content:
            while block := content.read(1 << 20):
                reached += len(block)
                if reached > most:
                    raise bomb

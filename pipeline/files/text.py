"""Text tables in blocks: encoding and separator recognised, records cut only where no quoted cell is open.

Invariants. A block holds whole records. `Block.line` is the line of the file its first record starts on, counted from
1; a blank line is a record without cells, so that without quotes record n of a block is its line n. Memory is a few
blocks, whatever the size of the file.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.files.guard import RefusedFileError
from pipeline.said import Said
from telemetry.intervals import Instants

BLOCK_BYTES: Final = 8 << 20
HEAD_BYTES: Final = 1 << 18
_SEPARATORS: Final = (";", "\t", "|", ",")
_FRENCH: Final = set("éèêëàâùûüçôöîïœÉÈÊÀÇÔ°²µ«»’–€àß")
MOST_HEAD_ROWS: Final = 400
_LONGEST_LINE: Final = 64 << 20
"""Longest record [bytes]: memory is a few blocks."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a text table is written. `quoted`: whether cells may stand in double quotes."""

    encoding: str
    separator: str
    quoted: bool = True


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records as UTF-8, the line of the first, and how much of the file [0…1] has been read with them."""

    data: bytes
    line: int
    done: float
    quoted: bool

    def lines(self) -> Instants:
        """The line of the file that each record starts on."""
        codes = np.frombuffer(self.data, np.uint8)
        breaks = np.flatnonzero(codes == 10)
        starts = np.concatenate(([0], breaks + 1))
        if self.quoted and b'"' in self.data:
            quotes = np.concatenate(([0], np.cumsum(codes == 34)))
            starts = starts[(quotes[starts] % 2) == 0]
        return self.line + np.searchsorted(breaks, starts, "left")


def encoding_of(head: bytes) -> str:
    """The encoding of a text by its first bytes: Unicode where it is, else the code page that makes most sense."""
    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if head.startswith(mark):
            return name
    if b"\0" in head:
        return "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
    try:
        # a character cut at the end of the head is no fault
        codecs.getincrementaldecoder("utf-8")().decode(head)
        return "utf-8"
    except UnicodeDecodeError:
        return legacy_encoding(head)


def legacy_encoding(head: bytes) -> str:
    """Windows, DOS or old Mac: whichever makes the most French letters of the bytes beyond ASCII."""
    beyond = bytes(code for code in head if code > 127)
    return max(
        ("cp1252", "cp850", "mac_roman"),
        key=lambda name: sum(sign in _FRENCH for sign in beyond.decode(name, errors="replace")),
    )


def encoding_sure(path: Path, encoding: str) -> bool:
    """Whether hardly any other encoding can be meant: Unicode, or nearly all beyond ASCII are letters of French."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if encoding.startswith("utf"):
        return True
    beyond = [sign for sign in head.decode(encoding, errors="replace") if ord(sign) > 127]
    return sum(sign in _FRENCH for sign in beyond) >= 0.8 * len(beyond)


def separator_of(text: str) -> str:
    """The sign between cells: the first of ; tab | , that cuts most lines into the same number of cells."""
    said = re.match(r"sep=(.)\r?\n", text)
    if said:
        return said[1]
    shares: dict[str, float] = {}
    for separator in _SEPARATORS:
        counts = Counter(len(row) for row in _rows(text, separator) if any(cell.strip() for cell in row))
        several = {width: times for width, times in counts.items() if width > 1}
        shares[separator] = max(several.values(), default=0) / max(1, counts.total())
    best = max(shares.values())
    return next(one for one in _SEPARATORS if shares[one] >= 0.9 * best) if best else ","


def head_rows(text: str, separator: str) -> list[list[str]]:
    """The first records of a text, blank ones kept."""
    return list(_rows(text, separator))


def _rows(text: str, separator: str) -> Iterator[list[str]]:
    rows = csv.reader(io.StringIO(text), delimiter=separator)
    for _ in range(MOST_HEAD_ROWS):
        try:
            yield next(rows)
        except StopIteration:
            return
        except csv.Error:
            yield []


def head_of(path: Path, said: str | None = None) -> tuple[str, str]:
    """The first text of the file, whole lines, with "\\n" between them, and its encoding: what is said, else found.
    Raises LookupError when there is none of that name."""
    with path.open("rb") as file:
        raw = file.read(HEAD_BYTES)
    encoding = said or encoding_of(raw)
    b" ".decode(encoding, errors="replace")  # there are codecs that make no text
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(raw).removeprefix("\ufeff")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    cut = text.rfind("\n")
    return (text[: cut + 1] if len(raw) == HEAD_BYTES and cut > 0 else text), encoding


def blocks(path: Path, dialect: Dialect, skip: int) -> Iterator[Block]:
    """The records of the file after the first `skip`, block by block."""
    whole = max(1, path.stat().st_size)
    carry, line, read, quoted = b"", 1, 0, dialect.quoted
    for part, size in _decoded(path, dialect.encoding):
        read += size
        data = carry + part
        cut = _last_record_end(data, quoted)
        if cut == 0 and quoted and len(data) > 4 * BLOCK_BYTES:
            quoted = False  # a quote that never closes is a sign like others: inches, seconds
            cut = _last_record_end(data, quoted)
        if cut == 0 and len(data) > _LONGEST_LINE:
            raise RefusedFileError(Said(
                f"its line {line} has more than {_LONGEST_LINE >> 20} MB: this is no table with rows",
                f"sa ligne {line} fait plus de {_LONGEST_LINE >> 20} Mo : ce n'est pas un tableau avec des lignes",
            ))  # fmt: skip
        carry = data[cut:]
        if cut:
            yield from _skipped(Block(data[:cut], line, min(1.0, read / whole), quoted), skip)
            skip = max(0, skip - _records(data[:cut], quoted))
            line += data.count(b"\n", 0, cut)
    if carry.strip():
        if quoted and carry.count(b'"') % 2:
            quoted = False
        yield from _skipped(Block(carry, line, 1.0, quoted), skip)


def _skipped(block: Block, skip: int) -> Iterator[Block]:
    if skip == 0:
        yield block
        return
    ends = _ends(block.data, block.quoted)
    if skip <= len(ends):
        at = int(ends[skip - 1]) + 1
        line = block.line + block.data.count(b"\n", 0, at)
        if block.data[at:].strip():
            yield Block(block.data[at:], line, block.done, block.quoted)


def _ends(data: bytes, quoted: bool) -> Instants:
    """Where records end: line breaks outside quotes."""
    codes = np.frombuffer(data, np.uint8)
    breaks = np.flatnonzero(codes == 10)
    if quoted and b'"' in data:
        breaks = breaks[np.cumsum(codes == 34)[breaks] % 2 == 0]
    return breaks


def _records(data: bytes, quoted: bool) -> int:
    return len(_ends(data, quoted)) if quoted and b'"' in data else data.count(b"\n")


def _last_record_end(data: bytes, quoted: bool) -> int:
    """One past the last line break outside quotes; 0 when there is none."""
    if not quoted or b'"' not in data:
        return data.rfind(b"\n") + 1
    ends = _ends(data, quoted)
    return int(ends[-1]) + 1 if len(ends) else 0


def _decoded(path: Path, encoding: str) -> Iterator[tuple[bytes, int]]:
    """The file as UTF-8 with "\\n" line ends, in parts, each with how many bytes of the file it took."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
    plain = encoding in ("utf-8", "utf-8-sig")
    with path.open("rb") as file:
        first, cr = True, False
        while raw := file.read(BLOCK_BYTES):
            start = codecs.BOM_UTF8 if first else b""
            data = raw.removeprefix(start) if plain else _decode(decoder, raw).encode()
            if cr:
                data = b"\r" + data
            cr = data.endswith(b"\r")
            data = data[:-1] if cr else data
            if b"\r" in data:
                data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            first = False
            yield data, len(raw)
        if cr:
            yield b"\n", 0


def _decode(decoder: codecs.IncrementalDecoder, raw: bytes) -> str:
    try:
        return decoder.decode(raw)
    except UnicodeDecodeError:
        decoder.errors = "replace"
        return decoder.decode(raw)

"""Any table as batches of cells: text in blocks, a sheet whole (a sheet holds a million rows), Parquet in slices."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.files import header, sheets, text
from pipeline.files.guard import Kind, RefusedFileError
from pipeline.said import Said
from telemetry.errors import ConfigError
from telemetry.intervals import Instants

if TYPE_CHECKING:
    from polars import DataFrame

OVERFLOW: Final = "\0beyond"
"""Name of the column that takes what a row has beyond its header."""

_NOTHING_ELSE: Final = Said("", "")
_SLICE_ROWS: Final = 200_000
_MOST_ROWS: Final = 100_000_000
_LONGEST: Final = 32_767
"""Longest cell that is read [signs], as in Excel; the rest of a longer one is left out."""


@dataclass(frozen=True)
class Batch:
    """Rows of a table: cells of the columns asked for, nulls where there is nothing; the line (or row, as Excel counts)
    of each; how much of the file [0…1] has been read with them."""

    frame: "DataFrame"
    lines: Callable[[], Instants]
    done: float


@dataclass(frozen=True)
class Layout:
    """What was recognised of a file, for its owner to see. `header_lines` are counted from 1, as an editor does."""

    kind: Kind
    encoding: str = ""
    separator: str = ""
    header_lines: tuple[int, ...] = ()
    first_line: int = 1
    sheet: str = ""
    sheets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table that was looked at but not read. `sample`: its first rows, as text, without the header."""

    columns: tuple[str, ...]
    layout: Layout
    sample: tuple[tuple[str, ...], ...]
    read: Callable[[Sequence[str]], Iterator[Batch]]
    notes: tuple[Said, ...] = field(default=())

    def require(self, column: str, what: Said = _NOTHING_ELSE) -> str:
        """The column, when there is one of that name; `what` says what it is for. Raises DecodeError that says which
        there are."""
        if column not in self.columns:
            there = ", ".join(self.columns)
            raise RefusedFileError(Said(
                f"there is no column {column!r}{what.en}; there are {there}",
                f"il n'y a pas de colonne « {column} »{what.fr} ; il y a {there}",
            ))  # fmt: skip
        return column


def polars() -> Any:
    """The library that reads tables. Raises ConfigError where it is not installed."""
    try:
        import fastexcel  # noqa: F401
        import polars as pl
    except ImportError as error:
        raise ConfigError("tables need the extra `files`: pip install 'km0-telemetry[files]'") from error
    return pl


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside a library that reads a damaged file is a DecodeError."""
    import fastexcel

    pl = polars()
    try:
        yield
    except (
        pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, OSError, RuntimeError, csv.Error,
        LookupError, OverflowError, fastexcel.FastExcelError,
    ) as error:  # fmt: skip
        raise RefusedFileError(Said(
            f"{path.name}: cannot be read as a table: {str(error).partition(chr(10))[0][:200]}",
            f"{path.name} : ne se lit pas comme un tableau ; ouvrez-le dans le logiciel qui l'a produit et exportez-le "
            "à nouveau en CSV ou .xlsx",
        )) from error  # fmt: skip


def opened(
    path: Path, kind: Kind, *, sheet: str | None = None, header_lines: Sequence[int] | None = None,
    separator: str | None = None, encoding: str | None = None,
) -> Table:  # fmt: skip
    """Look at a table. Raises DecodeError when it cannot be read as one."""
    rows = None if header_lines is None else [line - 1 for line in header_lines]
    with readable(path):
        if kind == "xlsx":
            return _sheet(path, sheet, rows)
        if kind == "parquet":
            return _parquet(path)
        return _text(path, rows, separator, encoding)


def _text(path: Path, said: Sequence[int] | None, separator: str | None, encoding: str | None) -> Table:
    head, found = text.head_of(path, encoding)
    cut = separator or text.separator_of(head)
    rows = text.head_rows(head, cut)
    widest = max((len(row) for row in rows), default=0)
    if widest > sheets.MOST_COLUMNS:
        raise RefusedFileError(Said(
            f"cut at {cut!r} it has {widest} columns, {sheets.MOST_COLUMNS} is the most: export fewer",
            f"découpé à « {cut} », il a {widest} colonnes, le maximum est {sheets.MOST_COLUMNS} : exportez-en moins",
        ))  # fmt: skip
    skip = 1 if re.match(r"sep=.\n", head) else 0
    top = header.find(rows[skip:], None if said is None else [row - skip for row in said if row >= skip])
    first = top.first + skip
    dialect = text.Dialect(found, cut)
    columns = top.names
    if not columns:
        raise RefusedFileError(Said(
            f"{path.name}: cannot be read as a table: there is nothing in it",
            f"{path.name} : ne se lit pas comme un tableau, il n'y a rien dedans",
        ))  # fmt: skip

    def read(wanted: Sequence[str]) -> Iterator[Batch]:
        for block in text.blocks(path, dialect, first):
            yield Batch(_cells(block, columns, wanted, cut), block.lines, block.done)

    # records of the head are lines of the file, unless a cell holds a line break
    layout = Layout("text", found, cut, tuple(row + skip + 1 for row in top.rows), first + 1)
    return Table(columns, layout, _sample(rows[first:], len(columns)), read)


def _cells(block: text.Block, columns: tuple[str, ...], wanted: Sequence[str], separator: str) -> "DataFrame":
    pl = polars()
    names = [*(f"c{number}" for number in range(len(columns))), OVERFLOW]
    keep = [columns.index(name) for name in wanted]

    def parse(quote: str | None) -> "DataFrame":
        frame: DataFrame = pl.read_csv(
            io.BytesIO(block.data), separator=separator, has_header=False, quote_char=quote,
            schema=dict.fromkeys(names, pl.String), columns=[*sorted(set(keep)), len(columns)],
            truncate_ragged_lines=True, missing_columns="insert", encoding="utf8-lossy", low_memory=True,
        )  # fmt: skip
        return frame

    try:
        frame = parse('"' if block.quoted else None)
    except pl.exceptions.PolarsError:
        frame = parse(None)  # a quote inside a cell, as in 3/4": a sign like others
    found: DataFrame = frame.select(
        *(pl.col(f"c{number}").str.strip_chars().alias(name) for number, name in zip(keep, wanted, strict=True)),
        pl.col(OVERFLOW),
    )
    return _shortened(found)


def _shortened(frame: "DataFrame") -> "DataFrame":
    """Cells of at most _LONGEST signs: a word of a hundred megabytes would be compared with all that are known."""
    pl = polars()
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    longest = frame.select(pl.max_horizontal(pl.col(texts).str.len_bytes().max())).item() if texts else 0
    if (longest or 0) <= _LONGEST:
        return frame
    cut: DataFrame = frame.with_columns(pl.col(texts).str.head(_LONGEST))
    return cut


def _sheet(path: Path, sheet: str | None, said: Sequence[int] | None) -> Table:
    found = sheets.read(path, sheet)
    frame, name = found.frame, found.name
    rows = [["" if cell is None else str(cell) for cell in row] for row in _shortened(frame.head(400)).rows()]
    top = header.find(rows, said)
    columns = top.names

    def read(wanted: Sequence[str]) -> Iterator[Batch]:
        pl = polars()
        keep = [columns.index(one) for one in wanted]
        for start in range(top.first, frame.height, _SLICE_ROWS):
            part = frame.slice(start, _SLICE_ROWS)
            cells = [
                part.to_series(number).str.strip_chars().alias(one) for number, one in zip(keep, wanted, strict=True)
            ]
            done = min(1.0, (start + part.height) / frame.height)
            yield Batch(_shortened(pl.DataFrame(cells)), _counting(start + 1, part.height), done)

    notes: tuple[Said, ...] = ()
    if len(found.names) > 1 and sheet is None:
        others = ", ".join(one for one in found.names if one != name)
        notes = (
            Said(f"read of its sheets: {name!r}; not: {others}", f"feuille lue : « {name} » ; non lues : {others}"),
        )
    lines = tuple(row + 1 for row in top.rows)
    layout = Layout("xlsx", header_lines=lines, first_line=top.first + 1, sheet=name, sheets=found.names)
    return Table(columns, layout, _sample(rows[top.first :], len(columns)), read, notes)


def _counting(first: int, rows: int) -> Callable[[], Instants]:
    return lambda: np.arange(first, first + rows, dtype=np.int64)


def _parquet(path: Path) -> Table:
    pl = polars()
    scan = pl.scan_parquet(path)
    schema = scan.collect_schema()
    plain = [name for name, kind in schema.items() if not kind.is_nested() and kind not in (pl.Binary, pl.Object)]
    height = int(scan.select(pl.len()).collect().item())
    if height > _MOST_ROWS or len(plain) > sheets.MOST_COLUMNS:
        raise RefusedFileError(Said(
            f"{path.name}: {height} rows and {len(plain)} columns: too much for one file, export a shorter period",
            f"{path.name} : {height} lignes et {len(plain)} colonnes, c'est trop pour un fichier ; exportez une "
            "période plus courte",
        ))  # fmt: skip

    def read(wanted: Sequence[str]) -> Iterator[Batch]:
        for start in range(0, height, _SLICE_ROWS):
            frame = _shortened(scan.select(wanted).slice(start, _SLICE_ROWS).collect())
            yield Batch(frame, _counting(start + 1, frame.height), min(1.0, (start + frame.height) / height))

    head = _shortened(scan.select(plain).head(400).collect().cast(pl.String))
    rows = [["" if cell is None else str(cell) for cell in row] for row in head.rows()]
    return Table(tuple(plain), Layout("parquet"), _sample(rows, len(plain)), read)


def _sample(rows: Sequence[Sequence[str]], width: int) -> tuple[tuple[str, ...], ...]:
    return tuple(
        tuple(row[number].strip() if number < len(row) else "" for number in range(width))
        for row in rows
        if any(cell.strip() for cell in row)
    )

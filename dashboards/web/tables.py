"""Tables as CSV that spreadsheets open, and that runs nothing in them."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
MARK: Final = b"\xef\xbb\xbf"
"""By which spreadsheets know UTF-8."""


_AFTER: Final = re.compile(r"([;\t\r\n][;\s\"]*)([=+\-@]?)")
"""What ends a cell, and what a spreadsheet takes off the next before it looks: blanks, and quotes in pairs. It matches
the whole run: one that failed at its end would begin again at each of its signs."""


def harmless(cell: object) -> object:
    """A cell of a CSV that no spreadsheet takes for a formula (OWASP: a quote before = + - @, tab and line breaks).

    Nor any part of it: a French spreadsheet cuts our lines at semicolons, where what follows begins a cell.
    """
    if not isinstance(cell, str):
        return cell
    if cell.startswith(FORMULA):
        return "'" + cell[0] + _quoted(cell[1:])
    return _quoted(cell)


def _quoted(text: str) -> str:
    return _AFTER.sub(lambda found: f"{found[1]}'{found[2]}" if found[2] else found[1], text)


def lines(head: Sequence[str], chunks: Iterable[Sequence[Sequence[object]]]) -> Iterator[bytes]:
    """A CSV piece by piece: UTF-8 with its mark, CRLF."""
    yield MARK + _lines([head])
    for rows in chunks:
        if rows:
            yield _lines([[harmless(cell) for cell in row] for row in rows])


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    """A whole CSV."""
    return b"".join(lines(head, [rows]))


def _lines(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()

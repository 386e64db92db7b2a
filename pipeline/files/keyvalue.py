"""Logs of controllers as lines of `time … KEY=value KEY=value`: a table with a column per key.

A line says what it names, and nothing of the rest. Keys are those of the file's first lines.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pipeline.files import text
from pipeline.files.tables import OVERFLOW, Batch, Layout, Table, polars

TIME: Final = "time"
"""What the column of the times before the first key is called."""

_STAMP: Final = re.compile(
    r"^[\[(<\s]*((?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})"
    r"(?:[T ,;]+\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s?[AaPp][Mm])?(?:\s?(?:Z|[+-]\d\d:?\d\d))?)?"
    r"|1\d{9}(?:\d{3}|\d{6}|\d{9}|\.\d+)?)(?=[\])>\s;,|])"
)
_KEY: Final = r"[A-Za-zÀ-ÿ_][\wÀ-ÿ.\-/]*"
_PAIR: Final = re.compile(rf'(?:^|(?<=[\s;,|]))({_KEY})=("[^"]*"|[^="]*?)(?=[\s;,|]+{_KEY}=|[;,|]?\s*$)')
_BEGINS: Final = re.compile(rf"\s*{_KEY}=")
_LOOKED_AT: Final = 300
_MOST_KEYS: Final = 500


def recognised(head: str) -> tuple[str, ...] | None:
    """The columns of such a log by its first text; None where it is none: most lines have a key, and some key is in a
    third of them; and where a sign cuts the lines into cells, most cells are pairs."""
    cells = [
        cell for row in text.head_rows(head, text.separator_of(head))[:_LOOKED_AT] for cell in row[1:] if cell.strip()
    ]
    if cells and sum(_BEGINS.match(cell) is not None for cell in cells) < 0.5 * len(cells):
        return None
    lines = [line for line in head.split("\n")[:_LOOKED_AT] if line.strip()]
    found = [_PAIR.findall(line) for line in lines]
    keys = Counter(key for pairs in found for key in {key for key, _ in pairs})
    if not keys or sum(map(bool, found)) < 0.7 * len(lines) or max(keys.values()) < len(lines) / 3:
        return None
    every = Counter(key for line in head.split("\n") for key, _ in _PAIR.findall(line))
    stamped = sum(_STAMP.match(line) is not None for line in lines) >= 0.5 * len(lines)
    names = list(every)[:_MOST_KEYS]
    return (TIME if TIME not in names else "time (line)", *names) if stamped else tuple(names)


def opened(path: Path, head: str, encoding: str, columns: tuple[str, ...]) -> Table:
    """The log as a table."""
    stamped = columns[0] in (TIME, "time (line)") and _STAMP.match(head.lstrip("\n").split("\n", 1)[0]) is not None

    def cells(line: str) -> dict[str, str]:
        said = {key: value.strip().strip('"') for key, value in _PAIR.findall(line)}
        if stamped:
            stamp = _STAMP.match(line)
            # a line without a time or a key is a row all the same: it will be told that it has none
            said[columns[0]] = stamp[1] if stamp else line.strip()[:60]
        return said

    def read(wanted: Sequence[str]) -> Iterator[Batch]:
        pl = polars()
        for block in text.blocks(path, text.Dialect(encoding, "=", quoted=False), 0):
            rows = [cells(line) for line in block.data.decode("utf-8", "replace").removesuffix("\n").split("\n")]
            frame = pl.DataFrame(
                {name: [row.get(name) for row in rows] for name in wanted} | {OVERFLOW: [None] * len(rows)},
                schema=dict.fromkeys((*wanted, OVERFLOW), pl.String),
            )
            yield Batch(frame, block.lines, block.done)

    sample = [cells(line) for line in head.split("\n")[: text.MOST_HEAD_ROWS] if line.strip()]
    return Table(
        columns,
        Layout("text", encoding, "="),
        tuple(tuple(row.get(name, "") for name in columns) for row in sample),
        read,
    )

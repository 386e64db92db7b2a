"""The words of a column, and what they probably mean: how often each is there, which state it stands for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

from pipeline.files import eventlog, guard, tables
from pipeline.files.mapping import EventLogConfig, Metric
from pipeline.files.vocabulary import HEADINGS, likeness, state_for
from pipeline.said import Said
from telemetry.plant import StateName

MOST_PRODUCTS: Final = 40
_WORDS_READ: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Word:
    """A word for a state: how often it is in the sample, what it probably means (None: not known), how sure that is."""

    word: str
    times: int
    state: StateName | None
    confidence: float


def words_in(path: Path, mapping: EventLogConfig, *, largest: int = guard.LARGEST_BYTES) -> tuple[Word, ...]:
    """The words of the column of states of a mapping, and what they probably mean. Raises DecodeError as `propose`."""
    table = eventlog.opened(path, mapping, largest=largest)
    column = table.require(mapping.columns.get("state", "state"), Said(" for the state", " pour l'état"))
    dialect = mapping.dialect or "words"
    with tables.readable(path):
        [counts] = counted(table, [column])
    return tuple(Word(word, number, *state_for(word, dialect)) for word, number in counts.most_common(200))


def products_in(path: Path, mapping: EventLogConfig, *, largest: int = guard.LARGEST_BYTES) -> tuple[str, ...]:
    """The products of the column of a mapping, the most frequent of them. Raises DecodeError as `propose`."""
    table = eventlog.opened(path, mapping, largest=largest)
    column = table.require(mapping.columns.get("product", "product"), Said(" for the product", " pour le produit"))
    with tables.readable(path):
        return most_made(*counted(table, [column]))


def most_made(counts: Counter[str]) -> tuple[str, ...]:
    """The most frequent products."""
    return tuple(word for word, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:MOST_PRODUCTS])


def named(names: Counter[str]) -> dict[str, str]:
    """Of a long table: which name says which metric; each says one."""
    marks = sorted(
        ((likeness(name, metric), times, metric, name)
         for name, times in names.items() for metric in get_args(Metric) if metric in HEADINGS),
        reverse=True,
    )  # fmt: skip
    found: dict[str, str] = {}
    for mark, _, metric, name in marks:
        if mark >= 0.6 and metric not in found and name not in found.values():
            found[metric] = name
    found.setdefault("state", max(names, key=lambda one: names[one], default=""))
    return found


def binary(counts: Counter[str]) -> dict[str, tuple[StateName | None, float]]:
    """A bit: 1 is running."""
    if not {word.lower().removesuffix(".0") for word in counts} <= {"0", "1", "true", "false", "vrai", "faux"}:
        return {}
    return {
        word: ("EXECUTING" if word.lower().removesuffix(".0") in ("1", "true", "vrai") else "NOT_EXECUTING", 0.7)
        for word in counts
    }


def counted(table: tables.Table, columns: Sequence[str], where: Mapping[str, str] | None = None) -> list[Counter[str]]:
    """How often each word is in columns, over the first rows of the file (all, unless it is very long), or those of
    its rows `where` a column holds a word."""
    pl = tables.polars()
    where = where or {}
    counts: list[Counter[str]] = [Counter() for _ in columns]
    rows = 0
    for batch in table.read(list(dict.fromkeys((*columns, *where)))):
        frame = batch.frame
        for column, word in where.items():
            frame = frame.filter(pl.col(column) == word)
        for column, count in zip(columns, counts, strict=True):
            text = frame[column].cast(pl.String).str.strip_chars().drop_nulls()
            for word, number in text.filter(text != "").value_counts().iter_rows():
                if word in count or len(count) < 1000:
                    count[word[:200]] += number
        rows += batch.frame.height
        if rows >= _WORDS_READ:
            break
    return counts

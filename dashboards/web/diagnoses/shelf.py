"""Where diagnoses are kept: a SQLite file of what they are, and a folder per diagnosis with what it was given and gave.

Invariants
- Everything is asked for with an organisation, and found only where it is that organisation's.
- A file is on the shelf when it is whole; what an interrupted upload left is swept away at the next start.
- A number is either coming or on the shelf; the bytes of both, and of what was made of them, are what its organisation
  keeps, and whatever comes is let in by `take` alone.
- No two diagnoses of an organisation were made at the same instant: pages of the list go by it.
- While a diagnosis runs, nothing of what it is of changes.
- A diagnosis that was running when the process ended is one to be run again, and says so.
- The folder of a diagnosis is named by chance (128 bits), never by a user.
"""

import json
import re
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time_ns
from typing import Any, Final, Literal

from pipeline.said import Said
from telemetry.errors import ConfigError

State = Literal["mapping", "running", "done", "failed"]
ID: Final = r"^[0-9a-f]{32}$"
MAPPING_NAME: Final = r"^[^\s/\\<>\x00-\x1f](?:[^/\\<>\x00-\x1f]*[^\s/\\<>\x00-\x1f])?$"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS diagnoses (
    id TEXT PRIMARY KEY, organisation INTEGER NOT NULL, who TEXT NOT NULL, name TEXT NOT NULL, bytes INTEGER NOT NULL,
    made_ns INTEGER NOT NULL, state TEXT NOT NULL, mapping TEXT, fault TEXT NOT NULL DEFAULT '',
    kind TEXT NOT NULL DEFAULT 'file', made_bytes INTEGER NOT NULL DEFAULT 0, link TEXT NOT NULL DEFAULT '',
    use_case TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS newest ON diagnoses (organisation, made_ns DESC);
CREATE TABLE IF NOT EXISTS mappings (
    organisation INTEGER NOT NULL, name TEXT NOT NULL, mapping TEXT NOT NULL, PRIMARY KEY (organisation, name));
"""
_ADDED: Final = {"made_bytes": "INTEGER NOT NULL DEFAULT 0", "link": "TEXT NOT NULL DEFAULT ''",
                 "use_case": "TEXT NOT NULL DEFAULT ''"}  # fmt: skip
"""Columns that a file of an earlier version has not."""
_COLUMNS: Final = "id, organisation, who, name, bytes, made_ns, state, mapping, fault, kind, link, use_case"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Of a file, or of the plant. `mapping` is JSON of an EventLogConfig, as it was last run, or what of the plant was
    asked for; `fault` says why it failed, None when it did not. `link`: where in its folder a network measurement lies,
    "" where none does; `use_case`: what that is judged by, "" for nothing in particular."""

    id: str
    organisation: int
    who: str
    name: str
    bytes: int
    made_ns: int
    state: State
    mapping: str | None
    fault: Said | None
    kind: Literal["file", "plant"] = "file"
    link: str = ""
    use_case: str = ""

    @property
    def recording(self) -> str:
        """The name of its network measurement; "" where it has none."""
        return self.link.rpartition("/")[2]


_INTERRUPTED: Final = Said("interrupted: run it again", "interrompu : relancez le calcul")


def _written(fault: Said | None) -> str:
    return "" if fault is None else json.dumps({"en": fault.en, "fr": fault.fr}, ensure_ascii=False)


def _fault(text: str) -> Said | None:
    """As it was written; an earlier version wrote one sentence, which stands for both languages."""
    if not text:
        return None
    try:
        said = json.loads(text)
    except ValueError:
        return Said(text, text)
    return Said(said["en"], said["fr"]) if isinstance(said, dict) else Said(text, text)


def _diagnosis(row: tuple[Any, ...]) -> Diagnosis:
    said = dict(zip(_COLUMNS.split(", "), row, strict=True))
    return Diagnosis(**said | {"fault": _fault(said["fault"])})


class Shelf:
    """Synchronous and thread-safe: call it from threads."""

    def __init__(self, folder: Path, now_ns: Callable[[], int] = time_ns) -> None:
        """Raises ConfigError when nothing can be kept there."""
        self._folder = folder / "diagnoses"
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._coming: dict[str, tuple[int, int]] = {}
        """Organisation and bytes by number."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(folder / "diagnoses.sqlite", check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(_SCHEMA)
            there = {row[1] for row in self._db.execute("PRAGMA table_info(diagnoses)")}
            for column, what in _ADDED.items():
                if column not in there:
                    self._db.execute(f"ALTER TABLE diagnoses ADD COLUMN {column} {what}")
            # `take` adds them up for every piece of a file: without reading the rows, whose mappings are long
            self._db.execute("CREATE INDEX IF NOT EXISTS room ON diagnoses (organisation, bytes, made_bytes)")
            self._sweep()
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"diagnoses cannot be kept in {folder}: {error}; see `folder` of [web]") from error

    def _sweep(self) -> None:
        self._db.execute(
            "UPDATE diagnoses SET state = 'failed', fault = ? WHERE state = 'running'", (_written(_INTERRUPTED),)
        )
        known = {row[0] for row in self._db.execute("SELECT id FROM diagnoses")}
        for left in self._folder.iterdir():
            if left.name not in known and re.fullmatch(ID, left.name):
                shutil.rmtree(left, ignore_errors=True)
            elif left.name in known:  # a run may have been interrupted, or made before its bytes were counted
                self._db.execute("UPDATE diagnoses SET made_bytes = ? WHERE id = ?", (self._made(left.name), left.name))

    def _made(self, number: str) -> int:
        """What was made of a diagnosis, and its network measurement [bytes]: beside the file that was brought."""
        beside = (one for pattern in ("*", "link-*/*") for one in self._folder.joinpath(number).glob(pattern))
        return sum(one.stat().st_size for one in beside if one.is_file())

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def _used(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._db

    def room(self, organisation: int) -> str:
        """The number of a diagnosis that comes; its folder is there, and empty. It ends with `add` or `clear`."""
        number = secrets.token_hex(16)
        (self._folder / number).mkdir(mode=0o700)
        with self._lock:
            self._coming[number] = organisation, 0
        return number

    def take(self, number: str, size: int, most: int) -> bool:
        """So many bytes more of what comes; False, and nothing taken, where its organisation would then keep more than
        `most` bytes. Raises KeyError after `clear`."""
        with self._used() as db:
            organisation, taken = self._coming[number]
            [kept] = db.execute(
                "SELECT coalesce(sum(bytes + made_bytes), 0) FROM diagnoses WHERE organisation = ?", (organisation,)
            ).fetchone()
            coming = sum(size for whose, size in self._coming.values() if whose == organisation)
            if kept + coming + size > most:
                return False
            self._coming[number] = organisation, taken + size
            return True

    def folder(self, number: str) -> Path:
        return self._folder / number

    def clear(self, number: str) -> None:
        """Take away what came of a diagnosis that was not added; one that was stays."""
        with self._lock:  # its bytes are others' to take once they are gone
            if number in self._coming:
                shutil.rmtree(self._folder / number, ignore_errors=True)
                del self._coming[number]

    def add(self, number: str, who: str, name: str, size: int, kind: Literal["file", "plant"] = "file") -> Diagnosis:
        """Put on the shelf a file that is whole and lies in the folder under its name; or one of the plant. Raises
        KeyError after `clear`."""
        with self._used() as db:
            organisation, _ = self._coming[number]
            made_ns = self._now_ns()
            at = "SELECT 1 FROM diagnoses WHERE organisation = ? AND made_ns = ?"
            while db.execute(at, (organisation, made_ns)).fetchone():
                made_ns += 1
            db.execute(
                "INSERT INTO diagnoses (id, organisation, who, name, bytes, made_ns, state, kind) "
                "VALUES (?, ?, ?, ?, ?, ?, 'mapping', ?)",
                (number, organisation, who, name, size, made_ns, kind),
            )
            del self._coming[number]
        found = self.get(organisation, number)
        assert found is not None
        return found

    def join(self, number: str, diagnosis: Diagnosis, name: str, use_case: str) -> bool:
        """What came under a number becomes the network measurement of a diagnosis, in place of an earlier one. False,
        and nothing changed, while that runs or where it is gone. Raises KeyError after `clear`."""
        with self._used() as db:
            organisation, _ = self._coming[number]
            free = "id = ? AND organisation = ? AND state != 'running' AND kind = 'file'"
            place = f"link-{number}"
            if not db.execute(f"SELECT 1 FROM diagnoses WHERE {free}", (diagnosis.id, organisation)).fetchone():  # noqa: S608  # a constant
                return False
            (self._folder / number / "brought").rename(self._folder / diagnosis.id / place)
            db.execute(
                f"UPDATE diagnoses SET link = ?, use_case = ? WHERE {free}",  # noqa: S608  # a constant
                (f"{place}/{name}", use_case, diagnosis.id, organisation),
            )
            self._settle(db, diagnosis.id, place)
            (self._folder / number).rmdir()
            del self._coming[number]
        return True

    def judge_by(self, diagnosis: Diagnosis, use_case: str) -> bool:
        """Another application for its network measurement; False while it runs."""
        return self._set(diagnosis, "use_case = ?", (use_case,), "AND state != 'running'")

    def part(self, diagnosis: Diagnosis) -> bool:
        """Take its network measurement away; False while it runs."""
        with self._used() as db:
            gone = db.execute(
                "UPDATE diagnoses SET link = '', use_case = '' "
                "WHERE id = ? AND organisation = ? AND state != 'running'",
                (diagnosis.id, diagnosis.organisation),
            ).rowcount
            if gone:
                self._settle(db, diagnosis.id, "")
        return bool(gone)

    def _settle(self, db: sqlite3.Connection, number: str, kept: str) -> None:
        """Take away network measurements but one, and count what is left."""
        for one in (self._folder / number).glob("link-*"):
            if one.name != kept:
                shutil.rmtree(one, ignore_errors=True)
        db.execute("UPDATE diagnoses SET made_bytes = ? WHERE id = ?", (self._made(number), number))

    def link(self, diagnosis: Diagnosis) -> Path | None:
        """Its network measurement."""
        return self._folder / diagnosis.id / diagnosis.link if diagnosis.link else None

    def file(self, diagnosis: Diagnosis) -> Path:
        """What was brought."""
        return self._folder / diagnosis.id / "brought" / diagnosis.name

    def get(self, organisation: int, number: str) -> Diagnosis | None:
        with self._used() as db:
            row = db.execute(
                f"SELECT {_COLUMNS} FROM diagnoses WHERE id = ? AND organisation = ?",  # noqa: S608  # a constant
                (number, organisation),
            ).fetchone()
        return None if row is None else _diagnosis(row)

    def mappings_after(self, organisation: int, after: str, limit: int) -> list[tuple[str, str]]:
        """At most `limit` in the order of their names, those that come after a name."""
        with self._used() as db:
            return db.execute(
                "SELECT name, mapping FROM mappings WHERE organisation = ? AND name > ? ORDER BY name LIMIT ?",
                (organisation, after, limit),
            ).fetchall()

    def list(
        self, organisation: int, limit: int, before_ns: int | None = None, state: State | None = None
    ) -> list[Diagnosis]:
        """The newest first; only those made before an instant [ns], and in one state."""
        with self._used() as db:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM diagnoses WHERE organisation = ? AND made_ns < ? "  # noqa: S608  # a constant
                "AND coalesce(state = ?, true) ORDER BY made_ns DESC LIMIT ?",
                (organisation, 2**63 - 1 if before_ns is None else before_ns, state, limit),
            ).fetchall()
        return [_diagnosis(row) for row in rows]

    def begin(self, diagnosis: Diagnosis, mapping: str) -> bool:
        """Mark it as running with a mapping; False when it runs already."""
        return self._set(diagnosis, "state = 'running', mapping = ?, fault = ''", (mapping,), "AND state != 'running'")

    def end(self, diagnosis: Diagnosis, fault: Said | None = None) -> None:
        """It ran to its end, or failed for a reason."""
        state = "failed" if fault else "done"
        self._set(diagnosis, "state = ?, fault = ?, made_bytes = ?", (state, _written(fault), self._made(diagnosis.id)))

    def remove(self, diagnosis: Diagnosis) -> bool:
        """Take it away with its files; False while it runs."""
        with self._used() as db:
            gone = db.execute(
                "DELETE FROM diagnoses WHERE id = ? AND organisation = ? AND state != 'running'",
                (diagnosis.id, diagnosis.organisation),
            ).rowcount
        if gone:
            shutil.rmtree(self._folder / diagnosis.id, ignore_errors=True)
        return bool(gone)

    def _set(self, diagnosis: Diagnosis, change: str, values: tuple[Any, ...], only: str = "") -> bool:
        with self._used() as db:
            sql = f"UPDATE diagnoses SET {change} WHERE id = ? AND organisation = ? {only}"  # noqa: S608  # constants
            return bool(db.execute(sql, (*values, diagnosis.id, diagnosis.organisation)).rowcount)

    # saved mappings

    def keep_mapping(self, organisation: int, name: str, mapping: str) -> None:
        """Keep it under a name, in place of an earlier one of that name."""
        with self._used() as db:
            db.execute("INSERT OR REPLACE INTO mappings VALUES (?, ?, ?)", (organisation, name, mapping))

    def mappings(self, organisation: int) -> dict[str, str]:
        with self._used() as db:
            rows = db.execute(
                "SELECT name, mapping FROM mappings WHERE organisation = ? ORDER BY name", (organisation,)
            ).fetchall()
        return dict(rows)

    def drop_mapping(self, organisation: int, name: str) -> bool:
        with self._used() as db:
            return bool(
                db.execute("DELETE FROM mappings WHERE organisation = ? AND name = ?", (organisation, name)).rowcount
            )

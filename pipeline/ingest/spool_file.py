"""The SQLite file of the spool: its schema, how it is opened, and what becomes of a damaged one.

Invariants:
- WAL with synchronous=FULL: a transaction that committed is on disk, whatever happens next.
- A file that is damaged is moved aside, never deleted, and what can still be read of it goes into the new one: the
  process that meets it starts once, not in a loop. The new one takes its place when all is in it, so a process that
  ends meanwhile (a full disk, a kill) has lost nothing: the next start saves again.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from time import time_ns
from typing import Final

from pipeline.ingest.reserve import Reserve
from telemetry.errors import ConfigError

SCHEMA_VERSION: Final = 1

_ASIDE: Final = ".damaged-"
_NEW: Final = ".new"

# AUTOINCREMENT: an id is never used twice, so "after this id" means "later" even when the spool was empty in between.
_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT, put_ns INTEGER NOT NULL, samples INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at_ns INTEGER NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL,
    raw BLOB NOT NULL
);
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
_DAMAGE: Final = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_IOERR_SHORT_READ}
"""No such table, a file that is too short. A sector that cannot be read is SQLITE_CORRUPT, a DatabaseError;
SQLITE_IOERR_READ is a disk that went away, whose rest is read at another start."""
_TABLES: Final = {"batches": "put_ns, samples, body", "dead_letters": "at_ns, source, reason, raw"}


def reserve_of(path: Path) -> Reserve:
    """What a spool keeps for the day the disk is full."""
    return Reserve(path.with_name(f"{path.name}.reserve"))


def connect(path: Path) -> sqlite3.Connection:
    """A connection to a spool that exists; any thread may use it, one at a time. Waits 10 s for other processes."""
    connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def open_spool(path: Path) -> tuple[sqlite3.Connection, str]:
    """The spool, made when there is none, and what to tell people of it ("" when all is well).

    Raises ConfigError when the file cannot be had at all: no right to write, a newer version's.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _had(path)
        except sqlite3.OperationalError:
            reserve_of(path).release()  # on a full disk opening needs some room too
            return _had(path)
    except (OSError, sqlite3.OperationalError) as error:
        raise ConfigError(
            f"the spool {path} cannot be opened: {error}. Give [spool] a path in a folder that this user may write to, "
            "on a disk that has room."
        ) from error


def _had(path: Path) -> tuple[sqlite3.Connection, str]:
    if (aside := _unfinished(path)) is not None:
        return _saved(path, aside, "found at an earlier start, which did not get to the end of saving")
    try:
        return _opened(path), ""
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        reason = str(error)
    _fresh(path).close()  # from now on whoever starts next knows that saving is not done
    return _saved(path, path.with_name(f"{path.name}{_ASIDE}{time_ns()}"), reason)


def _opened(path: Path, journal: str = "WAL") -> sqlite3.Connection:
    connection = connect(path)
    try:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise ConfigError(
                f"the spool {path} has schema version {version}, this program knows {SCHEMA_VERSION}: let the version "
                "of KM0 Telemetry that wrote it empty it first"
            )
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        if version < SCHEMA_VERSION:
            connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


def _unfinished(path: Path) -> Path | None:
    """The damaged file that a process was saving from when it ended: it left a new one, and none in its place."""
    if path.exists() or not path.with_name(f"{path.name}{_NEW}").exists():
        return None
    return max(path.parent.glob(f"{path.name}{_ASIDE}[0-9]*[0-9]"), default=None)


def _saved(path: Path, aside: Path, reason: str) -> tuple[sqlite3.Connection, str]:
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
    with closing(_fresh(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        saved = {table: _salvage(aside, connection, table, columns) for table, columns in _TABLES.items()}
        connection.execute("COMMIT")
    os.replace(path.with_name(f"{path.name}{_NEW}"), path)
    return _opened(path), (
        f"the spool was damaged ({reason}) and is kept as {aside.name}; saved from it: {saved['batches']} batches, "
        f"{saved['dead_letters']} dead letters"
    )


def _fresh(path: Path) -> sqlite3.Connection:
    """An empty spool that takes the place of the damaged one when all is in it."""
    new = path.with_name(f"{path.name}{_NEW}")
    for suffix in ("", "-journal", "-wal", "-shm"):
        Path(f"{new}{suffix}").unlink(missing_ok=True)
    return _opened(new, "DELETE")  # in WAL mode all would lie in the log first, and take its room twice


def _salvage(aside: Path, connection: sqlite3.Connection, table: str, columns: str) -> int:
    """Copy every row that can still be read, forwards up to the damage, then backwards down to it.

    Damage may show a row twice, or without a value that it must have: it is saved once, or left out.
    """
    marks = ", ".join("?" for _ in range(columns.count(",") + 2))
    insert = f"INSERT OR IGNORE INTO {table} (id, {columns}) VALUES ({marks})"  # noqa: S608  # names of this module
    before = connection.total_changes
    last = -1
    for row in _readable(aside, f"SELECT id, {columns} FROM {table} ORDER BY id"):  # noqa: S608  # names of this module
        connection.execute(insert, row)
        last = row[0]
    for row in _readable(aside, f"SELECT id, {columns} FROM {table} ORDER BY id DESC"):  # noqa: S608  # names of this module
        if row[0] <= last:
            break
        connection.execute(insert, row)
    return connection.total_changes - before


def _readable(aside: Path, query: str) -> Iterator[tuple[int, *tuple[object, ...]]]:
    """Rows, one at a time (a full spool is larger than memory), up to the first that cannot be read.

    Raises sqlite3.OperationalError when it is not for the damage that there are no more: no room for an index of the
    log, another process that holds it.
    """
    with closing(sqlite3.connect(aside)) as damaged:
        damaged.text_factory = partial(str, encoding="utf-8", errors="replace")
        try:
            yield from damaged.execute(query)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in _DAMAGE:
                raise
        except sqlite3.DatabaseError:
            return

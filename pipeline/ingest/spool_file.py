"""The SQLite file of the spool: its schema, how it is opened, and what becomes of a damaged one.

Invariants:
- WAL with synchronous=FULL: a transaction that committed is on disk, whatever happens next.
- A file that is damaged is moved aside, never deleted, and what can still be read of it goes into the new one: the
  process that meets it starts once, not in a loop.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from time import time_ns
from typing import Final

from telemetry.errors import ConfigError

SCHEMA_VERSION: Final = 1

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
_TABLES: Final = {"batches": "put_ns, samples, body", "dead_letters": "at_ns, source, reason, raw"}


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
            return _opened(path), ""
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            return _replaced(path, str(error))
    except (OSError, sqlite3.OperationalError) as error:
        raise ConfigError(
            f"the spool {path} cannot be opened: {error}. Give [spool] a path in a folder that this user may write to."
        ) from error


def _opened(path: Path) -> sqlite3.Connection:
    connection = connect(path)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise ConfigError(
                f"the spool {path} has schema version {version}, this program knows {SCHEMA_VERSION}: let the version "
                "of KM0 Telemetry that wrote it empty it first"
            )
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


def _replaced(path: Path, reason: str) -> tuple[sqlite3.Connection, str]:
    aside = path.with_name(f"{path.name}.damaged-{time_ns()}")
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
    connection = _opened(path)
    saved = {table: _salvage(aside, connection, table, columns) for table, columns in _TABLES.items()}
    return connection, (
        f"the spool was damaged ({reason}) and is kept as {aside.name}; saved from it: {saved['batches']} batches, "
        f"{saved['dead_letters']} dead letters"
    )


def _salvage(aside: Path, connection: sqlite3.Connection, table: str, columns: str) -> int:
    """Copy every row that can still be read, forwards up to the damage, then backwards down to it."""
    rows: dict[int, tuple[object, ...]] = {}
    for order in ("ASC", "DESC"):
        with suppress(sqlite3.Error), closing(sqlite3.connect(aside)) as damaged:
            for number, *rest in _rows(damaged, f"SELECT id, {columns} FROM {table} ORDER BY id {order}"):  # noqa: S608  # names of this module
                if number in rows:
                    break
                rows[number] = tuple(rest)
    marks = ", ".join("?" for _ in range(columns.count(",") + 2))
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        f"INSERT INTO {table} (id, {columns}) VALUES ({marks})",  # noqa: S608  # names of this module
        ((number, *rows[number]) for number in sorted(rows)),
    )
    connection.execute("COMMIT")
    return len(rows)


def _rows(connection: sqlite3.Connection, query: str) -> Iterator[tuple[int, *tuple[object, ...]]]:
    yield from connection.execute(query)

"""One DuckDB file, held by one process: opened with its schema, written by one thread at a time, read by any.

Invariants:
- Every write is one transaction and is on disk when `writing` ends without an error.
- Nothing of DuckDB's errors leaves this module but as StoreError (ConfigError at opening).
- No extension is ever downloaded.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import duckdb

from telemetry.errors import ConfigError, StoreError

SCHEMA_VERSION: Final = 2

# `recent` takes the writes as they come; compaction moves it into `history`, sorted by series and time, so that a
# query on one series touches few row groups. No index: duplicates are sorted out by the reader (highest write wins).
_COLUMNS: Final = """(
    write BIGINT NOT NULL, series INTEGER NOT NULL, time_ns BIGINT NOT NULL, value DOUBLE NOT NULL,
    quality TINYINT NOT NULL, received_ns BIGINT NOT NULL, text VARCHAR
)"""
_SCHEMA: Final = f"""
CREATE TABLE house (version INTEGER NOT NULL, cursor BIGINT NOT NULL, pruned BIGINT NOT NULL, counted BIGINT NOT NULL,
    forgotten BIGINT);
INSERT INTO house VALUES ({SCHEMA_VERSION}, 0, 0, 0, NULL);
CREATE TABLE series (id INTEGER NOT NULL, asset VARCHAR NOT NULL, metric VARCHAR NOT NULL, samples BIGINT);
CREATE TABLE recent {_COLUMNS};
CREATE TABLE history {_COLUMNS};
CREATE VIEW samples AS SELECT * FROM history UNION ALL SELECT * FROM recent;
CREATE TABLE changes (
    write BIGINT NOT NULL, series INTEGER NOT NULL, first_ns BIGINT NOT NULL, last_ns BIGINT NOT NULL
);
CREATE TABLE kpi_series (id INTEGER NOT NULL, asset VARCHAR NOT NULL, kpi VARCHAR NOT NULL, kind VARCHAR NOT NULL);
CREATE TABLE kpis (
    series INTEGER NOT NULL, start_ns BIGINT NOT NULL, end_ns BIGINT NOT NULL, value DOUBLE NOT NULL,
    numerator DOUBLE NOT NULL, denominator DOUBLE NOT NULL, coverage DOUBLE NOT NULL, samples BIGINT NOT NULL,
    final BOOLEAN NOT NULL, detail VARCHAR DEFAULT ''
);
"""  # noqa: S608  # made of constants of this module

_MIGRATIONS: Final = {
    1: "ALTER TABLE house ADD COLUMN forgotten BIGINT",  # samples before it were dropped by retention
}
"""What turns a version into the next. Each runs in one transaction with the new number: whole or not at all."""

_held: Final[set[Path]] = set()
_held_lock: Final = threading.Lock()


class DuckDbFile:
    """The open file. Raises ConfigError when it cannot be opened: held by another process, damaged, too new."""

    def __init__(self, path: Path, memory_mb: int, threads: int) -> None:
        self.path: Final = path.resolve()
        self._settings: Final[dict[str, str | bool | int | float | list[str]]] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "memory_limit": f"{memory_mb}MB",
            "threads": threads,
            "checkpoint_threshold": "4MB",  # a KPI of an open window is replaced each second: sweep the dead rows often
        }
        self._lock = threading.RLock()
        self.closed = False
        self.openings = 0  # grows when the file was reopened: what its user remembers of it may be out of date
        with _held_lock:
            if self.path in _held:
                raise ConfigError(f"{self.path} is already open in this process: name each DuckDB file once")
            _held.add(self.path)
        try:
            self._connection = self._open()
        except BaseException:
            self._release()
            raise

    @contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction, alone: committed and on disk at the end, rolled back on any error."""
        with self._lock, self._translated(), self._cursor() as cursor:
            cursor.begin()
            try:
                yield cursor
                cursor.commit()
            except BaseException:
                with suppress(duckdb.Error):  # the first error says more than "no transaction is active"
                    cursor.rollback()
                raise

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of one's own to read with, beside writers and other readers; one snapshot throughout."""
        with self._translated(), self._cursor() as cursor:
            cursor.begin()
            yield cursor

    @property
    def lock(self) -> threading.RLock:
        """Held during each `writing`; hold it to see no write come between two steps."""
        return self._lock

    def close(self) -> None:
        with self._lock:
            if not self.closed:
                self.closed = True
                with suppress(duckdb.Error):  # what is committed is safe in the write-ahead log already
                    self._connection.close()
                self._release()

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        if self.closed:
            raise StoreError(f"the store {self.path} is closed")
        return self._connection.cursor()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.FatalException, duckdb.ConnectionException) as error:
            self._reopen()  # after a fatal error DuckDB refuses everything until the file is reopened
            raise StoreError(f"{self.path}: {_sentence(error)}") from error
        except duckdb.Error as error:
            raise StoreError(f"{self.path}: {_sentence(error)}") from error

    def _reopen(self) -> None:
        with self._lock:
            if not self.closed:
                with suppress(duckdb.Error):
                    self._connection.close()
                self.openings += 1
                with suppress(ConfigError):  # still ill: the next call meets the closed connection and comes here again
                    self._connection = self._open()

    def _open(self) -> duckdb.DuckDBPyConnection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = duckdb.connect(str(self.path), config=self._settings)
        except (duckdb.Error, OSError) as error:
            if "lock on file" in str(error):
                raise ConfigError(
                    f"{self.path} is open in another process: a DuckDB file belongs to one process, even for reading. "
                    f"Stop that one, or give this one a path of its own. ({_sentence(error)})"
                ) from error
            raise ConfigError(
                f"{self.path} cannot be opened: {_sentence(error)}. If the file is damaged, put a backup in its place "
                "or move it and its .wal away: a new one is made."
            ) from error
        try:
            self._prepare(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, duckdb.Error):
                raise ConfigError(f"{self.path} cannot be used: {_sentence(error)}") from error
            raise
        return connection

    def _prepare(self, connection: duckdb.DuckDBPyConnection) -> None:
        tables = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        if not tables:
            connection.execute(f"BEGIN; {_SCHEMA} COMMIT;")
        elif "house" not in tables:
            raise ConfigError(f"{self.path} is a DuckDB file of something else (it holds {', '.join(sorted(tables))})")
        (version,) = connection.execute("SELECT version FROM house").fetchall()[0]
        while version in _MIGRATIONS:
            connection.execute(f"BEGIN; {_MIGRATIONS[version]}; UPDATE house SET version = {version + 1}; COMMIT;")  # noqa: S608  # constants
            version += 1
        if version != SCHEMA_VERSION:
            raise ConfigError(
                f"{self.path} has schema version {version}, this program knows {SCHEMA_VERSION}: "
                "use the version of KM0 Telemetry that wrote it"
            )
        connection.execute("ALTER TABLE kpis ADD COLUMN IF NOT EXISTS detail VARCHAR DEFAULT ''")

    def _release(self) -> None:
        with _held_lock:
            _held.discard(self.path)


def _sentence(error: Exception) -> str:
    return str(error).partition("\n")[0].strip() or type(error).__name__

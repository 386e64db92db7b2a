"""The file of the accounts, one SQLite file, and the log in it.

Invariants
- No secret is in it: passwords are Argon2 hashes; of sessions, tokens and links only SHA-256 sums are kept, of 256 bits
  of chance each.
- Every change is in the log, written in the transaction of the change.
"""

import hashlib
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dashboards.web.accounts.identity import Identity
from dashboards.web.accounts.schema import SCHEMA
from telemetry.errors import ConfigError

LOG_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log; `id` grows with time."""

    id: int
    at_ns: int
    who: str
    what: str
    detail: str


class RefusedError(ValueError):
    """What was asked of the accounts cannot be; the text says why, for people."""


class Ledger:
    """Synchronous and thread-safe: call it from threads."""

    def __init__(self, path: Path, owner: str, now_ns: Callable[[], int]) -> None:
        """`owner`: the organisation that owns the plant. Raises ConfigError when the file cannot be had."""
        self.now_ns: Final = now_ns
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._db.executescript(SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"the accounts cannot be kept in {path}: {error}; see `folder` of [web]") from error
        with self.change() as db:
            db.execute(
                "INSERT INTO organisations (name, owns_plant) SELECT ?, 1 WHERE NOT EXISTS "
                "(SELECT 1 FROM organisations WHERE owns_plant)",
                (owner,),
            )

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction: kept as a whole at the end, or not at all."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def one(self, sql: str, *values: object) -> tuple[object, ...] | None:
        """The first row of an answer."""
        with self._lock:
            found: tuple[object, ...] | None = self._db.execute(sql, values).fetchone()
            return found

    def rows(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def write(self, db: sqlite3.Connection, organisation: int | None, who: str, what: str, detail: str = "") -> None:
        """Write down what was done, in the transaction that does it."""
        db.execute(
            "INSERT INTO log (at_ns, organisation, who, what, detail) VALUES (?, ?, ?, ?, ?)",
            (self.now_ns(), organisation, who[:100], what, detail[:500]),
        )

    def log(self, by: Identity, what: str, detail: str = "") -> None:
        """Write down what somebody did that changed no account."""
        with self.change() as db:
            self.write(db, by.organisation, by.name, what, detail)

    def entries(self, organisation: int, before: int = 2**63 - 1) -> list[Entry]:
        """The newest LOG_PAGE lines of an organisation's log with an id below `before`."""
        rows = self.rows(
            "SELECT id, at_ns, who, what, detail FROM log WHERE organisation = ? AND id < ? ORDER BY id DESC LIMIT ?",
            organisation,
            before,
            LOG_PAGE,
        )
        return [Entry(*row) for row in rows]  # type: ignore[arg-type]  # the columns of the schema


def home(db: sqlite3.Connection, user: int) -> int | None:
    """The first organisation of a person; None in none."""
    found = db.execute("SELECT min(organisation) FROM members WHERE user = ?", (user,)).fetchone()
    return None if found is None else found[0]


def secret() -> str:
    """256 bits of chance."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).digest()

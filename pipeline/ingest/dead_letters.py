"""Dead letters: messages that never decoded and samples that the store refused, for people to look at.

They lie in the spool's file. SQLite lets other processes in, so the command line may list and drop them while the
platform runs.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from time import time_ns
from typing import Final

import msgspec

from pipeline.ingest.spool_file import connect
from telemetry.errors import StoreError
from telemetry.samples import Sample

STORE: Final = "store"
"""The source of samples that the store refused: their `raw` is the sample as JSON (see `sample`)."""


class DeadLetter(msgspec.Struct, frozen=True):
    """One message set aside: when [ns since the epoch], from which source, why, and its bytes as they came."""

    id: int
    at_ns: int
    source: str
    reason: str
    raw: bytes

    def sample(self) -> Sample | None:
        """The sample that the store refused; None when this is a message of a source."""
        if self.source != STORE:
            return None
        try:
            return msgspec.json.decode(self.raw, type=Sample)
        except (msgspec.DecodeError, msgspec.ValidationError):
            return None


class DeadLetters:
    """The dead letters of a spool that exists. Synchronous, for any thread or process. Raises StoreError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def count(self) -> int:
        """How many there are."""
        with self._open() as db:
            (count,) = db.execute("SELECT count(*) FROM dead_letters").fetchone()
            return int(count)

    def list(self, limit: int, before: int | None = None) -> Sequence[DeadLetter]:
        """At most `limit`, newest first, only those with an id below `before`."""
        with self._open() as db:
            rows = db.execute(
                "SELECT id, at_ns, source, reason, raw FROM dead_letters WHERE id < ? ORDER BY id DESC LIMIT ?",
                (2**63 - 1 if before is None else before, limit),
            )
            return [DeadLetter(*row) for row in rows]

    def get(self, number: int) -> DeadLetter | None:
        """The one of that id, if it is there."""
        found = self.list(1, before=number + 1)
        return found[0] if found and found[0].id == number else None

    def remove(self, numbers: Sequence[int]) -> int:
        """Drop these for ever; how many there were."""
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            before = db.total_changes
            db.executemany("DELETE FROM dead_letters WHERE id = ?", ((number,) for number in numbers))
            removed = db.total_changes - before
            db.execute("COMMIT")
            return removed

    def replay(self, number: int, samples: Sequence[Sample]) -> None:
        """Put the samples that a dead letter makes by now in the queue for the store, and drop it, in one commit.

        A platform that runs drains them with what it collects next; else they wait for its start.
        """
        body = msgspec.msgpack.encode(samples)
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            dropped = db.execute("DELETE FROM dead_letters WHERE id = ?", (number,)).rowcount
            if dropped and samples:
                db.execute(
                    "INSERT INTO batches (put_ns, samples, body) VALUES (?, ?, ?)", (time_ns(), len(samples), body)
                )
            db.execute("COMMIT")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if not self._path.exists():
            raise StoreError(f"there is no spool {self._path} yet")
        try:
            with closing(connect(self._path)) as db:
                yield db
        except sqlite3.Error as error:
            raise StoreError(f"the spool {self._path} cannot be used: {error}") from error

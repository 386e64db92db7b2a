"""The spool: what collectors put is on disk when `put` returns, and stays there until the store has it.

Invariants:
- A batch is one row; rows leave in the order of `put`, only by `remove`, after the store has them.
- Bytes admitted never exceed `max_bytes` (but for a single batch larger than that, admitted alone); beyond, `put`
  waits, first come first served. Dead letters have room of their own, where the oldest give way, counted.
- A put that is cancelled was either stored whole or not at all.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import time_ns
from types import TracebackType
from typing import Final, Self

import structlog

from pipeline.ingest.batches import ROW_BYTES, Batch, Letter, encoded, printable
from pipeline.ingest.dead_letters import DeadLetters
from pipeline.ingest.group_commit import Done, GroupCommit, Job
from pipeline.ingest.spool_file import connect, open_spool, reserve_of
from telemetry.errors import StoreError
from telemetry.health import Component
from telemetry.samples import Sample

MAX_RAW: Final = 1_000_000
"""Longest dead letter kept [bytes]; of a longer one, the beginning."""

_log: Final = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Put:
    size: int
    samples: int
    job: Job
    stored: asyncio.Future[None]


class Spool:
    """A Sink in one SQLite file, and the queue that the drain empties. Use as `async with Spool(path) as spool`.

    Entering raises ConfigError when the file cannot be had. All methods but `read` belong to the event loop.
    """

    def __init__(
        self,
        path: Path,
        *,
        component: Component | None = None,
        max_bytes: int = 2_000_000_000,
        max_dead_bytes: int = 100_000_000,
        retry_s: float = 1.0,
    ) -> None:
        self.path: Final = path
        self.dead_letters: Final = DeadLetters(path)
        self._component = component or Component("spool")
        self._max_bytes = max_bytes
        self._max_dead_bytes = max_dead_bytes
        self._retry_s = retry_s
        self._puts: deque[_Put] = deque()
        self._admitted = 0  # bytes on disk or on their way to it
        self._underway = 0  # those on their way
        self._batches = 0
        self._samples = 0
        self._full = False
        self._trouble = ""
        self._note = ""
        self._wanted = 1
        self._enough = asyncio.Event()
        self._empty = asyncio.Event()

    async def __aenter__(self) -> Self:
        connection, self._note = await asyncio.to_thread(open_spool, self.path)
        if self._note:
            _log.error(self._note, spool=str(self.path))
        self._batches, self._samples, self._admitted = connection.execute(_WAITING).fetchone()
        (self._dead_bytes,) = connection.execute(_DEAD_BYTES).fetchone()
        (self._version,) = connection.execute(_VERSION).fetchone()
        self._reader = connect(self.path)
        self._commits = GroupCommit(connection, reserve_of(self.path), self._on_trouble, self._retry_s)
        self._show()
        self._tell()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for put in self._puts:
            _resolve(put.stored)(StoreError("the spool is closing"))
        self._puts.clear()
        await self._commits.close()
        self._reader.close()

    # --- for collectors ---

    async def put(self, samples: Sequence[Sample]) -> None:
        """Return once the samples are on disk; wait while the spool or the disk is full.

        What cannot be encoded (half a surrogate pair, times beyond 64 bits) is set aside instead, as durably.
        """
        if not samples:
            return
        body, count, letters = encoded(samples)

        def job(db: sqlite3.Connection) -> None:
            if count:
                db.execute("INSERT INTO batches (put_ns, samples, body) VALUES (?, ?, ?)", (time_ns(), count, body))
            self._keep(db, letters)

        size = len(body) + ROW_BYTES if count else 0
        put = _Put(size, count, job, asyncio.get_running_loop().create_future())
        self._puts.append(put)
        self._admit()
        try:
            await put.stored
        except asyncio.CancelledError:
            if put in self._puts:
                self._puts.remove(put)
                self._admit()
            raise
        self._component.count("dead_letters", len(letters))

    async def set_aside(self, source: str, reason: str, raw: bytes) -> None:
        """Return once the message lies on disk with its reason."""
        await self._submit(lambda db: self._keep(db, [Letter(source, reason, bytes(raw))]))
        self._component.count("dead_letters")

    # --- for the drain ---

    @property
    def batches(self) -> int:
        """How many batches wait for the store."""
        return self._batches

    @property
    def samples(self) -> int:
        """How many samples wait for the store."""
        return self._samples

    async def gathered(self, samples: int, age_s: float) -> None:
        """Return once so many samples wait, or some did for `age_s` [s]."""
        self._want(1)
        await self._enough.wait()
        self._want(samples)
        try:
            async with asyncio.timeout(age_s):
                await self._enough.wait()
        except TimeoutError:
            return

    def read(self, max_samples: int, max_bytes: int, after: int = 0) -> list[Batch]:
        """The oldest batches of those after one's `id`, at least one, then as many as fit. Raises StoreError.

        For the drain's thread: one caller at a time.
        """
        batches: list[Batch] = []
        try:
            rows = self._reader.execute(
                "SELECT id, put_ns, samples, body FROM batches WHERE id > ? ORDER BY id", [after]
            )
            for row in rows:
                batch = Batch(*row)
                max_samples -= batch.samples
                max_bytes -= batch.size
                if batches and (max_samples < 0 or max_bytes < 0):
                    break
                batches.append(batch)
            rows.close()  # or the reader would keep its snapshot, and the log would grow
        except sqlite3.OperationalError as error:
            raise StoreError(f"the spool {self.path} cannot be read: {error}") from error
        return batches

    async def remove(self, batches: Sequence[Batch], letters: Sequence[Letter] = ()) -> None:
        """Forget batches that the store has; keep what it refused of them as dead letters, in the same commit."""
        numbers = [(batch.id,) for batch in batches]
        counted: tuple[int, int, int] | None = None
        version = self._version

        def job(db: sqlite3.Connection) -> None:
            nonlocal counted, version
            db.executemany("DELETE FROM batches WHERE id = ?", numbers)
            self._keep(db, letters)
            (version,) = db.execute(_VERSION).fetchone()
            # Another process wrote, perhaps batches (`km0 deadletters replay`): what is left is counted anew.
            counted = None if version == self._version else db.execute(_WAITING).fetchone()

        def account() -> None:
            if counted is None:
                self._batches -= len(batches)
                self._samples -= sum(batch.samples for batch in batches)
                self._admitted -= sum(batch.size for batch in batches)
            else:
                self._batches, self._samples, on_disk = counted
                self._admitted = on_disk + self._underway
            self._version = version

        await self._submit(job, account, frees=True)
        self._component.count("dead_letters", len(letters))
        self._admit()
        self._show()

    async def emptied(self) -> None:
        """Return once nothing waits for the store."""
        await self._empty.wait()

    # --- inside ---

    async def _submit(self, job: Job, committed: Callable[[], None] = lambda: None, *, frees: bool = False) -> None:
        """Return once the job is on disk; `committed` is called before anything that was committed later is told."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        resolve = _resolve(future)

        def done(error: BaseException | None) -> None:
            if error is None:
                committed()
            resolve(error)

        self._commits.submit(job, done, frees=frees)
        await future

    def _admit(self) -> None:
        """Send to disk, in order, the puts for which there is room."""
        while self._puts:
            put = self._puts[0]
            if self._admitted and self._admitted + put.size > self._max_bytes:
                break
            self._puts.popleft()
            self._admitted += put.size
            self._underway += put.size
            self._empty.clear()
            self._commits.submit(put.job, self._on_commit(put))
        if self._full != bool(self._puts):
            self._full = bool(self._puts)
            self._tell()

    def _on_commit(self, put: _Put) -> Done:
        resolve = _resolve(put.stored)

        def done(error: BaseException | None) -> None:
            self._underway -= put.size
            if error is None:
                self._batches += bool(put.samples)
                self._samples += put.samples
                self._component.count("samples", put.samples)
                self._component.count("batches")
                self._show()
            resolve(error)

        return done

    def _keep(self, db: sqlite3.Connection, letters: Sequence[Letter]) -> None:
        """Write dead letters, inside a transaction; the oldest give way when there is no room."""
        for letter in letters:
            reason, raw = letter.reason, letter.raw
            if len(raw) > MAX_RAW:
                reason, raw = f"{reason} (the first {MAX_RAW} of {len(raw)} bytes are kept)", raw[:MAX_RAW]
            row = (time_ns(), printable(letter.source), printable(reason), raw)
            db.execute("INSERT INTO dead_letters (at_ns, source, reason, raw) VALUES (?, ?, ?, ?)", row)
            self._dead_bytes += len(raw) + ROW_BYTES
        if self._dead_bytes > self._max_dead_bytes:
            # Counted anew: a rolled-back transaction or another process may have changed it.
            (self._dead_bytes,) = db.execute(_DEAD_BYTES).fetchone()
        while self._dead_bytes > self._max_dead_bytes:
            number, size = db.execute("SELECT id, length(raw) FROM dead_letters ORDER BY id LIMIT 1").fetchone()
            db.execute("DELETE FROM dead_letters WHERE id = ?", (number,))
            self._dead_bytes -= size + ROW_BYTES
            self._component.count("dead_letters_dropped")

    def _want(self, samples: int) -> None:
        self._wanted = samples
        self._show()

    def _show(self) -> None:
        """Bring events and gauges up to date."""
        (self._enough.set if self._batches and self._samples >= self._wanted else self._enough.clear)()
        (self._empty.clear if self._admitted else self._empty.set)()
        self._component.gauge("spooled_batches", self._batches)
        self._component.gauge("spooled_samples", self._samples)
        self._component.gauge("spooled_bytes", self._admitted)

    def _on_trouble(self, trouble: str) -> None:
        self._trouble = trouble
        self._tell()

    def _tell(self) -> None:
        if self._trouble:
            self._component.failing(
                f"{self.path} cannot be written ({self._trouble}): make room; sources wait meanwhile"
            )
        elif self._full:
            self._component.failing(
                f"the spool is full ({self._admitted / 1e6:.0f} of {self._max_bytes / 1e6:.0f} MB): sources wait until "
                "the store takes samples again"
            )
        else:
            self._component.ok(self._note)


_VERSION: Final = "PRAGMA data_version"
"""Changes when another connection wrote."""

_WAITING: Final = (
    f"SELECT count(*), coalesce(sum(samples), 0), coalesce(sum(length(body) + {ROW_BYTES}), 0) FROM batches"  # noqa: S608  # a constant
)
_DEAD_BYTES: Final = f"SELECT coalesce(sum(length(raw) + {ROW_BYTES}), 0) FROM dead_letters"  # noqa: S608  # a constant


def _resolve(future: asyncio.Future[None]) -> Done:
    def done(error: BaseException | None) -> None:
        if future.done():
            return  # its waiter was cancelled
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    return done

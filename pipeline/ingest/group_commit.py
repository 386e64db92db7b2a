"""One thread that writes to SQLite, one transaction for all that waits: an fsync is shared by everybody in the queue.

Invariants:
- Jobs run in the order given. A job is reported done only after the commit that holds it.
- A commit that fails for want of room or rights is tried again, all of it, for ever; nothing is reported meanwhile.
  Only jobs that free room go before it then, the reserve being given up for them: else a full disk would stay full.
- Callbacks run in the event loop, never in the thread.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple

from pipeline.ingest.reserve import Reserve
from telemetry.errors import StoreError

Job = Callable[[sqlite3.Connection], None]
"""What to do inside the transaction. It may run more than once: of a transaction that failed nothing remains."""

Done = Callable[[BaseException | None], None]
"""Told, in the event loop, that the job is on disk, or why it never will be."""


class _Entry(NamedTuple):
    job: Job
    done: Done
    frees: bool


class GroupCommit:
    """Owns the connection. `on_trouble` is told, in the event loop, why commits fail, and "" when they work again."""

    def __init__(
        self, connection: sqlite3.Connection, reserve: Reserve, on_trouble: Callable[[str], None], retry_s: float
    ) -> None:
        self._connection = connection
        self._reserve = reserve
        self._on_trouble = on_trouble
        self._retry_s = retry_s
        self._loop = asyncio.get_running_loop()
        self._jobs: Final[SimpleQueue[_Entry | None]] = SimpleQueue()
        self._ending = threading.Event()
        self._dead: BaseException | None = None
        # A daemon: a disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    def submit(self, job: Job, done: Done, *, frees: bool = False) -> None:
        """Never blocks. Call it from the event loop only. `frees`: it makes room, and may go before others."""
        if self._dead is not None:
            done(self._dead)
        else:
            self._jobs.put(_Entry(job, done, frees))

    async def close(self) -> None:
        """Commit what was submitted (one last try, if commits fail), then close the connection."""
        self._ending.set()
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        taken: list[_Entry] = []
        try:
            self._reserve.hold()
            while taken := self._take():
                self._commit(taken)
                self._tell(taken, None)
        except BaseException as error:
            self._tell(taken, error)
            if not isinstance(error, StoreError | sqlite3.Error):
                raise
        finally:
            with suppress(sqlite3.Error):  # what is committed is safe already
                self._connection.close()

    def _take(self) -> list[_Entry]:
        """All that waits, at least one; nothing when it is time to end."""
        taken: list[_Entry] = []
        first = self._jobs.get()
        with suppress(Empty):
            while first is not None:
                taken.append(first)
                first = self._jobs.get_nowait()
            self._jobs.put(None)  # met while others waited: let the next round find it
        return taken

    def _commit(self, taken: list[_Entry]) -> None:
        """Return once all are on disk. Those that had to go before are told already, and no longer in the list."""
        trouble = ""
        while taken:
            try:
                self._write(taken)
            except sqlite3.OperationalError as error:  # disk full, read-only, locked: others than damage
                if str(error) != trouble:
                    trouble = str(error)
                    self._call(partial(self._on_trouble, trouble))
                if self._make_room(taken):
                    continue
                if self._ending.wait(self._retry_s):
                    raise StoreError(f"the spool cannot be written ({error}) and is closing") from error
            else:
                break
        if trouble:
            self._reserve.hold()
            self._call(partial(self._on_trouble, ""))

    def _write(self, entries: list[_Entry]) -> None:
        """One transaction; of one that fails nothing remains."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for entry in entries:
                entry.job(self._connection)
            self._connection.execute("COMMIT")
        except sqlite3.OperationalError:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _make_room(self, taken: list[_Entry]) -> bool:
        """Do what frees room, of `taken` and of what has come since, and take it out; whether there was any."""
        ending = False
        with suppress(Empty):
            while True:
                entry = self._jobs.get_nowait()
                if entry is None:
                    ending = True
                else:
                    taken.append(entry)
        if ending:
            self._jobs.put(None)
        freeing = [entry for entry in taken if entry.frees]
        if not freeing:
            return False
        self._reserve.release()
        try:
            self._write(freeing)
        except sqlite3.OperationalError:
            return False
        with suppress(sqlite3.OperationalError):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the room is in the log, and the log is room
        self._reserve.hold()
        taken[:] = [entry for entry in taken if not entry.frees]
        self._tell(freeing, None)
        return True

    def _tell(self, taken: list[_Entry], error: BaseException | None) -> None:
        told = list(taken)

        def tell() -> None:
            self._dead = error
            for entry in told:
                entry.done(error)
            while error is not None:
                try:
                    waiting = self._jobs.get_nowait()
                except Empty:
                    break
                if waiting is not None:
                    waiting.done(error)

        self._call(tell)

    def _call(self, callback: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(callback)

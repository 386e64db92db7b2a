"""One thread that writes to SQLite, one transaction for all that waits: an fsync is shared by everybody in the queue.

Invariants:
- Jobs run in the order given. A job is reported done only after the commit that holds it.
- A commit that fails for want of room or rights is tried again, all of it, for ever; nothing is reported meanwhile.
- Callbacks run in the event loop, never in the thread.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final

from telemetry.errors import StoreError

Job = Callable[[sqlite3.Connection], None]
"""What to do inside the transaction. It may run more than once: of a transaction that failed nothing remains."""

Done = Callable[[BaseException | None], None]
"""Told, in the event loop, that the job is on disk, or why it never will be."""


class GroupCommit:
    """Owns the connection. `on_trouble` is told, in the event loop, why commits fail, and "" when they work again."""

    def __init__(self, connection: sqlite3.Connection, on_trouble: Callable[[str], None], retry_s: float) -> None:
        self._connection = connection
        self._on_trouble = on_trouble
        self._retry_s = retry_s
        self._loop = asyncio.get_running_loop()
        self._jobs: Final[SimpleQueue[tuple[Job, Done] | None]] = SimpleQueue()
        self._ending = threading.Event()
        self._dead: BaseException | None = None
        # A daemon: a disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    def submit(self, job: Job, done: Done) -> None:
        """Never blocks. Call it from the event loop only."""
        if self._dead is not None:
            done(self._dead)
        else:
            self._jobs.put((job, done))

    async def close(self) -> None:
        """Commit what was submitted (one last try, if commits fail), then close the connection."""
        self._ending.set()
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        taken: list[tuple[Job, Done]] = []
        try:
            while taken := self._take():
                self._commit([job for job, _ in taken])
                self._tell(taken, None)
        except BaseException as error:
            self._tell(taken, error)
            if not isinstance(error, StoreError | sqlite3.Error):
                raise
        finally:
            with suppress(sqlite3.Error):  # what is committed is safe already
                self._connection.close()

    def _take(self) -> list[tuple[Job, Done]]:
        """All that waits, at least one; nothing when it is time to end."""
        taken = []
        first = self._jobs.get()
        with suppress(Empty):
            while first is not None:
                taken.append(first)
                first = self._jobs.get_nowait()
            self._jobs.put(None)  # met while others waited: let the next round find it
        return taken

    def _commit(self, jobs: list[Job]) -> None:
        trouble = ""
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                for job in jobs:
                    job(self._connection)
                self._connection.execute("COMMIT")
            except sqlite3.OperationalError as error:  # disk full, read-only, locked: others than damage
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if str(error) != trouble:
                    trouble = str(error)
                    self._call(partial(self._on_trouble, trouble))
                if self._ending.wait(self._retry_s):
                    raise StoreError(f"the spool cannot be written ({error}) and is closing") from error
            else:
                if trouble:
                    self._call(partial(self._on_trouble, ""))
                return

    def _tell(self, taken: list[tuple[Job, Done]], error: BaseException | None) -> None:
        def tell() -> None:
            self._dead = error
            for _, done in taken:
                done(error)
            while error is not None:
                try:
                    entry = self._jobs.get_nowait()
                except Empty:
                    break
                if entry is not None:
                    entry[1](error)

        self._call(tell)

    def _call(self, callback: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(callback)

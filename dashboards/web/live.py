"""Live updates: one clock for every stream, so that a hundred open pages cost one snapshot a second.

Invariants
- While anybody listens, the snapshot is taken once per period; while nobody does, never.
- What is sent is what changed. When nothing did, a comment is sent now and then, so that a dead connection is noticed.
- After `close()` every stream ends at once: an open page never holds up the end of the process.
- A slow reader misses snapshots, never gets late ones: there is no queue.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable
from typing import Final, Generic, TypeVar

from telemetry.errors import StoreError

KEEP_ALIVE_S: Final = 10.0
RETRY_MS: Final = 1000
log = logging.getLogger(__name__)

T = TypeVar("T")


class Live(Generic[T]):
    """The latest of something, for many readers. `read` is synchronous and runs in a thread."""

    def __init__(self, read: Callable[[], T], period_s: float, most: int) -> None:
        self._read = read
        self._period_s = period_s
        self._most = most
        self._latest: tuple[int, T] | None = None
        self._readers = 0
        self._changed = asyncio.Event()
        self._clock: asyncio.Task[None] | None = None
        self._closed = False

    def close(self) -> None:
        """End every stream. Call it from the event loop."""
        self._closed = True
        self._tell()
        if self._clock is not None:
            self._clock.cancel()

    @property
    def full(self) -> bool:
        """Whether one more reader would be too many."""
        return self._readers >= self._most

    @property
    def readers(self) -> int:
        return self._readers

    async def snapshots(self) -> AsyncGenerator[T | None]:
        """Each new snapshot; None when KEEP_ALIVE_S passed without one. Close it (aclosing) when done."""
        self._readers += 1
        if self._clock is None:
            self._clock = asyncio.create_task(self._tick(), name="live")
        clock, seen = self._clock, 0
        try:
            while not (self._closed or clock.done()):
                changed = self._changed
                if self._latest is not None and self._latest[0] > seen:
                    seen, value = self._latest
                    yield value
                    continue
                try:
                    async with asyncio.timeout(KEEP_ALIVE_S):
                        await changed.wait()
                except TimeoutError:
                    yield None
        finally:
            self._readers -= 1
            if self._readers == 0 or clock.done():
                clock.cancel()
                self._clock, self._latest = None, None

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        number = 0
        try:
            while not self._closed:
                started = loop.time()
                try:
                    number += 1
                    self._latest = number, await asyncio.to_thread(self._read)
                    self._tell()
                except StoreError as error:
                    log.warning("no live update: %s", error)  # the streams stay open; the page says how old it is
                await asyncio.sleep(max(0.05, self._period_s - (loop.time() - started)))
        finally:
            self._tell()  # a bug in `read` ends the streams; pages reconnect, the task's traceback is in the log

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def frame(event: str, data: object) -> bytes:
    """One server-sent event with JSON data."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    assert "\n" not in text
    return f"event: {event}\ndata: {text}\n\n".encode()


KEEP_ALIVE: Final = b": still here\n\n"
OPENING: Final = f"retry: {RETRY_MS}\n\n".encode()

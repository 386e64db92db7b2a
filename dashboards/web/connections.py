"""Connections that do not wait for ever: collectors share the process, and its file descriptors, with whoever connects.

Invariants: a connection without a request under way is closed HEAD_S after it was made or began to speak; one whose
reader takes nothing of an answer, after STALLED_S; those that reach uvicorn's `limit_concurrency` are told so, and MORE
later new ones are cut at once.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S: Final = 20.0
"""A request's head has come so long [s] after its first byte, or after the connection was made."""
STALLED_S: Final = 60.0
"""So long [s] an answer waits for its reader to take some of it."""
MORE: Final = 50
"""So many connections too many are told so (503)."""


class Connection(H11Protocol):
    """uvicorn's, which waits for ever for the head of a request and for the reader of an answer."""

    _ends: asyncio.TimerHandle | None = None
    _stalls: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency + MORE:
            transport.abort()
        else:
            self._wait_for_a_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait_for_a_request()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalls = self.loop.call_later(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalls is not None:
            self._stalls.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._ends, self._stalls):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def _wait_for_a_request(self) -> None:
        """The time runs from the first byte: one that comes now and then does not prolong it."""
        if not self._answering():
            self._ends = self._ends or self.loop.call_later(HEAD_S, self._end)
        elif self._ends is not None:
            self._ends.cancel()
            self._ends = None

    def _answering(self) -> bool:
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _end(self) -> None:
        self._ends = None
        if not self._answering():
            self.transport.abort()

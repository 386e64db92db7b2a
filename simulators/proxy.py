"""A TCP proxy that plays a connection which is half open: one end is gone and nobody has told the other.

Invariants. What was forwarded arrived in order. A connection that is cut stays open and silent for ever; one opened
after that is forwarded. Binds 127.0.0.1 only.
"""

import asyncio
import contextlib
from typing import Final, Self


class TcpProxy:
    """Forwards to a port of 127.0.0.1, from the start of the context to its end."""

    def __init__(self, target: int) -> None:
        self._target: Final = target
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self._silent: list[asyncio.StreamWriter] = []
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> int:
        assert self._server is not None
        number: int = self._server.sockets[0].getsockname()[1]
        return number

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for pipe in list(self._pipes):
            pipe.cancel()
        for writer in [*self._open, *self._silent]:
            writer.close()

    def half_open(self) -> int:
        """Go silent on every connection there is; returns how many. New ones are forwarded."""
        cut = len(self._open)
        self._silent += self._open
        self._open.clear()
        for pipe in list(self._pipes):
            pipe.cancel()
        return cut

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._open |= {writer, far_writer}
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            pipe = asyncio.create_task(self._pipe(source, sink), name="proxy")
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
        self._open.discard(sink)
        sink.close()

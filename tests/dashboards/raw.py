"""The app of two companies served for real, and a connection to it that says what no client library would."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.dashboards.accounts.companies import Companies
from tests.dashboards.test_server import served

PATIENT_S = 30
"""How long a test waits for what must come [s]."""
HEAD = b"%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"


class Raw:
    """A connection that says what no client library would."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.close = writer.close

    @classmethod
    async def to(cls, address: str) -> "Raw":
        # small windows: what nobody takes, either way, does not fit into the buffers between
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        made.connect(("127.0.0.1", int(address.rstrip("/").rpartition(":")[2])))
        return cls(*await asyncio.open_connection(sock=made, limit=4096))

    def say(self, request: bytes, *headers: bytes) -> None:
        self._writer.write(HEAD % (request, b"".join(header + b"\r\n" for header in headers)))

    async def send(self, part: bytes) -> None:
        self._writer.write(part)
        await self._writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        async with asyncio.timeout(PATIENT_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
            [size] = [line.split()[1] for line in head.lower().splitlines() if line.startswith(b"content-length")]
            return int(head.split()[1]), await self._reader.readexactly(int(size))

    async def is_cut(self) -> bool:
        """Whether the other side gives this up while nothing is read."""
        async with asyncio.timeout(PATIENT_S):
            while True:
                try:
                    await self.send(b"\r\n")
                except ConnectionError:
                    return True
                await asyncio.sleep(0.05)

    async def rest(self) -> bytes:
        """What still comes until the other side ends it."""
        came = b""
        async with asyncio.timeout(PATIENT_S):
            try:
                while part := await self._reader.read(1 << 16):
                    came += part
            except ConnectionError:
                pass
        return came


@asynccontextmanager
async def reached(found: Companies) -> AsyncIterator[str]:
    """The address of the app of two companies."""
    async with served(found.seeded, found.app) as (address, _):
        yield address

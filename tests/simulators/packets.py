"""What goes over a TCP connection, kept as a capture file that Wireshark reads: no right to capture is needed."""

import asyncio
import contextlib
import struct
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.support import require_program

_MOST = 16_384


class Tap:
    """Forwards connections to a port of 127.0.0.1 and remembers every byte, as packets in the order they passed."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._packets: list[tuple[float, bool, int, bytes]] = []
        self._pipes: set[asyncio.Task[None]] = set()
        self._connections = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        if pipes := list(self._pipes):  # who has left has his last words on their way
            await asyncio.wait(pipes, timeout=20)
        for pipe in list(self._pipes):
            pipe.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:  # the peer is away
            writer.close()
            return
        self._connections += 1
        number = 40_000 + self._connections
        for source, sink, up in ((reader, far_writer, True), (far_reader, writer, False)):
            pipe = asyncio.create_task(self._pipe(source, sink, number, up=up))
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, number: int, *, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(_MOST):
                self._packets.append((time.time(), up, number, data))
                sink.write(data)
                await sink.drain()
        sink.close()

    def pcap(self) -> bytes:
        """A capture of TCP over raw IPv4, complete and in order."""
        found = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
        passed: dict[tuple[int, bool], int] = {}
        for at, up, number, data in self._packets:
            ports = (number, self._target) if up else (self._target, number)
            sequence, seen = passed.get((number, up), 0), passed.get((number, not up), 0)
            passed[number, up] = sequence + len(data)
            tcp = struct.pack(">HHIIBBHHH", *ports, 1 + sequence, 1 + seen, 0x50, 0x18, 65535, 0, 0) + data
            ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, b"\x7f\0\0\1", b"\x7f\0\0\1")
            packet = ip + tcp
            found += struct.pack("<IIII", int(at), int(at % 1 * 1e6), len(packet), len(packet)) + packet
        return found

    def dissected(self, folder: Path, protocol: str, *fields: str) -> list[list[list[str]]]:
        """Of each packet of a protocol, what tshark reads in these fields, each a list."""
        capture = folder / f"{protocol}.pcap"
        capture.write_bytes(self.pcap())
        # The pseudo-headers' checksums are left out, as network cards leave them to do; TCP has them unchecked.
        command = [require_program("tshark"), "-r", str(capture), "-d", f"tcp.port=={self._target},{protocol}"]
        command += ["-Y", protocol, "-T", "fields", "-E", "aggregator=|"]
        command += [word for field in (*fields, "_ws.malformed") for word in ("-e", field)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env={"TZ": "UTC", "PATH": "/usr/bin"}
        )
        rows = [[cell.split("|") if cell else [] for cell in line.split("\t")] for line in done.stdout.splitlines()]
        assert [row for row in rows if row[-1]] == [], "tshark finds packets malformed"
        return [row[:-1] for row in rows]

"""The test server as a process, a path to it that can be cut, and a collector's configuration for it."""

import asyncio
import contextlib
import json
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from collectors.opcua.config import OpcUaConfig
from telemetry.plant import Asset, Plant
from tests.collectors.opcua.server import serve
from tests.support import free_port

URI = "urn:km0:test"
MILL = "km0/fabrication/cell-1/mill-1"
PLANT = Plant(assets=(Asset(path=MILL, name="mill"),))
T0_MS = 1_790_000_000_123
"""Source time of the tests' first values [ms]: a whole millisecond that no binary fraction of a second is."""

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.collectors.opcua.warm"])

METRICS = ("parts", "spindle_load", "power", "temperature", "energy", "feed_override")


def config(port: int, *nodes: dict[str, Any], **settings: Any) -> OpcUaConfig:
    """A configuration for the test server; by default it follows the nodes named as METRICS."""
    chosen = nodes or settings.pop("nodes", None)
    if chosen is None:
        chosen = tuple({"node": f"nsu={URI};s={metric}", "metric": metric} for metric in METRICS)
    section = {
        "kind": "opcua",
        "name": "mill",
        "url": f"opc.tcp://127.0.0.1:{port}/",
        "security": "None",
        "publishing_ms": 20,
        "sampling_ms": 0,
        "keepalive_ms": 1000,  # the watchdog gives it three: a busy machine is no server that is gone
        "lifetime_ms": 60_000,
        "online_s": 0,
        "nodes": [{"asset": MILL, **node} for node in chosen],
        **settings,
    }
    return OpcUaConfig.model_validate_json(json.dumps(section))


@dataclass
class Peer:
    """A server process. `nodes` are names in namespace URI; more namespaces may come before it."""

    nodes: tuple[str, ...] = METRICS
    uris: tuple[str, ...] = (URI,)
    options: dict[str, Any] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: BaseProcess | None = None
    _pipe: Connection = field(init=False)

    async def start(self) -> None:
        spec = {"port": self.port, "uris": self.uris, "nodes": {URI: self.nodes}, "start_ms": T0_MS, **self.options}
        self._pipe, theirs = _FORKS.Pipe()
        self.process = _FORKS.Process(target=serve, args=(spec, theirs), daemon=True)
        self.process.start()
        theirs.close()
        await self._answer("ready", 90)

    async def tell(self, seconds: float = 30, **command: Any) -> None:
        """Send a command and wait until it was carried out, for so long at most."""
        self._pipe.send(command)
        await self._answer("done", seconds)

    async def write(self, *rows: tuple[str, Any, int | None] | tuple[str, Any, int | None, int]) -> None:
        """Write (name, value, ms after T0_MS or None[, status]) in turn."""
        await self.tell(
            write=[
                [[URI, name], value, None if ms is None else T0_MS + ms, *status] for name, value, ms, *status in rows
            ]
        )

    async def stop(self) -> None:
        """End in an orderly way."""
        if self.process is not None:
            self._pipe.send(None)
            await asyncio.to_thread(self.process.join)
            self.process = None

    async def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            await asyncio.to_thread(self.process.join)
            self._pipe.close()
            self.process = None

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def release(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    async def _answer(self, word: str, seconds: float = 30) -> None:
        assert await asyncio.to_thread(self._pipe.poll, seconds), "the test server does not answer"
        assert self._pipe.recv() == word


@contextlib.asynccontextmanager
async def peer(*nodes: str, uris: tuple[str, ...] = (URI,), **options: Any) -> AsyncIterator[Peer]:
    """A running server that ends with the test."""
    started = Peer(nodes or METRICS, uris, options)
    try:
        await started.start()
        yield started
    finally:
        await started.kill()


@dataclass
class Wire:
    """A TCP path to a port that a test can cut: connections end, and new ones are refused until it is mended."""

    target: int
    port: int = field(default_factory=free_port)
    swallow: bool = False
    """Half open: what is sent goes nowhere, and nobody is told."""
    _server: asyncio.Server | None = None
    _links: set[asyncio.StreamWriter] = field(default_factory=set)

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._link, "127.0.0.1", self.port)

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._links):
            writer.transport.abort()
        self._server = None

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        self._links |= {writer, there_writer}
        try:
            await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))
        finally:
            self._links -= {writer, there_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                if not self.swallow:
                    writer.write(chunk)
                    await writer.drain()
        writer.close()

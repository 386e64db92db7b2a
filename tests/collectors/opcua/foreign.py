"""The foreign server (tests/foreign/node-opcua) as a process: it shares no code with the library that we use."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from tests.collectors.opcua.program import Program
from tests.support import free_port, npm_installed, require_program

FOLDER = Path(__file__).parents[2] / "foreign" / "node-opcua"


def installed() -> str:
    """The path of node, with the server's packages beside it; installed from the registry npm is set up for."""
    npm_installed(FOLDER)
    return require_program("node", "nodejs")


class Foreign(Program):
    """A running node-opcua server."""

    def __init__(self, folder: Path, port: int, **options: Any) -> None:
        super().__init__()
        self.port = port
        self.url = f"opc.tcp://127.0.0.1:{port}/km0"
        self._spec = {"port": port, "folder": str(folder), **options}

    async def start(self) -> None:
        node = await asyncio.to_thread(installed)
        await self.launch(node, "server.js", json.dumps(self._spec), cwd=FOLDER)

    async def tell(self, **command: Any) -> None:
        """Send a command, as server.js describes them, and wait until it was carried out."""
        await self.send(command)

    async def items(self) -> int:
        """How many monitored items the newest subscription has."""
        await self.tell(items=True)
        return int((await self.answer("items", 30))["count"])

    async def pace(self, names: Sequence[str], per_s: float, seconds: float) -> tuple[int, int]:
        """Let plain variables count up; returns, when they have, how many values each took, and how many values
        entered the queues of monitored items meanwhile."""
        await self.tell(pace={"names": list(names), "per_s": per_s, "seconds": seconds})
        paced = await self.answer("paced", seconds + 60)
        return int(paced["each"]), int(paced["queued"])


@contextlib.asynccontextmanager
async def foreign(folder: Path, **options: Any) -> AsyncIterator[Foreign]:
    """A server that ends with the test."""
    server = Foreign(folder, free_port(), **options)
    try:
        await server.start()
        yield server
    finally:
        await server.kill()

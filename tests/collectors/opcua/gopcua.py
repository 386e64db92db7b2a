"""The second foreign server (tests/foreign/gopcua) as a process: it has as little as a small device."""

import asyncio
import contextlib
import fcntl
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.collectors.opcua.program import Program
from tests.support import free_port, missing

FOLDER = Path(__file__).parents[2] / "foreign" / "gopcua"
URI = "urn:km0:gopcua"


def version(said: str) -> tuple[int, int]:
    """What `go version` says, or go.mod."""
    found = re.search(r"\bgo ?(\d+)\.(\d+)", said)
    assert found is not None, said
    return int(found[1]), int(found[2])


OLDEST = version((FOLDER / "go.mod").read_text())


def built() -> Path:
    """The program; its packages come from where go is set up to take them from. Without a go that is new enough its
    test is skipped, in CI too: it is a peer besides node-opcua, and no distribution's oldest go builds it."""
    go = shutil.which("go")
    if go is None or version(subprocess.check_output([go, "version"], text=True)) < OLDEST:
        pytest.skip("go is not installed, or older than {}.{}".format(*OLDEST))
    program = FOLDER / "build" / "gopcua"
    with (FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sources = [FOLDER / name for name in ("server.go", "go.mod", "go.sum")]
        if not program.exists() or program.stat().st_mtime < max(one.stat().st_mtime for one in sources):
            command = [go, "build", "-o", str(program), "."]
            done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                missing(f"the gopcua server cannot be built: {done.stderr[-500:]}")
    return program


class Gopcua(Program):
    """A running server with variables of these names."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.port = free_port()
        self.url = f"opc.tcp://127.0.0.1:{self.port}"
        self._names = names

    async def start(self) -> None:
        program = await asyncio.to_thread(built)
        await self.launch(str(program), str(self.port), *self._names, cwd=FOLDER)

    async def write(self, *rows: tuple[str, float, int]) -> None:
        """Variables take values (name, value, ms since the epoch); returns when they have."""
        await self.send(rows)


@contextlib.asynccontextmanager
async def gopcua(*names: str) -> AsyncIterator[Gopcua]:
    """A server that ends with the test."""
    server = Gopcua(names)
    try:
        await server.start()
        yield server
    finally:
        await server.kill()

"""The second foreign server (tests/foreign/open62541) as a process: the stack in C that most devices carry."""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tests.support import free_port, missing

FOLDER = Path(__file__).parents[2] / "foreign" / "open62541"
URI = "urn:km0:open62541"


def installed() -> Path:
    """The folder of its packages; installed from the registry that this environment's uv is set up for."""
    packages = FOLDER / "packages"
    with (FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (packages / "o6").is_dir():
            uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
            if uv is None:
                missing("uv is not installed: make install")
            wanted = ["--target", str(packages), "--no-deps", "--python", sys.executable]
            command = [str(uv), "pip", "install", "--quiet", *wanted, "-r", str(FOLDER / "requirements.txt")]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                missing(f"the open62541 server cannot be installed: {done.stderr[-500:]}")
    return packages


class Open62541:
    """A running server."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"opc.tcp://127.0.0.1:{self.port}"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        packages = await asyncio.to_thread(installed)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "server.py",
            str(self.port),
            cwd=FOLDER,
            env={**os.environ, "PYTHONPATH": str(packages)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        await self._answer("ready", 60)

    async def write(self, *rows: tuple[str, float, int]) -> None:
        """Variables take values (name, value, ms since the epoch); returns when they have."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"write": rows}).encode() + b"\n")
        await self._process.stdin.drain()
        await self._answer("done", 30)

    async def kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None

    async def _answer(self, word: str, seconds: float) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(seconds):
            while line := await self._process.stdout.readline():
                if line.startswith(b"{"):
                    said = json.loads(line)
                    assert said["event"] == word, said
                    return
        raise AssertionError("the open62541 server ended")


@contextlib.asynccontextmanager
async def open62541() -> AsyncIterator[Open62541]:
    """A server that ends with the test."""
    server = Open62541()
    try:
        await server.start()
        yield server
    finally:
        await server.kill()

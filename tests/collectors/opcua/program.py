"""A server of another language as a process: it reads commands as lines of JSON, and says what it did in the same."""

import asyncio
import contextlib
import json
import signal
import subprocess
from pathlib import Path
from typing import Any


class Program:
    """A running program."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def launch(self, *command: str, cwd: Path) -> None:
        """Start it, and wait until it listens."""
        self._process = await asyncio.create_subprocess_exec(
            *command,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            limit=2**24,
        )
        await self.answer("ready", 100)

    async def send(self, command: Any) -> None:
        """Have a command carried out, and wait until it was."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        await self._process.stdin.drain()
        await self.answer("done", 30)

    async def answer(self, word: str, seconds: float) -> dict[str, Any]:
        """The next thing it says, which must be that event."""
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(seconds):
            while line := await self._process.stdout.readline():
                if line.startswith(b"{"):
                    said = json.loads(line)
                    assert said["event"] == word, said
                    return dict(said)
        raise AssertionError("the foreign server ended")

    async def kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def release(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

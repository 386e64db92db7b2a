"""The simulated plant as a child process: started, told to play, listened to, stopped. See simulators/__main__.py.

Invariant: the child ends when its standard input does, so it never outlives this process, however that ends.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from simulators.nursery import Newborn, Nursery
from simulators.spec import Spec
from telemetry.errors import SourceError

START_S: Final = 60.0
STOP_S: Final = 2.0


class _Forked:
    """A plant of a nursery, spoken to as a subprocess is. It has ended when it has closed its standard output."""

    def __init__(self, born: Newborn) -> None:
        self.pid: Final = born.pid
        self.stdin: Final = os.fdopen(born.stdin, "wb", 0)
        self.stdout: Final = asyncio.StreamReader()
        self._read: Final = os.fdopen(born.stdout, "rb", 0)
        self._ended: Final = asyncio.Event()

    async def open(self) -> Self:
        ended = self._ended

        class Output(asyncio.StreamReaderProtocol):
            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                ended.set()

        await asyncio.get_running_loop().connect_read_pipe(lambda: Output(self.stdout), self._read)
        return self

    @property
    def returncode(self) -> int | None:
        """Its code is its nursery's to know."""
        return 0 if self._ended.is_set() else None

    async def wait(self) -> None:
        """Its output is somebody else's to read: full and unread, its end is not seen."""
        await self._ended.wait()

    async def communicate(self) -> None:
        while await self.stdout.read(1 << 16):
            pass
        await self.wait()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class SimulatedPlant:
    """Use as an async context manager: entered, it is starting; `ready` returns once its wires are open. With a
    `nursery` it is born there, else it is a process of its own from the beginning."""

    def __init__(self, spec: Spec, folder: Path, nursery: Nursery | None = None) -> None:
        self._spec = spec
        self._folder = folder
        self._nursery = nursery
        self._log = folder / "simulation.log"
        self._child: asyncio.subprocess.Process | _Forked | None = None

    async def __aenter__(self) -> Self:
        path = self._folder / "simulation.json"
        path.write_text(self._spec.model_dump_json(indent=2), encoding="utf-8")
        if self._nursery is not None:
            self._child = await _Forked(await asyncio.to_thread(self._nursery.born, path, self._log)).open()
            return self
        with self._log.open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "simulators", str(path),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log, start_new_session=True,
            )  # fmt: skip
        return self

    async def ready(self) -> dict[str, Any]:
        """Return once its wires are open, with their ports. Raises SourceError when it does not get there."""
        try:
            async with asyncio.timeout(START_S):  # wait_for of Python 3.11 can lose a cancellation
                return await self._event("ready")
        except TimeoutError:
            raise SourceError(f"the simulated plant did not start within {START_S:g} s; see {self._log}") from None

    async def play(self, progress: Callable[[float], None], on_fault: Callable[[int], None] | None = None) -> int:
        """Have the past played; returns the instant [ns] at which the plant went live. `on_fault` is told the
        number of a fault that its owner is to make."""
        self.tell("play")
        return int((await self._event("live", progress, on_fault))["at_ns"])

    @property
    def pid(self) -> int:
        """The process."""
        assert self._child is not None
        return self._child.pid

    async def stop(self) -> dict[str, Any]:
        """Have it stop; returns its last words: how much it published and what was left unacknowledged."""
        self.tell("stop")
        return await self._event("stopped")

    async def ended(self) -> None:
        """Return never, or raise SourceError when the child ends by itself."""
        assert self._child is not None
        await self._child.wait()
        raise SourceError(f"the simulated plant ended by itself; see {self._log}")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._child is not None
        if self._child.returncode is None:
            assert self._child.stdin is not None
            self._child.stdin.close()
            try:
                async with asyncio.timeout(STOP_S):  # as above
                    await self._child.communicate()
            except TimeoutError:
                self._child.kill()
                await self._child.communicate()
        if isinstance(self._child, _Forked):
            self._child.stdin.close()

    def tell(self, word: str) -> None:
        """Send a command: "play" or "stop"."""
        assert self._child is not None
        assert self._child.stdin is not None
        with suppress(BrokenPipeError):  # it has died: its output ends, which says so
            self._child.stdin.write(f"{word}\n".encode())

    async def _event(
        self,
        wanted: str,
        progress: Callable[[float], None] | None = None,
        on_fault: Callable[[int], None] | None = None,
    ) -> dict[str, Any]:
        """The next event of that name. Raises SourceError with the child's own words when it ends or fails first."""
        assert self._child is not None
        assert self._child.stdout is not None
        while line := await self._child.stdout.readline():
            event: dict[str, Any] = json.loads(line)
            if event["event"] == wanted:
                return event
            if event["event"] == "error":
                raise SourceError(f"the simulated plant: {event['message']}")
            if event["event"] == "progress" and progress is not None:
                progress(event["done"])
            if event["event"] == "fault" and on_fault is not None:
                on_fault(event["number"])
        raise SourceError(f"the simulated plant ended by itself; see {self._log}")

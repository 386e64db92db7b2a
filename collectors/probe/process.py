"""A sender's process, seen from the collector that owns it.

Invariants: the process ends when its standard input does; whatever ends this one closes that pipe, so no sender is left
behind. Entered and left as a context; left, the process is gone.
"""

import asyncio
import contextlib
import sys
from types import TracebackType
from typing import Final, Self

import msgspec

from collectors.probe.frames import LENGTH_BYTES, Durable, Failed, Kept, Setup, Told, framed, from_child
from collectors.probe.timekeeping import ClockState
from telemetry.errors import SourceError

_STOP_S: Final = 0.4
"""How long [s] a sender that was asked to end may take before it is killed."""


class SenderProcess:
    """One sender, measuring from the moment the context is entered."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._child: asyncio.subprocess.Process | None = None
        self._asked = False

    async def __aenter__(self) -> Self:
        """Raises SourceError when the system starts no process."""
        try:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "collectors.probe.child",  # -P: never a folder of that name where we stand
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                start_new_session=True,  # a Ctrl-C is for us, who tell it to end when the time has come
            )  # fmt: skip
        except OSError as error:
            raise SourceError(f"no process for the sender: {error.strerror}") from error
        self._say(self._setup)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        child = self._running
        self.stop()
        try:
            async with asyncio.timeout(_STOP_S):  # wait_for of Python 3.11 can lose a cancellation
                await self._drained()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        await child.wait()

    @property
    def pid(self) -> int:
        return self._running.pid

    async def told(self) -> Told | None:
        """What it says next; None once it has ended as it was asked to. Raises SourceError when it ended by itself."""
        assert self._running.stdout is not None
        try:
            length = int.from_bytes(await self._running.stdout.readexactly(LENGTH_BYTES), "big")
            message: Told | Failed = from_child.decode(await self._running.stdout.readexactly(length))
        except asyncio.IncompleteReadError:
            code = await self._running.wait()
            if self._asked:
                return None
            raise SourceError(f"the sender's process ended by itself, with code {code}") from None
        if isinstance(message, Failed):
            raise SourceError(message.reason)
        return message

    def durable(self, outcomes: int) -> None:
        """So many more of the outcomes it told are on disk."""
        self._say(Durable(outcomes))

    def keep_time(self, clock: ClockState) -> None:
        """Tell it how well our clock is kept."""
        self._say(Kept(clock))

    def stop(self) -> None:
        """Ask it to end; what it has measured is still told."""
        self._asked = True
        assert self._running.stdin is not None
        self._running.stdin.close()

    @property
    def _running(self) -> asyncio.subprocess.Process:
        assert self._child is not None
        return self._child

    def _say(self, message: msgspec.Struct) -> None:
        pipe = self._running.stdin
        assert pipe is not None
        if not pipe.is_closing():
            pipe.write(framed(message))  # a few bytes twice a second; a child that is gone is noticed by `told`

    async def _drained(self) -> None:
        """Read to the end, or a child with something left to say would wait for ever."""
        assert self._running.stdout is not None
        while await self._running.stdout.read(1 << 16):
            pass

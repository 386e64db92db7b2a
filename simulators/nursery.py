"""Where simulated plants are born in a moment: a process that has everything loaded, and forks one on demand.

A plant with an OPC UA server takes three seconds to start, most of it for reading code and making namespace 0. Who
starts many, as a test run does, starts a nursery first.

Invariants. The nursery has one thread and opens nothing, so a fork of it is sound. It ends when its owner's end of the
socket closes, however that comes about; plants outlive it, and end with their own standard input as all do.
"""

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from telemetry.errors import SourceError

_MOST: Final = 1 << 16


@dataclass(frozen=True)
class Newborn:
    """A plant's process; whoever asked for it owns the file descriptors, and closes them. It is nobody's child."""

    pid: int
    stdin: int
    stdout: int


class Nursery:
    """Started on first use; use as a context manager, or `close` it."""

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        """Its process; None while there is none."""
        return None if self._process is None else self._process.pid

    def born(self, spec: Path, log: Path) -> Newborn:
        """Start the plant of a spec, its standard error appended to `log`. Raises SourceError when it cannot be."""
        with self._one_at_a_time:
            return self._born(spec, log)

    def _born(self, spec: Path, log: Path) -> Newborn:
        if self._socket is None:
            self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "simulators.nursery"], stdin=theirs.fileno(), stdout=subprocess.DEVNULL,
                    start_new_session=True,
                )  # fmt: skip
        (inside_in, stdin), (stdout, inside_out) = os.pipe(), os.pipe()
        try:
            with log.open("ab") as errors:
                socket.send_fds(self._socket, [os.fsencode(spec)], [inside_in, inside_out, errors.fileno()])
            answer = self._socket.recv(_MOST)
        except OSError:
            answer = b""
        finally:
            os.close(inside_in)
            os.close(inside_out)
        if not answer:
            os.close(stdin)
            os.close(stdout)
            raise SourceError(
                "the process that starts simulated plants has ended; its last words are on standard error"
            )
        return Newborn(int(answer), stdin, stdout)

    def close(self) -> None:
        """End it. Nothing happens when it is not running."""
        if self._socket is not None and self._process is not None:
            self._socket.close()
            self._process.wait()
        self._socket = self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _serve(owner: socket.socket) -> None:
    """Fork a plant for each message, until the owner is gone; in a plant, return its code by exiting with it."""
    while True:
        message, handed, _, _ = socket.recv_fds(owner, _MOST, 3)
        if not message:
            return
        pid = os.fork()
        if pid == 0:
            owner.close()
            _live(os.fsdecode(message), handed)
        for descriptor in handed:
            os.close(descriptor)
        owner.send(str(pid).encode())


def _live(spec: str, handed: list[int]) -> None:
    from simulators.__main__ import main

    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, descriptor in enumerate(handed):
            os.dup2(descriptor, number)
            os.close(descriptor)
        code = main([spec])
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)  # what the nursery has loaded needs no tidying up


if __name__ == "__main__":
    import simulators.__main__
    import simulators.opcua_plant  # noqa: F401 - loaded here, so that no plant has to
    from simulators.standard_space import pristine

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # plants are not waited for: the system takes them away
    with socket.socket(fileno=os.dup(0)) as asked:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # 0 to 2 stay taken: what is handed over has other numbers
        pristine()
        gc.freeze()
        _serve(asked)

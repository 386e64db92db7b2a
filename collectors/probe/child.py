"""`python -m collectors.probe.child`: one sender in a process of its own, so that nothing else holds up its packets.

Invariants: the thread that measures does nothing but measure, reading and writing pipes is done by two others that
sleep; the process ends when its input does, so it never outlives its parent, however that ends; memory is bounded,
because sending pauses while `backlog` packets are not durable.
"""

import gc
import os
import queue
import sys
import threading
from collections import deque
from typing import BinaryIO, Final

from collectors.probe.frames import LENGTH_BYTES, Durable, Failed, Kept, Setup, Told, framed, to_child
from collectors.probe.outcome import Outcome
from collectors.probe.sender import Sender
from collectors.probe.session import Session
from collectors.probe.wire import Datagram, Wire
from telemetry.errors import SourceError

_STRANGERS: Final = 16
_STRANGER_BYTES: Final = 1500


class Child:
    """A sender, and what it has to say."""

    def __init__(self, setup: Setup, into: BinaryIO) -> None:
        """Raises SourceError: there is no such socket."""
        self._setup = setup
        self._frames: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._into = into
        self._handed_over = self._durable = 0
        self._strangers: deque[tuple[bytes, str]] = deque(maxlen=_STRANGERS)
        self._unreachable = ""
        self._session = Session(
            setup.timeout_ns,
            size=setup.size,
            ssid=setup.ssid,
            key=setup.key,
            one_way_error_ns=setup.one_way_error_ns,
            stateful=setup.stateful,
            extensions=setup.extensions,
            dscp=setup.dscp,
        )
        try:
            wire = Wire((setup.bind, 0), setup.family, dscp=setup.dscp, transmit=True)
        except OSError as error:
            raise SourceError(f"no UDP socket on {setup.bind}: {error.strerror}") from error
        self._sender = Sender(
            self._session,
            wire,
            setup.target,  # type: ignore[arg-type]  # an Address, whose two lengths msgspec does not tell apart
            setup.interval_ns,
            take=self._take,
            room=lambda: self._session.held + self._handed_over - self._durable < setup.backlog,
            stranger=self._stranger,
            unreachable=self._told_unreachable,
        )

    def run(self, source: int) -> None:
        """Measure until the file descriptor `source` ends. Raises SourceError: no such processor, no right to the
        priority."""
        self._sender.place(self._setup.cpu, self._setup.priority)
        writing = threading.Thread(target=self._write, name="frames")
        writing.start()
        threading.Thread(target=self._listen, args=(source,), name="parent", daemon=True).start()
        gc.freeze()
        gc.disable()  # nothing below makes cycles, and a collection would be a late packet
        try:
            self._sender.run()
        finally:
            self._frames.put(None)
            writing.join()
            self._sender.close()

    def _listen(self, source: int) -> None:
        while (data := read_frame(source)) is not None:
            message = to_child.decode(data)
            if isinstance(message, Durable):
                self._durable += message.outcomes
            elif isinstance(message, Kept):
                self._session.keep_time(message.clock)
        self._sender.stop()

    def _take(self, outcomes: list[Outcome]) -> None:
        self._handed_over += len(outcomes)
        strangers = list(self._strangers)
        self._strangers.clear()
        told = Told(
            outcomes,
            dict(self._session.counts),
            self._session.clock_error_ns,
            self._session.one_way_refusal,
            strangers,
            self._unreachable,
        )
        self._unreachable = ""
        self._frames.put(framed(told))

    def _write(self) -> None:
        while (frame := self._frames.get()) is not None:
            try:
                self._into.write(frame)
                self._into.flush()
            except OSError:  # the parent is gone
                self._sender.stop()
                return

    def _stranger(self, datagram: Datagram, reason: str) -> None:
        self._strangers.append((datagram.data[:_STRANGER_BYTES], reason))

    def _told_unreachable(self, reason: str) -> None:
        self._unreachable = reason


def read_frame(source: int) -> bytes | None:
    """The next message on a file descriptor, or None at its end, also when that cuts a message short."""
    head = _read(source, LENGTH_BYTES)
    return None if head is None else _read(source, int.from_bytes(head, "big"))


def _read(source: int, length: int) -> bytes | None:
    # not sys.stdin: a thread that waits in it holds a lock that the interpreter wants when it ends
    data = b""
    while len(data) < length:
        part = os.read(source, length - len(data))
        if not part:
            return None
        data += part
    return data


def main() -> int:
    """Exit code 1: it could not send, and has said why."""
    source, into = sys.stdin.fileno(), sys.stdout.buffer
    first = read_frame(source)
    if first is None:
        return 0
    setup = to_child.decode(first)
    assert isinstance(setup, Setup)
    try:
        Child(setup, into).run(source)
    except SourceError as error:
        into.write(framed(Failed(str(error))))
        into.flush()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

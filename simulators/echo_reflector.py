"""A STAMP reflector (RFC 8762, unauthenticated) for the far end of a simulated link, with a clock that may be wrong.

It is written apart from the probe's own codec, on byte positions alone, so that one judges the other. Binds 127.0.0.1.
"""

import select
import socket
import struct
import threading
import time
from collections import deque
from typing import Final, Self

_SO_TIMESTAMPNS: Final = 35
_IP_RECVTTL: Final = 12
_UNIX_TO_NTP_S: Final = 2_208_988_800


class EchoReflector:
    """Answers test packets. `clock_offset_ns` [ns] is added to its clock; `holds_s` [s] is how long it keeps each
    packet; `stateful`: it numbers its answers itself; `deaf`: it answers nothing (may be set at any time)."""

    def __init__(
        self, *, port: int = 0, clock_offset_ns: int = 0, holds_s: float = 0.0, stateful: bool = False
    ) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
        self._socket.bind(("127.0.0.1", port))
        self._offset_ns = clock_offset_ns
        self._holds_s = holds_s
        self._stateful = stateful
        self._answers: dict[tuple[str, int], int] = {}
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="echo reflector", daemon=True)
        self._sender: tuple[str, int] | None = None
        self.deaf = False
        self.received = 0
        self.unanswered: deque[bytes] = deque(maxlen=10_000)
        """The packets that came while it was deaf."""

    @property
    def address(self) -> tuple[str, int]:
        address: tuple[str, int] = self._socket.getsockname()
        return address

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._wake.send(b"\0")
        self._thread.join()
        for each in (self._socket, self._wake, self._woken):
            each.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def restart_counter(self) -> None:
        """Number answers from 0 again, as a reflector that was switched off and on."""
        self._answers.clear()

    def say(self, data: bytes) -> None:
        """Send something that is no answer to whoever spoke last."""
        assert self._sender is not None, "nobody has spoken"
        self._socket.sendto(data, self._sender)

    def _run(self) -> None:
        while True:
            readable, _, _ = select.select([self._socket, self._woken], [], [])
            if self._woken in readable:
                return
            data, ancillary, _, sender = self._socket.recvmsg(65_535, 256)
            self.received += 1
            self._sender = sender
            came_ns, ttl = time.time_ns(), 0
            for level, kind, value in ancillary:
                if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                    seconds, nanoseconds = struct.unpack_from("@ll", value)
                    came_ns = seconds * 1_000_000_000 + nanoseconds
                elif level == socket.IPPROTO_IP and kind == socket.IP_TTL:
                    (ttl,) = struct.unpack("=i", value)
            if self.deaf:
                self.unanswered.append(data)
            elif len(data) >= 44:
                if self._holds_s:
                    time.sleep(self._holds_s)
                self._socket.sendto(self._answer(data, came_ns, ttl, sender), sender)

    def _answer(self, data: bytes, came_ns: int, ttl: int, sender: tuple[str, int]) -> bytes:
        number = data[0:4]
        if self._stateful:
            count = self._answers.get(sender, 0)
            self._answers[sender] = count + 1
            number = count.to_bytes(4, "big")
        answer = bytearray(len(data))
        answer[0:4] = number
        answer[12:14] = b"\x20\x01"  # not synchronised, off by up to 2^(32 − 32) = 1 s
        answer[14:16] = data[14:16]
        answer[16:24] = self._ntp(came_ns)
        answer[24:38] = data[0:14]
        answer[40] = ttl
        answer[4:12] = self._ntp(time.time_ns())
        return bytes(answer)

    def _ntp(self, unix_ns: int) -> bytes:
        seconds, nanoseconds = divmod(unix_ns + self._offset_ns, 1_000_000_000)
        return ((seconds + _UNIX_TO_NTP_S) & 0xFFFFFFFF).to_bytes(4, "big") + (
            nanoseconds * 4294967296 // 1_000_000_000
        ).to_bytes(4, "big")

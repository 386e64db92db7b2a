"""A UDP socket whose datagrams carry the kernel's own times: receive always, transmit where the system gives them.

Invariants: never connected (an answer from another address must be seen to be reported); never blocks; ICMP errors and
transmit times come from the socket's error queue and never make a send or receive raise.
"""

import contextlib
import errno
import os
import select
import socket
import struct
import sys
from typing import Final, NamedTuple

Address = tuple[str, int] | tuple[str, int, int, int]

_LINUX: Final = sys.platform == "linux"
# Numbers of <asm-generic/socket.h>, <linux/net_tstamp.h>, <linux/in.h> and <linux/in6.h> that `socket` does not name.
_SO_TIMESTAMPNS: Final = 35
_SO_TIMESTAMPING: Final = 37
_TX_SOFTWARE: Final = 1 << 1
_RX_SOFTWARE: Final = 1 << 3
_SOFTWARE: Final = 1 << 4
_IP_RECVERR: Final = 11
_IP_RECVTTL: Final = 12
_IPV6_RECVERR: Final = 25
_MSG_ERRQUEUE: Final = 0x2000
_ORIGIN_TIMESTAMPING: Final = 4

_TIMESPEC: Final = struct.Struct("@ll")
_EXTENDED_ERROR: Final = struct.Struct("=IBBBBII")
_INT: Final = struct.Struct("=i")
_ANCILLARY: Final = 512
_LONGEST: Final = 65_535
_SELECT_LIMIT: Final = 1024


class Datagram(NamedTuple):
    """What arrived, from whom, when the kernel had it [ns, wall clock; 0: not told], its TTL (0: not told), and its
    traffic class: DSCP in the upper six bits, ECN in the lower two."""

    data: bytes
    address: Address
    kernel_ns: int
    ttl: int
    traffic_class: int = 0


class Sent(NamedTuple):
    """The kernel handed a datagram that ends in `data` to the interface at `kernel_ns` [ns, wall clock]."""

    data: bytes
    kernel_ns: int


class Unreachable(NamedTuple):
    """The network said that datagrams do not get there; `reason` in the system's words."""

    reason: str


class Wire:
    """One UDP socket, bound to `bind`, its datagrams marked with `dscp` [0…63]."""

    def __init__(self, bind: Address, family: int = socket.AF_INET, *, dscp: int = 0, transmit: bool = False) -> None:
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._options(family, dscp, transmit)
            self._socket.bind(bind)
        except BaseException:
            self._socket.close()
            raise

    def _options(self, family: int, dscp: int, transmit: bool) -> None:
        wanted: list[tuple[int, int, int]] = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)]
        v6 = family == socket.AF_INET6
        if v6:
            wanted.append((socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2))
        else:
            wanted.append((socket.IPPROTO_IP, socket.IP_TOS, dscp << 2))
        if _LINUX:
            wanted += (
                [
                    (socket.IPPROTO_IPV6, _IPV6_RECVERR, 1),
                    (socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1),
                    (socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1),
                ]
                if v6
                else [
                    (socket.IPPROTO_IP, _IP_RECVERR, 1),
                    (socket.IPPROTO_IP, _IP_RECVTTL, 1),
                    (socket.IPPROTO_IP, socket.IP_RECVTOS, 1),
                ]
            )
            wanted.append((socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1))
            if transmit:
                wanted.append((socket.SOL_SOCKET, _SO_TIMESTAMPING, _TX_SOFTWARE | _RX_SOFTWARE | _SOFTWARE))
        for level, option, value in wanted:
            with contextlib.suppress(OSError):  # each is a refinement: without it the figure is coarser, not wrong
                self._socket.setsockopt(level, option, value)

    @property
    def address(self) -> Address:
        address: Address = self._socket.getsockname()
        return address

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes, address: Address) -> OSError | None:
        """Hand over one datagram; what the system had against it, or None.

        An ICMP error of an earlier datagram is reported by the next call and keeps its own datagram from being sent,
        so the call is made once more.
        """
        failure: OSError | None = None
        for _ in range(2):
            try:
                self._socket.sendto(data, address)
            except OSError as error:
                failure = error
            else:
                return None
        return failure

    def receive(self) -> Datagram | None:
        """The next datagram, or None when there is none now."""
        for _ in range(2):
            try:
                data, ancillary, _flags, address = self._socket.recvmsg(_LONGEST, _ANCILLARY)
            except BlockingIOError:
                return None
            except OSError:
                continue  # an ICMP error, told again in the error queue; the next call gives the datagram behind it
            kernel_ns = ttl = traffic_class = 0
            for level, kind, value in ancillary:
                if level == socket.SOL_SOCKET and kind in (_SO_TIMESTAMPNS, _SO_TIMESTAMPING):
                    kernel_ns = _nanoseconds(value) or kernel_ns
                elif len(value) == _INT.size and (level, kind) in _TTL:
                    (ttl,) = _INT.unpack(value)
                elif value and (level, kind) in _TRAFFIC_CLASS:
                    traffic_class = value[0]
            return Datagram(data, address, kernel_ns, ttl, traffic_class)
        return None

    def reports(self) -> list[Sent | Unreachable]:
        """What the error queue holds: transmit times and ICMP errors, oldest first."""
        found: list[Sent | Unreachable] = []
        if not _LINUX:
            return found
        while True:
            try:
                data, ancillary, _flags, _address = self._socket.recvmsg(_LONGEST, _ANCILLARY, _MSG_ERRQUEUE)
            except OSError:
                return found
            kernel_ns, cause = 0, None
            for level, kind, value in ancillary:
                if level == socket.SOL_SOCKET and kind in (_SO_TIMESTAMPNS, _SO_TIMESTAMPING):
                    kernel_ns = _nanoseconds(value) or kernel_ns
                elif (level, kind) in _ERRORS and len(value) >= _EXTENDED_ERROR.size:
                    cause = _EXTENDED_ERROR.unpack_from(value)
            if cause is not None and cause[1] != _ORIGIN_TIMESTAMPING:
                found.append(Unreachable(os.strerror(cause[0])))
            elif kernel_ns:
                found.append(Sent(data, kernel_ns))


_TTL: Final = {(socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, getattr(socket, "IPV6_HOPLIMIT", -1))}
_TRAFFIC_CLASS: Final = {
    (socket.IPPROTO_IP, socket.IP_TOS),
    (socket.IPPROTO_IPV6, getattr(socket, "IPV6_TCLASS", -1)),
}
_ERRORS: Final = {(socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)}


def _nanoseconds(timespec: bytes) -> int:
    seconds, nanoseconds = _TIMESPEC.unpack_from(timespec)
    return int(seconds * 1_000_000_000 + nanoseconds)


def wait(readable: list[int], seconds: float) -> None:
    """Return when one of the file descriptors has something, or after `seconds`, to the accuracy of the kernel's timer.

    select, because poll and epoll round a timeout up to the next millisecond. It cannot see descriptors from 1024 on:
    a process with so many waits by poll and is late by up to a millisecond.
    """
    seconds = max(0.0, seconds)
    if max(readable) < _SELECT_LIMIT:
        select.select(readable, [], [], seconds)
        return
    poll = select.poll()
    for descriptor in readable:
        poll.register(descriptor, select.POLLIN)
    poll.poll(seconds * 1000)


def refused_by_network(error: OSError) -> bool:
    """Whether a failed send is the network's doing (a loss) rather than our own full buffers (nothing was measured)."""
    return error.errno not in (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM)

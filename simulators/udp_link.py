"""A UDP relay that plays a 5G link between a sender and a reflector, and journals what it did to every packet.

Invariants: a packet is delayed from the kernel's receive time, so that the relay's own wake-up counts only when it is
later than the packet is due; the journal holds what happened (the times at which packets came and left), not what was
planned; one thread owns sockets, heap and paths. Binds 127.0.0.1 only. The journal keeps the newest `journal` packets.
"""

import heapq
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from simulators.radio_path import WAYS, Handovers, LinkConfig, RadioPath, Way

_SO_TIMESTAMPNS: Final = 35
_TIMESPEC: Final = struct.Struct("@ll")
_HEAD: Final = 44
_CLIENTS: Final = 64

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Passage:
    """One packet at the relay. `left_ns` holds when each copy was sent on; empty: dropped, and `cause` says why."""

    way: Way
    came_ns: int
    left_ns: tuple[int, ...]
    cause: str
    head: bytes
    """Its first 44 bytes: enough to find a test packet's number and its sender's timestamp."""


class Truth:
    """What a link did, asked by window [ns] of the instants at which packets came to it."""

    def __init__(self, passages: Iterable[Passage]) -> None:
        self.passages: Final = tuple(sorted(passages, key=lambda passage: passage.came_ns))

    def within(self, start_ns: int, end_ns: int) -> "Truth":
        """The packets that came in [start_ns, end_ns)."""
        return Truth(passage for passage in self.passages if start_ns <= passage.came_ns < end_ns)

    def came(self, way: Way) -> int:
        """Packets that came."""
        return sum(passage.way == way for passage in self.passages)

    def dropped(self, way: Way) -> int:
        """Packets that were not sent on."""
        return sum(passage.way == way and not passage.left_ns for passage in self.passages)

    def delays_ms(self, way: Way) -> list[float]:
        """Time in the relay [ms] of the first copy of each packet that was sent on, in the order in which they came."""
        return [
            (passage.left_ns[0] - passage.came_ns) / 1e6
            for passage in self.passages
            if passage.way == way and passage.left_ns
        ]


class UdpLink:
    """The relay: senders talk to 127.0.0.1:`port`, each gets a socket of its own towards `target`."""

    def __init__(
        self, config: LinkConfig, seed: int, target: Address, *, port: int = 0, journal: int = 200_000
    ) -> None:
        handovers = Handovers(config, seed)
        self._paths = {way: RadioPath(config, way, seed, handovers) for way in WAYS}
        self._target = target
        self._front = _socket(("127.0.0.1", port))
        self._backs: dict[Address, socket.socket] = {}
        self._clients: dict[int, Address] = {}
        self._heap: list[tuple[float, int, socket.socket, bytes, Address, _Record]] = []
        self._order = 0
        self._lock = threading.Lock()
        self._journal: deque[_Record] = deque(maxlen=journal)
        self._wake, self._woken = socket.socketpair()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="udp link", daemon=True)
        self._started_ns = time.time_ns()
        self._started_s = time.monotonic()
        self.forwarding = True
        """False: an outage; whatever comes is dropped."""

    @property
    def port(self) -> int:
        number: int = self._front.getsockname()[1]
        return number

    def start(self) -> Self:
        self._started_ns, self._started_s = time.time_ns(), time.monotonic()
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the thread and close the sockets; what is still on its way is dropped."""
        self._stopping.set()
        self._wake.send(b"\0")
        self._thread.join()
        for each in (self._front, self._wake, self._woken, *self._backs.values()):
            each.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def truth(self) -> Truth:
        """What was done so far. Packets on their way are in it as not yet sent on: ask after a moment of quiet."""
        with self._lock:
            records = list(self._journal)
        return Truth(Passage(r.way, r.came_ns, tuple(r.left_ns), r.cause, r.head) for r in records)

    def _run(self) -> None:
        while not self._stopping.is_set():
            wait = self._heap[0][0] - time.monotonic() if self._heap else 1.0
            readable, _, _ = select.select(
                [self._front, self._woken, *self._backs.values()], [], [], min(1.0, max(0.0, wait))
            )
            for source in readable:
                if source is not self._woken:
                    self._receive(source)
            self._forward()

    def _receive(self, source: socket.socket) -> None:
        while True:
            try:
                data, ancillary, _, address = source.recvmsg(65_535, 128)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP refusal of something forwarded earlier
            came_ns = time.time_ns()
            for _, kind, value in ancillary:
                if kind == _SO_TIMESTAMPNS:
                    seconds, nanoseconds = _TIMESPEC.unpack_from(value)
                    came_ns = seconds * 1_000_000_000 + nanoseconds
            if source is self._front:
                back = self._back(address)
                if back is not None:
                    self._pass("up", data, came_ns, back, self._target)
            else:
                self._pass("down", data, came_ns, self._front, self._clients[source.fileno()])

    def _back(self, client: Address) -> socket.socket | None:
        back = self._backs.get(client)
        if back is None and len(self._backs) < _CLIENTS:
            back = _socket(("127.0.0.1", 0))
            back.connect(self._target)
            self._backs[client] = back
            self._clients[back.fileno()] = client
        return back

    def _pass(self, way: Way, data: bytes, came_ns: int, towards: socket.socket, address: Address) -> None:
        at_s = (came_ns - self._started_ns) / 1e9
        fate = self._paths[way].fate(at_s)
        leaves_s, cause = (fate.leaves_s, fate.cause) if self.forwarding else ((), "outage")
        record = _Record(way, came_ns, [], cause, data[:_HEAD])
        with self._lock:
            self._journal.append(record)
        for leave_s in leaves_s:
            self._order += 1
            entry = (self._started_s + leave_s, self._order, towards, data, address, record)
            heapq.heappush(self._heap, entry)

    def _forward(self) -> None:
        while self._heap and self._heap[0][0] <= time.monotonic():
            _, _, towards, data, address, record = heapq.heappop(self._heap)
            left_ns = time.time_ns()
            try:
                if towards is self._front:
                    towards.sendto(data, address)
                else:
                    towards.send(data)
            except OSError:
                record.cause = "refused"  # the target is not there: the packet is gone, as on a real link
            else:
                record.left_ns.append(left_ns)


@dataclass(slots=True)
class _Record:
    way: Way
    came_ns: int
    left_ns: list[int]
    cause: str
    head: bytes


def _socket(address: Address) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    made.bind(address)
    return made

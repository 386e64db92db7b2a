"""A STAMP reflector: answers test packets, and does no harm to anybody who did not ask.

Invariants: an answer is never longer than what it answers, and there is at most one for each packet; each source is
answered at most `rate` times a second and all together at most `total_rate` times; memory is bounded by SOURCES and
SESSIONS, the least recently heard going first; with a key, only packets signed with it are answered.
"""

import contextlib
import socket
import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from collectors.probe import clocks, tlv
from collectors.probe.clocks import Clock
from collectors.probe.stamp import (
    AUTHENTICATED_BYTES,
    OPEN_BYTES,
    PORT,
    Reply,
    decode_request,
    encode_reply,
    to_stamp,
)
from collectors.probe.timekeeping import AGE_S, UNKNOWN, ClockState, read_state
from collectors.probe.wire import Address, Datagram, Wire, wait
from telemetry.config import Secret, Section
from telemetry.errors import DecodeError, SourceError

SOURCES: Final = 4096
SESSIONS: Final = 4096

_SYNC_SOURCE: Final = {"chrony": 1, "the kernel": 1, "ptp4l": 2}


class ReflectorConfig(Section):
    """Settings of `km0 reflect`."""

    bind: str = Field("127.0.0.1", description="local address; 0.0.0.0 or :: for all")
    port: int = Field(PORT, ge=0, le=65535, description="UDP port; 0: any that is free")
    stateful: bool = Field(True, description="number the answers of each session, so that losses have a direction")
    key: Secret | None = Field(None, description="shared key; with one, packets not signed with it are not answered")
    rate: float = Field(2000.0, gt=0, description="answers to one source address [1/s]")
    total_rate: float = Field(20_000.0, gt=0, description="answers to all together [1/s]")
    dscp: int = Field(0, ge=0, le=63, description="DSCP of the answers")


@dataclass(slots=True)
class _Bucket:
    """Tokens that fill up at a rate: a burst of half a second's worth passes at once."""

    tokens: float
    filled_ns: int

    def take(self, now_ns: int, rate: float) -> bool:
        most = max(1.0, rate / 2)
        self.tokens = min(most, self.tokens + max(0, now_ns - self.filled_ns) * rate / 1e9)
        self.filled_ns = now_ns
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class _Session:
    received: int = 0
    answered: int = 0


class Reflector:
    """What to answer to a datagram. `counts`: "answered", "malformed", "limited"."""

    def __init__(self, config: ReflectorConfig, key: bytes | None = None, clock: Clock = clocks.now) -> None:
        self._config = config
        self._key = key
        self._clock = clock
        self._base = OPEN_BYTES if key is None else AUTHENTICATED_BYTES
        self._kept = UNKNOWN
        self._sources: OrderedDict[str, _Bucket] = OrderedDict()
        self._all = _Bucket(config.total_rate / 2, 0)
        self._sessions: OrderedDict[tuple[str, int, int], _Session] = OrderedDict()
        self.counts: Counter[str] = Counter()

    def keep_time(self, clock: ClockState) -> None:
        """Take note of how well our clock is kept; from any thread."""
        self._kept = clock

    def answer(self, datagram: Datagram) -> bytes | None:
        """The answer, its T3 taken at the last moment; None when there is none to give."""
        arrived = self._clock()
        if not self._allowed(datagram.address[0], arrived.mono_ns):
            self.counts["limited"] += 1
            return None
        try:
            request = decode_request(datagram.data, self._key)
        except DecodeError:
            self.counts["malformed"] += 1
            return None
        received_ns = datagram.kernel_ns if 0 < datagram.kernel_ns <= arrived.real_ns else arrived.real_ns
        session = self._session(datagram.address, request.ssid)
        sequence = session.answered % 2**32 if self._config.stateful else request.sequence
        session.received += 1
        session.answered += 1
        extensions = datagram.data[self._base :]
        if extensions:
            known = tlv.Circumstances(
                datagram.traffic_class >> 2,
                self._config.dscp,
                datagram.traffic_class & 3,
                session.received,
                session.answered,
                _SYNC_SOURCE.get(self._kept.keeper, 0) if self._kept.synchronised else 0,
            )
            extensions = tlv.answer(datagram.data[:4], sequence.to_bytes(4, "big"), extensions, known, self._key)
        reply = Reply(
            sequence=sequence,
            sent=to_stamp(self._clock().real_ns),
            error=self._kept.estimate,
            ssid=request.ssid,
            received=to_stamp(received_ns),
            sender_sequence=request.sequence,
            sender_stamp=request.stamp,
            sender_error=request.error,
            sender_ttl=datagram.ttl,
        )
        self.counts["answered"] += 1
        size = min(self._base, len(datagram.data))
        return encode_reply(reply, size, self._key) + extensions

    def _allowed(self, source: str, now_ns: int) -> bool:
        bucket = self._sources.get(source)
        if bucket is None:
            bucket = self._sources[source] = _Bucket(max(1.0, self._config.rate / 2), now_ns)
            if len(self._sources) > SOURCES:
                self._sources.popitem(last=False)
        self._sources.move_to_end(source)
        return bucket.take(now_ns, self._config.rate) and self._all.take(now_ns, self._config.total_rate)

    def _session(self, address: Address, ssid: int) -> _Session:
        name = (address[0], address[1], ssid)
        session = self._sessions.setdefault(name, _Session())
        self._sessions.move_to_end(name)
        if len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)
        return session


class ReflectorServer:
    """A reflector on a socket. Raises SourceError when the address cannot be used."""

    def __init__(self, config: ReflectorConfig) -> None:
        key = None if config.key is None else config.key.read().encode()
        family = socket.AF_INET6 if ":" in config.bind else socket.AF_INET
        try:
            self._wire = Wire((config.bind, config.port), family, dscp=config.dscp)
        except OSError as error:
            raise SourceError(
                f"cannot listen on UDP {config.bind} port {config.port}: {error.strerror}"
                + ("; ports below 1024 need root: choose another" if config.port < 1024 else "")
            ) from error
        self.reflector = Reflector(config, key)
        self._stopping = threading.Event()
        self._wake, self._woken = socket.socketpair()

    @property
    def address(self) -> Address:
        return self._wire.address

    def stop(self) -> None:
        """Make `run` return; from any thread."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._wake.send(b"\0")

    def run(self) -> None:
        """Answer until `stop`, then close."""
        clock = threading.Thread(target=self._keep_time, name="reflector clock", daemon=True)
        clock.start()
        while not self._stopping.is_set():
            wait([self._wire.fileno(), self._woken.fileno()], 1.0)
            while not self._stopping.is_set() and (datagram := self._wire.receive()) is not None:
                answer = self.reflector.answer(datagram)
                if answer is not None and self._wire.send(answer, datagram.address) is not None:
                    self.reflector.counts["not_sent"] += 1
            self._wire.reports()  # an ICMP error is its peer's business; read, so that the queue does not fill
        for each in (self._wire, self._wake, self._woken):
            each.close()

    def _keep_time(self) -> None:
        self.reflector.keep_time(read_state())
        while not self._stopping.wait(AGE_S):
            self.reflector.keep_time(read_state())

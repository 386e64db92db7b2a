"""Bytes of an MQTT connection in, messages and their acknowledgements out; every other packet goes to its handler.

Invariants:
- Packets are handled in the order they came. What does not look like a well-formed PUBLISH of QoS 0 or 1 is given to
  the handler whole, so what becomes of it is not decided here.
- No packet is taken beyond the room given; what is not taken yet stays, whole.
- A long packet costs one join, however many pieces it comes in.
- No two messages have the same time of arrival, though a read brings hundreds: what states no time of its own is told
  apart by it.

Pure: no socket, no clock. paho reads each header byte by byte, logs every packet and makes five objects of it; here a
message costs one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from collectors.mqtt.decoder import Message
from telemetry.samples import SECOND_NS

PUBACK: Final = b"\x40\x02"
"""What comes before the packet id in an acknowledgement without reason, which means success, in MQTT 3.1.1 and 5."""

APART_NS: Final = 1000
"""How far apart [ns] messages of one read are said to come: about what it takes to read one. An array without times
takes a nanosecond per reading of it."""

_TOPICS: Final = 20_000
"""Topics whose text is remembered; beyond that all are forgotten, so that made-up topics fill no memory."""

_PUBLISH_MASK: Final = 0xF4
_PUBLISH: Final = 0x30
"""Packet type 3 with the higher bit of QoS clear: QoS 0 or 1."""


@dataclass(slots=True)
class Batch:
    """Messages in order. `acknowledgements` are the packets that acknowledge them, joined; `size` is in bytes."""

    messages: list[Message] = field(default_factory=list)
    acknowledgements: bytearray = field(default_factory=bytearray)
    size: int = 0
    duplicates: int = 0
    """How many the broker says that it sent before."""


class MalformedLengthError(Exception):
    """The length of a packet has more than four bytes: what follows cannot be told apart."""


class Framer:
    """Takes a connection's bytes by `feed`, gives messages by `take`.

    `handler(head, body)` gets the other packets; it returns False when the connection is over, and nothing more of
    these bytes is then looked at.
    """

    def __init__(self, version5: bool, handler: Callable[[int, bytes], bool]) -> None:
        self._version5: Final = version5
        self._handler: Final = handler
        self._topics: Final[dict[bytes, str]] = {}
        self._buffer = b""
        self._start = 0
        self._pieces: list[bytes] = []
        self._missing = 0
        self._blocked = False
        self._last_ns = 0

    @property
    def pending(self) -> bool:
        """Whether whole packets wait because there was no room for them."""
        return self._blocked

    def reset(self) -> None:
        """Forget what came: a new connection starts at the start of a packet."""
        self._buffer, self._start, self._pieces, self._missing, self._blocked = b"", 0, [], 0, False

    def feed(self, data: bytes) -> None:
        """More bytes of the connection. Call `take` after it."""
        if self._missing > len(data):
            self._pieces.append(data)
            self._missing -= len(data)
            return
        rest = self._buffer[self._start :] if self._start else self._buffer
        if self._pieces:
            self._buffer = b"".join((rest, *self._pieces, data))
            self._pieces = []
        else:
            self._buffer = rest + data
        self._start = self._missing = 0

    def take(self, batch: Batch, messages: int, size: int, received_ns: int) -> None:  # noqa: C901  # one loop without calls: a call per message costs a tenth of it all
        """Add what came to the batch, until `messages` or `size` [bytes] are taken: the last may go beyond `size`.

        They came at `received_ns` [ns] and right after. Raises MalformedLengthError.
        """
        self._blocked = False
        if 0 < self._last_ns - received_ns < SECOND_NS:  # more: the clock was set back
            received_ns = self._last_ns
        if self._missing:
            return
        buffer, start, version5, topics = self._buffer, self._start, self._version5, self._topics
        taken, acknowledgements = batch.messages, batch.acknowledgements
        end_count, end_size = len(taken) + messages, batch.size + size
        limit = len(buffer)
        try:
            while limit - start >= 2:
                head, length, body = buffer[start], buffer[start + 1], start + 2
                if length > 127:
                    long = _long_length(buffer, start + 1)
                    if long is None:
                        return
                    length, body = long
                end = body + length
                if end > limit:
                    self._missing = end - limit
                    return
                if head & _PUBLISH_MASK == _PUBLISH and length > 2:
                    if len(taken) >= end_count or batch.size >= end_size:
                        self._blocked = True
                        return
                    name_end = body + 2 + (buffer[body] << 8 | buffer[body + 1])
                    at = name_end + (head & 2)
                    properties = b""
                    if version5 and at < end:
                        if buffer[at]:
                            at, properties = _properties(buffer, at, end)
                        else:
                            at += 1
                    elif version5:
                        at = end + 1
                    if at <= end and name_end > body + 2:
                        name = buffer[body + 2 : name_end]
                        topic = topics.get(name) or self._topic(name)
                        if head & 2:
                            acknowledgements += PUBACK + buffer[name_end : name_end + 2]
                        if head & 8:
                            batch.duplicates += 1
                        batch.size += end - start
                        taken.append(Message(topic, buffer[at:end], received_ns, head & 1 == 1, properties))
                        received_ns += APART_NS
                        start = end
                        continue
                start = end
                if not self._handler(head, buffer[body:end]):
                    buffer, start, limit = b"", 0, 0
                    self._buffer = b""
        finally:
            self._start = start
            self._last_ns = received_ns

    def _topic(self, name: bytes) -> str:
        if len(self._topics) >= _TOPICS:
            self._topics.clear()
        # Brokers check that topics are UTF-8. One that does not must not stop us: such a topic matches no entry.
        topic = self._topics[name] = name.decode("utf-8", "backslashreplace")
        return topic


def _long_length(buffer: bytes, at: int) -> tuple[int, int] | None:
    """A variable byte integer at `at`, and where it ends; None when it is not all there."""
    value = 0
    for index in range(4):
        if at + index >= len(buffer):
            return None
        byte = buffer[at + index]
        value |= (byte & 127) << (7 * index)
        if byte < 128:
            return value, at + index + 1
    raise MalformedLengthError


def _properties(buffer: bytes, at: int, end: int) -> tuple[int, bytes]:
    """Where the properties of a PUBLISH end, and their bytes; beyond `end` when they are malformed."""
    try:
        found = _long_length(buffer, at)
    except MalformedLengthError:
        return end + 1, b""
    if found is None:
        return end + 1, b""
    length, start = found
    return start + length, buffer[start : start + length]


def without_length(packed: bytes) -> bytes:
    """Properties as `Message` has them, from properties preceded by their length."""
    found = _long_length(packed, 0)
    return b"" if found is None else packed[found[1] :]

"""A paho client that reads its socket in one go and hands on whole batches; all but PUBLISH is paho's own business.

Invariants:
- Every packet but a PUBLISH of QoS 0 or 1, and every malformed one, is handled by paho's own code, in order.
- It builds on five private methods of paho. `FITS` says whether this paho has them in the form that is known; where it
  has not, a PlainClient is slower but the same.
"""

import inspect
import socket as stdlib_socket
import ssl
from collections.abc import Callable
from time import time_ns
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MessageType, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.exception import MalformedPacket

from collectors.mqtt.decoder import Message
from collectors.mqtt.framing import Batch, Framer, MalformedLengthError, without_length

READ_BYTES: Final = 1 << 16
"""Most bytes read at once."""

READS_PER_WAKE: Final = 4
"""Most reads before other tasks of the process have their turn: about 5 ms."""

PACKETS_PER_WAKE: Final = 100
"""The same where a read gets a packet or a record at most: a plain paho client, WebSocket, TLS."""

_ACKNOWLEDGE: Final = {1: b"\x40\x02", 2: b"\x70\x02"}

Room = Callable[[], tuple[int, int]]
"""How many messages and bytes may be taken now."""


class BatchingClient(paho.Client):
    """Messages are added to `batch`, as long as `room` says that there is some."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.batch = Batch()
        self.room: Room = lambda: (1, 1)
        self.on_message = _keep
        self.last_read = 0
        """Bytes that the last read got: READ_BYTES when there may be more."""
        self._code = MQTTErrorCode.MQTT_ERR_SUCCESS
        self._framer: Final = Framer(self._protocol == MQTTProtocolVersion.MQTTv5, self._other_packet)

    @property
    def pending(self) -> bool:
        """Whether packets were read that there was no room for: `take_pending` when there is."""
        return self._framer.pending

    def read(self) -> bool:
        """Take what the socket holds, for a few milliseconds at most; whether there may be more."""
        # TLS and WebSocket give one record or frame per read: they are empty when there is none.
        socket = self.socket()
        plain = isinstance(socket, stdlib_socket.socket) and not isinstance(socket, ssl.SSLSocket)
        whole = READ_BYTES if plain else 1
        for _ in range(READS_PER_WAKE if plain else PACKETS_PER_WAKE):
            if self.pending:
                self.take_pending()
            else:
                self.loop_read()
            if self.last_read < whole or self.pending or self._sock is None:
                return self.pending
        return True

    def take_pending(self) -> None:
        """Take what was read already, as far as there is room."""
        code = self._take()
        if code > 0:
            self._loop_rc_handle(code)

    def acknowledge(self, acknowledgements: bytes | bytearray) -> None:
        """Send joined acknowledgements in one piece."""
        if acknowledgements:
            self._packet_queue(MessageType.PUBACK, acknowledgements, 0, 0)

    def reconnect(self) -> MQTTErrorCode:
        self._framer.reset()
        return super().reconnect()

    def _packet_read(self) -> MQTTErrorCode:
        self.last_read = 0
        try:
            data = self._sock_recv(READ_BYTES)
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_AGAIN
        except OSError:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        if not data:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        self.last_read = len(data)
        self._framer.feed(data)
        return self._take()

    def _take(self) -> MQTTErrorCode:
        self._code = MQTTErrorCode.MQTT_ERR_SUCCESS
        try:
            self._framer.take(self.batch, *self.room(), time_ns())
        except MalformedLengthError:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        return self._code

    def _other_packet(self, head: int, body: bytes) -> bool:
        """What paho does with a packet that it has read whole."""
        packet = self._in_packet
        packet["command"], packet["packet"], packet["remaining_length"] = head, bytearray(body), len(body)
        packet["pos"] = 0
        try:
            self._code = self._packet_handle()
        except MalformedPacket:
            self._code = MQTTErrorCode.MQTT_ERR_PROTOCOL
        packet["command"], packet["packet"], packet["remaining_length"] = 0, bytearray(), 0
        return self._code <= 0 and self._sock is not None


class PlainClient(paho.Client):
    """The same by paho's public interface alone."""

    pending = False

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.batch = Batch()
        self.room: Room = lambda: (1, 1)
        self.on_message = _keep

    def read(self) -> bool:
        """Take packets, one by one; whether there may be more."""
        for _ in range(PACKETS_PER_WAKE):
            before = len(self.batch.messages)
            self.loop_read()
            if len(self.batch.messages) == before or min(self.room()) <= 0:
                return False
        return True

    def acknowledge(self, acknowledgements: bytes | bytearray) -> None:
        """Send joined acknowledgements, one by one."""
        for at in range(0, len(acknowledgements), 4):
            packet_id = int.from_bytes(acknowledgements[at + 2 : at + 4], "big")
            self.ack(packet_id, 1 if acknowledgements[at : at + 2] == _ACKNOWLEDGE[1] else 2)


Client = BatchingClient | PlainClient


def _keep(client: paho.Client, _data: object, packet: paho.MQTTMessage) -> None:
    """A message that paho read: of QoS 2, or all when the client is a plain one."""
    assert isinstance(client, Client)
    if not packet.topic:  # acknowledged, it would be lost: of what it speaks nobody knows
        raise MalformedPacket("a message without a topic: by an alias, which we allow no broker")
    batch = client.batch
    properties = b"" if packet.properties is None else without_length(packet.properties.pack())  # type: ignore[no-untyped-call]  # paho leaves it untyped
    batch.messages.append(Message(packet.topic, bytes(packet.payload), time_ns(), packet.retain, properties))
    if packet.qos:
        batch.acknowledgements += _ACKNOWLEDGE[packet.qos] + packet.mid.to_bytes(2, "big")
    batch.duplicates += packet.dup
    batch.size += len(packet.payload) + len(packet.topic)


_PARAMETERS: Final = {
    "_packet_read": ["self"],
    "_packet_handle": ["self"],
    "_sock_recv": ["self", "bufsize"],
    "_loop_rc_handle": ["self", "rc"],
    "_packet_queue": ["self", "command", "packet", "mid", "qos", "info"],
    "reconnect": ["self"],
}
_CALLS: Final = {"loop_read": "_packet_read", "_packet_handle": "_in_packet"}
_IN_PACKET: Final = {"command", "packet", "remaining_length", "pos"}


def fits(client: type[paho.Client]) -> bool:
    """Whether this paho is built the way the fast path takes for granted."""
    for name, parameters in _PARAMETERS.items():
        method = getattr(client, name, None)
        if method is None or list(inspect.signature(method).parameters) != parameters:
            return False
    uses = all(name in getattr(client, method).__code__.co_names for method, name in _CALLS.items())
    made = client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    return uses and getattr(made, "_in_packet", {}).keys() >= _IN_PACKET and hasattr(made, "_protocol")


FITS: Final = fits(paho.Client)

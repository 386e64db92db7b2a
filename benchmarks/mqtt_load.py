"""What the MQTT benchmarks publish, over bare sockets: packets of one size, so that a reader may count bytes.

`python -m benchmarks.mqtt_load PORT SETTINGS` makes a load ready, waits for a line on its standard input, and publishes
as fast as the broker takes it.
"""

import json
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

CLIENT: Final = "km0-benchmark"
WINDOW: Final = 5000
"""Receive-maximum, the collector's own."""

_PART: Final = 100
START_MS: Final = 1_795_305_600_000


@dataclass(frozen=True)
class Load:
    """So many messages of one dialect on so many topics, each with so many readings."""

    name: str
    qos: int
    messages: int = 50_000
    topics: int = 100
    readings: int = 1
    dialect: str = "json"
    backlog: bool = False
    """Whether the messages wait in the session of a client that was away, or flow while they are published."""

    @property
    def filter(self) -> str:
        return "spBv1.0/#" if self.dialect == "sparkplug" else "+/+/+/+/+"  # the collector's own

    def topic(self, number: int) -> str:
        number %= self.topics
        if self.dialect == "sparkplug":
            return f"spBv1.0/hall/DDATA/edge-{number:05d}/machine"
        return f"{self.asset(number)}/power"

    def asset(self, number: int) -> str:
        return f"km0/hall/line-{number // 10:04d}/machine-{number:05d}"

    def payload(self, number: int) -> bytes:
        """The payload of a message; all have the same size."""
        if self.dialect == "value":
            return b"%012.3f" % (number / 8)
        if self.dialect == "sparkplug":
            return _sparkplug_data(number // self.topics, self.readings)
        readings = [self._reading(number * self.readings + n) for n in range(self.readings)]
        return readings[0] if self.readings == 1 else b"[" + b",".join(readings) + b"]"

    def births(self) -> list[tuple[str, bytes]]:
        """What an edge node says first; nothing in other dialects."""
        if self.dialect != "sparkplug":
            return []
        found = []
        for number in range(self.topics):
            edge = f"edge-{number:05d}"
            found.append((f"spBv1.0/hall/NBIRTH/{edge}", _sparkplug_node_birth()))
            found.append((f"spBv1.0/hall/DBIRTH/{edge}/machine", _sparkplug_device_birth(self.readings)))
        return found

    @cached_property
    def payload_size(self) -> int:
        return len(self.payload(0))

    def packet_size(self, qos: int) -> int:
        """Bytes of one PUBLISH that a broker sends to an MQTT 5 client."""
        return len(publish_packet(self.topic(0), self.payload(0), 1 if qos else 0, version5=True))

    def _reading(self, number: int) -> bytes:
        reading = {"value": number % 1000 + 1000, "time": START_MS + number, "quality": "good", "source": "benchmark"}
        return json.dumps(reading).encode().ljust(100)


def publish_packet(topic: str, payload: bytes, packet_id: int, *, version5: bool = False) -> bytes:
    name = topic.encode()
    identity = packet_id.to_bytes(2, "big") if packet_id else b""
    body = len(name).to_bytes(2, "big") + name + identity + (b"\0" if version5 else b"") + payload
    size, length = len(body), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    return bytes([0x32 if packet_id else 0x30]) + length + body


def connected(port: int, client_id: str, expiry_s: int, *, clean: bool) -> socket.socket:
    """An MQTT 5 connection, subscribed to nothing."""
    properties = b"\x11" + expiry_s.to_bytes(4, "big") + b"\x21" + WINDOW.to_bytes(2, "big")
    body = b"\0\4MQTT\5" + (b"\2" if clean else b"\0") + b"\0\0" + bytes([len(properties)]) + properties
    body += len(client_id).to_bytes(2, "big") + client_id.encode()
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(b"\x10" + bytes([len(body)]) + body)
    size = receive(connection, 2)[1]
    receive(connection, size)
    return connection


def subscribe(connection: socket.socket, load: Load) -> None:
    body = b"\0\1\0" + len(load.filter).to_bytes(2, "big") + load.filter.encode() + bytes([load.qos])
    connection.sendall(b"\x82" + bytes([len(body)]) + body)
    size = receive(connection, 2)[1]
    receive(connection, size)


def waiting_session(port: int, load: Load) -> None:
    """A session that keeps the load for a client that is away."""
    connected(port, CLIENT, 0, clean=True).close()
    connection = connected(port, CLIENT, 3600, clean=True)
    subscribe(connection, load)
    connection.sendall(b"\xe0\0")
    connection.close()


def publish(port: int, load: Load, go: Callable[[], object] = lambda: None) -> None:
    """All messages to the broker, once `go` returns; at QoS 1, with every acknowledgement back."""
    parts = list(_parts(load))
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00")
        receive(connection, 4)
        go()
        for topic, payload in load.births():
            connection.sendall(publish_packet(topic, payload, 0))
        waiting = 0
        for packets, count in parts:
            connection.sendall(packets)
            if load.qos:
                receive(connection, 4 * waiting)
                waiting = count
        receive(connection, 4 * waiting)
        connection.sendall(b"\xe0\0")


def receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError("the broker closed the connection")
        data += more
    return data


def _parts(load: Load) -> Iterator[tuple[bytes, int]]:
    """Packets to send at once, and how many: of two such parts the first is acknowledged before a third is sent."""
    for start in range(0, load.messages, _PART):
        numbers = range(start, min(start + _PART, load.messages))
        packets = (
            publish_packet(load.topic(n), load.payload(n), n % (2 * _PART) + 1 if load.qos else 0) for n in numbers
        )
        yield b"".join(packets), len(numbers)


# --- Sparkplug, written by hand: field number and wire type, then the value ---


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _metric(*fields: bytes) -> bytes:
    body = b"".join(fields)
    return b"\x12" + _varint(len(body)) + body


def _sparkplug_node_birth() -> bytes:
    sequence = _metric(b"\x0a\x05bdSeq", b"\x20\x04", b"\x58\x00")
    return b"\x08" + _varint(START_MS) + sequence + b"\x18\x00"


def _sparkplug_device_birth(metrics: int) -> bytes:
    named = [
        _metric(b"\x0a\x07power-%d" % n, b"\x10" + _varint(n + 1), b"\x20\x0a", b"\x69" + bytes(8))
        for n in range(metrics)
    ]
    return b"\x08" + _varint(START_MS) + b"".join(named) + b"\x18\x01"


def _sparkplug_data(round_number: int, metrics: int) -> bytes:
    """Message number `round_number` of its edge node: seq goes on from 2."""
    time = b"\x18" + _varint(START_MS + 1 + round_number)
    named = [_metric(b"\x10" + _varint(n + 1), time, b"\x69" + bytes(8)) for n in range(metrics)]
    sequence = (round_number + 2) % 256
    # In two bytes, also where one would do: all messages have one size.
    return b"\x08" + _varint(START_MS) + b"".join(named) + b"\x18" + bytes([sequence & 127 | 128, sequence >> 7])


if __name__ == "__main__":
    publish(int(sys.argv[1]), Load(**json.loads(sys.argv[2])), sys.stdin.readline)

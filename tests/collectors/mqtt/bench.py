"""A real broker, a publisher that knows what it published, and the settings of an MQTT collector for them."""

import asyncio
import json
import socket
from collections.abc import Sequence
from typing import Any, Protocol
from uuid import uuid4

from collectors.mqtt import MqttConfig
from collectors.mqtt.collector import MqttCollector
from telemetry.health import Component, Health
from telemetry.plant import Asset, Plant
from tests.contracts.collector import Known
from tests.support import Mosquitto

ASSET = "km0/fabrication/cell-2/press-1"
PLANT = Plant(assets=(Asset(path=ASSET, name="press"), Asset(path="km0/additive/print-hall/printer-1", name="printer")))

FORMAT_A = {"dialect": "json", "topic": "{site}/{area}/{line}/{asset}/{metric}"}
"""The topics entry of one value per message, all defaults."""


def config(port: int, **changes: Any) -> MqttConfig:
    settings = {"kind": "mqtt", "host": "127.0.0.1", "port": port, "topics": [FORMAT_A], **changes}
    return MqttConfig.model_validate_json(json.dumps(settings))


Said = tuple[str, bytes] | tuple[str, bytes, bytes]
"""Topic and payload of a message, and perhaps its properties of MQTT 5."""


class Publisher:
    """Publishes over a bare socket and waits until the broker has it all: at QoS 1 by its acknowledgements, at QoS 0
    by the answer to a ping that comes after.

    Not paho: it would share its faults with the collector under test.
    """

    def __init__(self, port: int, *, version5: bool = False) -> None:
        self._version5 = version5
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        client = b"publisher-" + uuid4().hex[:8].encode()
        name = b"\0" + bytes([len(client)]) + client
        head = b"\0\x04MQTT\x05\x02\0\x3c\0" if version5 else b"\0\x04MQTT\x04\x02\0\x3c"
        self._socket.sendall(b"\x10" + bytes([len(head + name)]) + head + name)
        kind, body = self._packet()
        assert (kind, body[1]) == (0x20, 0), "the broker does not accept the publisher"

    def publish(self, messages: Sequence[Said], *, retain: bool = False, qos: int = 1) -> None:
        """Return once the broker has every message."""
        for start in range(0, len(messages), 1000):
            part = messages[start : start + 1000]
            self._socket.sendall(b"".join(self._publish(n + 1, one, retain, qos) for n, one in enumerate(part)))
            if not qos:
                self._socket.sendall(b"\xc0\0")
            for _ in range(len(part) if qos else 1):
                kind, _ = self._packet()
                assert kind == (0x40 if qos else 0xD0)

    def close(self) -> None:
        self._socket.close()

    def _publish(self, number: int, said: Said, retain: bool, qos: int) -> bytes:
        properties = (said[2] if len(said) == 3 else b"") if self._version5 else None
        return publish_packet(said[0], said[1], number, qos=qos, retain=retain, properties=properties)

    def _packet(self) -> tuple[int, bytes]:
        """Type and body of the next packet, all of which are short."""
        kind, size = self._read(2)
        return kind, self._read(size)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            if not more:
                raise ConnectionError("the broker closed the publisher's connection")
            data += more
        return data


def publish_packet(
    topic: str,
    payload: bytes,
    packet_id: int,
    *,
    qos: int = 1,
    retain: bool = False,
    properties: bytes | None = None,
) -> bytes:
    """A PUBLISH packet: of MQTT 3.1.1, or with properties of MQTT 5."""
    name = topic.encode()
    extra = b"" if properties is None else bytes([len(properties)]) + properties
    identity = packet_id.to_bytes(2, "big") if qos else b""
    body = len(name).to_bytes(2, "big") + name + identity + extra + payload
    length, size = bytearray(), len(body)
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    return bytes([0x30 | qos << 1 | retain]) + length + body


def reading(time_ns: int, value: float) -> bytes:
    return json.dumps({"value": value, "time": time_ns}).encode()


class Restartable(Protocol):
    """A broker on 127.0.0.1: the mosquitto of the tests, or the demonstrator's."""

    @property
    def port(self) -> int: ...

    def start(self) -> None: ...
    def stop(self) -> None: ...


class MqttBench:
    """See tests.contracts.collector.Bench. Publishes JSON; other dialects override `message` and `garbage`."""

    keeps = True
    bound = 64
    version5 = False
    """What the publisher speaks: the embedded broker takes MQTT 5 publishers only."""

    def __init__(self, broker: Restartable, **changes: Any) -> None:
        self.broker = broker
        self.changes = changes
        self.port_of_collector: int | None = None
        """Where the collector finds the broker, if not at its own port."""
        self.start_ns = 1_795_305_600_000_000_000
        """Source time of the first sample: 2026-11-22, midnight."""
        self.embedded = not isinstance(broker, Mosquitto)
        self._published = 0

    def collector(self) -> tuple[MqttCollector, Component]:
        health = Health()
        port = self.port_of_collector or self.broker.port
        collector = config(port, max_in_flight=self.bound, **self.changes).build(PLANT, health)
        return collector, health.component(collector.name)

    def next(self, count: int) -> Known:
        """`count` samples that were not published yet: 1 ms apart from `start_ns` on, the value counts up."""
        numbers = range(self._published, self._published + count)
        self._published += count
        return {(ASSET, "parts", self.start_ns + n * 1_000_000): float(n) for n in numbers}

    async def publish(self, count: int) -> Known:
        known = self.next(count)
        await asyncio.to_thread(self.send, self.messages(known))
        return known

    def messages(self, known: Known) -> list[Said]:
        """What says these samples."""
        return [self.message(*identity, value) for identity, value in known.items()]

    def message(self, asset: str, metric: str, time_ns: int, value: float) -> Said:
        """What says this sample."""
        return f"{asset}/{metric}", reading(time_ns, value)

    def garbage(self) -> list[Said]:
        """Messages of which each makes one dead letter."""
        return [
            (f"{ASSET}/parts", b"\xff\xfe not json"),
            (f"{ASSET}/parts", b'{"value": "many", "time": 1795305600}'),
            (f"{ASSET}/no_such_metric", reading(1_795_305_600_000_000_000, 1)),
            ("km0/fabrication/cell-2/no-such-asset/parts", reading(1_795_305_600_000_000_000, 1)),
            (f"{ASSET}/parts", b'{"value": 1, "time": "1970-01-01T00:00:00Z"}'),
        ]

    async def publish_garbage(self) -> int:
        garbage = self.garbage()
        await asyncio.to_thread(self.send, garbage)
        return len(garbage)

    async def stop_source(self) -> None:
        await asyncio.to_thread(self.broker.stop)

    async def kill_source(self) -> None:
        # The embedded broker saves nothing in either case.
        await asyncio.to_thread(self.broker.kill if isinstance(self.broker, Mosquitto) else self.broker.stop)

    async def start_source(self) -> None:
        await asyncio.to_thread(self.broker.start)

    def send(self, messages: Sequence[Said]) -> None:
        """Return once the broker has them. Raises OSError when it goes away."""
        publisher = Publisher(self.broker.port, version5=self.version5 or self.embedded)
        try:
            publisher.publish(messages)
        finally:
            publisher.close()

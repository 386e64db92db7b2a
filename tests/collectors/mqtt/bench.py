"""A real broker, a publisher that knows what it published, and the settings of an MQTT collector for them."""

import asyncio
import json
import socket
from typing import Any, Protocol

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


class Publisher:
    """Publishes at QoS 1 over a bare socket (MQTT 3.1.1), and waits for every acknowledgement of the broker.

    Not paho: it would share its faults with the collector under test.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00")
        assert self._read(4) == b"\x20\x02\x00\x00", "the broker does not accept the publisher"

    def publish(self, messages: list[tuple[str, bytes]], *, retain: bool = False) -> None:
        """Return once the broker has acknowledged every message."""
        for start in range(0, len(messages), 1000):
            part = messages[start : start + 1000]
            self._socket.sendall(b"".join(publish_packet(*one, n + 1, retain=retain) for n, one in enumerate(part)))
            self._read(4 * len(part))

    def close(self) -> None:
        self._socket.close()

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            if not more:
                raise ConnectionError("the broker closed the publisher's connection")
            data += more
        return data


def publish_packet(topic: str, payload: bytes, packet_id: int, *, qos: int = 1, retain: bool = False) -> bytes:
    """A PUBLISH packet of MQTT 3.1.1."""
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name + (packet_id.to_bytes(2, "big") if qos else b"") + payload
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
    """See tests.contracts.collector.Bench."""

    keeps = True
    bound = 64

    def __init__(self, broker: Restartable, **changes: Any) -> None:
        self.broker = broker
        self.changes = changes
        self._published = 0

    def collector(self) -> tuple[MqttCollector, Component]:
        health = Health()
        collector = config(self.broker.port, max_in_flight=self.bound, **self.changes).build(PLANT, health)
        return collector, health.component(collector.name)

    def next(self, count: int) -> Known:
        """`count` samples that were not published yet: 1 ms apart from 2026-11-22 on, the value counts up."""
        numbers = range(self._published, self._published + count)
        self._published += count
        return {(ASSET, "parts", 1_795_305_600_000_000_000 + n * 1_000_000): float(n) for n in numbers}

    async def publish(self, count: int) -> Known:
        known = self.next(count)
        messages = [self.message(*identity, value) for identity, value in known.items()]
        await asyncio.to_thread(self._publish, messages)
        return known

    def message(self, asset: str, metric: str, time_ns: int, value: float) -> tuple[str, bytes]:
        """Topic and payload of a sample."""
        return f"{asset}/{metric}", reading(time_ns, value)

    async def publish_garbage(self) -> int:
        topic, _ = self.message(ASSET, "parts", 0, 0)
        if topic != f"{ASSET}/parts":
            garbage = [(topic, b"\xff\xfe not json"), (topic, b"5"), (topic, b"[" * 5000)]
            await asyncio.to_thread(self._publish, garbage)
            return len(garbage)
        garbage = [
            (f"{ASSET}/parts", b"\xff\xfe not json"),
            (f"{ASSET}/parts", b'{"value": "many", "time": 1795305600}'),
            (f"{ASSET}/no_such_metric", reading(1_795_305_600_000_000_000, 1)),
            ("km0/fabrication/cell-2/no-such-asset/parts", reading(1_795_305_600_000_000_000, 1)),
            (f"{ASSET}/parts", b'{"value": 1, "time": "1970-01-01T00:00:00Z"}'),
        ]
        await asyncio.to_thread(self._publish, garbage)
        return len(garbage)

    async def stop_source(self) -> None:
        await asyncio.to_thread(self.broker.stop)

    async def kill_source(self) -> None:
        await asyncio.to_thread(self._kill)

    async def start_source(self) -> None:
        await asyncio.to_thread(self.broker.start)

    def _kill(self) -> None:
        assert isinstance(self.broker, Mosquitto), "the embedded broker is only stopped"
        self.broker.kill()

    def _publish(self, messages: list[tuple[str, bytes]]) -> None:
        publisher = Publisher(self.broker.port)
        try:
            publisher.publish(messages)
        finally:
            publisher.close()

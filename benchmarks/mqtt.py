"""MQTT, broker to put: 100-byte JSON on 100 topics at QoS 1, beside a bare paho loop with an empty callback.

The messages wait at the broker, in the session of the client; only their delivery and acknowledgement are timed, from
the first to the last. The collector decodes, checks and puts into a sink that returns at once.
"""

import asyncio
import json
import resource
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from benchmarks import Row
from benchmarks.measure import Cost, in_turn
from collectors.mqtt import MqttConfig
from simulators.broker import Broker, broker
from telemetry.health import Condition, Health
from telemetry.plant import Asset, Plant
from telemetry.samples import Sample

MESSAGES: Final = 30_000
ASSETS: Final = tuple(f"km0/hall/line-{n // 10}/machine-{n}" for n in range(100))
PLANT: Final = Plant(assets=tuple(Asset(path=path, name=path) for path in ASSETS))
START_MS: Final = 1_795_305_600_000


class Stopwatch:
    """Wall and CPU time of this process from the first of MESSAGES to the last."""

    def __init__(self) -> None:
        self.seen = 0
        self._begin = (0.0, 0.0)
        self.cost: Cost | None = None

    def count(self, more: int) -> bool:
        """Count messages; True once all were seen."""
        if self.seen == 0:
            self._begin = (time.perf_counter(), _cpu_s())
        self.seen += more
        if self.seen < MESSAGES:
            return False
        self.cost = Cost(time.perf_counter() - self._begin[0], _cpu_s() - self._begin[1], self.seen)
        return True


class CountingSink:
    """Returns at once; tells when it has all."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        self._stopwatch = stopwatch
        self.full = asyncio.Event()

    async def put(self, samples: Sequence[Sample]) -> None:
        if self._stopwatch.count(len(samples)):
            self.full.set()

    async def set_aside(self, source: str, reason: str, raw: bytes) -> None:
        raise AssertionError((source, reason, raw))


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        server = broker(Path(folder))
        server.start()
        try:
            contestants = {
                "bare paho loop, empty callback": lambda: _bare_paho(server),
                "collector: decode, gate, put, acknowledge": lambda: asyncio.run(_collector(server)),
            }
            rows = in_turn(contestants, "messages")
        finally:
            server.stop()
    return [
        {"broker": server.kind, "QoS": 1, "topics": len(ASSETS), "payload bytes": len(_payload(0)), **row}
        for row in rows
    ]


def _payload(number: int) -> bytes:
    reading = {"value": number, "time": START_MS + number, "quality": "good", "unit": "part", "source": "benchmark"}
    return json.dumps(reading).encode().ljust(100)


def _bare_paho(server: Broker) -> Cost:
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id="bare",
        protocol=MQTTProtocolVersion.MQTTv5,
        reconnect_on_failure=False,
    )
    session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves this one class untyped
    session.SessionExpiryInterval = 3600
    session.ReceiveMaximum = 5000
    stopwatch = Stopwatch()

    def on_message(client: paho.Client, _data: Any, _message: paho.MQTTMessage) -> None:
        if stopwatch.count(1):
            client.disconnect()

    client.on_connect = lambda client, *_: client.subscribe("km0/#", 1)
    client.on_subscribe = lambda client, *_: client.disconnect()
    client.connect("127.0.0.1", server.port, clean_start=False, properties=session)
    client.loop_forever()
    _publish(server.port)
    client.on_subscribe = None
    client.on_message = on_message
    client.connect("127.0.0.1", server.port, clean_start=False, properties=session)
    client.loop_forever()
    client.connect("127.0.0.1", server.port, clean_start=True)  # ends the session: the next round is the other's
    client.on_connect = lambda client, *_: client.disconnect()
    client.loop_forever()
    assert stopwatch.cost is not None
    return stopwatch.cost


async def _collector(server: Broker) -> Cost:
    config = MqttConfig.model_validate_json(
        json.dumps(
            {
                "host": "127.0.0.1",
                "port": server.port,
                "session_expiry_s": 3600,
                "topics": [{"dialect": "json", "topic": "{site}/{area}/{line}/{asset}/{metric}"}],
            }
        )
    )
    stopwatch = Stopwatch()
    sink = CountingSink(stopwatch)
    health = Health()
    component = health.component(config.name)
    first = asyncio.create_task(config.build(PLANT, health).run(sink))
    while component.condition is not Condition.OK:  # noqa: ASYNC110  # health is a state to look at, not an event
        await asyncio.sleep(0.01)
    await _cancel(first)
    await asyncio.to_thread(_publish, server.port)
    second = asyncio.create_task(config.build(PLANT, health).run(sink))
    await sink.full.wait()
    await asyncio.sleep(0.1)  # the last acknowledgements
    await _cancel(second)
    ending = config.model_copy(update={"session_expiry_s": 0})  # ends the session: the next round is the other's
    third = asyncio.create_task(ending.build(PLANT, health).run(sink))
    await asyncio.sleep(0.2)
    await _cancel(third)
    assert stopwatch.cost is not None
    return stopwatch.cost


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _publish(port: int) -> None:
    """All messages to the broker at QoS 1 over a bare socket, and every acknowledgement back."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00")
        _read(connection, 4)
        for start in range(0, MESSAGES, 20):  # no broker takes fewer at once
            packets = bytearray()
            for number in range(start, min(start + 20, MESSAGES)):
                topic = f"{ASSETS[number % len(ASSETS)]}/parts".encode()
                body = (
                    len(topic).to_bytes(2, "big") + topic + (number - start + 1).to_bytes(2, "big") + _payload(number)
                )
                packets += bytes([0x32, len(body) & 127 | 128, len(body) >> 7]) + body
            connection.sendall(packets)
            _read(connection, 4 * min(20, MESSAGES - start))


def _read(connection: socket.socket, size: int) -> None:
    while size:
        size -= len(connection.recv(size))


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime

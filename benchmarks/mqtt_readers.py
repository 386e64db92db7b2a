"""Who reads in the MQTT benchmarks: each takes a port, a load and what to call once subscribed; returns its cost."""

import asyncio
import json
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from benchmarks.measure import Cost
from benchmarks.mqtt_load import CLIENT, WINDOW, Load, connected, publish_packet, subscribe
from collectors.mqtt import MqttConfig
from pipeline.ingest.spool import Spool
from telemetry.health import Condition, Health
from telemetry.plant import Asset, Plant
from telemetry.samples import Sample

Subscribed = Callable[[], None]

SILENCE_S: Final = 3.0
"""At QoS 0 a broker may drop: a reader that heard nothing for so long [s] has had all there is."""


FIRST_S: Final = 60.0
"""How long [s] the first message may take: the publisher is a process that starts."""


class Stopwatch:
    """Wall and CPU time of this process from the first message to the last that was counted."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.seen = 0
        self._begin = (0.0, 0.0)
        self._end = (0.0, 0.0)

    def count(self, more: int) -> bool:
        """Count messages; True once all were seen."""
        if self.seen == 0:
            self._begin = (time.perf_counter(), _cpu_s())
        self.seen += more
        self._end = (time.perf_counter(), _cpu_s() if self.seen >= self.wanted or more > 1 else self._end[1])
        return self.seen >= self.wanted

    @property
    def idle(self) -> bool:
        return self.seen > 0 and time.perf_counter() - self._end[0] > SILENCE_S

    @property
    def cost(self) -> Cost:
        return Cost(self._end[0] - self._begin[0], self._end[1] - self._begin[1], self.seen)


def raw_socket(port: int, load: Load, subscribed: Subscribed) -> Cost:
    """Counts bytes; at QoS 1 acknowledges what came, joined."""
    stopwatch, size = Stopwatch(load.messages), load.packet_size(load.qos)
    connection = connected(port, CLIENT, 3600 if load.qos else 0, clean=not load.qos)
    if not load.qos:
        subscribe(connection, load)
    subscribed()
    at = size - load.payload_size - 3  # of the packet id
    rest = b""
    connection.settimeout(FIRST_S)
    skip = _births_size(load)
    try:
        while True:
            data = rest + connection.recv(1 << 18)
            if skip:
                dropped = min(skip, len(data))
                data, skip = data[dropped:], skip - dropped
            count = len(data) // size
            rest = data[count * size :]
            if load.qos and count:
                identities = np.frombuffer(data, np.uint8, count * size).reshape(count, size)[:, at : at + 2]
                acknowledgements = np.empty((count, 4), np.uint8)
                acknowledgements[:, :2], acknowledgements[:, 2:] = (0x40, 2), identities
                connection.sendall(acknowledgements.tobytes())
            if count and stopwatch.count(count):
                break
            if count:
                connection.settimeout(SILENCE_S)
    except TimeoutError:
        if not stopwatch.seen:
            raise AssertionError("nothing came from the broker: is the publisher alive?") from None
    connection.close()
    return stopwatch.cost


def _births_size(load: Load) -> int:
    return sum(len(publish_packet(topic, payload, 0, version5=True)) for topic, payload in load.births())


def bare_paho(port: int, load: Load, subscribed: Subscribed) -> Cost:
    """loop_forever with a callback that counts."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2, client_id=CLIENT, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False
    )
    stopwatch = Stopwatch(load.messages)

    def on_message(client: paho.Client, _data: Any, _message: paho.MQTTMessage) -> None:
        if stopwatch.count(1):
            client.disconnect()

    def on_connect(client: paho.Client, *_: Any) -> None:
        if load.qos:
            subscribed()
        else:
            client.subscribe(load.filter, 0)

    client.on_message = on_message
    client.on_connect = on_connect
    client.on_subscribe = lambda *_: subscribed()
    client.connect("127.0.0.1", port, clean_start=not load.qos, properties=_session(load))
    while client.loop(0.5) == paho.MQTT_ERR_SUCCESS and not stopwatch.idle:
        pass
    return stopwatch.cost


def aiomqtt_loop(port: int, load: Load, subscribed: Subscribed) -> Cost:
    """`async for message in client.messages: pass`, where aiomqtt is installed."""
    import aiomqtt

    stopwatch = Stopwatch(load.messages)

    async def read() -> None:
        async with aiomqtt.Client(
            "127.0.0.1",
            port,
            identifier=CLIENT,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=not load.qos,
            properties=_session(load),
        ) as client:
            if not load.qos:
                await client.subscribe(load.filter, 0)
            subscribed()
            async for _ in client.messages:
                if stopwatch.count(1):
                    return

    async def bounded() -> None:
        task = asyncio.create_task(read())
        while not task.done() and not stopwatch.idle:
            await asyncio.wait([task], timeout=0.5)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(bounded())
    return stopwatch.cost


class SpoolSink:
    """A spool that counts what it has on disk, by messages."""

    def __init__(self, spool: Spool, stopwatch: Stopwatch, readings: int) -> None:
        self._spool = spool
        self._stopwatch = stopwatch
        self._readings = readings
        self.full = asyncio.Event()
        self._samples = 0

    async def put(self, samples: Sequence[Sample]) -> None:
        if self._stopwatch.seen == 0:
            self._stopwatch.count(0)
        await self._spool.put(samples)
        self._samples += len(samples)
        more = self._samples // self._readings - self._stopwatch.seen
        if more and self._stopwatch.count(more):
            self.full.set()

    async def set_aside(self, source: str, reason: str, raw: bytes) -> None:
        raise AssertionError((source, reason, raw))


def collector(port: int, load: Load, subscribed: Subscribed) -> Cost:
    """The MQTT collector on a real spool: what is counted lies on disk."""
    return asyncio.run(_collector(port, load, subscribed))


async def _collector(port: int, load: Load, subscribed: Subscribed) -> Cost:
    plant = Plant(assets=tuple(Asset(path=load.asset(n), name=load.asset(n)) for n in range(load.topics)))
    config = MqttConfig.model_validate_json(
        json.dumps(
            {
                "host": "127.0.0.1",
                "port": port,
                "client_id": CLIENT,
                "session_expiry_s": 3600,
                "topics": [_topics(load)],
            }
        )
    )
    stopwatch, health = Stopwatch(load.messages), Health()
    component = health.component(config.name)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        async with Spool(Path(folder) / "spool.sqlite") as spool:
            sink = SpoolSink(spool, stopwatch, load.readings)
            task = asyncio.create_task(config.build(plant, health).run(sink))
            while component.condition is not Condition.OK and not task.done():  # noqa: ASYNC110  # health is a state to look at, not an event
                await asyncio.sleep(0.01)
            subscribed()
            while not sink.full.is_set() and not stopwatch.idle and not task.done():  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.1)  # the last acknowledgements
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and task.exception():
                raise AssertionError from task.exception()
    return stopwatch.cost


def _topics(load: Load) -> dict[str, Any]:
    if load.dialect == "sparkplug":
        names = {f"power-{n}": "power" for n in range(load.readings)}
        return {
            "dialect": "sparkplug",
            "host_id": "benchmark",
            "asset": "km0/hall/line-0000/machine-00000",
            "names": names,
        }
    return {"dialect": load.dialect, "topic": "{site}/{area}/{line}/{asset}/{metric}", "qos": load.qos}


def _session(load: Load) -> Properties:
    session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves this one class untyped
    session.SessionExpiryInterval = 3600 if load.qos else 0
    session.ReceiveMaximum = WINDOW
    return session


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime

"""A bench for every dialect: the same samples, said as its publishers say them."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

from tests.collectors.mqtt.bench import ASSET, MqttBench, Publisher, Restartable, Said
from tests.collectors.mqtt.sparkplug_wire import metric, payload
from tests.contracts.collector import Known

GARBAGE = (b"\xff\xfe not json", b"5", b"[" * 5000)
"""What is none of the dialects that are JSON objects."""


class ValueBench(MqttBench):
    """A bare number; its time is a user property of MQTT 5."""

    version5 = True

    def __init__(self, broker: Restartable) -> None:
        entry = {"dialect": "value", "topic": "{site}/{area}/{line}/{asset}/{metric}", "time_property": "at"}
        super().__init__(broker, topics=[entry])

    def message(self, asset: str, metric: str, time_ns: int, value: float) -> Said:
        at = str(time_ns).encode()
        return f"{asset}/{metric}", str(value).encode(), b"\x26\0\x02at" + len(at).to_bytes(2, "big") + at

    def garbage(self) -> list[Said]:
        topic = f"{ASSET}/parts"
        return [(topic, b"\xff\xfe"), (topic, b""), (topic, b"many"), (topic, b"1", b"\x26\0\x02at\0\x04soon")]


class SenmlBench(MqttBench):
    """One record per pack; the topic says the asset."""

    def __init__(self, broker: Restartable) -> None:
        super().__init__(broker, topics=[{"dialect": "senml", "topic": "{site}/{area}/{line}/{asset}/senml"}])

    def message(self, asset: str, metric: str, time_ns: int, value: float) -> Said:
        record = {"n": metric, "v": value, "t": time_ns / 1e9}
        return f"{asset}/senml", json.dumps([record]).encode()

    def garbage(self) -> list[Said]:
        return [(f"{ASSET}/senml", one) for one in GARBAGE]


class PubSubBench(MqttBench):
    """One field per data set message, with its source timestamp."""

    def __init__(self, broker: Restartable) -> None:
        super().__init__(broker, topics=[{"dialect": "opcua_pubsub", "topic": "{site}/{area}/{line}/{asset}/ua"}])

    def message(self, asset: str, metric: str, time_ns: int, value: float) -> Said:
        at = datetime.fromtimestamp(time_ns // 10**9, UTC).strftime(f"%Y-%m-%dT%H:%M:%S.{time_ns % 10**9:09d}Z")
        field = {"Value": {"UaType": 11, "Value": value}, "SourceTimestamp": at}
        return f"{asset}/ua", json.dumps({"Messages": [{"DataSetWriterId": 1, "Payload": {metric: field}}]}).encode()

    def garbage(self) -> list[Said]:
        return [(f"{ASSET}/ua", one) for one in GARBAGE]


class UmatiBench(MqttBench):
    """The gateway: QoS 0, all retained, no source time: the value says which sample it is (see `by_value`)."""

    keeps = False

    def __init__(self, broker: Restartable) -> None:
        super().__init__(broker, topics=[{"dialect": "umati", "assets": {"press": ASSET}}])

    def next(self, count: int) -> Known:
        return {(asset, metric, round(value)): value for (asset, metric, _), value in super().next(count).items()}

    def message(self, asset: str, metric: str, time_ns: int, value: float) -> Said:  # noqa: ARG002  # the gateway sends neither
        machine = {"Production": {"Statistics": {"PartsProducedInLifetime": {"value": value, "properties": {}}}}}
        return "umati/v2/Org/Client/MachineToolType/press", json.dumps(machine).encode()

    def garbage(self) -> list[Said]:
        return [("umati/v2/Org/Client/MachineToolType/press", one) for one in GARBAGE]

    def send(self, messages: Sequence[Said]) -> None:
        publisher = Publisher(self.broker.port, version5=self.embedded)
        try:
            publisher.publish(messages, qos=0, retain=True)
        finally:
            publisher.close()


SPARKPLUG: dict[str, Any] = {"dialect": "sparkplug", "host_id": "km0", "asset": ASSET, "names": {"Count": "parts"}}


class SparkplugBench(MqttBench):
    """An edge node that is born anew for every `publish`, and then sends one metric per message."""

    keeps = False  # a host application has no persistent session

    def __init__(self, broker: Restartable) -> None:
        super().__init__(broker, topics=[SPARKPLUG])
        self._sessions = count()

    def messages(self, known: Known) -> list[Said]:
        times = [time // 1_000_000 for _, _, time in known]
        values = list(known.values())
        bd = metric("bdSeq", next(self._sessions) % 256, datatype=4)
        birth = metric("Count", values[0], alias=1, datatype=10, at_ms=times[0])
        said: list[Said] = [
            ("spBv1.0/G/NBIRTH/E", payload(bd, at_ms=times[0], seq=0)),
            ("spBv1.0/G/DBIRTH/E/D", payload(birth, at_ms=times[0], seq=1)),
        ]
        for n, value in enumerate(values[1:]):
            data = payload(metric(value=value, alias=1, at_ms=times[n + 1]), at_ms=times[n + 1], seq=(n + 2) % 256)
            said.append(("spBv1.0/G/DDATA/E/D", data))
        return said

    def garbage(self) -> list[Said]:
        return [
            ("spBv1.0/G/DDATA/E/D", b"\xff\xff"),
            ("spBv1.0/G/DDATA/Nobody/D", payload(metric(value=1, alias=1), seq=2)),
            ("spBv1.0/G/DDATA", payload(seq=2)),
        ]


async def sent(bench: MqttBench, known: Known) -> None:
    """Return once the broker has acknowledged all, however many connections that takes."""
    messages = bench.messages(known)
    while True:
        try:
            return await asyncio.to_thread(bench.send, messages)
        except OSError:
            await asyncio.sleep(0.05)

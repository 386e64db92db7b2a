"""The MQTT collector keeps the contract of every collector, against real brokers: mosquitto and the embedded one."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from simulators.broker import broker
from tests.collectors.mqtt.bench import MqttBench
from tests.contracts.collector import CollectorContract
from tests.support import Mosquitto, missing


class TestMqtt5(CollectorContract):
    @pytest.fixture
    async def bench(self, mosquitto: Mosquitto) -> MqttBench:
        return MqttBench(mosquitto)


class TestMqtt311(CollectorContract):
    @pytest.fixture
    async def bench(self, mosquitto: Mosquitto) -> MqttBench:
        return MqttBench(mosquitto, protocol="3.1.1")


class SenmlBench(MqttBench):
    """One record per pack; the topic says the asset."""

    def __init__(self, broker: Mosquitto) -> None:
        super().__init__(broker, topics=[{"dialect": "senml", "topic": "{site}/{area}/{line}/{asset}/senml"}])

    def message(self, asset: str, metric: str, time_ns: int, value: float) -> tuple[str, bytes]:
        record = {"n": metric, "v": value, "t": time_ns / 1e9}
        return f"{asset}/senml", json.dumps([record]).encode()


class PubSubBench(MqttBench):
    """One field per data set message, with its source timestamp."""

    def __init__(self, broker: Mosquitto) -> None:
        super().__init__(broker, topics=[{"dialect": "opcua_pubsub", "topic": "{site}/{area}/{line}/{asset}/ua"}])

    def message(self, asset: str, metric: str, time_ns: int, value: float) -> tuple[str, bytes]:
        at = datetime.fromtimestamp(time_ns // 10**9, UTC).strftime(f"%Y-%m-%dT%H:%M:%S.{time_ns % 10**9:09d}Z")
        field = {"Value": {"UaType": 11, "Value": value}, "SourceTimestamp": at}
        return f"{asset}/ua", json.dumps({"Messages": [{"DataSetWriterId": 1, "Payload": {metric: field}}]}).encode()


class TestSenml(CollectorContract):
    @pytest.fixture
    async def bench(self, mosquitto: Mosquitto) -> SenmlBench:
        return SenmlBench(mosquitto)


class TestOpcUaPubSub(CollectorContract):
    @pytest.fixture
    async def bench(self, mosquitto: Mosquitto) -> PubSubBench:
        return PubSubBench(mosquitto)


class EmbeddedBench(MqttBench):
    """The broker of the demonstrator where mosquitto is not installed: it takes MQTT 5 publishers only."""

    def _publish(self, messages: list[tuple[str, bytes]]) -> None:
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"publisher-{uuid4().hex[:8]}", protocol=MQTTProtocolVersion.MQTTv5
        )
        client.connect("127.0.0.1", self.broker.port)
        client.loop_start()
        for sent in [client.publish(topic, payload, qos=1) for topic, payload in messages]:
            sent.wait_for_publish(20)
        client.disconnect()
        client.loop_stop()

    async def kill_source(self) -> None:
        await self.stop_source()  # it saves nothing in either case


class TestEmbeddedBroker(CollectorContract):
    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[MqttBench]:
        if not find_spec("iotcore"):
            missing("iotcore is not installed: pip install 'km0-telemetry[demo]'")
        embedded = broker(tmp_path / "broker", kind="iotcore")
        embedded.start()
        yield EmbeddedBench(embedded)
        embedded.stop()

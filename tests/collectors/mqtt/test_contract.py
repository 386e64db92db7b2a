"""The MQTT collector keeps the contract of every collector, against a real mosquitto."""

import pytest

from tests.collectors.mqtt.bench import MqttBench
from tests.contracts.collector import CollectorContract
from tests.support import Mosquitto


class TestMqtt5(CollectorContract):
    @pytest.fixture
    async def bench(self, mosquitto: Mosquitto) -> MqttBench:
        return MqttBench(mosquitto)


class TestMqtt311(CollectorContract):
    @pytest.fixture
    async def bench(self, mosquitto: Mosquitto) -> MqttBench:
        return MqttBench(mosquitto, protocol="3.1.1")

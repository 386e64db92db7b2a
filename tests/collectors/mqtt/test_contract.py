"""The MQTT collector keeps the contract in every dialect, against mosquitto and the embedded broker.

What tries all of them is long: beside JSON, `make soak` has it.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from simulators.broker import broker as broker_process
from tests.collectors.mqtt.bench import MqttBench, Restartable
from tests.collectors.mqtt.dialects import PubSubBench, SenmlBench, SparkplugBench, UmatiBench, ValueBench
from tests.collectors.mqtt.troubles import TroubleContract
from tests.contracts.collector import CollectorContract, Known, SizedSink
from tests.support import missing

LATER = pytest.mark.soak


@pytest.fixture
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Restartable]:
    """The one that the test's parameter names."""
    if request.param == "mosquitto":
        yield request.getfixturevalue("mosquitto")
        return
    if not find_spec("iotcore"):
        missing("iotcore is not installed: pip install 'km0-telemetry[demo]'")
    embedded = broker_process(tmp_path / "broker", kind="iotcore")
    embedded.start()
    yield embedded
    embedded.stop()


both = pytest.mark.parametrize("broker", ["mosquitto", "iotcore"], indirect=True)
both_later = pytest.mark.parametrize("broker", ["mosquitto", pytest.param("iotcore", marks=LATER)], indirect=True)


class Json:
    @pytest.fixture
    async def bench(self, broker: Restartable) -> MqttBench:
        return MqttBench(broker)


class Mqtt311:
    @pytest.fixture
    async def bench(self, mosquitto: Restartable) -> MqttBench:
        return MqttBench(mosquitto, protocol="3.1.1")


class Value:
    @pytest.fixture
    async def bench(self, broker: Restartable) -> MqttBench:
        return ValueBench(broker)


class Senml:
    @pytest.fixture
    async def bench(self, broker: Restartable) -> MqttBench:
        return SenmlBench(broker)


class OpcUaPubSub:
    @pytest.fixture
    async def bench(self, broker: Restartable) -> MqttBench:
        return PubSubBench(broker)


class Umati:
    @pytest.fixture
    async def bench(self, broker: Restartable, monkeypatch: pytest.MonkeyPatch) -> MqttBench:
        monkeypatch.setattr(SizedSink, "known", property(by_value))
        return UmatiBench(broker)


class Sparkplug:
    @pytest.fixture
    async def bench(self, broker: Restartable) -> MqttBench:
        return SparkplugBench(broker)


def by_value(sink: SizedSink) -> Known:
    """What came, where no time is sent: the value, which counts up, says which sample it is."""
    return {(one.asset, one.metric, round(one.value)): one.value for one in sink.samples}


class TestMqtt311(Mqtt311, CollectorContract):
    pass


@both
class TestJson(Json, CollectorContract):
    pass


@both_later
class TestValue(Value, CollectorContract):
    pass


@both_later
class TestSenml(Senml, CollectorContract):
    pass


@both_later
class TestOpcUaPubSub(OpcUaPubSub, CollectorContract):
    pass


@both_later
class TestUmati(Umati, CollectorContract):
    pass


@both_later
class TestSparkplug(Sparkplug, CollectorContract):
    pass


@both_later
class TestTroublesOfJson(Json, TroubleContract):
    kills, restarts = 3, 2


@LATER
class TestTroublesOfMqtt311(Mqtt311, TroubleContract):
    pass


@LATER
@both
class TestMoreTroublesOfJson(Json, TroubleContract):
    kills, restarts = 12, 10


@LATER
@both
class TestTroublesOfValue(Value, TroubleContract):
    pass


@LATER
@both
class TestTroublesOfSenml(Senml, TroubleContract):
    pass


@LATER
@both
class TestTroublesOfOpcUaPubSub(OpcUaPubSub, TroubleContract):
    pass


@LATER
@both
class TestTroublesOfUmati(Umati, TroubleContract):
    pass


@LATER
@both
class TestTroublesOfSparkplug(Sparkplug, TroubleContract):
    pass

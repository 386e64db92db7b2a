"""What a session can be asked for beyond the defaults: status, shares, WebSocket, times of MQTT 5, old values."""

import asyncio
import json
from pathlib import Path
from time import time_ns

import pytest

from collectors.mqtt import connecting
from collectors.mqtt.decoder import Message, MessageError
from collectors.mqtt.properties import user_property
from collectors.mqtt.value import ValueTopic
from telemetry.errors import SourceError
from telemetry.health import Condition
from telemetry.samples import Quality, Sample
from tests.collectors.mqtt.bench import ASSET, MqttBench, Publisher, config, reading
from tests.collectors.mqtt.sessions import PARTS, T, build, guarded
from tests.collectors.mqtt.test_json import FORMAT_A, one, topic
from tests.collectors.mqtt.test_sparkplug_host import Listener
from tests.collectors.mqtt.troubles import FreezingProxy
from tests.contracts.collector import SizedSink, running, until
from tests.support import Mosquitto, free_port, wait_for_port

# --- status ---


async def test_the_status_topic_says_whether_we_are_there(mosquitto: Mosquitto) -> None:
    """Retained: online true once subscribed, false when we leave, and false by the broker when we vanish."""
    bench, listener = MqttBench(mosquitto, status_topic="km0/status/mqtt"), Listener(mosquitto.port)
    async with running(bench, SizedSink()):
        await until(lambda: b'km0/status/mqtt{"online": true' in listener.heard())
    await until(lambda: b'km0/status/mqtt{"online": false' in listener.heard())
    async with FreezingProxy(mosquitto.port).serving() as proxy:
        collector, component = build(config(proxy.port, status_topic="km0/status/mqtt", keepalive_s=1))
        vanishing = asyncio.create_task(collector.run(SizedSink()))
        await until(lambda: component.condition is Condition.OK)
        proxy.frozen = True
        await until(lambda: listener.heard().count(b'"online": false') == 2)
        await asyncio.wait([vanishing])
        assert isinstance(vanishing.exception(), SourceError)
    listener.close()


# --- shares ---


async def test_collectors_of_one_group_split_the_messages(mosquitto: Mosquitto) -> None:
    """Two collectors with one `share`: every message comes to exactly one of them."""
    first, second = SizedSink(), SizedSink()
    benches = [MqttBench(mosquitto, share="km0", client_id=f"km0-{n}") for n in range(2)]
    async with running(benches[0], first), running(benches[1], second):
        known = await benches[0].publish(400)
        await until(lambda: len(first.samples) + len(second.samples) >= 400)
        assert first.known | second.known == known
        assert not first.known.keys() & second.known.keys()
        assert first.samples
        assert second.samples


def test_a_share_needs_a_client_id() -> None:
    """Two copies of one plant file would throw each other out."""
    with pytest.raises(ValueError, match="its own `client_id`"):
        config(1883, share="km0")


# --- WebSocket ---


@pytest.mark.parametrize("fast", [True, False])
async def test_a_websocket_carries_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: bool) -> None:
    """Hundreds of messages, each in a frame of its own, and one of more than 64 kB, through mosquitto's WebSocket."""
    monkeypatch.setattr(connecting, "FITS", fast)
    web = free_port()
    async with guarded(tmp_path, "allow_anonymous true", f"listener {web} 127.0.0.1", "protocol websockets") as port:
        await asyncio.to_thread(wait_for_port, web)
        collector, component = build(config(web, websocket="/mqtt"))
        sink = SizedSink()
        task = asyncio.create_task(collector.run(sink))
        await until(lambda: component.condition is Condition.OK or task.done())
        assert not task.done(), task
        publisher = Publisher(port)
        messages = [(PARTS, reading(T + n, n)) for n in range(500)]
        messages.append((PARTS, json.dumps({"value": 500, "time": T + 500, "padding": "x" * 100_000}).encode()))
        await asyncio.to_thread(publisher.publish, messages)
        await sink.until(samples=501)
        assert sink.known == {(ASSET, "parts", T + n): float(n) for n in range(501)}
        publisher.close()
        task.cancel()
        await asyncio.wait([task])


# --- times of MQTT 5 ---

TOLD = b"\x26\x00\x04name\x00\x05value\x01\x01\x0b\x80\x01\x03\x00\x04text\x26\x00\x02at\x00\x0d1795305600123"
"""User property name=value, payload format, subscription identifier 128, content type, user property at."""


@pytest.mark.parametrize(
    ("properties", "found"),
    [(TOLD, "1795305600123"), (b"", None), (TOLD[:-1], None), (b"\x7f\x00", None), (b"\x26\x00\x02at", None)],
)
def test_a_user_property_is_found_among_others(properties: bytes, found: str | None) -> None:
    """Whatever stands before it; malformed ones have none."""
    assert user_property(properties, "at") == found


def test_a_bare_value_with_a_stated_time_is_good() -> None:
    """The value dialect with `time_property`: the time the publisher states; without it, arrival and UNCERTAIN."""
    rules = {"dialect": "value", "topic": "{site}/{area}/{line}/{asset}/{metric}", "time_property": "at"}
    decoder = ValueTopic.model_validate_json(json.dumps(rules)).decoder()
    (told,) = decoder.decode(Message(PARTS, b"5", 7, False, TOLD))
    assert told == Sample(T + 123_000_000, ASSET, "parts", 5.0, "", Quality.GOOD, 7)
    (untold,) = decoder.decode(Message(PARTS, b"5", 7))
    assert untold == Sample(7, ASSET, "parts", 5.0, "", Quality.UNCERTAIN, 7)
    with pytest.raises(MessageError, match="neither ISO 8601"):
        decoder.decode(Message(PARTS, b"5", 7, False, b"\x26\x00\x02at\x00\x04soon"))


def test_a_payload_without_time_takes_the_stated_one() -> None:
    """JSON: the field goes first; where it is missing, the property; readings of an array do not share an instant."""
    decoder = topic(FORMAT_A | {"time_property": "at"}).decoder()
    stated = T + 123_000_000
    (alone,) = decoder.decode(Message(PARTS, b'{"value": 5}', 7, False, TOLD))
    first, second = decoder.decode(Message(PARTS, b'[{"value": 5}, {"value": 6}]', 7, False, TOLD))
    assert [one.time_ns for one in (alone, first, second) if isinstance(one, Sample)] == [stated, stated, stated + 1]
    (own,) = decoder.decode(Message(PARTS, b'{"value": 5, "time": 1795305600000}', 7, False, TOLD))
    assert isinstance(own, Sample)
    assert own.time_ns == T
    assert one(FORMAT_A, PARTS, {"value": 5}).quality == Quality.UNCERTAIN


async def test_old_values_are_not_taken_for_news(mosquitto: Mosquitto) -> None:
    """Retained without time: a state is in force now, UNCERTAIN; a measurement of who knows when is passed, counted."""
    publisher = Publisher(mosquitto.port)
    publisher.publish([(f"{ASSET}/state", b"EXECUTING"), (f"{ASSET}/power", b"12.5")], retain=True)
    entry = {"dialect": "value", "topic": "{site}/{area}/{line}/{asset}/{metric}"}
    sink = SizedSink()
    async with running(MqttBench(mosquitto, topics=[entry]), sink) as component:
        await sink.until(samples=1)
        await until(lambda: component.counted("retained_without_time") == 1)
        publisher.publish([(f"{ASSET}/power", b"13")])
        await sink.until(samples=2)
    publisher.close()
    assert [(s.metric, s.value, s.quality) for s in sink.samples] == [
        ("state", 3, Quality.UNCERTAIN),
        ("power", 13, Quality.UNCERTAIN),
    ]


async def test_a_publisher_whose_clock_is_an_hour_off_is_kept_as_it_is(mosquitto: Mosquitto) -> None:
    """An hour ahead or behind: put with the source's own time, and the lag shows it; nothing is guessed."""
    publisher, sink, now = Publisher(mosquitto.port), SizedSink(), time_ns()
    hour = 3600 * 10**9
    async with running(MqttBench(mosquitto), sink) as component:
        publisher.publish([(PARTS, reading(now + hour, 1)), (PARTS, reading(now - hour, 2))])
        await sink.holds({(ASSET, "parts", now + hour): 1.0, (ASSET, "parts", now - hour): 2.0})
        await until(lambda: component.snapshot()["gauges"].get("lag_ms", 0) >= 3_600_000)
        assert sink.dead_letters == []
    publisher.close()

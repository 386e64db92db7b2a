"""What the MQTT collector says of itself, on the health page and on /metrics."""

import asyncio
import math
import re
from time import time_ns

from collectors.retry import keep_running
from dashboards.web.prometheus import exposition
from telemetry.health import Condition, Health
from tests.collectors.mqtt.bench import PLANT, Publisher, config, reading
from tests.collectors.mqtt.sessions import PARTS, T
from tests.contracts.collector import SizedSink, until
from tests.support import Mosquitto


async def test_a_session_that_the_broker_forgot_is_counted_and_said(mosquitto: Mosquitto) -> None:
    """Restarted with its files, the broker still has it; without them, what it kept for us is gone."""
    health, sink = Health(), SizedSink()
    collector = config(mosquitto.port).build(PLANT, health)
    component = health.component("mqtt")
    task = asyncio.create_task(keep_running(collector, sink, component))
    await until(lambda: component.condition is Condition.OK)
    assert component.snapshot()["detail"] == "new session"
    await asyncio.to_thread(mosquitto.stop)
    await until(lambda: component.condition is Condition.FAILING)
    await asyncio.to_thread(mosquitto.start)
    await until(lambda: component.condition is Condition.OK)
    assert (component.snapshot()["detail"], component.counted("sessions_lost")) == ("session resumed", 0)
    await asyncio.to_thread(mosquitto.stop)
    (mosquitto.folder / "mosquitto.db").unlink()
    await until(lambda: component.condition is Condition.FAILING)
    await asyncio.to_thread(mosquitto.start)
    await until(lambda: component.condition is Condition.OK)
    assert component.counted("sessions_lost") == 1
    detail = "the broker had forgotten our session, with what it kept for us; new session"
    assert component.snapshot()["detail"] == detail
    task.cancel()
    await asyncio.wait([task])


async def test_a_broker_that_keeps_messages_for_less_long_than_asked_is_named() -> None:
    """MQTT 5, 3.2.2.3.2: the server's Session Expiry Interval goes before ours."""

    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"\x20\x08\x00\x00\x05\x11\x00\x00\x00\x3c")  # CONNACK, property 17: 60 s
        await reader.read(1000)
        writer.write(b"\x90\x04\x00\x01\x00\x01")  # SUBACK of packet 1: QoS 1
        await reader.read(1000)
        writer.close()

    health = Health()
    server = await asyncio.start_server(broker, "127.0.0.1", 0)
    async with server:
        settings = config(server.sockets[0].getsockname()[1])
        task = asyncio.create_task(settings.build(PLANT, health).run(SizedSink()))
        await until(lambda: health.component("mqtt").condition is Condition.OK)
        assert "keeps messages for us only 60 s" in health.component("mqtt").snapshot()["detail"]
        task.cancel()
        await asyncio.wait([task])


async def test_its_health_tells_all_there_is_to_know(mosquitto: Mosquitto) -> None:
    """Since when, messages, bytes, in flight, acknowledged, duplicates, refusals by reason, lag; on /metrics too."""
    health, sink = Health(), SizedSink()
    collector = config(mosquitto.port, max_in_flight=64).build(PLANT, health)
    component = health.component("mqtt")
    task = asyncio.create_task(collector.run(sink))
    try:
        await until(lambda: component.condition is Condition.OK)
        connected = component.snapshot()["gauges"]["connected_since_s"]
        assert 0 <= time_ns() / 1e9 - connected < 60
        publisher = Publisher(mosquitto.port)
        publisher.publish([(PARTS, reading(T, 1)), (PARTS, b'{"value": 1, "time": "soon"}'), (PARTS, b"{")])
        await until(lambda: component.counted("acknowledged") == 3)
        sink.block()
        publisher.publish([(PARTS, reading(T + n, n)) for n in range(500)])
        await until(lambda: component.snapshot()["gauges"]["in_flight"] == 64)
    finally:
        task.cancel()
        await asyncio.wait([task])
    publisher.close()
    assert math.isnan(component.snapshot()["gauges"]["connected_since_s"])
    sink.unblock()
    again = asyncio.create_task(collector.run(sink))
    await until(lambda: component.counted("acknowledged") == 503)
    told = exposition(health).decode()
    counts = dict(re.findall(r'^km0_(\w+)_total\{component="mqtt"\} ([\d.]+)$', told, re.MULTILINE))
    assert float(counts["messages"]) >= 503
    assert float(counts["duplicates"]) >= 64, "what was in hand came again"
    assert float(counts["bytes"]) > 503 * 40
    assert (counts["refused_time"], counts["refused_syntax"], counts["acknowledged"]) == ("1.0", "1.0", "503.0")
    gauges = dict(re.findall(r'^km0_(\w+)\{component="mqtt"\} ([\d.e+-]+)$', told, re.MULTILINE))
    assert {"in_flight", "lag_ms", "connected_since_s"} <= gauges.keys()
    again.cancel()
    await asyncio.wait([again])

"""What the MQTT collector says of itself, on the health page and on /metrics."""

import asyncio
import math
import re
from time import time_ns

from dashboards.web.prometheus import exposition
from telemetry.health import Condition, Health
from tests.collectors.mqtt.bench import ASSET, PLANT, Publisher, config, reading
from tests.contracts.collector import SizedSink, until
from tests.support import Mosquitto

PARTS = f"{ASSET}/parts"
T = 1_795_305_600_000_000_000


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

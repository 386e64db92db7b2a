"""Memory while the store is down and the broker holds a million messages for us; nothing is lost when it is back."""

import asyncio
import os
from pathlib import Path

import pytest

from telemetry.health import Component
from tests.collectors.mqtt.bench import MqttBench, Publisher
from tests.contracts.collector import SizedSink, until
from tests.support import Mosquitto


def resident_mb() -> float:
    """Memory of this process in RAM [MB]."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class CountingSink(SizedSink):
    """Counts instead of keeping: what it remembered would be the memory that is measured."""

    count = 0

    async def put(self, samples: object) -> None:
        await super().put(samples)  # type: ignore[arg-type]  # only handed on
        self.count += len(self.samples)
        self.samples.clear()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize(
    "messages", [20_000, pytest.param(1_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
)
async def test_a_backlog_at_the_broker_is_no_backlog_in_memory(mosquitto: Mosquitto, messages: int) -> None:
    """The sink stands still: 5,000 messages and no more are in hand; memory grows by less than 40 MB; then all come.

    `pytest -s` shows the curve of memory.
    """
    mosquitto.stop()
    mosquitto.autosave_s = 3600  # it stands still while it writes a million messages, and would do so every second
    mosquitto.start()
    bench, sink = MqttBench(mosquitto), CountingSink()
    bench.bound = 5000
    collector, component = bench.collector()
    task = asyncio.create_task(collector.run(sink))
    await until(lambda: bool(component.snapshot()["detail"]))
    sink.block()
    publisher = Publisher(mosquitto.port)
    before, curve = resident_mb(), list[float]()

    def measured() -> float:
        curve.append(round(resident_mb() - before, 1))
        return curve[-1]

    for _ in range(messages // 10_000):
        part = [bench.message(*identity, value) for identity, value in bench.next(10_000).items()]
        await asyncio.to_thread(publisher.publish, part)
        del part
        measured()
    await until(lambda: in_hand(component) == 5000)
    assert max(curve) < 40
    queued = len(curve)
    sink.unblock()
    while sink.count < messages and not task.done():
        await asyncio.sleep(0.1)
        measured()
    print(f"MB above the start, queueing: {curve[:queued]}; delivering: {curve[queued:]}")  # noqa: T201  # for people who ask
    assert max(curve) < 60
    task.cancel()
    await asyncio.wait([task])
    publisher.close()


def in_hand(component: Component) -> float:
    gauges: dict[str, float] = component.snapshot()["gauges"]
    return gauges.get("in_flight", 0)

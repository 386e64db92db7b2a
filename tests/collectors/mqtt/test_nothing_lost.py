"""Under load, the collector is killed and the broker restarted: every acknowledged identity is there in the end."""

import asyncio
import os
import random
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from telemetry.health import Condition
from tests.collectors.mqtt.bench import MqttBench, Publisher, reading
from tests.collectors.mqtt.child import kept
from tests.contracts.collector import Known, SizedSink, running, until
from tests.support import Mosquitto


class Load:
    """Publishes until told to stop, at most some thousand messages per second: a backlog only makes tests slow."""

    def __init__(self, bench: MqttBench) -> None:
        self._bench = bench
        self.acknowledged: Known = {}
        self.stop = False

    async def run(self) -> None:
        while not self.stop:
            part = self._bench.next(100)
            await asyncio.to_thread(self._publish, part)
            self.acknowledged |= part
            await asyncio.sleep(0.03)

    def _publish(self, part: Known) -> None:
        """Return once the broker has acknowledged all, however many connections that takes."""
        messages = [(f"{asset}/{metric}", reading(at, value)) for (asset, metric, at), value in part.items()]
        while True:
            try:
                publisher = Publisher(self._bench.broker.port)
                try:
                    return publisher.publish(messages)
                finally:
                    publisher.close()
            except OSError:
                time.sleep(0.05)


async def start_child(port: int, path: Path) -> asyncio.subprocess.Process:
    """A collector process that has subscribed: what is published to nobody is lost by definition."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.collectors.mqtt.child", str(port), str(path), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    assert await asyncio.wait_for(child.stdout.readline(), 20) == b"subscribed\n"
    return child


@pytest.mark.parametrize("kills", [3, pytest.param(12, marks=pytest.mark.soak)])
async def test_a_collector_killed_under_load_loses_nothing(mosquitto: Mosquitto, tmp_path: Path, kills: int) -> None:
    """kill -9 at any moment, the same session again: what the broker took is on disk, to the last identity."""
    moments = random.Random(kills)
    path = tmp_path / "samples.jsonl"
    child = await start_child(mosquitto.port, path)
    load = Load(MqttBench(mosquitto))
    task = asyncio.create_task(load.run())
    try:
        for _ in range(kills):
            seen = path.stat().st_size
            await until(lambda seen=seen: path.stat().st_size > seen)  # type: ignore[misc]  # a lambda's default has no type
            await asyncio.sleep(moments.uniform(0, 0.3))
            os.kill(child.pid, signal.SIGKILL)
            await child.wait()
            child = await start_child(mosquitto.port, path)
        load.stop = True
        await task
        assert len(load.acknowledged) > 1000
        with suppress(TimeoutError):
            await until(lambda: path.read_bytes().count(b"\n") >= len(load.acknowledged), 30)
            await until(lambda: kept(path) == load.acknowledged, 5)
        assert kept(path) == load.acknowledged
    finally:
        load.stop = True
        child.kill()
        await child.wait()


@pytest.mark.parametrize("restarts", [2, pytest.param(10, marks=pytest.mark.soak)])
async def test_a_broker_restarted_under_load_loses_nothing(mosquitto: Mosquitto, restarts: int) -> None:
    """The broker is stopped and started while messages flow: every one it acknowledged is put."""
    bench, sink = MqttBench(mosquitto), SizedSink()
    async with running(bench, sink) as component:
        load = Load(bench)
        task = asyncio.create_task(load.run())
        for _ in range(restarts):
            seen = len(sink.samples)
            await until(lambda seen=seen: len(sink.samples) > seen + 500)  # type: ignore[misc]  # as above
            await bench.stop_source()
            await until(lambda: component.condition is Condition.FAILING)
            await bench.start_source()
            await until(lambda: component.condition is Condition.OK)
        load.stop = True
        await task
        await sink.holds(load.acknowledged)
        assert sink.known == load.acknowledged
        assert component.counted("reconnects") >= restarts

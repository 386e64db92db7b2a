"""What a plant does to a collector of MQTT, whatever the dialect: cuts, kills, restarts, wrong clocks."""

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import time_ns

import pytest

from pipeline.ingest.drain import Drain
from pipeline.ingest.spool import Spool
from telemetry.errors import StoreError
from telemetry.health import Component, Condition
from telemetry.samples import Window
from tests.collectors.mqtt.bench import ASSET, MqttBench
from tests.collectors.mqtt.child import kept
from tests.collectors.mqtt.dialects import sent
from tests.contracts.collector import Known, SizedSink, running, until
from tests.contracts.memory import MemoryStore

MINUTE_S, HOUR_NS = 60.0, 3600 * 10**9


class FreezingProxy:
    """Forwards TCP to a port until told to freeze; then it takes what comes and passes nothing on."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.frozen = False
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FreezingProxy"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pump(reader, there_writer))
            group.create_task(self._pump(there_reader, writer))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            if not self.frozen:
                sink.write(data)
        sink.close()


class Load:
    """Publishes until told to stop, at most some thousand messages per second: a backlog only makes tests slow."""

    def __init__(self, bench: MqttBench) -> None:
        self._bench = bench
        self.acknowledged: Known = {}
        self.stop = False

    async def run(self) -> None:
        while not self.stop:
            part = self._bench.next(100)
            await sent(self._bench, part)
            self.acknowledged |= part
            await asyncio.sleep(0.03)


async def start_child(bench: MqttBench, path: Path) -> asyncio.subprocess.Process:
    """A collector process that has subscribed: what is published to nobody is lost by definition."""
    arguments = (str(bench.broker.port), str(path), json.dumps(bench.changes))
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.collectors.mqtt.child", *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    assert await asyncio.wait_for(child.stdout.readline(), 60) == b"subscribed\n"
    return child


class TroubleContract:
    """Give `bench`. Where a source keeps nothing for us, what is published while we are away is not asked for."""

    kills = 10
    restarts = 10

    @pytest.fixture
    async def bench(self) -> MqttBench:
        raise NotImplementedError("a subclass gives its bench")

    async def test_killed_under_load_it_loses_nothing(self, bench: MqttBench, tmp_path: Path) -> None:
        """kill -9 at any moment, the same session again: what the broker took is on disk, to the last identity."""
        if not bench.keeps:
            return
        moments = random.Random(self.kills)
        path = tmp_path / "samples.jsonl"
        child = await start_child(bench, path)
        load = Load(bench)
        task = asyncio.create_task(load.run())
        try:
            for _ in range(self.kills):
                seen = path.stat().st_size
                await until(lambda seen=seen: path.stat().st_size > seen, 60)  # type: ignore[misc]  # a lambda's default has no type
                await asyncio.sleep(moments.uniform(0, 0.3))
                os.kill(child.pid, signal.SIGKILL)
                await child.wait()
                child = await start_child(bench, path)
            load.stop = True
            await task
            with suppress(TimeoutError):
                await until(lambda: path.read_bytes().count(b"\n") >= len(load.acknowledged), 60)
                await until(lambda: kept(path) == load.acknowledged, 20)
            assert kept(path) == load.acknowledged
            assert len(load.acknowledged) > 100 * self.kills
        finally:
            load.stop = True
            child.kill()
            await child.wait()
            await asyncio.wait([task])

    async def test_a_broker_restarted_under_load_loses_nothing(self, bench: MqttBench) -> None:
        """The broker is stopped and started while messages flow: every one it acknowledged is put."""
        sink = SizedSink()
        async with running(bench, sink) as component:
            load = Load(bench)
            task = asyncio.create_task(load.run())
            for _ in range(self.restarts):
                seen = len(sink.samples)
                await until(lambda seen=seen: len(sink.samples) > seen + 300, 60)  # type: ignore[misc]  # as above
                await bench.stop_source()
                await until(lambda: component.condition is Condition.FAILING, 30)
                await bench.start_source()
                await until(lambda: component.condition is Condition.OK, 30)
            load.stop = True
            await task
            if bench.keeps and not bench.embedded:  # which forgets everything when it ends
                await sink.holds(load.acknowledged, 60)
                assert sink.known == load.acknowledged
            await sink.holds(await bench.publish(20), 30)
            assert component.counted("reconnects") >= self.restarts

    async def test_a_half_open_connection_is_left_and_nothing_is_lost(self, bench: MqttBench) -> None:
        """The other end is silent without a word: it is noticed by its silence, and all comes over the next one."""
        bench.changes["keepalive_s"] = 1
        sink = SizedSink()
        async with FreezingProxy(bench.broker.port).serving() as proxy:
            bench.port_of_collector = proxy.port
            async with running(bench, sink) as component:
                await sink.holds(await bench.publish(20), 30)
                proxy.frozen = True
                missed = await bench.publish(20)
                await until(lambda: component.condition is Condition.FAILING, 30)
                proxy.frozen = False
                await until(lambda: component.condition is Condition.OK, 30)
                if bench.keeps:
                    await sink.holds(missed, 30)
                await sink.holds(await bench.publish(20), 30)

    async def test_a_store_that_is_down_for_ten_minutes_costs_nothing(self, bench: MqttBench, tmp_path: Path) -> None:
        """Ten minutes of the drain's own time: the spool fills, the broker waits, then the store has every identity.

        A source that keeps nothing for us is given a spool with room for it.
        """
        store, now_s = MemoryStore(), 0.0
        store.fail_with = StoreError("the store is down")

        async def sleep(seconds: float) -> None:
            nonlocal now_s
            now_s += seconds
            await asyncio.sleep(0.001)

        spooled, known = Component("spool"), {}
        room = 20_000 if bench.keeps else 2_000_000
        async with Spool(tmp_path / "spool.sqlite", component=spooled, max_bytes=room) as spool:
            drain = asyncio.create_task(Drain(spool, store, Component("drain"), max_age_s=0.01, sleep=sleep).run())
            async with running(bench, spool) as component:
                for minute in range(1, 11):
                    known |= await bench.publish(200)
                    await until(lambda minute=minute: now_s >= minute * MINUTE_S, 60)  # type: ignore[misc]  # as above
                if bench.keeps:
                    await until(lambda: "the spool is full" in spooled.snapshot()["detail"], 60)
                    assert component.snapshot()["gauges"]["in_flight"] <= bench.bound
                store.fail_with = None
                stored = SizedSink()  # only to ask it what it knows

                def there() -> Known:
                    stored.samples = store.samples(ASSET, "parts", Window(0, 2**62))
                    return stored.known

                with suppress(TimeoutError):
                    await until(lambda: known.items() <= there().items(), 60)
                assert dict(known.items() - there().items()) == {}
            drain.cancel()
            await asyncio.wait([drain])

    @pytest.mark.parametrize("hours", [1, -1])
    async def test_a_publisher_whose_clock_is_an_hour_off(self, bench: MqttBench, hours: int) -> None:
        """What it says is put with its own time: ahead or behind, nothing is refused, guessed or mended."""
        bench.start_ns = time_ns() // 10**6 * 10**6 + hours * HOUR_NS
        sink = SizedSink()
        async with running(bench, sink):
            await sink.holds(await bench.publish(30), 30)
            assert sink.dead_letters == []

"""The probe under the contract of every collector; its known samples are the packets its reflector did not answer."""

import asyncio
from collections.abc import Iterator
from time import monotonic

import pytest

from collectors.probe.config import ProbeConfig
from collectors.probe.probe import Probe
from simulators.echo_reflector import EchoReflector
from telemetry.health import Component, Health
from tests.contracts.collector import CollectorContract, Known, SizedSink, running, until

ASSET = "km0/network/5g/link-1"


class ProbeBench:
    """A reflector that stops answering for as many packets as are to be known."""

    keeps = False
    bound = 400

    def __init__(self) -> None:
        self._reflector = EchoReflector().start()
        self._port = self._reflector.address[1]
        self._runs = True

    def collector(self) -> tuple[Probe, Component]:
        component = Health().component("probe")
        config = ProbeConfig(
            kind="probe", asset=ASSET, host="127.0.0.1", port=self._port, interval_ms=2, timeout_ms=100
        )
        return Probe(config, component, silence_s=1.0, backlog=self.bound), component

    async def publish(self, count: int) -> Known:
        reflector = self._reflector
        reflector.unanswered.clear()
        reflector.deaf = True
        # A probe whose sink stands still pauses: then there will be no more packets than there are.
        reached, since = 0, monotonic()
        while reached < count and monotonic() - since < 0.5:
            await asyncio.sleep(0.01)
            if len(reflector.unanswered) > reached:
                reached, since = len(reflector.unanswered), monotonic()
        reflector.deaf = False
        return {(ASSET, "rtt_lost", _unix_ns(packet[4:12])): 1.0 for packet in list(reflector.unanswered)}

    async def publish_garbage(self) -> int:
        self._reflector.say(b"no test packet")
        return 1

    async def stop_source(self) -> None:
        await self.kill_source()

    async def kill_source(self) -> None:
        self._reflector.stop()
        self._runs = False

    async def start_source(self) -> None:
        self._reflector = EchoReflector(port=self._port).start()
        self._runs = True

    def close(self) -> None:
        if self._runs:
            self._reflector.stop()


def _unix_ns(ntp: bytes) -> int:
    seconds, fraction = int.from_bytes(ntp[:4], "big"), int.from_bytes(ntp[4:], "big")
    return (seconds - 2_208_988_800) * 10**9 + (fraction * 10**9 >> 32)


class TestProbe(CollectorContract):
    @pytest.fixture
    def bench(self) -> Iterator[ProbeBench]:
        bench = ProbeBench()
        yield bench
        bench.close()

    async def test_cancelled_during_a_put_it_ends_and_the_put_comes_again(self, bench: ProbeBench) -> None:  # type: ignore[override]  # its own bench
        """A probe always has something to put, so its sink holds what came before it stood still, and no more."""
        sink = SizedSink()
        async with running(bench, sink):
            sink.block()
            already = list(sink.samples)
            await bench.publish(20)
            await until(lambda: sink.waiting > 0)
        assert sink.samples == already

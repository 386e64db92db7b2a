"""The collector's contract, with a real server in a process of its own."""

from collections.abc import AsyncIterator

import pytest

from collectors.opcua.collector import OpcUaCollector
from collectors.opcua.subscription import IN_FLIGHT
from telemetry.health import Component
from telemetry.protocols import Collector
from tests.collectors.opcua.peer import METRICS, MILL, PLANT, T0_MS, Peer, config, peer
from tests.contracts.collector import CollectorContract, Known

QUEUE = 100
"""Values per node that the server holds: asyncua's puts all of them into one message."""


class OpcUaBench:
    """The test server; it keeps history, but not through a kill, and nobody reads it for one who was never there."""

    keeps = False
    bound = IN_FLIGHT * len(METRICS) * QUEUE

    def __init__(self, server: Peer) -> None:
        self._server = server
        self._published = 0

    def collector(self) -> tuple[Collector, Component]:
        component = Component("mill")
        return OpcUaCollector(config(self._server.port, queue_size=QUEUE), PLANT, component), component

    async def publish(self, count: int) -> Known:
        rows = []
        for _ in range(count):
            self._published += 1
            rows.append((METRICS[self._published % len(METRICS)], self._published % 1000 + 0.5, self._published))
        await self._server.write(*rows)
        return {(MILL, name, (T0_MS + ms) * 1_000_000): value for name, value, ms in rows}

    async def publish_garbage(self) -> int:
        await self._server.write(("power", "a word", 1), ("parts", [1.0, 2.0], 1), ("energy", None, 1))
        return 3

    async def stop_source(self) -> None:
        await self._server.stop()

    async def kill_source(self) -> None:
        await self._server.kill()

    async def start_source(self) -> None:
        await self._server.start()


class TestOpcUa(CollectorContract):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[OpcUaBench]:
        # Without initial values: the contract counts what was published, and nothing else.
        async with peer(start_status=0x8032_0000) as server:
            yield OpcUaBench(server)

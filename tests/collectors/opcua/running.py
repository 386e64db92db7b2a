"""A collector that runs under the retry loop, and what its sink got; the `km0` command."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from typer.testing import CliRunner

from collectors.opcua.collector import OpcUaCollector
from collectors.opcua.config import OpcUaConfig
from collectors.retry import keep_running
from km0.cli import app
from telemetry.health import Component
from telemetry.plant import Plant
from tests.collectors.opcua.peer import MILL, PLANT, T0_MS
from tests.contracts.memory import MemorySink

MS = 1_000_000


@contextlib.asynccontextmanager
async def collecting(
    settings: OpcUaConfig, sink: MemorySink, plant: Plant = PLANT, **extra: Any
) -> AsyncIterator[Component]:
    """The collector under the retry loop, with waits cut short."""
    component = Component("mill")
    collector = OpcUaCollector(settings, plant, component, **extra)
    task = asyncio.create_task(
        keep_running(collector, sink, component, sleep=lambda _: asyncio.sleep(0.05)), name="collecting"
    )
    try:
        yield component
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def km0(*arguments: str) -> str:
    """What a command prints; what it raises is raised."""
    runner = CliRunner()
    done = await asyncio.to_thread(runner.invoke, app, list(arguments), env={"COLUMNS": "220"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def row(sink: MemorySink, metric: str) -> list[tuple[int, float]]:
    """What arrived of a metric as (ms after T0, value), in order of arrival; every time is a whole millisecond."""
    mine = [sample for sample in sink.samples if sample.metric == metric]
    assert all(sample.asset == MILL and sample.time_ns % MS == 0 for sample in mine)
    return [(sample.time_ns // MS - T0_MS, sample.value) for sample in mine]

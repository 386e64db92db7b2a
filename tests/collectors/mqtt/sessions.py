"""A collector made of its settings, why running it fails, and a guarded broker: for the tests of a session."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from collectors.mqtt import MqttConfig
from collectors.mqtt.collector import MqttCollector
from telemetry.errors import SourceError
from telemetry.health import Component, Health
from tests.collectors.mqtt.bench import ASSET, PLANT
from tests.contracts.collector import SizedSink
from tests.support import free_port, require_program, wait_for_port

PARTS = f"{ASSET}/parts"
T = 1_795_305_600_000_000_000


def build(settings: MqttConfig) -> tuple[MqttCollector, Component]:
    health = Health()
    return settings.build(PLANT, health), health.component(settings.name)


async def failure(settings: MqttConfig) -> str:
    """Why running the collector fails."""
    with pytest.raises(SourceError) as raised:
        await asyncio.wait_for(build(settings)[0].run(SizedSink()), 45)
    return str(raised.value)


@asynccontextmanager
async def guarded(folder: Path, *lines: str) -> AsyncIterator[int]:
    """The port of a mosquitto with these lines in its configuration."""
    port = free_port()
    user = ["user root"] if os.geteuid() == 0 else []
    (folder / "guarded.conf").write_text("\n".join([f"listener {port} 127.0.0.1", *lines, *user, ""]))
    quiet = asyncio.subprocess.DEVNULL
    program = require_program("mosquitto")
    process = await asyncio.create_subprocess_exec(
        program, "-c", str(folder / "guarded.conf"), stdout=quiet, stderr=quiet
    )
    try:
        await asyncio.to_thread(wait_for_port, port)
        yield port
    finally:
        process.terminate()
        await process.wait()

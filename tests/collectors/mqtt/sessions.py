"""A collector made of its settings, and why running it fails: for the tests of a session."""

import asyncio

import pytest

from collectors.mqtt import MqttConfig
from collectors.mqtt.collector import MqttCollector
from telemetry.errors import SourceError
from telemetry.health import Component, Health
from tests.collectors.mqtt.bench import ASSET, PLANT
from tests.contracts.collector import SizedSink

PARTS = f"{ASSET}/parts"
T = 1_795_305_600_000_000_000


def build(settings: MqttConfig) -> tuple[MqttCollector, Component]:
    health = Health()
    return settings.build(PLANT, health), health.component(settings.name)


async def failure(settings: MqttConfig) -> str:
    """Why running the collector fails."""
    with pytest.raises(SourceError) as raised:
        await asyncio.wait_for(build(settings)[0].run(SizedSink()), 10)
    return str(raised.value)

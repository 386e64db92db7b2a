"""The MQTT devices, seen by an independent subscriber and through restarts of a real broker."""

import asyncio
import json
import socket
import threading
from pathlib import Path

import pytest

from simulators.broker import Kind, broker
from simulators.demo import PRESS, PRINTER
from simulators.mqtt_plant import WINDOW, MqttPublisher
from simulators.payloads import Message, report_messages, value_messages
from simulators.timeline import Event, Timeline, machine_events
from telemetry.errors import SourceError
from tests.simulators.mqtt_peer import Subscriber
from tests.support import Mosquitto, free_port, require_program

BORN_NS = 1_795_000_000_000_000_000
HOUR_NS = 3600 * 10**9


def hours_of_plant(hours: int) -> list[Message]:
    press = Timeline(machine_events(PRESS, 1, BORN_NS)).until(BORN_NS + hours * HOUR_NS)
    printer = Timeline(machine_events(PRINTER, 1, BORN_NS)).until(BORN_NS + hours * HOUR_NS)
    return value_messages(PRESS.path, press) + report_messages(PRINTER.path, printer)


def identities(messages: list[Message]) -> set[tuple[str, str, int]]:
    return {(m.asset, metric, time_ns) for m in messages for time_ns, metric, _ in m.events}


def test_format_a_is_one_value_per_topic() -> None:
    """A single value is an object, several are an array; times are ISO 8601 with milliseconds."""
    single, several = value_messages(
        "a/b", [(BORN_NS + 123_000_000, "state", 3), (BORN_NS, "parts", 1), (BORN_NS + 10**9, "parts", 2)]
    )
    assert (single.topic, several.topic) == ("a/b/state", "a/b/parts")
    assert json.loads(single.payload) == {"value": 3, "time": "2026-11-18T11:06:40.123Z"}
    assert json.loads(several.payload) == [
        {"value": 1, "time": "2026-11-18T11:06:40.000Z"},
        {"value": 2, "time": "2026-11-18T11:06:41.000Z"},
    ]


def test_format_b_is_a_report_per_instant() -> None:
    """What changed at one instant is one report; a stop in a break is "paused", another "idle", levelling is said."""
    t = BORN_NS
    events: list[Event] = [
        (t, "state", 3), (t, "reason", "production"), (t, "product", "gear"), (t, "parts", 0),
        (t + 10**9, "state", 2), (t + 10**9, "reason", "break"),
        (t + 2 * 10**9, "reason", "filament"),
        (t + 3 * 10**9, "state", 4), (t + 3 * 10**9, "reason", "levelling"),
        (t + 4 * 10**9, "power", 230.5),
    ]  # fmt: skip
    ms = t // 10**6
    assert [json.loads(m.payload) for m in report_messages("km0/additive/print-hall/printer-1", events)] == [
        {"ts": ms, "job": "gear", "made": 0, "state": "printing"},
        {"ts": ms + 1000, "state": "paused"},
        {"ts": ms + 3000, "state": "levelling"},
        {"ts": ms + 4000, "power_w": 230.5},
    ]


@pytest.mark.parametrize("kind", ["mosquitto", "iotcore"])
async def test_published_is_received(kind: Kind, tmp_path: Path) -> None:
    """Over either embedded broker, an independent subscriber has exactly what was acknowledged: a day, both formats."""
    if kind == "mosquitto":
        require_program("mosquitto")
    server = broker(tmp_path, kind=kind)
    server.start()
    accepted: list[Message] = []
    with Subscriber(server.port) as witness:
        publisher = MqttPublisher("127.0.0.1", server.port, accepted.append)
        await publisher.start()
        sent = hours_of_plant(24)
        for message in sent:
            await publisher.publish(message)
            assert publisher.under_way <= WINDOW
        await publisher.settled()
        assert await publisher.stop() == 0
        await asyncio.to_thread(witness.wait_for, identities(sent))
        assert witness.identities() == identities(sent) == identities(accepted)
    server.stop()


async def test_nothing_is_lost_when_the_broker_restarts(mosquitto: Mosquitto) -> None:
    """Messages wait while the broker is away, and nothing counts as published before it was acknowledged."""
    accepted: list[Message] = []
    with Subscriber(mosquitto.port) as witness:
        publisher = MqttPublisher("127.0.0.1", mosquitto.port, accepted.append)
        await publisher.start()
        sent = hours_of_plant(4)
        before = 0
        for number, message in enumerate(sent):
            if number == 100:
                await asyncio.to_thread(mosquitto.stop)
                before = len(accepted)
                threading.Timer(0.5, mosquitto.start).start()
            await publisher.publish(message)
        await asyncio.wait_for(publisher.settled(), 20)
        assert 100 - WINDOW <= before < len(accepted) == len(sent)
        await publisher.stop()
        await asyncio.to_thread(witness.wait_for, identities(sent))
        assert witness.identities() == identities(sent)


async def test_no_broker_is_said() -> None:
    """Without a broker the start fails in time, with its address."""
    port = free_port()
    with pytest.raises(SourceError, match=f"127.0.0.1:{port}"):
        await MqttPublisher("127.0.0.1", port, lambda _: None).start(timeout_s=0.5)


async def test_a_silent_port_is_said() -> None:
    """Something that accepts and says nothing is no broker either."""
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(SourceError, match="no MQTT broker"):
        await MqttPublisher("127.0.0.1", deaf.getsockname()[1], lambda _: None).start(timeout_s=0.5)

"""Simulated machines: hours of life and of truth per second, messages per second that one process can publish, and
values per second that leave one OPC UA server."""

import asyncio
import resource
import tempfile
import time
from pathlib import Path

from benchmarks import Row, simulator_server
from benchmarks.measure import Cost, in_turn
from simulators.broker import broker
from simulators.demo import DEMONSTRATOR, MACHINES
from simulators.mqtt_plant import MqttPublisher
from simulators.payloads import Message, value_messages
from simulators.scenario import HOUR_NS
from simulators.timeline import Timeline, machine_events
from simulators.truth import Truth

BORN_NS = 1_795_000_000 * 10**9
HOURS = 48
MESSAGES = 20_000
FLEET = 1000
SECONDS = 60


def run() -> list[Row]:
    """Machine-hours lived and told, machine-hours of truth asked hour by hour, messages acknowledged by a broker,
    values of an OPC UA server."""
    rows = in_turn({"lives told as events": _lives, "truth asked hour by hour": _truth}, "machine-hours", rounds=3)
    with tempfile.TemporaryDirectory() as folder:
        own = broker(Path(folder))
        own.start()
        try:
            rows += in_turn({f"QoS 1 messages to {own.kind}": lambda: _messages(own.port)}, "messages", rounds=3)
            rows.append(asyncio.run(_at_one_hertz(own.port)))
        finally:
            own.stop()
    return rows + simulator_server.run()


def _lives() -> float:
    for model, _ in MACHINES.values():
        Timeline(machine_events(model, 1, BORN_NS)).until(BORN_NS + HOURS * HOUR_NS)
    return float(HOURS * len(MACHINES))


def _truth() -> float:
    truth = Truth(DEMONSTRATOR.models.values(), 1, BORN_NS)
    for path in DEMONSTRATOR.models:
        for hour in range(HOURS):
            truth.machine(path, BORN_NS + hour * HOUR_NS, BORN_NS + (hour + 1) * HOUR_NS)
    return float(HOURS * len(MACHINES))


def _messages(port: int) -> Cost:
    messages = [
        value_messages("km0/bench/cell/machine-1", [(BORN_NS + number * 10**6, "power", 7400.5)])[0]
        for number in range(MESSAGES)
    ]
    return asyncio.run(_published(port, messages))


async def _at_one_hertz(port: int) -> Row:
    """Each of so many machines tells its power once a second; how late is the last one acknowledged, at worst?"""
    publisher = MqttPublisher("127.0.0.1", port, lambda _message: None)
    await publisher.start()
    usage, began, behind = resource.getrusage(resource.RUSAGE_SELF), time.monotonic(), 0.0
    for second in range(SECONDS):
        await asyncio.sleep(max(0.0, began + second - time.monotonic()))
        for number in range(FLEET):
            path = f"km0/bench/cell/machine-{number}"
            time_ns = BORN_NS + second * 10**9
            await publisher.publish(value_messages(path, [(time_ns, "power", 7400.5)])[0])
        await publisher.settled()
        behind = max(behind, time.monotonic() - began - second)
    after = resource.getrusage(resource.RUSAGE_SELF)
    await publisher.stop()
    cpu = after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime
    return {
        "what": f"{FLEET} machines at 1 Hz for {SECONDS} s from one process",
        "messages": FLEET * SECONDS,
        "latest acknowledged after its second [s]": round(behind, 3),
        "CPU [share of a core]": round(cpu / SECONDS, 3),
    }


async def _published(port: int, messages: list[Message]) -> Cost:
    publisher = MqttPublisher("127.0.0.1", port, lambda _message: None)
    await publisher.start()
    usage, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    for message in messages:
        await publisher.publish(message)
    await publisher.settled()
    after, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - wall
    result = Cost(wall, after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime, len(messages))
    await publisher.stop()
    return result

"""The embedded broker: starts, keeps messages, is noticed when it dies, and never outlives us."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from simulators.broker import Broker, Kind, broker
from telemetry.errors import SourceError
from tests.simulators.mqtt_peer import Subscriber
from tests.support import free_port, require_program

KINDS: tuple[Kind, ...] = ("mosquitto", "iotcore")


@pytest.fixture(params=KINDS)
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    if request.param == "mosquitto":
        require_program("mosquitto")
    one = broker(tmp_path / "broker", kind=request.param)
    one.start()
    yield one
    one.stop()


def publisher(port: int) -> Client:
    client = Client(CallbackAPIVersion.VERSION2, "publisher", protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


def test_messages_wait_for_a_client_that_is_away(running: Broker) -> None:
    """A subscriber that left with a lasting session gets, when it is back, all that was published meanwhile, large
    messages too."""
    with Subscriber(running.port):
        pass
    client = publisher(running.port)
    for number in range(300):
        client.publish("a/b", f"{number}", qos=1).wait_for_publish(5)
    client.publish("a/b", '"' + 100_000 * "x" + '"', qos=1).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()
    with Subscriber(running.port) as back:
        deadline = time.monotonic() + 5
        while len(back.messages) < 301 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [payload for _, payload in back.messages[:300]] == list(range(300))
        assert len(back.messages[300][1]) == 100_000


def test_only_this_machine_is_served(running: Broker) -> None:
    """The broker listens on 127.0.0.1 and nowhere else."""
    listening = Path("/proc/net/tcp").read_text().splitlines()[1:]
    addresses = [line.split()[1] for line in listening if line.split()[3] == "0A"]
    mine = [address for address in addresses if int(address.split(":")[1], 16) == running.port]
    assert mine == [f"0100007F:{running.port:04X}"]


async def test_a_broker_that_dies_is_noticed(running: Broker) -> None:
    """`watch` raises when the process ends by itself, and returns when we stop it."""
    watching = asyncio.create_task(running.watch())
    await asyncio.sleep(0)
    running.stop()
    await asyncio.wait_for(watching, 2)
    running.start()
    watching = asyncio.create_task(running.watch())
    assert running._process is not None
    os.killpg(running._process.pid, signal.SIGKILL)
    with pytest.raises(SourceError, match="ended by itself"):
        await asyncio.wait_for(watching, 2)
    assert not running.alive


def test_a_port_in_use_is_said(running: Broker, tmp_path: Path) -> None:
    """Two brokers cannot have one port; the second says so instead of waiting."""
    second = broker(tmp_path / "second", port=running.port, kind=running.kind)
    with pytest.raises(SourceError, match="in use"):
        second.start()
    assert not second.alive


@pytest.mark.parametrize("kind", KINDS)
def test_a_broker_does_not_outlive_a_killed_parent(kind: Kind, tmp_path: Path) -> None:
    """When our process is killed with -9 the broker ends too and frees its port."""
    if kind == "mosquitto":
        require_program("mosquitto")
    port = free_port()
    script = textwrap.dedent(f"""
        import time; from pathlib import Path; from simulators.broker import broker
        broker(Path({str(tmp_path)!r}), {port}, {kind!r}).start(); print("up", flush=True); time.sleep(60)
    """)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"up\n"
    parent.kill()
    parent.wait()
    successor = broker(tmp_path, port, kind)
    deadline = time.monotonic() + 5
    while _listening(port) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _listening(port)
    successor.start()
    assert successor.alive
    successor.stop()


def _listening(port: int) -> bool:
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[3] == "0A" and int(line.split()[1].split(":")[1], 16) == port for line in lines)


def test_mosquitto_keeps_messages_over_its_restart(tmp_path: Path) -> None:
    """What mosquitto acknowledged before a stop is delivered after the start."""
    require_program("mosquitto")
    one = broker(tmp_path, kind="mosquitto")
    one.start()
    with Subscriber(one.port):
        pass
    client = publisher(one.port)
    client.publish("a/b", "7", qos=1).wait_for_publish(5)
    client.loop_stop()
    one.stop()
    one.start()
    with Subscriber(one.port) as back:
        deadline = time.monotonic() + 5
        while not back.messages and time.monotonic() < deadline:
            time.sleep(0.02)
        assert back.messages == [("a/b", 7)]
    one.stop()

"""The main job: from a real broker to the store, memory while the store is down, and how soon a figure is on the page.

- broker → stored: the collector, spool (fsync) and DuckDB store in a process of their own, fed by a real mosquitto with
  messages that wait for them (QoS 1); beside it a bare paho loop that only acknowledges. In turn, median ratio.
- store down: resident memory of the same process before and after a minute without a store, messages still arriving.
- first KPI: from typing `km0 demo` to a TRS in the page's own data.

What it runs in the child processes is `python -m benchmarks.main_job ROLE FOLDER PORT MESSAGES`.
"""

import asyncio
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from benchmarks import Row
from benchmarks.measure import Cost
from collectors.mqtt import MqttConfig
from pipeline.ingest.drain import Drain
from pipeline.ingest.spool import Spool
from pipeline.stores.duckdb import DuckDbStore
from simulators.broker import Broker, broker
from telemetry.errors import StoreError
from telemetry.health import Component, Health
from telemetry.plant import Asset, Plant
from telemetry.samples import Sample

MESSAGES = 40_000
ROUNDS = 3
DOWN_S = 60.0
ASSETS = [f"km0/hall/line-1/machine-{n}" for n in range(10)]
CLIENT = "km0-broker"


def run() -> list[Row]:
    return [*_throughput(), _memory(), _first_kpi()]


def _throughput() -> list[Row]:
    costs: dict[str, list[Cost]] = {"bare paho loop, acknowledging only": [], "km0, stored in DuckDB": []}
    for _ in range(ROUNDS):
        for name, role in zip(costs, ("paho", "km0"), strict=True):
            with tempfile.TemporaryDirectory() as folder, _waiting(Path(folder), MESSAGES) as port:
                answer = _child(role, Path(folder), port, MESSAGES)
                costs[name].append(Cost(answer["wall_s"], answer["cpu_s"], MESSAGES))
    first = [cost.units / cost.wall_s for cost in next(iter(costs.values()))]
    return [
        {
            "what": f"broker → {name}",
            "samples/s": round(statistics.median(cost.units / cost.wall_s for cost in runs)),
            "CPU s per million": round(statistics.median(cost.cpu_s / cost.units * 1e6 for cost in runs), 1),
            "ratio to first": round(
                statistics.median(c.units / c.wall_s / f for c, f in zip(runs, first, strict=True)), 3
            ),
            "rounds": ROUNDS,
        }
        for name, runs in costs.items()
    ]


def _memory() -> Row:
    with tempfile.TemporaryDirectory() as folder, _waiting(Path(folder), 0) as port:
        answer = _child("down", Path(folder), port, 0)
    return {"what": f"store down for {DOWN_S:g} s", **answer}


def _first_kpi() -> Row:
    seconds = [_seconds_to_first_kpi() for _ in range(ROUNDS)]
    return {
        "what": "km0 demo → first TRS on the page",
        "seconds, median": round(statistics.median(seconds), 1),
        "seconds, least and most": f"{min(seconds):.1f} … {max(seconds):.1f}",
        "rounds": ROUNDS,
    }


def _seconds_to_first_kpi() -> float:
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "km0.cli", "demo", "--ephemeral"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        address = next(found[0] for line in process.stderr if (found := re.search(r"http://[\d.:]+", line)))
        while True:
            with contextlib.suppress(urllib.error.URLError, OSError):
                with urllib.request.urlopen(f"{address}/api/v1/plant/now", timeout=5) as answer:  # noqa: S310  # our own page
                    now = json.load(answer)
                figures = [(machine["today"] or {}).get("trs") or {} for machine in now["machines"]]
                if any(figure.get("value") is not None for figure in figures):
                    return time.monotonic() - began
            time.sleep(0.1)
    finally:
        process.terminate()
        process.wait(20)


# --- what waits at the broker ---


@contextlib.contextmanager
def _waiting(folder: Path, messages: int) -> Iterator[int]:
    """A broker that keeps so many messages for our session; its port."""
    server: Broker = broker(folder / "broker")
    server.start()
    try:
        session = _session(server.port)
        session.subscribe("km0/hall/#", qos=1)
        _loop(session, 0.5)
        session.disconnect()
        _publish(server.port, messages)
        yield server.port
    finally:
        server.stop()


def _session(port: int) -> mqtt.Client:
    """A client on the session that messages wait in."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, CLIENT, protocol=mqtt.MQTTv5)
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it without types
    properties.SessionExpiryInterval = 3600
    client.connect("127.0.0.1", port, clean_start=False, properties=properties)
    return client


def _loop(client: mqtt.Client, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        client.loop(0.05)


def _publish(port: int, messages: int) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "publisher")
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    base_ms = int(time.time() * 1000) - 3_600_000
    for number in range(messages):
        reading = {"value": number % 1009, "time": base_ms + number, "quality": "good"}
        client.publish(f"{ASSETS[number % len(ASSETS)]}/power", json.dumps(reading), qos=1)
    last = client.publish("km0/end", "", qos=1)
    last.wait_for_publish()
    client.disconnect()
    client.loop_stop()


# --- the child processes ---


def _child(role: str, folder: Path, port: int, messages: int) -> dict[str, Any]:
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.main_job", role, str(folder), str(port), str(messages)],
        capture_output=True, text=True, check=True, timeout=600,
    )  # fmt: skip
    result: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return result


def _paho(port: int, messages: int) -> dict[str, float]:
    received = 0

    def on_message(*_: object) -> None:
        nonlocal received
        received += 1

    wall, cpu = time.perf_counter(), time.process_time()
    client = _session(port)
    client.on_message = on_message
    while received < messages:
        client.loop(1.0)
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def _collector(port: int) -> Any:
    plant = Plant(assets=tuple(Asset(path=path, name=path) for path in ASSETS))
    topic = {"dialect": "json", "topic": "{site}/{area}/{line}/{asset}/{metric}"}
    section = {"kind": "mqtt", "name": "broker", "host": "127.0.0.1", "port": port, "topics": [topic]}
    config = MqttConfig.model_validate_json(json.dumps(section))
    return config.build(plant, Health())


async def _km0(folder: Path, port: int, messages: int) -> dict[str, float]:
    store = DuckDbStore(folder / "km0.duckdb")
    done = asyncio.Event()
    stored = 0

    def on_stored(samples: Sequence[Sample], _: int) -> None:
        nonlocal stored
        stored += len(samples)
        if stored >= messages:
            done.set()

    async with Spool(folder / "spool.sqlite") as spool, asyncio.TaskGroup() as tasks:
        drain = tasks.create_task(Drain(spool, store, Component("drain"), on_stored=on_stored).run())
        wall, cpu = time.perf_counter(), time.process_time()
        collecting = tasks.create_task(_collector(port).run(spool))
        await done.wait()
        cost = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        collecting.cancel()
        drain.cancel()
    store.close()
    return cost


class _Down(DuckDbStore):
    """A store that takes nothing."""

    def write(self, samples: Sequence[Sample]) -> None:
        raise StoreError(f"down: {len(samples)} samples refused")


async def _down(folder: Path, port: int) -> dict[str, Any]:
    store = _Down(folder / "km0.duckdb")
    async with Spool(folder / "spool.sqlite") as spool, asyncio.TaskGroup() as tasks:
        drain = tasks.create_task(Drain(spool, store, Component("drain")).run())
        collecting = tasks.create_task(_collector(port).run(spool))
        await asyncio.sleep(2)
        before = _resident_mb()
        end = time.monotonic() + DOWN_S
        while time.monotonic() < end:
            await asyncio.to_thread(_publish, port, 1000)
        waiting = spool.batches
        after = _resident_mb()
        collecting.cancel()
        drain.cancel()
    store.close()
    return {
        "resident MB before": round(before, 1),
        "resident MB after": round(after, 1),
        "batches on disk": waiting,
        "MB on disk": round((folder / "spool.sqlite").stat().st_size / 1e6, 1),
    }


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _role(role: str, folder: Path, port: int, messages: int) -> dict[str, Any]:
    if role == "paho":
        return dict(_paho(port, messages))
    if role == "km0":
        return dict(asyncio.run(_km0(folder, port, messages)))
    return asyncio.run(_down(folder, port))


if __name__ == "__main__":
    print(json.dumps(_role(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))

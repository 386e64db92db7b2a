"""The platform on a real broker, without simulators: recorded machines, garbage, and kill -9 under load."""

import json
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import paho.mqtt.client as mqtt
import pytest

from pipeline.stores.duckdb import DuckDbStore
from telemetry.samples import SECOND_NS, Window
from tests.e2e.demonstration import demonstrate
from tests.support import Mosquitto, free_port, shared_data

pytestmark = pytest.mark.timeout(240)

ASSET = "km0/cell/mill"
PLANT = """
[[plant.assets]]
path = "{asset}"
name = "Mill"
[[collectors]]
kind = "mqtt"
name = "broker"
host = "127.0.0.1"
port = {mqtt}
[[collectors.topics]]
dialect = "json"
topic = "{{site}}/{{line}}/{{asset}}/{{metric}}"
[web]
port = {web}
"""

_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody. With none given, httpx2 reads the system's certificates for each question: 40 ms of a core."""


class Plant:
    """A folder with a plant file, and `km0 run` on it, to be started, killed and asked."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        self.folder = folder
        self.web = free_port()
        (folder / "plant.toml").write_text(PLANT.format(asset=ASSET, mqtt=broker.port, web=self.web))

    @contextmanager
    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        with (self.folder / "run.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "km0.cli", "run", "plant.toml"], cwd=self.folder, stdout=log, stderr=log
            )
        try:
            eventually(lambda: self._collecting(process))
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(10)

    def ask(self, path: str) -> Any:
        return httpx2.get(f"http://127.0.0.1:{self.web}/api/v1/{path}", verify=_NOBODY).json()

    def _collecting(self, process: "subprocess.Popen[bytes]") -> bool:
        assert process.poll() is None, (self.folder / "run.log").read_text()
        try:
            components = {one["name"]: one["condition"] for one in self.ask("health")["components"]}
        except (httpx2.TransportError, KeyError):
            return False
        return components.get("broker") == "ok"

    def stored(self, metric: str) -> list[int]:
        store = DuckDbStore(self.folder / "km0.duckdb")
        try:
            times: list[int] = store.read(ASSET, metric, Window(0, 2**62)).times_ns.tolist()
            return times
        finally:
            store.close()


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def publisher(mosquitto: Mosquitto) -> Iterator[mqtt.Client]:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "machine")
    client.max_inflight_messages_set(200)
    client.connect("127.0.0.1", mosquitto.port)
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()


def test_killed_under_load_everything_the_broker_had_is_stored_once(
    tmp_path: Path, mosquitto: Mosquitto, publisher: mqtt.Client
) -> None:
    """kill -9 of the process three times while messages arrive; afterwards the store has each of them once."""
    plant = Plant(tmp_path, mosquitto)
    with plant.running():
        pass  # the session at the broker exists from now on: what is published meanwhile waits there
    base_ns = time.time_ns() // SECOND_NS * SECOND_NS - 3600 * SECOND_NS
    published: list[int] = []

    def publish(count: int) -> None:
        for _ in range(count):
            time_ns = base_ns + len(published) * 1_000_000
            text = f"{time_ns // SECOND_NS}.{time_ns % SECOND_NS:09d}"
            message = f'{{"value": {time_ns % 977}, "time": {text}}}'
            publisher.publish(f"{ASSET}/power", message, qos=1).wait_for_publish(30)
            published.append(time_ns)

    for _ in range(3):
        publish(500)
        process = subprocess.Popen(
            [sys.executable, "-m", "km0.cli", "run", "plant.toml"], cwd=tmp_path, stderr=subprocess.DEVNULL
        )
        while not plant._collecting(process):
            publish(20)
        publish(300)
        process.kill()
        process.wait(10)
    publish(500)
    with plant.running():
        eventually(lambda: _held(plant, "power") >= len(published))
    assert plant.stored("power") == published


def _held(plant: Plant, metric: str) -> int:
    found = {one["metric"]: one["samples"] for one in plant.ask(f"assets/{ASSET}")["series"]}
    return int(found.get(metric, 0))


GARBAGE: list[tuple[str, bytes, str]] = [
    (f"{ASSET}/state", b"\x00\xff\xfe not json", "JSON"),
    (f"{ASSET}/state", b'{"value": 3, "time": ', "JSON"),
    (f"{ASSET}/state", b'{"value": "dancing", "time": "2026-11-01T00:00:00Z"}', "dancing"),
    (f"{ASSET}/power", b'{"value": NaN, "time": "2026-11-01T00:00:00Z"}', ""),
    (f"{ASSET}/power", b'{"value": 1e999, "time": "2026-11-01T00:00:00Z"}', ""),
    (f"{ASSET}/power", b'{"value": {"a": 1}, "time": "2026-11-01T00:00:00Z"}', "object"),
    (f"{ASSET}/power", b'{"value": 1, "time": "1970-01-01T00:00:01Z"}', "before 2000"),
    (f"{ASSET}/power", b'{"value": 1, "time": "2262-01-01T00:00:00Z"}', "ahead"),
    (f"{ASSET}/power", b'{"value": 1, "time": "yesterday"}', "yesterday"),
    ("km0/cell/nobody/power", b'{"value": 1, "time": "2026-11-01T00:00:00Z"}', "unknown asset"),
    (f"{ASSET}/colour", b'{"value": 1, "time": "2026-11-01T00:00:00Z"}', "unknown metric"),
    (f"{ASSET}/parts", b'{"value": -4, "time": "2026-11-01T00:00:00Z"}', "outside"),
]


def test_garbage_is_set_aside_with_its_reason_and_blocks_nothing(
    tmp_path: Path, mosquitto: Mosquitto, publisher: mqtt.Client
) -> None:
    """Twelve kinds of nonsense end as twelve dead letters that the API shows; what follows them is stored."""
    plant = Plant(tmp_path, mosquitto)
    with plant.running():
        for topic, payload, _ in GARBAGE:
            publisher.publish(topic, payload, qos=1).wait_for_publish(10)
        publisher.publish(f"{ASSET}/power", b'{"value": 7, "time": "2026-11-01T00:00:00Z"}', qos=1).wait_for_publish(10)
        publisher.publish(f"{ASSET}/state", b'{"value": "executing"}', qos=1).wait_for_publish(10)
        eventually(lambda: _held(plant, "power") == 1 and _held(plant, "state") == 1)
        letters = plant.ask("deadletters?limit=100")["letters"]
    reasons = [letter["reason"] for letter in reversed(letters)]
    assert len(reasons) == len(GARBAGE)
    for (topic, payload, words), reason in zip(GARBAGE, reasons, strict=True):
        assert words.lower() in reason.lower(), (topic, payload, reason)


@pytest.mark.parametrize("times", ["--own-times", pytest.param("--shift", marks=pytest.mark.soak)])
def test_a_recorded_machine_is_counted_exactly(tmp_path: Path, times: str) -> None:
    """The Okuma recording, replayed over a real mosquitto: 4 parts and 1357.376 s of ACTIVE time, exactly."""
    recording = shared_data("okuma_mtconnect/okuma.txt")
    expected = json.loads(shared_data("okuma_mtconnect/answers.json").read_text())["computed_independently"]
    folder = tmp_path / "data"
    demonstrate(folder, "--for", "5s", "--past", "10m", "--replay", str(recording), times)
    asset = "km0/replay/recorded/machine-1"
    store = DuckDbStore(folder / "km0.duckdb")
    try:
        held = store.read(asset, "state", Window(0, 2**62)).times_ns
        whole = Window(int(held[0]) - 24 * 3600 * SECOND_NS, int(held[-1]) + 1)
        parts = [value for value in store.read_kpis(asset, "parts", whole) if value.kind == "hour"]
        running = [value for value in store.read_kpis(asset, "running_time", whole) if value.kind == "hour"]
    finally:
        store.close()
    assert sum(value.numerator for value in parts if value.samples) == expected["parts"]
    active_s = sum(value.numerator for value in running if value.coverage > 0)
    assert active_s == pytest.approx(expected["total_active_s"], abs=1e-6)

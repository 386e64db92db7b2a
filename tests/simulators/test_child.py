"""The plant as a child process: its protocol, its journal through a kill, and its machines' lives over runs."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulators.demo import ASSETS, LINK, MACHINES, MILL, PRESS, PRINTER
from simulators.journal import read_journal
from simulators.link import link_events
from simulators.timeline import Timeline, machine_events
from simulators.truth import Truth
from tests.simulators.mqtt_peer import Subscriber
from tests.support import Mosquitto

MINUTE_NS = 60 * 10**9
OVER_MQTT = [PRESS.path, PRINTER.path, LINK.path]


class Child:
    """The process, spoken to as its parent does."""

    def __init__(self, folder: Path, spec: dict[str, Any]) -> None:
        path = folder / "spec.json"
        path.write_text(json.dumps(spec))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "simulators", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.events: list[dict[str, Any]] = []

    def say(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def wait_for(self, event: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == event:
                return self.events[-1]
        pytest.fail(f"ended without {event!r}: {self.events}")

    def stop(self) -> dict[str, Any]:
        self.say("stop")
        stopped = self.wait_for("stopped")
        assert self.process.wait(5) == 0
        return stopped


def epoch(minutes: int) -> int:
    return (time.time_ns() // 10**9) * 10**9 - minutes * MINUTE_NS


def told_by_the_process(epoch_ns: int, end_ns: int, assets: list[str]) -> set[tuple[str, str, int]]:
    """What machines say until an instant, from the process; a printer has no words for reasons."""
    found: set[tuple[str, str, int]] = set()
    for path in assets:
        life = link_events(LINK, 5, epoch_ns) if path == LINK.path else machine_events(MACHINES[path][0], 5, epoch_ns)
        mute = {"reason"} if path == PRINTER.path else set()
        found |= {(path, metric, t) for t, metric, _ in Timeline(life).until(end_ns) if metric not in mute}
    return found


@pytest.fixture
def witness(mosquitto: Mosquitto) -> Iterator[Subscriber]:
    with Subscriber(mosquitto.port) as one:
        yield one


def test_from_ready_to_stopped(mosquitto: Mosquitto, witness: Subscriber, tmp_path: Path) -> None:
    """All wires at once: addresses, progress, live, truth, and a journal that is exactly what the process did and,
    for MQTT, exactly what a subscriber has. Live, nothing comes before its instant."""
    began = epoch(120)
    child = Child(
        tmp_path,
        {
            "seed": 5, "epoch_ns": began, "mqtt": {"port": mosquitto.port}, "opcua": {}, "link": {},
            "journal": str(tmp_path / "journal"), "truth": str(tmp_path / "truth.json"),
        },
    )  # fmt: skip
    ready = child.wait_for("ready")
    socket.create_connection(("127.0.0.1", ready["opcua_port"]), timeout=1).close()
    assert ready["opcua_url"].startswith(f"opc.tcp://127.0.0.1:{ready['opcua_port']}/")
    assert ready["link_port"] != ready["reflector_port"]
    child.say("play")
    live = child.wait_for("live")
    assert live["published"] > 3000
    assert all(0 <= e["done"] <= 1 for e in child.events if e["event"] == "progress")
    time.sleep(2.5)
    asked_ns = time.time_ns()
    stopped = child.stop()
    assert stopped["unacknowledged"] == 0
    record = read_journal(tmp_path / "journal")
    assert len(record.published) == len(record.identities) == stopped["published"]
    assert record.reached_ns is not None
    assert record.reached_ns >= asked_ns - 2 * 10**9
    told = told_by_the_process(began, record.reached_ns, list(ASSETS))
    probes = {i for i in told - record.identities if i[1] in ("rtt", "rtt_lost") and i[2] >= live["at_ns"] - 2 * 10**9}
    assert record.identities == told - probes
    over_mqtt = {i for i in record.identities if i[0] in OVER_MQTT}
    witness.wait_for(over_mqtt)
    assert witness.identities() == over_mqtt
    assert max(i[2] for i in record.identities) <= time.time_ns()
    document = json.loads((tmp_path / "truth.json").read_text())
    mill = next(f for f in document["whole"] if f["asset"] == MILL.path)
    exact = Truth([MILL], 5, began).machine(MILL.path, mill["start_ns"], mill["end_ns"])
    assert (mill["start_ns"], mill["end_ns"], mill["parts"]) == (began, record.reached_ns, exact.parts)


def test_a_killed_plant_goes_on_where_it_was(mosquitto: Mosquitto, witness: Subscriber, tmp_path: Path) -> None:
    """After kill -9 the journal holds nothing that did not arrive; started again from where it had reached, the same
    lives go on and in the end nothing is missing."""
    began = epoch(24 * 60)
    spec = {
        "seed": 5, "epoch_ns": began, "assets": [PRESS.path, PRINTER.path],
        "mqtt": {"port": mosquitto.port}, "journal": str(tmp_path / "journal"),
    }  # fmt: skip
    child = Child(tmp_path, spec)
    child.wait_for("ready")
    child.say("play")
    while child.wait_for("progress")["done"] < 0.1:
        pass
    child.process.kill()
    child.process.wait()
    record = read_journal(tmp_path / "journal")
    assert record.reached_ns is not None
    assert began < record.reached_ns < time.time_ns() - MINUTE_NS
    witness.wait_for(record.identities)
    assert record.identities <= witness.identities()

    child = Child(tmp_path, spec | {"resume_from_ns": record.reached_ns})
    child.wait_for("ready")
    child.say("play")
    child.wait_for("live")
    child.stop()
    again = read_journal(tmp_path / "journal")
    assert again.reached_ns is not None
    wanted = told_by_the_process(began, again.reached_ns, [PRESS.path, PRINTER.path])
    assert again.identities == wanted
    witness.wait_for(wanted)
    assert witness.identities() == wanted


def test_a_replay_is_played_before_the_history(mosquitto: Mosquitto, witness: Subscriber, tmp_path: Path) -> None:
    """A recording of the spec is published as its asset, moved to where it should end, and is in the journal."""
    (tmp_path / "recording").write_text("2022-08-08T13:51:34Z|execution|READY\n2022-08-08T13:51:36Z|execution|ACTIVE\n")
    ends = epoch(1)
    child = Child(
        tmp_path,
        {
            "seed": 5, "epoch_ns": ends, "assets": [], "mqtt": {"port": mosquitto.port},
            "journal": str(tmp_path / "journal"),
            "replay": {"path": str(tmp_path / "recording"), "asset": "km0/replay/a/b", "ends_at_ns": ends},
        },
    )  # fmt: skip
    child.wait_for("ready")
    child.say("play")
    child.wait_for("live")
    child.stop()
    wanted = {("km0/replay/a/b", "state", ends - back) for back in (2_001_000_000, 1_000_000, 0)}
    assert read_journal(tmp_path / "journal").identities == wanted
    witness.wait_for(wanted)
    assert witness.identities() == wanted


@pytest.mark.parametrize("way", ["end of input", "SIGTERM"])
def test_a_child_is_stopped_in_every_way(mosquitto: Mosquitto, tmp_path: Path, way: str) -> None:
    """A child whose parent is gone stops by itself, and so does one that is told to by the system."""
    child = Child(tmp_path, {"seed": 5, "epoch_ns": epoch(1), "assets": [LINK.path], "mqtt": {"port": mosquitto.port}})
    child.wait_for("ready")
    assert child.process.stdin is not None
    if way == "SIGTERM":
        child.process.terminate()
    else:
        child.process.stdin.close()
    child.wait_for("stopped")
    assert child.process.wait(5) == 0


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"seed": 1, "epoch_ns": 10**18, "asets": []}, ("asets", "Extra")),
        ({"seed": 1, "epoch_ns": 10**18, "assets": ["km0/fabrication/cell-1/mil-1"]}, ("did you mean", "mill-1")),
        ({"seed": 1, "epoch_ns": 10**18 + 1}, ("whole millisecond",)),
        ({"seed": 1, "epoch_ns": 10**18}, ("opcua",)),
        ({"seed": 1, "epoch_ns": 10**18, "resume_from_ns": 5, "assets": []}, ("not born",)),
        ({"seed": 1, "epoch_ns": 10**18, "assets": [LINK.path], "mqtt": {"port": 1}}, ("no MQTT broker",)),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(spec: dict[str, Any], words: tuple[str, ...], tmp_path: Path) -> None:
    """A faulty spec or a missing broker ends with an error event and a code, not with a traceback."""
    child = Child(tmp_path, spec)
    message = child.wait_for("error")["message"]
    assert all(word in message for word in words), message
    assert child.process.wait(5) == (1 if "broker" in message else 2)


async def test_an_unknown_command_is_said(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """A word that is no command is answered, and the plant goes on."""
    child = Child(tmp_path, {"seed": 5, "epoch_ns": epoch(1), "assets": [LINK.path], "mqtt": {"port": mosquitto.port}})
    await asyncio.to_thread(child.wait_for, "ready")
    child.say("plya")
    assert "play" in child.wait_for("error")["message"]
    child.stop()

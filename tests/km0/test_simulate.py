"""`km0 simulate`: a scenario played to somebody else's broker, and what it says of it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import paho.mqtt.publish as publish
import pytest

from km0.simulate import address_of
from km0.simulate import simulate as run
from simulators.journal import read_journal
from telemetry.errors import ConfigError
from tests.simulators.mqtt_peer import Subscriber
from tests.simulators.sparkplug_judge import Ear
from tests.support import Mosquitto


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "km0.cli", "simulate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_the_same_scenario_gives_any_broker_the_same_bytes(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Two runs to a broker of somebody else publish the same samples, which are those of the journal, in the same
    messages; the truth of the run is a file; and the last word on standard output is how many."""
    runs = []
    for number in (1, 2):
        with Subscriber(mosquitto.port) as witness:
            folder = tmp_path / str(number)
            answer = simulate(
                "wrong-reference-cycle",
                "--hours",
                "1",
                "--broker",
                f"127.0.0.1:{mosquitto.port}",
                "--data",
                str(folder),
            )
            assert answer.returncode == 0, answer.stderr
            said = json.loads(answer.stdout)
            journal = read_journal(folder / "journal.jsonl")
            assert said["published"] == len(journal.published) > 500
            witness.wait_for(journal.identities)
            assert witness.identities() == journal.identities
            assert json.loads((folder / "truth.json").read_text())["seed"] == said["seed"] == 3
            runs.append((journal.published, witness.payloads()))
    assert runs[0] == runs[1]
    assert len(runs[0][1]) > 4


def test_a_broker_that_is_not_there_is_said(tmp_path: Path) -> None:
    """Exit code 1 and the address, not a traceback."""
    answer = simulate("wrong-reference-cycle", "--broker", "127.0.0.1:1")
    assert answer.returncode == 1
    assert "no MQTT broker answers at 127.0.0.1:1" in answer.stderr


def test_an_address_is_a_host_and_perhaps_a_port() -> None:
    """1883 stands for the port that is not named; nonsense is refused."""
    assert address_of("plant-pc") == ("plant-pc", 1883)
    assert address_of("10.0.0.5:2883") == ("10.0.0.5", 2883)
    for nonsense in (":1883", "host:port", "host:0", "host:70000"):
        with pytest.raises(ConfigError, match="host:1883"):
            address_of(nonsense)


def test_a_sparkplug_line_waits_for_the_host_that_is_named(mosquitto: Mosquitto) -> None:
    """Nothing is born before the host of that name, with the group in it, says that it is online; a scenario in which
    nobody could wait is told so."""
    address, state = f"127.0.0.1:{mosquitto.port}", "spBv1.0/STATE/scada-km0.packaging.line-1"
    command = [sys.executable, "-m", "km0.cli", "simulate", "packaging-line", "--hours", "0.1", "--broker", address,
               "--sparkplug-host", "scada-{group}"]  # fmt: skip
    with Ear(mosquitto.port) as ear:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        assert f"MQTT devices publish to {address}\n" in iter(process.stderr.readline, "")
        time.sleep(0.5)  # time enough to do it wrong
        online = json.dumps({"online": True, "timestamp": 1})
        publish.single(state, online, 1, retain=True, hostname="127.0.0.1", port=mosquitto.port)
        said, complaint = process.communicate(timeout=100)
        ear.wait(lambda: "NDEATH" in ear.kinds())
    assert process.returncode == 0, complaint
    assert json.loads(said)["published"] > 50
    assert [one.topic for one in ear.heard[:2]] == [state, "spBv1.0/km0.packaging.line-1/NBIRTH/gateway"]
    with pytest.raises(ConfigError, match="has none"):
        run("wrong-reference-cycle", sparkplug_host="scada")


def test_faults_are_made_or_refused(tmp_path: Path) -> None:
    """A broker that we have started is really restarted, and lost messages are lost: it is told how often. Who has a
    broker of his own, or would have connections fall silent, hears that this cannot be."""
    answer = simulate(
        "wrong-reference-cycle", "--hours", "1", "--faults", "lost,broker-restart", "--data", str(tmp_path)
    )
    assert answer.returncode == 0, answer.stderr
    lost, restart = json.loads(answer.stdout)["faults"]
    assert (lost["kind"], restart["kind"], restart["made"]) == ("lost", "broker-restart", 1)
    assert lost["made"] > 0
    (log,) = (tmp_path / "broker").glob("*.log")
    assert log.read_text().count(" starting") == 2
    for arguments, words in (
        ({"faults": "half-open"}, "`km0 verify` alone"),
        ({"faults": "broker-restart", "broker": "plant-pc"}, "not ours to stop"),
        ({"faults": "uplink-lost"}, "concerns nothing"),
    ):
        with pytest.raises(ConfigError, match=words):
            run("wrong-reference-cycle", **arguments)


def test_a_speed_is_kept_to(mosquitto: Mosquitto) -> None:
    """Three minutes of plant at 120 plant seconds a second take a second and a half, and not less; a speed at which
    the past would never reach the present is refused."""
    began = time.monotonic()
    address = f"127.0.0.1:{mosquitto.port}"
    answer = simulate("wrong-reference-cycle", "--hours", "0.05", "--speed", "120", "--broker", address)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["published"] > 10
    assert time.monotonic() - began >= 1.5
    for speed in (0.5, 1.0):
        with pytest.raises(ConfigError, match="never catch up"):
            run("wrong-reference-cycle", speed=speed, live=True)


def test_live_goes_on_in_real_time_until_it_is_stopped(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """With --live the scenario ends now and the machines go on: samples of the present come, and an interrupt ends it
    with a count, a truth and exit code 0."""
    command = [sys.executable, "-m", "km0.cli", "simulate", "handover-storm", "--hours", "0.1", "--live",
               "--broker", f"127.0.0.1:{mosquitto.port}", "--data", str(tmp_path)]  # fmt: skip
    with Subscriber(mosquitto.port) as witness:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        assert "live: Ctrl-C ends\n" in iter(process.stderr.readline, "")
        began_ns = time.time_ns()  # what was played of the past ended before
        deadline = time.monotonic() + 60
        while not any(time_ns > began_ns for _, _, time_ns in witness.identities()):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        said, complaint = process.communicate(timeout=60)
    assert process.returncode == 0, complaint
    journal = read_journal(tmp_path / "journal.jsonl")
    assert json.loads(said)["published"] == len(journal.published)
    assert max(one.time_ns for one in journal.published) > began_ns
    assert json.loads((tmp_path / "truth.json").read_text())["whole"]

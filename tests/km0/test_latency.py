"""`km0 latency`, `km0 probe` and `km0 reflect` as a user runs them."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from collectors.probe.reflector import ReflectorConfig, ReflectorServer
from km0 import latency, probe
from telemetry.errors import ConfigError, SourceError
from tests.support import shared_data

app = typer.Typer()
app.command()(latency.latency)
app.command()(probe.probe)

PING = """PING h (10.0.0.1) 56(84) bytes of data.
64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=10.0 ms
64 bytes from 10.0.0.1: icmp_seq=4 ttl=64 time=12.0 ms

--- h ping statistics ---
4 packets transmitted, 2 received, 0% packet loss, time 3000ms
"""


@pytest.fixture
def reflector() -> Iterator[int]:
    server = ReflectorServer(ReflectorConfig(port=0))
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server.address[1]
    server.stop()
    thread.join(5)


def test_json_of_a_real_log() -> None:
    """The log of which ping says 0 % is 4 of 878 in JSON, delays in ms, ratios from 0 to 1."""
    file = shared_data("ping_5g_edge") / "ping-MEC-ORAN.txt"
    found = json.loads(CliRunner().invoke(app, ["latency", str(file), "--json"], catch_exceptions=False).stdout)
    assert found["loss_ratio"] == pytest.approx(4 / 878)
    assert found["rtt_ms"]["max"] == 11051.0
    assert found["loss_up_ratio"] is None


def test_text(tmp_path: Path) -> None:
    """For people: counts, run length, where ping differs, and what it cannot say."""
    file = tmp_path / "ping.txt"
    file.write_text(PING)
    shown = CliRunner().invoke(app, ["latency", str(file)], catch_exceptions=False).stdout
    assert "sent 4, received 2, lost 2 (50 %; 1 runs, the longest of 2)" in shown
    assert "! ping prints 0 % loss; 2 of 4 were lost, 50 %" in shown
    assert "p50 and beyond: not enough samples" in shown


def test_a_file_that_is_nothing(tmp_path: Path) -> None:
    """A file that cannot be read is the user's to put right."""
    with pytest.raises(ConfigError, match="No such file"):
        CliRunner().invoke(app, ["latency", str(tmp_path / "none")], catch_exceptions=False)


def test_probe(reflector: int) -> None:
    """Fifty packets to a reflector: all answered, in JSON, with a verdict on every use case."""
    command = ["probe", f"127.0.0.1:{reflector}", "-i", "2", "-c", "50", "--json", "--use-cases"]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    found = json.loads(done.stdout)
    assert done.exit_code == 0
    assert (found["sent"], found["received"], found["loss_ratio"]) == (50, 50, 0)
    assert 0 < found["rtt_ms"]["p50"] < 50
    assert {case["verdict"] for case in found["use_cases"]} <= {"not shown yet", "not met"}


def test_probe_without_an_answer() -> None:
    """Without an answer the exit code is 1, and the report says what the network said."""
    done = CliRunner().invoke(app, ["probe", "127.0.0.1:1", "-i", "2", "-c", "5", "--timeout", "20"])
    assert done.exit_code == 1
    assert "Connection refused" in done.stdout


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("plc", ("plc", 862)),
        ("plc:5000", ("plc", 5000)),
        ("::1", ("::1", 862)),
        ("[::1]:5000", ("::1", 5000)),
        ("[::1]", ("::1", 862)),
    ],
)
def test_targets(host: str, expected: tuple[str, int]) -> None:
    """A target is a host, with a port or without, IPv6 in brackets when it has a port."""
    assert probe._target(host) == expected


@pytest.mark.parametrize("host", ["", ":5000", "plc:x", "plc:0", "plc:70000", "[::1]x"])
def test_what_is_no_target(host: str) -> None:
    """Anything else is refused with how to write it."""
    with pytest.raises(ConfigError, match="HOST:PORT"):
        probe._target(host)


def test_a_host_without_address() -> None:
    """A host that has no address is named."""
    with pytest.raises(SourceError, match=r"no-such-host\.invalid has no address"):
        CliRunner().invoke(app, ["probe", "no-such-host.invalid"], catch_exceptions=False)

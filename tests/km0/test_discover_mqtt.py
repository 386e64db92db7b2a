"""`km0 discover mqtt`: what a broker carries becomes a table, JSON, and a plant file that can be collected with."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from km0.cli import app
from km0.plantfile import PlantFile
from telemetry.config import load
from telemetry.health import Condition, Health
from telemetry.samples import Sample
from tests.collectors.mqtt.bench import Publisher
from tests.contracts.collector import until
from tests.contracts.memory import MemorySink
from tests.support import Mosquitto, free_port

HOSTILE = "[/x] [link=https://evil.example]here[/link] \x1b[31m"

SAID: list[tuple[str, bytes]] = [
    ("km0/fabrication/cell-2/press-1/state", b'{"value": 3, "time": "2026-11-22T03:49:57.123Z"}'),
    ("km0/fabrication/cell-2/press-1/parts", b'{"value": 7, "time": "2026-11-22T03:49:57.123Z"}'),
    ("km0/fabrication/cell-2/press-1/temp", b'{"value": 21.5, "time": "2026-11-22T03:49:57.123Z"}'),
    ("printers/P1/report", b'{"ts": 1795319397123, "state": "EXECUTING", "made": 12, "power_w": 230.5}'),
    ("Hall 1/meter/power", b"812.5"),
    ("other/[/x]", f"\n{HOSTILE}".encode() + b"\xff\xfe\x00"),
    ("spBv1.0/G/NDATA/E", b"\x18\x01"),
]


@contextmanager
def saying(port: int) -> Iterator[None]:
    """Somebody publishes all of it, again and again."""
    stop = threading.Event()

    def say() -> None:
        publisher = Publisher(port)
        while not stop.wait(0.1):
            publisher.publish(SAID)
        publisher.close()

    thread = threading.Thread(target=say)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def discover(port: int, *options: str) -> str:
    with saying(port), pytest.MonkeyPatch.context() as patch:
        patch.setattr("km0.discover_mqtt.out", Console(width=250, highlight=False, soft_wrap=True))
        command = ["discover", "mqtt", "127.0.0.1", "--port", str(port), "--for", "1", *options]
        result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    return result.output


def test_topics_dialects_and_metrics_are_told(mosquitto: Mosquitto) -> None:
    """As JSON: each topic with its rate, dialect, inferred metric and a sample; what is nothing known is said too."""
    rows = {row["topic"]: row for row in json.loads(discover(mosquitto.port, "--json"))}
    assert rows.keys() == {topic for topic, _ in SAID}
    assert {topic: row["dialect"] for topic, row in rows.items()} == {
        "km0/fabrication/cell-2/press-1/state": "json",
        "km0/fabrication/cell-2/press-1/parts": "json",
        "km0/fabrication/cell-2/press-1/temp": "json",
        "printers/P1/report": "json",
        "Hall 1/meter/power": "value",
        "other/[/x]": "unknown",
        "spBv1.0/G/NDATA/E": "sparkplug",
    }
    assert rows["km0/fabrication/cell-2/press-1/temp"]["metrics"] == {"": "temperature"}
    assert rows["printers/P1/report"]["metrics"] == {"/state": "state", "/made": "parts", "/power_w": "power"}
    assert all(row["per_second"] > 1 for row in rows.values())


def test_what_strangers_say_is_shown_and_commands_nothing(mosquitto: Mosquitto) -> None:
    """One topic and one message with "[/x]" ended the whole look in a traceback; the escape in it is a dot, the end of
    line too, and the row is whole."""
    told = discover(mosquitto.port)
    assert "\x1b" not in told
    (row,) = [line for line in told.splitlines() if "other/" in line]
    shown = HOSTILE.replace("\x1b", "·")
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert (cells[0], cells[2:]) == ("other/[/x]", ["unknown", "?", f"·{shown}\\xff\\xfe·"])
    assert "km0/fabrication/cell-2/press-1/temp" in told


async def test_what_is_written_collects_what_was_found(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """The section passes `km0 check`, and a collector built of it decodes every message that was named."""
    file = tmp_path / "plant.toml"
    await asyncio.to_thread(discover, mosquitto.port, "--write", str(file))
    assert CliRunner().invoke(app, ["check", str(file)]).exit_code == 0
    plant_file = load(file, PlantFile)
    first, second = plant_file.collectors
    assert [collector.name for collector in (first, second)] == ["127.0.0.1", "127.0.0.1-sparkplug"]
    health, sink = Health(), MemorySink()
    task = asyncio.create_task(first.build(plant_file.plant, health).run(sink))
    await until(lambda: health.component(first.name).condition is Condition.OK)
    publisher = Publisher(mosquitto.port)
    await asyncio.to_thread(publisher.publish, SAID)
    await sink.until(samples=7)
    task.cancel()
    publisher.close()
    assert {name(one) for one in sink.samples} == {
        ("km0/fabrication/cell-2/press-1", "state", 3.0),
        ("km0/fabrication/cell-2/press-1", "parts", 7.0),
        ("km0/fabrication/cell-2/press-1", "temperature", 21.5),
        ("site/area/line/printers-p1-report", "state", 3.0),
        ("site/area/line/printers-p1-report", "parts", 12.0),
        ("site/area/line/printers-p1-report", "power", 230.5),
        ("site/area/line/hall-1-meter", "power", 812.5),
    }
    assert sink.dead_letters == []


def name(sample: Sample) -> tuple[str, str, float]:
    return sample.asset, sample.metric, sample.value


def test_an_existing_plant_file_is_added_to(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Assets that are there are not written twice, names stay unique, and what was there stays."""
    file = tmp_path / "plant.toml"
    discover(mosquitto.port, "--write", str(file))
    before = file.read_text()
    discover(mosquitto.port, "--write", str(file))
    assert file.read_text().startswith(before.rstrip())
    assert [one.name for one in load(file, PlantFile).collectors] == [
        "127.0.0.1",
        "127.0.0.1-sparkplug",
        "127.0.0.1-2",
        "127.0.0.1-sparkplug-2",
    ]


@pytest.mark.parametrize(("options", "code"), [([], 1), (["--protocol", "4"], 2), (["--password-env", "NO_SUCH"], 2)])
def test_what_goes_wrong_is_a_sentence(options: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """No broker; no such version; no such secret."""
    import sys

    from km0.cli import main

    command = ["km0", "discover", "mqtt", "127.0.0.1", "--port", str(free_port()), "--for", "0.2", *options]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", command)
        assert main() == code
    assert "error" in capsys.readouterr().err


def test_machines_behind_a_umati_gateway_are_named(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Retained trees of two machines: one entry for the gateway, with an asset for each; `km0 check` accepts it."""
    publisher, plant = Publisher(mosquitto.port), tmp_path / "plant.toml"
    tree = b'{"Identification": {}, "Monitoring": {}, "Production": {"Statistics": {"PartsProducedInLifetime": 7}}}'
    prefix = "umati/v2/Org/Client"
    machines = [f"{prefix}/MachineToolType/nsu=http:_2F_2Fexample.org_2F;s=Mill_20{n}" for n in (1, 2)]
    publisher.publish([(topic, tree) for topic in machines], retain=True)
    publisher.publish([(f"{prefix}/list/MachineToolType", b"[]"), (f"{prefix}/clientOnline", b"1")], retain=True)
    publisher.close()
    discover(mosquitto.port, "--topic", "umati/#", "--under", "km0/hall/mills", "--write", str(plant))
    file = load(plant, PlantFile)
    (entry,) = file.collectors[0].topics
    assert entry.topic == f"{prefix}/#"
    assert entry.assets == {
        "nsu=http://example.org/;s=Mill 1": "km0/hall/mills/mill-1",
        "nsu=http://example.org/;s=Mill 2": "km0/hall/mills/mill-2",
    }
    assert {asset.path for asset in file.plant.assets} == {"km0/hall/mills/mill-1", "km0/hall/mills/mill-2"}

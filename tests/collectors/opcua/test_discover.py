"""`km0 discover opcua`: machines found without configuration, plant files written that run, guesses shown as such."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from collectors.opcua.survey import guess
from km0.cli import app
from km0.plantfile import PlantFile
from telemetry.config import load
from telemetry.errors import ConfigError
from tests.collectors.opcua.foreign import foreign
from tests.collectors.opcua.peer import URI, peer


async def km0(*arguments: str) -> str:
    """What a command prints; what it raises is raised."""
    runner = CliRunner()
    done = await asyncio.to_thread(runner.invoke, app, list(arguments), env={"COLUMNS": "220"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def by_name(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {machine["name"]: machine for machine in found["machines"]}


async def test_the_machines_of_a_foreign_server_are_found_and_written_down(tmp_path: Path) -> None:
    """No configuration: three machines, their metrics and live values; the file that is written is a plant file."""
    async with foreign(tmp_path / "server") as server:
        found = json.loads(await km0("discover", "opcua", server.url, "--json"))
        shown = await km0("discover", "opcua", server.url)
        file = tmp_path / "plant.toml"
        await km0("discover", "opcua", server.url, "--under", "km0/fab/cell-1", "--write", str(file))
        before = file.read_text()
        with pytest.raises(ConfigError, match="is there twice"):
            await km0("discover", "opcua", server.url, "--under", "km0/fab/cell-1", "--write", str(file))
    assert file.read_text() == before
    machines = by_name(found)
    assert {name: machine["specification"] for name, machine in machines.items()} == {
        "Mill": "MachineTool",
        "Press": "Machinery",
        "Packer": "PackML",
    }
    assert machines["Mill"]["nameplate"] == {"Manufacturer": "Acme", "SerialNumber": "M-1"}
    told = {row["metric"]: row for row in machines["Mill"]["metrics"]}
    assert (told["state"]["value"], told["program"]["text"], told["program_state"]["value"]) == (2.0, "O1000", 1.0)
    assert "alarm" in told
    assert found["endpoints"][0]["security"] == "None"
    assert "NOT_EXECUTING" in shown
    assert "100 % (Cutter)" in shown
    assert "neither signed nor secret" in shown
    written = load(file, PlantFile)
    paths = [asset.path for asset in written.plant.assets]
    assert paths == ["km0/fab/cell-1/mill", "km0/fab/cell-1/press", "km0/fab/cell-1/packer"]
    assert written.collectors[0].name == f"127.0.0.1-{server.port}-km0"
    assert str(written.collectors[0].model_dump()["progress"]) == f"127.0.0.1-{server.port}-km0.progress.json"


async def test_a_server_without_companion_model_is_listed_with_guesses(tmp_path: Path) -> None:
    """Its variables by path, narrowed down by a search; nodes that are proposed make a plant file that is right."""
    names = ("SpindleLoad", "PartCounter", "Blob", "parts")
    async with peer(*names) as server:
        url = f"opc.tcp://127.0.0.1:{server.port}/"
        found = json.loads(await km0("discover", "opcua", url, "--json"))
        narrow = json.loads(await km0("discover", "opcua", url, "--json", "--search", "spindle"))
        file = tmp_path / "plant.toml"
        await km0("discover", "opcua", url, "--write", str(file))
    assert found["machines"] == []
    guesses = {row["path"]: (row["perhaps"], row["node"]) for row in found["variables"]}
    assert guesses == {
        "SpindleLoad": ("spindle_load", f"nsu={URI};s=SpindleLoad"),
        "PartCounter": ("parts", f"nsu={URI};s=PartCounter"),
        "Blob": ("", f"nsu={URI};s=Blob"),
        "parts": ("parts", f"nsu={URI};s=parts"),
    }
    assert [row["path"] for row in narrow["variables"]] == ["SpindleLoad"]
    written = load(file, PlantFile).collectors[0]
    assert [node["metric"] for node in written.model_dump()["nodes"]] == ["spindle_load", "parts"]


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("PartsGood", "parts_good"),
        ("ScrapCount", "parts_scrap"),
        ("FeedOverride", "feed_override"),
        ("SpindleSpeed", "spindle_speed"),
        ("MotorTemperature", "temperature"),
        ("ActivePower", "power"),
        ("EtatMachine", "state"),
        ("MachineState", "state"),
        ("AxisPosition", ""),
    ],
)
def test_what_a_name_may_mean(name: str, metric: str) -> None:
    """A guess for names as machine builders write them; none where there is nothing to guess."""
    assert guess(name, 1.0) == metric
    assert guess(name, [1.0]) == ""

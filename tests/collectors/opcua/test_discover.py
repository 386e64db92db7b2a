"""`km0 discover opcua`: machines found without configuration, plant files written that run, guesses shown as such."""

import json
from pathlib import Path

import pytest

from collectors.opcua.survey import guess
from km0.plantfile import PlantFile
from telemetry.config import load
from telemetry.errors import ConfigError
from tests.collectors.opcua.peer import URI, peer
from tests.collectors.opcua.running import km0


async def test_a_server_without_companion_model_is_listed_with_guesses(tmp_path: Path) -> None:
    """Its variables by path, narrowed down by a search; nodes that are proposed make a plant file that is right."""
    names = ("SpindleLoad", "PartCounter", "Blob", "parts")
    async with peer(*names) as server:
        url = f"opc.tcp://127.0.0.1:{server.port}/"
        found = json.loads(await km0("discover", "opcua", url, "--json"))
        narrow = json.loads(await km0("discover", "opcua", url, "--json", "--search", "spindle"))
        file = tmp_path / "plant.toml"
        await km0("discover", "opcua", url, "--write", str(file))
        with pytest.raises(ConfigError, match=r"is in .* already"):
            await km0("discover", "opcua", url, "--write", str(file))
    async with peer(*names) as other:
        await km0("discover", "opcua", f"opc.tcp://127.0.0.1:{other.port}/", "--write", str(file))
    async with peer("Blob") as nameless:
        with pytest.raises(ConfigError, match="choose nodes from the list above"):
            await km0("discover", "opcua", f"opc.tcp://127.0.0.1:{nameless.port}/", "--write", str(file))
    assert [one.path for one in load(file, PlantFile).plant.assets] == [
        "site/area/line/machine", "site/area/line/machine-2",
    ]  # fmt: skip
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

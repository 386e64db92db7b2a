"""`km0 deadletters`: what was set aside is shown, put through again by a mended plant file, or dropped."""

import asyncio
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from km0.cli import app
from pipeline.ingest.drain import Drain
from pipeline.ingest.spool import Spool
from telemetry.errors import ConfigError
from telemetry.health import Component
from telemetry.samples import Sample
from tests.contracts.memory import MemoryStore

PRESS = "km0/hall/press-1"
T = 1_795_305_600_000_000_000
PLANT = """
[[plant.assets]]
path = "km0/hall/press-1"
name = "press"

[spool]
path = "SPOOL"

[[collectors]]
kind = "mqtt"
name = "broker"
host = "127.0.0.1"

[[collectors.topics]]
dialect = "json"
topic = "{site}/{hall}/{asset}/{metric}"
"""
LETTERS = [
    (
        "broker:km0/hall/press-1/state",
        "state 'läuft' is not known",
        b'{"value": "l\xc3\xa4uft", "time": 1795305600000}',
    ),
    ("broker:km0/hall/press-1/state", "not JSON", b"\x1b[31m{"),
    ("probe:somewhere", "no packet", b"\xff\x00"),
    ("store", "disk of the store was full", b'[1795305600000000001,"km0/hall/press-1","parts",4.0,"",0,0]'),
]


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    file = tmp_path / "plant.toml"
    file.write_text(PLANT.replace("SPOOL", str(tmp_path / "spool.sqlite")))

    async def fill() -> None:
        async with Spool(tmp_path / "spool.sqlite") as spool:
            for letter in LETTERS:
                await spool.set_aside(*letter)

    asyncio.run(fill())
    return file


def run(plant: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["deadletters", *arguments, "--plant", str(plant)])


def left(plant: Path) -> list[int]:
    return [row["number"] for row in json.loads(run(plant, "list", "--json").output)]


def drained(plant: Path) -> list[Sample]:
    """What a store gets when the platform starts on this spool."""
    store = MemoryStore()

    async def drain() -> None:
        async with Spool(plant.with_name("spool.sqlite")) as spool:
            task = asyncio.create_task(Drain(spool, store, Component("drain")).run())
            await asyncio.wait_for(spool.emptied(), 10)
            task.cancel()

    asyncio.run(drain())
    return store.latest()


def test_they_are_listed_newest_first_and_shown_whole(plant: Path) -> None:
    """Number, source and reason; the bytes as text or in hex; nothing of them reaches the terminal as a command."""
    rows = json.loads(run(plant, "list", "--json").output)
    assert [row["number"] for row in rows] == [4, 3, 2, 1]
    with pytest.MonkeyPatch.context() as patch:  # a table folds where the terminal ends
        patch.setattr("km0.deadletters.out", Console(width=120, highlight=False, soft_wrap=True))
        assert "disk of the store" in run(plant, "list").output
    assert [row["number"] for row in json.loads(run(plant, "list", "--source", "broker", "--json").output)] == [2, 1]
    assert "läuft" in run(plant, "show", "1").output
    assert "ff 00" in run(plant, "show", "3").output
    assert "\x1b" not in run(plant, "show", "2").output


def test_after_the_mapping_is_mended_a_replay_puts_them_through(plant: Path) -> None:
    """Before: they stay, with the reason of today. After `states` knows the word: its sample is in the store, once."""
    before = run(plant, "replay", "1")
    assert "0 dead letters put through" in before.output
    assert "1 stay: state 'läuft' is not known" in before.output
    plant.write_text(plant.read_text() + 'states = { "läuft" = "EXECUTING" }\n')
    assert "1 dead letters put through again: 1 samples" in run(plant, "replay", "1").output
    assert left(plant) == [4, 3, 2]
    (sample,) = drained(plant)
    assert (sample.asset, sample.metric, sample.time_ns, sample.value) == (PRESS, "state", T, 3.0)


def test_all_are_replayed_that_can_be(plant: Path) -> None:
    """A sample the store refused goes to the store again; what cannot be read, or not by us, stays with the reason."""
    output = run(plant, "replay", "--all").output
    assert "1 dead letters put through again: 1 samples" in output
    assert "stay: not JSON" in output
    assert "not of 'probe'" in output
    assert left(plant) == [3, 2, 1]
    assert [(one.metric, one.value) for one in drained(plant)] == [("parts", 4.0)]


async def test_a_platform_that_runs_drains_a_replay_with_what_it_collects_next(plant: Path) -> None:
    """Replayed into the spool of a running platform: drained with the next put, and the count goes on right."""
    store, path = MemoryStore(), plant.with_name("spool.sqlite")
    async with Spool(path) as spool:
        task = asyncio.create_task(Drain(spool, store, Component("drain")).run())
        await asyncio.to_thread(run, plant, "replay", "4")
        for n in range(3):
            await spool.put([Sample(T + 10 + n, PRESS, "parts", 10.0 + n)])
            await asyncio.wait_for(spool.emptied(), 10)
        task.cancel()
        assert spool.batches == 0
    assert [one.samples for one in store.inventory()] == [4]


def test_they_are_dropped(plant: Path) -> None:
    """By number, by source, all."""
    assert "1 dead letters dropped" in run(plant, "drop", "3").output
    assert "2 dead letters dropped" in run(plant, "drop", "--source", "broker").output
    assert left(plant) == [4]
    assert "1 dead letters dropped" in run(plant, "drop", "--all").output


@pytest.mark.parametrize("arguments", [("drop",), ("drop", "1", "--all"), ("show", "99"), ("replay", "99")])
def test_what_is_not_clear_is_not_done(plant: Path, arguments: tuple[str, ...]) -> None:
    """No number and no --all, both, or a number that is not there."""
    result = run(plant, *arguments)
    assert isinstance(result.exception, ConfigError)
    assert left(plant) == [4, 3, 2, 1]

"""What strangers say is shown on a terminal and commands nothing there."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from km0 import discover_mqtt
from km0.cli import app
from pipeline.ingest.spool import Spool

HOSTILE = "[/bold] [link=https://evil.example]here[/link] \x1b[31m"


def test_a_message_does_not_keep_the_list_from_being_shown(tmp_path: Path) -> None:
    """One message with "[/bold]" in it made the list of all dead letters end in a traceback."""
    plant = tmp_path / "plant.toml"
    plant.write_text(f'[spool]\npath = "{tmp_path / "spool.sqlite"}"\n')

    async def fill() -> None:
        async with Spool(tmp_path / "spool.sqlite") as spool:
            await spool.set_aside(f"broker:{HOSTILE}", f"not a number: {HOSTILE}", b"{}")

    asyncio.run(fill())
    told = CliRunner().invoke(app, ["deadletters", "list", "--plant", str(plant)])
    assert told.exit_code == 0, told.output
    assert "[/bold]" in told.output
    assert "\x1b" not in told.output


def test_a_topic_does_not_keep_the_others_from_being_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """What `km0 discover mqtt` heard is told as it was said, but for what a terminal would obey."""
    heard = SimpleNamespace(
        topic=HOSTILE, count=3, retained=0, dialect=None, metrics={}, payload=f'{{"v": "{HOSTILE}"}}'.encode()
    )
    discover_mqtt._show(cast("list[Any]", [heard]), 1.0, 10)
    told = capsys.readouterr().out
    assert "[/bold]" in told
    assert "\x1b" not in told

"""What strangers say is shown on a terminal and commands nothing there."""

import asyncio
import io
import sys
from pathlib import Path

import pytest
import structlog
from asyncua import ua
from typer.testing import CliRunner

from collectors.opcua.browse import Seen
from collectors.opcua.machine import Machine
from collectors.opcua.survey import Metric, Survey, Variable
from km0 import discover_opcua
from km0.cli import app
from km0.console import configure_logs
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


def test_a_machine_named_by_a_stranger_titles_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    """A browse name, a nameplate and the paths of a foreign OPC UA server are shown as they are, but for what a
    terminal would obey."""
    seen = Seen(ua.NodeId(1), HOSTILE, "urn:x", HOSTILE, is_object=True, type=ua.NodeId(2))
    plate, paths = {"Manufacturer": HOSTILE}, [f"A/{HOSTILE}"]
    machine = Machine(seen, "nsu=urn:x;i=1", "MachineTool", plate, left_out=paths)
    found = Survey([(machine, [Metric("parts", tuple(paths), None)])], [Variable(HOSTILE, "i=7", HOSTILE, "")])
    discover_opcua._show(found, "None", "", "site/area/line")
    told = capsys.readouterr().out
    shown = HOSTILE.replace("\x1b", "·")
    whole = "".join(line.strip(" │") for line in told.splitlines())  # folded at the terminal's width, never cut short
    assert f"{shown} · MachineTool · Manufacturer {shown}" in " ".join(told.split())
    assert f"tells it already: A/{shown}" in told
    assert whole.count("[/bold]") >= 5
    assert "\x1b" not in told


def test_logs_go_to_the_standard_error_of_their_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command was run inside another program, which has closed what it gave as standard error since."""
    log, first, second = structlog.get_logger("spool"), io.StringIO(), io.StringIO()
    try:
        monkeypatch.setattr(sys, "stderr", first)
        configure_logs()
        log.error("damaged")
        first_words = first.getvalue()
        first.close()
        monkeypatch.setattr(sys, "stderr", second)
        log.error("damaged again")
    finally:
        structlog.reset_defaults()
    assert "damaged" in first_words
    assert "damaged again" in second.getvalue()

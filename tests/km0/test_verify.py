"""`km0 verify`: true figures pass, a planted error does not, and a fault has the effect it is said to have."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from km0 import verify as command
from km0.comparison import Line
from km0.samples_account import Samples
from km0.verification import Verification
from simulators.faults import Fault
from simulators.scenario import find
from telemetry.errors import ConfigError

pytestmark = pytest.mark.timeout(240)

COMMAND = [sys.executable, "-c", "import sys; from km0.cli import main; sys.exit(main())"]

PLANTED = """
import sys
from pipeline.kpis import machine
from pipeline.kpis.states import Category
named = machine.name_micro_stops
def with_an_error(category, *arguments):
    named(category, *arguments)
    category[category == machine.NUMBER[Category.MICRO_STOP]] = machine.RUNNING
machine.name_micro_stops = with_an_error
from km0.cli import main
sys.exit(main())
"""
"""Micro-stops counted as running: the error that every vendor makes."""


def verify(*arguments: str, code: str | None = None) -> tuple[int, dict[str, Any]]:
    program = COMMAND if code is None else [sys.executable, "-c", code]
    answer = subprocess.run(
        [*program, "verify", *arguments, "--json"], capture_output=True, text=True, timeout=220, check=False
    )
    assert answer.stdout, answer.stderr
    return answer.returncode, json.loads(answer.stdout.splitlines()[-1])


def wrong(found: dict[str, Any]) -> set[str]:
    return {line["kpi"] for line in found["kpis"] if line["wrong"]}


def test_a_planted_error_is_found(tmp_path: Path) -> None:
    """With micro-stops counted as running the command ends with 1 and names the figures that are wrong."""
    code, found = verify("wrong-reference-cycle", "--hours", "2", code=PLANTED)
    assert code == 1
    assert {"do", "running_time", "tp"} <= wrong(found)
    assert "parts" not in wrong(found)
    assert found["samples"]["lost"] == 0


def test_rolling_counters_late_reasons_and_energy_change_no_figure(tmp_path: Path) -> None:
    """Counters that begin again at 100, reasons that an operator enters half an hour after the stop, and a register
    of energy: every figure is exact, and what is in force at the end stands in the truth."""
    text = find("wrong-reference-cycle").read_text(encoding="utf-8")
    text = text.replace('metric = "power",', 'metric = "power", energy = true,', 1)
    text = text.replace('kind = "mqtt"\n', 'kind = "mqtt"\ncounter_rolls_at = 100\nreasons_late_s = 1800\n', 1)
    assert text.count("energy = true") == text.count("counter_rolls_at") == 1
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    code, found = verify(str(tmp_path / "mine.toml"), "--hours", "2", "--data", str(tmp_path / "run"))
    assert (code, wrong(found)) == (0, set())
    assert found["samples"]["ok"]
    assert found["samples"]["sent"] == found["samples"]["stored"] > 1000
    parts = next(line["truth"] for line in found["kpis"] if line["kpi"] == "parts")
    (in_force,) = json.loads((tmp_path / "run" / "truth.json").read_text())["in_force"].values()
    assert in_force["parts"] < 100 < parts
    assert in_force["energy"] > 5000  # Wh: two hours at some 7 kW, less the stops


@pytest.mark.soak
def test_machines_of_companion_specifications_lose_nothing_either() -> None:
    """A restarted, renumbered, frozen and unreachable server: states told by several nodes are joined right, though
    the nodes of the states themselves have moved."""
    code, found = verify("machining-cell", "--hours", "3", "--faults", "server-restart,renumbered,frozen,half-open")
    assert (code, wrong(found)) == (0, set())
    assert found["samples"]["lost"] == found["samples"]["set_aside"] == 0


@pytest.mark.soak
def test_a_server_that_stood_still_has_lost_nothing() -> None:
    """The machines' process stands still for so long that the collector gives its subscription up: what was written
    meanwhile comes from the server's history, though asyncua's server claims to hand the subscription over."""
    code, found = verify("dying-spindle", "--hours", "1", "--faults", "frozen")
    assert (code, wrong(found)) == (0, set())
    assert found["samples"]["lost"] == found["samples"]["invented"] == 0


@pytest.mark.soak
def test_faulty_messages_change_no_figure_but_where_they_must() -> None:
    """Late, double, shuffled, garbled, quoted and reset: figures stay exact. Garbage is set aside, message by message.
    Silence lowers the coverage of the hours it touches, and their figures are exact over the rest."""
    kinds = "late,duplicated,reordered,garbage,type-change,counter-reset,silence,leftovers"
    code, found = verify("wrong-reference-cycle", "--hours", "8", "--faults", kinds)
    assert (code, wrong(found)) == (0, set())
    samples = found["samples"]
    assert samples["set_aside"] == samples["set_aside_expected"] > 0
    assert samples["lost"] == 0
    assert samples["duplicated"] > 0
    availability = next(line for line in found["kpis"] if line["kpi"] == "do")
    assert availability["coverage"] < 0.9


@pytest.mark.soak
def test_lost_messages_are_counted_and_not_judged() -> None:
    """What a device lost is missing, to the sample; the figures it touches are named as not judged, others are true."""
    code, found = verify("wrong-reference-cycle", "--hours", "3", "--faults", "lost")
    assert (code, wrong(found)) == (0, set())
    assert found["samples"]["lost"] == found["samples"]["lost_on_the_way"] > 0
    availability = next(line for line in found["kpis"] if line["kpi"] == "do")
    assert availability["not_judged"] > 0
    assert availability["windows"] > 0


@pytest.mark.soak
@pytest.mark.parametrize("faults", ["broker-restart,server-restart,renumbered", "frozen", "half-open", "random", "all"])
def test_nothing_is_lost_when_wires_break(faults: str) -> None:
    """Broker, server and connections fail under load, and everything that was published is stored and true."""
    code, found = verify("demonstrator", "--hours", "4", "--faults", faults)
    assert (code, wrong(found)) == (0, set())
    assert found["samples"]["lost"] == found["samples"]["lost_on_the_way"]


@pytest.mark.soak
def test_a_sparkplug_gateway_stores_and_forwards() -> None:
    """Broker, uplink and connection are lost one after the other, and the packaging line's figures are true."""
    code, found = verify("packaging-line", "--hours", "3", "--faults", "broker-restart,uplink-lost,frozen,half-open")
    assert (code, wrong(found)) == (0, set())
    assert found["samples"]["ok"]
    assert found["samples"]["lost"] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scenario": "good-weak"}, "good-week"),
        ({"scenario": "good-week", "faults": "lats"}, "late"),
        ({"scenario": "good-week", "store": "duckdbb"}, "duckdb"),
        ({"scenario": "good-week", "hours": 0.0}, "more than 0 hours"),
        ({"scenario": "good-week", "data": Path(__file__).parent}, "is not empty"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(options: dict[str, Any], words: str) -> None:
    """An unknown scenario, fault or store is answered with those that there are, before anything is started."""
    given = {"faults": "scenario", "store": "duckdb", "seed": None, "hours": None, "data": None, "as_json": True}
    with pytest.raises(ConfigError, match=words):
        command.verify(**(given | options))


def test_what_was_judged_in_no_window_is_not_called_true(capsys: pytest.CaptureFixture[str]) -> None:
    """Of three lines one was compared with the truth, one was never, and one was compared and is wrong."""
    told, hidden, false = Line("a/press-1", "trs", windows=2), Line("a/link-1", "loss", not_judged=3), Line("a/b", "tq")
    false.wrong.append("hour 0: 1, in truth 0.5")
    samples = Samples(*[0] * 12)
    verified = Verification("mine", 1, 3.0, "duckdb", (), samples, (told, hidden), 1.0, {})
    command._show(verified)
    said = capsys.readouterr().out
    row = {line.split("│")[2].strip(): line for line in said.splitlines() if "│" in line}
    assert "ok" in row["trs"]
    assert "not judged" in row["loss"]
    assert "ok" not in row["loss"]
    assert "true, but 1 of 2 lines were not judged" in said
    command._show(replace(verified, lines=(told,)))
    assert "all true: 3 h of mine" in capsys.readouterr().out
    command._show(replace(verified, lines=(told, hidden, false)))
    assert "NOT TRUE: 3 h of mine" in capsys.readouterr().out


def test_a_fault_that_never_came_is_not_called_survived(capsys: pytest.CaptureFixture[str]) -> None:
    """Of three faults one was made twice, one is due after the end, and in the time of one nothing happened."""
    faults = tuple(Fault(kind=kind, at_min=at) for kind, at in (("lost", 10), ("frozen", 180), ("garbage", 20)))
    line, samples = Line("a/press-1", "trs", windows=2), Samples(*[0] * 12)
    verified = Verification("mine", 1, 3.0, "duckdb", faults, samples, (line,), 1.0, {}, made=(2, 0, 0))
    command._show(verified)
    lost, frozen, garbage, *_, verdict = capsys.readouterr().out.splitlines()[-5:]
    assert "fault at 10 min: lost: made 2 times: as many samples are missing" in lost
    assert "fault at 180 min: frozen: never came: the scenario ends after 180 min" in frozen
    assert "fault at 20 min: garbage: never came: nothing" in garbage
    assert "true, but 2 of 3 faults never came: 3 h of mine" in verdict
    assert [fault["made"] for fault in verified.as_json()["faults"]] == [2, 0, 0]

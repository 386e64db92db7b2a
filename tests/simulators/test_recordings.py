"""Recordings of all forms: read by hand-written rules, played on real wires, heard by peers that are not ours."""

import json
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.client.client import Client
from typer.testing import CliRunner

from km0.cli import app
from simulators import recordings
from simulators.capture import Captured, moved, read_capture, values_of
from simulators.event_log import read_event_log
from simulators.opcua_plant import NAMESPACE
from simulators.recorded import Replayed
from telemetry.errors import ConfigError
from tests.support import Mosquitto, free_port, require_program

PRESS, MILL = "km0/fabrication/cell-2/press-1", "km0/fabrication/cell-1/mill-1"
T0 = 1_793_880_000_000_000_000  # 2026-11-05T12:00:00Z
LOG = f"""time;asset;metric;value;quality
2026-11-05T13:00:00+01:00;{PRESS};state;EXECUTING;
2026-11-05T12:00:02.5Z;{PRESS};parts;12;good
1793880001.25;{PRESS};power;7400,5;good
2026-11-05T12:00:03Z;{PRESS};state;0;bad
2026-11-05T12:00:03Z;{MILL};product;bracket;
"""
SECOND = 10**9


def km0(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "220"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def test_an_event_log_is_read_row_by_row() -> None:
    """Offsets and seconds since 1970, words for states, decimal commas between semicolons, quality; in time order."""
    assert read_event_log(LOG.splitlines(), "log.csv", None) == {
        PRESS: [
            Replayed(T0, "state", 3),
            Replayed(T0 + 1_250_000_000, "power", 7400.5),
            Replayed(T0 + 2_500_000_000, "parts", 12),
            Replayed(T0 + 3 * SECOND, "state", 0, good=False),
        ],
        MILL: [Replayed(T0 + 3 * SECOND, "product", "bracket")],
    }


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("2026-11-05T12:00:00Z,pats,1", "row 2: 'pats' is no metric"),
        ("2026-11-05T12:00:00,parts,1", "has no offset"),
        ("noon,parts,1", "noon"),
        ("2026-11-05T12:00:00Z,parts,many", "'many' is no number"),
        ("2026-11-05T12:00:00Z,parts,nan", "not finite"),
        ("1e999,parts,1", "row 2"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(row: str, words: str, tmp_path: Path) -> None:
    """The file, the row, and what is wrong with it."""
    path = tmp_path / "log.csv"
    path.write_text(f"time,metric,value\n{row}\n")
    with pytest.raises(ConfigError, match=words):
        recordings.read(path, PRESS)


def test_what_is_no_recording_is_answered_with_those_that_are(tmp_path: Path) -> None:
    """A missing file, prose, an SHDR file or a log without an owner: each gets a sentence."""
    path = tmp_path / "file"
    with pytest.raises(ConfigError, match="a recording is expected"):
        recordings.read(path, PRESS)
    path.write_text("Once upon a time\n")
    with pytest.raises(ConfigError, match="no recording that we know"):
        recordings.read(path, PRESS)
    path.write_text("2022-08-08T13:51:34Z|execution|READY\n")
    with pytest.raises(ConfigError, match="--asset"):
        recordings.read(path, None)
    assert recordings.read(path, MILL).values[MILL][0].metric == "state"
    path.write_text("time,metric,value\n2026-11-05T12:00:00Z,parts,1\n")
    with pytest.raises(ConfigError, match="--asset"):
        recordings.read(path, None)
    path.write_text("time,metric,value\n")
    with pytest.raises(ConfigError, match="no value in it"):
        recordings.read(path, PRESS)


def test_times_inside_a_message_move_with_it_and_nothing_else_does() -> None:
    """Instants in words and in ms move by an hour; counts and old dates stay; what is no JSON keeps its bytes."""
    said = {
        "ts": T0 // 10**6,
        "time": "2026-11-05T12:00:00Z",
        "made": 12,
        "on": True,
        "built": 1_262_304_000,
        "x": [7.5],
    }
    hour = 3600 * SECOND
    told = moved(Captured(T0, "a/b", json.dumps(said).encode()), hour, T0 + hour)
    assert told.at_ns == T0 + hour
    assert json.loads(told.payload) == said | {"ts": T0 // 10**6 + 3_600_000, "time": "2026-11-05T13:00:00.000Z"}
    assert moved(Captured(T0, "a", b"\x08\x80"), hour, T0).payload == b"\x08\x80"
    assert moved(Captured(T0, "a", b"{torn"), hour, T0).payload == b"{torn"


def test_values_are_read_out_of_a_capture_with_garbage_in_it() -> None:
    """Format A, alone or in arrays, bad quality; other topics and unreadable messages are passed over."""
    one = b'{"value": 3, "time": "2026-11-05T12:00:00Z"}'
    two = b'[{"value": 4, "time": "2026-11-05T12:00:02Z", "quality": "bad"}]'
    told = [Captured(T0, f"{PRESS}/state", one), Captured(T0, f"{PRESS}/parts", two), Captured(T0, "x/y", one)]
    told += [Captured(T0, f"{PRESS}/parts", bad) for bad in (b"", b"7", b'{"value": 1}', b'{"value":1,"time":5}')]
    assert values_of(told, "file") == {
        PRESS: [Replayed(T0, "state", 3), Replayed(T0 + 2 * SECOND, "parts", 4, good=False)]
    }
    with pytest.raises(ConfigError, match="go over MQTT only"):
        values_of(told[2:], "file")


def ear(port: int, name: str, *options: str) -> list[str]:
    """What mosquitto_sub writes, in a session of that name which the broker keeps meanwhile."""
    program = require_program("mosquitto_sub", "mosquitto-clients")
    command = [program, "-p", str(port), "-i", name, "-c", "-q", "1", "-t", "#", "-W", "60", *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("form", ["%j", "%U %x %t"])
def test_a_capture_of_mosquitto_sub_is_played_again_byte_for_byte(
    mosquitto: Mosquitto, tmp_path: Path, form: str
) -> None:
    """Recorded by mosquitto_sub, played by `km0 replay`, recorded again: the same topics and bytes in order."""
    log, capture = tmp_path / "log.csv", tmp_path / "capture"
    log.write_text(LOG)
    address = f"127.0.0.1:{mosquitto.port}"
    ear(mosquitto.port, "first", "-E")
    ear(mosquitto.port, "second", "-E")
    said = json.loads(km0("replay", str(log), "--broker", address))
    assert (said["told"], said["from_ns"], said["to_ns"]) == (5, T0, T0 + 3 * SECOND)
    capture.write_text("\n".join(ear(mosquitto.port, "first", "-C", "4", "-F", form)))
    assert json.loads(km0("replay", str(capture), "--broker", address))["told"] == 4
    again = read_capture(ear(mosquitto.port, "second", "-C", "8", "-F", "%U %x %t")[4:], "again")
    recorded = read_capture(capture.read_text().splitlines(), "capture")
    assert [(one.topic, one.payload) for one in again] == [(one.topic, one.payload) for one in recorded]
    assert values_of(again, "again")[PRESS][0] == Replayed(T0, "state", 3)


async def test_a_recording_over_opcua_has_its_times_its_bad_values_and_a_history(tmp_path: Path) -> None:
    """Moved so that it ends now, a client reads the present and the whole past from the server's own history."""
    path = tmp_path / "log.csv"
    path.write_text(LOG)
    found = recordings.read(path, None)
    by_ns = (time.time_ns() - found.span_ns[1]) // 1_000_000 * 1_000_000
    server = recordings.server_for(found, free_port(), by_ns)
    await server.start()
    assert await recordings.over_opcua(found, server, by_ns=by_ns) == 5
    async with Client(server.url) as client:
        index = await client.get_namespace_index(NAMESPACE)
        state = client.get_node(f"ns={index};s={PRESS}/state")
        now = await state.read_data_value(raise_on_bad_status=False)
        past = await state.read_raw_history(
            datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=1)
        )
        power = await client.get_node(f"ns={index};s={PRESS}/power").read_value()
    await server.stop()
    assert now.StatusCode is not None
    assert now.StatusCode.name == "BadNoCommunication"
    assert power == 7400.5
    assert [(one.Value and one.Value.Value, one.StatusCode.is_good()) for one in past] == [(3, True), (None, False)]
    first = past[0].SourceTimestamp.replace(tzinfo=UTC).timestamp()  # type: ignore[union-attr]
    assert first == pytest.approx((T0 + by_ns) / 1e9, abs=1e-5)
    assert isinstance(now, ua.DataValue)


def test_what_cannot_be_played_is_said_before_anything_is_opened(tmp_path: Path) -> None:
    """No broker, a pace that leaves the present, a binary capture for OPC UA."""
    path = tmp_path / "capture"
    path.write_text("1793880000.0 0a0b spBv1.0/line/NDATA/edge\n")
    with pytest.raises(ConfigError, match="--broker"):
        km0("replay", str(path))
    with pytest.raises(ConfigError, match="another pace"):
        km0("replay", str(path), "--now", "--speed", "3", "--broker", "x")
    with pytest.raises(ConfigError, match="go over MQTT only"):
        km0("replay", str(path), "--over", "opcua")

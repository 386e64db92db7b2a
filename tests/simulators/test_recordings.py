"""Recordings of all forms: read by hand-written rules, played on real wires, heard by peers that are not ours."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.node import Node
from asyncua.common.subscription import DataChangeNotif
from typer.testing import CliRunner

from km0.cli import app
from simulators import recordings
from simulators.capture import Captured, moved, read_capture, values_of
from simulators.event_log import read_event_log
from simulators.opcua_plant import NAMESPACE
from simulators.recorded import Replayed
from telemetry.errors import ConfigError
from tests.contracts.collector import until
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
        ("2026-11-05T12:00:00Z,parts,12.5", "row 2: '12.5' is not whole"),
        ("2026-11-05T12:00:00Z,state,2.5", "'2.5' is not whole"),
        ("1e999,parts,1", "row 2: inf is no time"),
        ("1e11,parts,1", "row 2: '100000000000 s' is no time between 1970 and 2262"),
        ("0001-01-01T00:00:00Z,parts,1", "no time between 1970 and 2262"),
        (f"2026-11-05T12:00:00Z,reason,{'x' * 200_000}", "row 2: field larger than field limit"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(row: str, words: str, tmp_path: Path) -> None:
    """The file, the row, and what is wrong with it."""
    path = tmp_path / "log.csv"
    path.write_text(f"time,metric,value\n{row}\n")
    with pytest.raises(ConfigError, match=words):
        recordings.read(path, PRESS)


def test_lines_end_where_lines_end(tmp_path: Path) -> None:
    """Blank lines and a byte order mark before the names of the columns are passed over; in a message, a character at
    which a typesetter would begin a new line does not cut it in two."""
    path = tmp_path / "file"
    path.write_text("\ufeff\n  \ntime,metric,value\n2026-11-05T12:00:00Z,parts,1\n\n", encoding="utf-8")
    assert recordings.read(path, PRESS).values == {PRESS: [Replayed(T0, "parts", 1)]}
    path.write_text('{"tst":"2026-11-05T12:00:00.000000+0000","topic":"x","payload":"a\u2028b\x85c"}\n', "utf-8")
    assert recordings.read(path, None).messages == [Captured(T0, "x", "a\u2028b\x85c".encode())]


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
    deep = b"[" * 100_000
    assert moved(Captured(T0, "a", deep), hour, T0).payload == deep
    for kept in (b'["9999-12-31T23:59:59Z","0001-01-01T00:00:00Z","20261105 1200Z"]', b'["\\ud800"]'):
        assert moved(Captured(T0, "a", kept), hour, T0).payload == kept


def test_values_are_read_out_of_a_capture_with_garbage_in_it() -> None:
    """Format A, alone or in arrays, bad quality; other topics and unreadable messages are passed over."""
    one = b'{"value": 3, "time": "2026-11-05T12:00:00Z"}'
    two = b'[{"value": 4, "time": "2026-11-05T12:00:02Z", "quality": "bad"}]'
    told = [Captured(T0, f"{PRESS}/state", one), Captured(T0, f"{PRESS}/parts", two), Captured(T0, "x/y", one)]
    quoted = b'[{"value":"5","time":"2026-11-05T12:00:03Z"},{"value":null,"time":"2026-11-05T12:00:04Z"}]'
    told.append(Captured(T0, f"{PRESS}/parts", quoted))
    bad = [b'{"value":%s,"time":"2026-11-05T12:00:00Z"}' % no for no in (b"12.5", b"true", b"[]", b"NaN", b'"many"')]
    bad += [b"", b"7", b'{"value": 1}', b'{"value":1,"time":5}', b"[" * 100_000]
    told += [Captured(T0, f"{PRESS}/parts", payload) for payload in bad]
    assert values_of(told, "file") == {
        PRESS: [
            Replayed(T0, "state", 3),
            Replayed(T0 + 2 * SECOND, "parts", 4, good=False),
            Replayed(T0 + 3 * SECOND, "parts", 5),
            Replayed(T0 + 4 * SECOND, "parts", 0, good=False),
        ]
    }
    with pytest.raises(ConfigError, match="go over MQTT only"):
        values_of(told[2:3] + told[4:], "file")


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
    by_ns = recordings.shift_ns(found, time.time_ns(), begins=False)
    server = recordings.server_for(found, free_port(), lambda: by_ns)
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
    assert source_us(past[0]) == (T0 + by_ns) // 1000
    assert isinstance(now, ua.DataValue)


def source_us(value: ua.DataValue) -> int:
    """Its source time [µs]."""
    assert value.SourceTimestamp is not None
    return (value.SourceTimestamp.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


IN_CSV = f"""time,asset,metric,value
2026-11-05T12:00:02.500123Z,{PRESS}/csv,alarm,700
2026-11-05T12:00:02.500123Z,{PRESS}/csv,parts,12
2026-11-05T12:00:02.500123Z,{MILL}/csv,energy,1234.5
2026-11-05T12:00:02.500123Z,{MILL}/csv,parts,1099511627776
"""
IN_A_CAPTURE = "".join(
    json.dumps({
        "tst": "2026-11-05T12:00:03.000000+0000", "topic": topic,
        "payload": json.dumps({"value": value, "time": "2026-11-05T12:00:02.500123Z"}),
    }) + "\n"
    for topic, value in (
        (f"{PRESS}/capture/alarm", 700), (f"{PRESS}/capture/parts", "12"),
        (f"{MILL}/capture/energy", "1234.5"), (f"{MILL}/capture/parts", 2**40),
    )
)  # fmt: skip


async def test_whatever_a_recording_holds_can_be_read_over_opcua(tmp_path: Path) -> None:
    """An alarm of a machine that raises none, a number in quotes, a meter's fraction, a count beyond 32 bits, in a log
    and in a capture: a client reads each with its source time, to the microsecond, now and from the history."""
    values = {}
    for name, text in (("csv", IN_CSV), ("capture", IN_A_CAPTURE)):
        (tmp_path / name).write_text(text)
        values |= recordings.as_values(recordings.read(tmp_path / name, None), name).values
    found = recordings.Recording(values)
    server = recordings.server_for(found, free_port())
    await server.start()
    assert await recordings.over_opcua(found, server) == 8
    async with Client(server.url) as client:
        index = await client.get_namespace_index(NAMESPACE)
        for form in ("csv", "capture"):
            for asset, metric, value in (
                (PRESS, "alarm", 700),
                (PRESS, "parts", 12),
                (MILL, "energy", 1234.5),
                (MILL, "parts", 2**40),
            ):
                node = client.get_node(f"ns={index};s={asset}/{form}/{metric}")
                now, (past,) = await node.read_data_value(), await node.read_raw_history()
                assert source_us(now) == source_us(past) == T0 // 1000 + 2_500_123
                assert await node.read_value() == value
                assert now.Value == past.Value
    await server.stop()


async def test_what_begins_now_begins_when_somebody_listens(tmp_path: Path) -> None:
    """A client that comes late reads a history with nothing in it, follows, and is told values that begin after it
    came; the history then has them under the same times, which are those that are printed."""
    path = tmp_path / "log.csv"
    path.write_text(f"time,asset,metric,value\n1793880000,{PRESS},parts,1\n1793880000.25,{PRESS},parts,2\n")
    replay = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "km0.cli", "replay", str(path), "--over", "opcua", "--opcua-port", "0", "--now",
        "--speed", "1", "--await-client", "100", "--stay", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert replay.stderr is not None
    url = (await replay.stderr.readline()).decode().split()[-1]
    heard: list[ua.DataValue] = []

    class Ear:
        def datachange_notification(self, _node: Node, value: object, data: DataChangeNotif) -> None:
            if value is not None:
                heard.append(data.monitored_item.Value)

    async with Client(url) as client:
        parts = client.get_node(f"ns={await client.get_namespace_index(NAMESPACE)};s={PRESS}/parts")
        assert await parts.read_raw_history() == []
        came_us = time.time_ns() // 1000
        subscription = await client.create_subscription(20, Ear())
        await subscription.subscribe_data_change(parts, queuesize=200)
        await until(lambda: len(heard) == 2)
        past = await parts.read_raw_history(datetime.fromtimestamp(0, UTC), datetime.now(UTC) + timedelta(days=1))
    async with asyncio.timeout(60):
        assert await replay.stderr.readline() == b"Ctrl-C ends\n"
    replay.send_signal(signal.SIGINT)
    said = json.loads((await asyncio.wait_for(replay.communicate(), 60))[0])
    assert said["from_ns"] // 1000 >= came_us
    assert [source_us(one) for one in heard] == [said["from_ns"] // 1000, said["to_ns"] // 1000]
    assert [source_us(one) for one in past] == [source_us(one) for one in heard]


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

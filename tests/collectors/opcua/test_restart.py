"""Our own restart is a break like any other."""

import json
import time
from pathlib import Path

import pytest

from collectors.opcua.progress import Progress
from telemetry.samples import Quality
from tests.collectors.opcua.peer import METRICS, T0_MS, URI, config, peer
from tests.collectors.opcua.running import MS, collecting, row
from tests.contracts.collector import until
from tests.contracts.memory import MemorySink


async def test_a_restart_of_the_process_is_a_break_that_history_fills(tmp_path: Path) -> None:
    """A new collector goes on where the progress file says the old one ended, and reads what happened in between."""
    file = tmp_path / "mill.json"
    progress = {"progress": str(file), "online_s": 0.1}
    first, second = MemorySink(), MemorySink()
    async with peer(history=True) as server:
        async with collecting(config(server.port, **progress), first):
            await server.write(("parts", 1.0, 1))
            await until(lambda: (T0_MS + 1) * MS in Progress(file).read().latest.values())
        await server.write(*(("parts", float(n), n) for n in range(2, 50)))
        async with collecting(config(server.port, **progress), second):
            await until(lambda: {(n, float(n)) for n in range(2, 50)} <= set(row(second, "parts")))


async def test_without_history_the_time_the_process_was_away_is_unknown(tmp_path: Path) -> None:
    """The state is unknown from the last sign of life of the old process to the first value of the new one."""
    settings = {"progress": str(tmp_path / "mill.json"), "online_s": 0.1}
    state = {"node": f"nsu={URI};s=state", "metric": "state"}
    first, second = MemorySink(), MemorySink()
    async with peer("state") as server:
        await server.write(("state", {"Int32": 3}, 1))
        async with collecting(config(server.port, state, **settings), first):
            await until(lambda: len([one for one in first.samples if one.metric == "online"]) > 2)
            stopped_ns = time.time_ns()
        async with collecting(config(server.port, state, **settings), second):
            await until(lambda: len([one for one in second.samples if one.metric == "state"]) >= 3)
    unknown = next(one for one in second.samples if one.quality == Quality.BAD)
    assert abs(unknown.time_ns - stopped_ns) < 20_000 * MS
    again = [one for one in second.samples if one.metric == "state" and one.time_ns > unknown.time_ns]
    assert [(one.value, one.quality) for one in again] == [(3.0, Quality.GOOD)]
    assert [one.metric for one in second.samples if one.metric in ("break", "repair")] == ["break", "repair"]


@pytest.mark.parametrize("ahead_s", [2 * 86_400, 7_900 * 365 * 86_400])
async def test_a_source_time_that_cannot_be_moves_no_hole(tmp_path: Path, ahead_s: int) -> None:
    """Two days or eight thousand years ahead: the value is set aside, and what came after it while we were away is read
    from history all the same; so it is where a former version has kept such a time in its file."""
    file = tmp_path / "mill.json"
    settings = {"nodes": [{"node": f"nsu={URI};s=parts", "metric": "parts"}], "progress": str(file), "online_s": 0.1}
    first, second, third = MemorySink(), MemorySink(), MemorySink()
    ahead_ms = time.time_ns() // MS + ahead_s * 1000 - T0_MS
    async with peer("parts", history=True) as server:
        async with collecting(config(server.port, **settings), first):
            await first.until(samples=1)
            await server.write(("parts", 9.0, ahead_ms))
            await until(lambda: len(first.dead_letters) == 1)
            told = len(first.samples)
            await until(lambda: len(first.samples) > told + 1)  # with each "online" what was reached is kept
        await server.write(("parts", 1.0, 1), ("parts", 2.0, 2))
        async with collecting(config(server.port, **settings), second):
            await until(lambda: {(1, 1.0), (2, 2.0)} <= set(row(second, "parts")))
        kept = json.loads(file.read_text())
        kept["latest"] = dict.fromkeys(kept["latest"], (T0_MS + ahead_ms) * MS)
        file.write_text(json.dumps(kept))
        away_ms = time.time_ns() // MS - T0_MS
        await server.write(("parts", 3.0, away_ms), ("parts", 4.0, away_ms + 1))  # the first is in the history alone
        async with collecting(config(server.port, **settings), third):
            await until(lambda: {(away_ms, 3.0), (away_ms + 1, 4.0)} <= set(row(third, "parts")))


async def test_a_progress_file_that_is_garbage_is_no_progress(tmp_path: Path) -> None:
    """It is a hint: without it we start as at first."""
    file = tmp_path / "mill.json"
    for garbage in (b"\xff", b"[]", b'{"heard_ns": 1}', b'{"heard_ns": 1, "latest": [], "states": []}'):
        file.write_bytes(garbage)
        sink = MemorySink()
        async with peer() as server, collecting(config(server.port, progress=str(file)), sink):
            await sink.until(samples=len(METRICS))

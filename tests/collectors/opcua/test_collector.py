"""The collector against a real server in a process of its own."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from collectors.opcua.collector import OpcUaCollector
from collectors.opcua.config import OpcUaConfig
from collectors.retry import keep_running
from telemetry.errors import SourceError
from telemetry.health import Component, Condition
from telemetry.plant import Asset, Plant
from telemetry.samples import Quality
from tests.collectors.opcua.peer import METRICS, MILL, PLANT, T0_MS, URI, Wire, config, peer
from tests.contracts.memory import MemorySink

MS = 1_000_000
WAITING_FOR_INITIAL_DATA = 0x8032_0000


@contextlib.asynccontextmanager
async def collecting(
    settings: OpcUaConfig, sink: MemorySink, plant: Plant = PLANT, **extra: Any
) -> AsyncIterator[Component]:
    """The collector under the retry loop, with waits cut short."""
    component = Component("mill")
    collector = OpcUaCollector(settings, plant, component, **extra)
    task = asyncio.create_task(
        keep_running(collector, sink, component, sleep=lambda _: asyncio.sleep(0.05)), name="collecting"
    )
    try:
        yield component
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(reached: Any, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not reached():  # noqa: ASYNC110 - what is waited for is another process's doing
            await asyncio.sleep(0.01)


def row(sink: MemorySink, metric: str) -> list[tuple[int, float]]:
    """What arrived of a metric as (ms after T0, value), in order of arrival; every time is a whole millisecond."""
    mine = [sample for sample in sink.samples if sample.metric == metric]
    assert all(sample.asset == MILL and sample.time_ns % MS == 0 for sample in mine)
    return [(sample.time_ns // MS - T0_MS, sample.value) for sample in mine]


async def test_values_keep_their_source_times_exactly() -> None:
    """Every value written between two publishings arrives once, in order, at its source's millisecond."""
    sink = MemorySink()
    async with peer() as server, collecting(config(server.port, publishing_ms=200), sink):
        await sink.until(samples=len(METRICS))
        await server.write(*(("parts", float(n), n) for n in range(1, 501)), ("power", 230.5, 7))
        await sink.until(samples=len(METRICS) + 501)
    assert row(sink, "parts") == [(n, float(n)) for n in range(501)]
    assert row(sink, "power") == [(0, 0.0), (7, 230.5)]
    assert sink.dead_letters == []


async def test_a_repeated_value_with_a_new_time_is_a_value() -> None:
    """A gauge that measures the same twice was measured twice."""
    sink = MemorySink()
    async with peer() as server, collecting(config(server.port), sink):
        await sink.until(samples=len(METRICS))
        await server.write(("power", 5.0, 1000), ("power", 5.0, 2000), ("power", 5.0, 3000))
        await sink.until(samples=len(METRICS) + 3)
    assert row(sink, "power") == [(0, 0.0), (1000, 5.0), (2000, 5.0), (3000, 5.0)]


async def test_changes_only_when_asked_for() -> None:
    """With report = "value" the server sends changes of value or status alone."""
    sink = MemorySink()
    async with peer() as server, collecting(config(server.port, report="value"), sink):
        await sink.until(samples=len(METRICS))
        await server.write(("power", 5.0, 1000), ("power", 5.0, 2000), ("power", 6.0, 3000))
        await sink.until(samples=len(METRICS) + 2)
    assert row(sink, "power") == [(0, 0.0), (1000, 5.0), (3000, 6.0)]


async def test_status_becomes_quality() -> None:
    """Uncertain keeps its value; bad has none; "waiting for initial data" is no sample at all."""
    sink = MemorySink()
    async with peer() as server, collecting(config(server.port), sink):
        await sink.until(samples=len(METRICS))
        await server.write(
            ("power", 1.0, 1, 0x4093_0000),
            ("power", 2.0, 2, 0x808B_0000),
            ("power", 3.0, 3, WAITING_FOR_INITIAL_DATA),
            ("power", 4.0, 4),
        )
        await sink.until(samples=len(METRICS) + 3)
    found = [(sample.value, sample.quality) for sample in sink.samples if sample.metric == "power"][1:]
    assert found == [(1.0, Quality.UNCERTAIN), (0.0, Quality.BAD), (4.0, Quality.GOOD)]


async def test_without_source_time_the_server_time_is_taken_and_the_sample_is_uncertain() -> None:
    """A time that is not the source's says so."""
    sink = MemorySink()
    async with peer() as server, collecting(config(server.port), sink):
        await sink.until(samples=len(METRICS))
        before_ns = time.time_ns()
        await server.write(("power", 1.0, None))
        await sink.until(samples=len(METRICS) + 1)
    sample = sink.samples[-1]
    assert before_ns <= sample.time_ns + MS <= time.time_ns() + MS
    assert (sample.value, sample.quality) == (1.0, Quality.UNCERTAIN)


async def test_a_type_that_changes_does_not_stop_its_node() -> None:
    """A gauge turned word and array is set aside with its reason; turned integer it is read on."""
    sink = MemorySink()
    async with peer() as server, collecting(config(server.port), sink):
        await sink.until(samples=len(METRICS))
        await server.write(
            ("power", "off", 1), ("power", [1.0, 2.0], 2), ("power", {"UInt16": 7}, 3), ("power", True, 4)
        )
        await sink.until(samples=len(METRICS) + 2, dead_letters=2)
    assert row(sink, "power")[1:] == [(3, 7.0), (4, 1.0)]
    assert ["word" in letter.reason for letter in sink.dead_letters] == [True, False]
    assert "an array of 2" in sink.dead_letters[1].reason


async def test_one_bad_node_of_many_is_reported_and_taken_when_it_appears() -> None:
    """The others flow meanwhile; the health page names the node and why."""
    nodes = [{"node": f"nsu={URI};s={name}", "metric": name} for name in ("parts", "power")]
    nodes.append({"node": "nsu=urn:elsewhere;i=7", "metric": "energy"})
    sink = MemorySink()
    async with peer("parts") as server, collecting(config(server.port, *nodes), sink, retry_s=0.1) as component:
        await sink.until(samples=1)
        snapshot = component.snapshot()
        assert snapshot["condition"] == "ok"
        assert snapshot["gauges"]["bad_nodes"] == 2
        assert f"nsu={URI};s=power: BadNodeIdUnknown" in snapshot["detail"]
        assert "no namespace urn:elsewhere" in snapshot["detail"]
        await server.write(("parts", 1.0, 1))
        await sink.until(samples=2)
        await server.tell(add=[[URI, "power"]])
        await sink.until(samples=3)
        assert component.snapshot()["gauges"]["bad_nodes"] == 1
        assert component.counted("reconnects") == 0
    assert row(sink, "parts") == [(0, 0.0), (1, 1.0)]
    assert row(sink, "power") == [(0, 0.0)]


async def test_a_killed_server_that_comes_back_is_followed_again() -> None:
    """A restart ends in data flowing; the time without it is a failing condition with a reason."""
    sink = MemorySink()
    async with peer() as server, collecting(config(server.port), sink) as component:
        await server.write(("parts", 1.0, 1))
        await until(lambda: (1, 1.0) in row(sink, "parts"))
        await server.kill()
        await until(
            lambda: component.condition is Condition.FAILING and "nothing listens" in component.snapshot()["detail"]
        )
        await server.start()
        await until(lambda: component.condition is Condition.OK)
        await server.write(("parts", 2.0, 2))
        await until(lambda: (2, 2.0) in row(sink, "parts"))
        assert component.counted("reconnects") >= 1


async def test_namespaces_in_another_order_after_a_restart_change_nothing() -> None:
    """Index 2 becomes index 3, and a node of the same name stands where ours was: ours is still the one followed."""
    sink = MemorySink()
    async with (
        peer("parts") as server,
        collecting(config(server.port, {"node": f"nsu={URI};s=parts", "metric": "parts"}), sink),
    ):
        await sink.until(samples=1)
        await server.kill()
        server.uris = ("urn:other", URI)
        server.options = {"nodes": {"urn:other": ["parts"], URI: ["parts"]}}
        await server.start()
        await server.tell(write=[[["urn:other", "parts"], 99.0, T0_MS + 5], [[URI, "parts"], 2.0, T0_MS + 6]])
        await until(lambda: (6, 2.0) in row(sink, "parts"))
        await asyncio.sleep(0.1)
    assert 99.0 not in [sample.value for sample in sink.samples]


async def test_a_frozen_server_is_noticed_and_what_it_recorded_is_fetched() -> None:
    """Silence of three keep-alives breaks the session; released, the server's history fills the hole."""
    sink = MemorySink()
    async with peer(history=True) as server, collecting(config(server.port, timeout_ms=300), sink) as component:
        await server.write(("parts", 1.0, 1))
        await until(lambda: (1, 1.0) in row(sink, "parts"))
        server.freeze()
        await until(lambda: component.condition is Condition.FAILING)
        server.release()
        # Written at once, before the new subscription: only the history knows all three.
        await server.write(("parts", 2.0, 2), ("parts", 3.0, 3), ("parts", 4.0, 4))
        await until(lambda: {(2, 2.0), (3, 3.0), (4, 4.0)} <= set(row(sink, "parts")))


async def test_a_cut_path_leaves_no_hole_where_the_server_keeps_history() -> None:
    """2,500 values written while the path is cut arrive from the history, more than two pages of it."""
    sink = MemorySink()
    async with peer(history=True) as server:
        path = Wire(server.port)
        await path.mend()
        async with collecting(config(path.port), sink) as component:
            await sink.until(samples=len(METRICS))
            await server.write(("parts", 1.0, 1))
            await until(lambda: (1, 1.0) in row(sink, "parts"))
            await path.cut()
            await until(lambda: component.condition is Condition.FAILING)
            await server.write(*(("parts", float(n), n) for n in range(2, 2502)))
            await path.mend()
            await until(lambda: len(set(row(sink, "parts"))) == 2502)
            await until(lambda: component.counted("from_history") >= 2499)
        await path.cut()
    assert set(row(sink, "parts")) == {(n, float(n)) for n in range(2502)}


async def test_a_subscription_handed_over_that_stays_silent_is_given_up() -> None:
    """asyncua's own server says Good to TransferSubscriptions and publishes to the old session for ever: after one
    silence it is not believed again, a new subscription is made and history fills the hole."""
    sink = MemorySink()
    async with peer("power", history=True, hands_over=True) as server:
        wire = Wire(server.port)
        await wire.mend()
        nodes = {"node": f"nsu={URI};s=power", "metric": "power"}
        async with collecting(config(wire.port, nodes), sink) as component:
            await server.write(("power", 1.0, 10))
            await until(lambda: (10, 1.0) in row(sink, "power"))
            await wire.cut()
            await server.write(("power", 2.0, 20))
            await wire.mend()
            await until(lambda: (20, 2.0) in row(sink, "power"))
            await server.write(("power", 3.0, 30))
            await until(lambda: (30, 3.0) in row(sink, "power"))
            assert component.counted("resumed") == 1
        await wire.cut()


async def test_without_history_what_was_missed_is_counted_and_said() -> None:
    """A server that keeps no history leaves a hole: the health page says so."""
    sink = MemorySink()
    async with peer("parts") as server:
        path = Wire(server.port)
        await path.mend()
        nodes = {"node": f"nsu={URI};s=parts", "metric": "parts"}
        async with collecting(config(path.port, nodes), sink) as component:
            await sink.until(samples=1)
            await path.cut()
            await until(lambda: component.condition is Condition.FAILING)
            await server.write(("parts", 1.0, 1), ("parts", 2.0, 2))
            await path.mend()
            await until(lambda: component.counted("holes_left") == 1)
            assert "not in the server's history" in component.snapshot()["detail"]
            await until(lambda: row(sink, "parts")[-1] == (2, 2.0))
        await path.cut()


async def test_an_overflowing_queue_is_counted_and_filled_from_history() -> None:
    """The server holds ten values of a node; forty at once overflow it, and nothing is missing in the end."""
    sink = MemorySink()
    async with (
        peer(history=True, max_queue=10) as server,
        collecting(config(server.port, publishing_ms=500), sink) as component,
    ):
        await sink.until(samples=len(METRICS))
        await server.write(*(("parts", float(n), n) for n in range(1, 41)))
        await until(lambda: len(set(row(sink, "parts"))) == 41)
        assert component.counted("overflows") == 1


async def test_while_put_waits_the_server_holds_the_values() -> None:
    """A blocked sink leaves at most three messages in our memory; unblocked, everything arrives, nothing overflows."""
    sink = MemorySink()
    async with peer() as server, collecting(config(server.port), sink) as component:
        await sink.until(samples=len(METRICS))
        sink.block()
        await server.tell(pace={"nodes": [[URI, "parts"]], "count": 3000, "per_s": 3000, "start_ms": T0_MS + 1})
        # 1 s of values; had they been taken at each publishing (20 ms), fifty puts would wait or be merged by now.
        assert sink.most_waiting == 1
        assert component.counted("samples") == len(METRICS)
        sink.unblock()
        await sink.until(samples=len(METRICS) + 3000)
        assert component.counted("overflows") == 0
    assert row(sink, "parts")[1:] == [(n + 1, float(n)) for n in range(3000)]


async def test_a_sink_that_fails_ends_the_run_with_its_own_error() -> None:
    """It is neither taken for a lost source, which would be retried, nor wrapped in a group."""
    sink = MemorySink(fail_with=None)
    component = Component("mill")
    async with peer() as server:
        collector = OpcUaCollector(config(server.port), PLANT, component)
        run = asyncio.create_task(collector.run(sink))
        await sink.until(samples=len(METRICS))
        sink.fail_with = _BrokenError()
        await server.write(("parts", 1.0, 1))
        with pytest.raises(_BrokenError):
            async with asyncio.timeout(5):
                await run


class _BrokenError(Exception):
    """What a broken sink raises."""


async def test_cancelled_it_returns_within_a_second_even_from_a_frozen_server() -> None:
    """Leaving does not depend on the server's goodwill."""
    sink = MemorySink()
    async with peer() as server:
        collector = OpcUaCollector(
            config(server.port, keepalive_ms=10_000, lifetime_ms=60_000), PLANT, Component("mill")
        )
        run = asyncio.create_task(collector.run(sink))
        await sink.until(samples=len(METRICS))
        server.freeze()
        await asyncio.sleep(0.1)
        began = time.monotonic()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert time.monotonic() - began < 1.0
        server.release()


async def test_a_restart_of_the_process_is_a_break_that_history_fills(tmp_path: Path) -> None:
    """A new collector goes on where the progress file says the old one ended, and reads what happened in between."""
    progress = {"progress": str(tmp_path / "mill.json")}
    first, second = MemorySink(), MemorySink()
    async with peer(history=True) as server:
        async with collecting(config(server.port, **progress), first):
            await server.write(("parts", 1.0, 1))
            await until(lambda: (1, 1.0) in row(first, "parts"))
            await asyncio.sleep(0.1)
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
    assert abs(unknown.time_ns - stopped_ns) < 1_000 * MS
    again = [one for one in second.samples if one.metric == "state" and one.time_ns > unknown.time_ns]
    assert [(one.value, one.quality) for one in again] == [(3.0, Quality.GOOD)]
    assert [one.metric for one in second.samples if one.metric in ("break", "repair")] == ["break", "repair"]


async def test_a_progress_file_that_is_garbage_is_no_progress(tmp_path: Path) -> None:
    """It is a hint: without it we start as at first."""
    file = tmp_path / "mill.json"
    for garbage in (b"\xff", b"[]", b'{"heard_ns": 1}', b'{"heard_ns": 1, "latest": [], "states": []}'):
        file.write_bytes(garbage)
        sink = MemorySink()
        async with peer() as server, collecting(config(server.port, progress=str(file)), sink):
            await sink.until(samples=len(METRICS))


async def test_one_node_that_falls_silent_is_said_and_the_others_flow() -> None:
    """The watchdog of a single item: no value for half a second, although it was promised one."""
    sink = MemorySink()
    nodes = [{"node": f"nsu={URI};s=parts", "metric": "parts", "silence_s": 0.5}]
    nodes.append({"node": f"nsu={URI};s=power", "metric": "power"})
    async with peer() as server, collecting(config(server.port, *nodes), sink) as component:
        await until(lambda: component.snapshot()["gauges"].get("silent_nodes") == 1)
        assert f"nsu={URI};s=parts is silent" in component.snapshot()["detail"]
        await server.write(("parts", 1.0, 1))
        await until(lambda: component.snapshot()["gauges"]["silent_nodes"] == 0)
        assert abs(component.snapshot()["gauges"]["server_ahead_ms"]) < 1000


async def test_a_half_open_path_is_noticed_by_its_silence_and_filled() -> None:
    """The connection stands and carries nothing, as behind a firewall that forgot it."""
    sink = MemorySink()
    async with peer(history=True) as server:
        path = Wire(server.port)
        await path.mend()
        async with collecting(config(path.port, timeout_ms=500), sink) as component:
            await sink.until(samples=len(METRICS))
            path.swallow = True
            await server.write(*(("parts", float(n), n) for n in range(1, 20)))
            await until(lambda: component.condition is Condition.FAILING)
            path.swallow = False
            await until(lambda: {(n, float(n)) for n in range(1, 20)} <= set(row(sink, "parts")))
        await path.cut()


async def test_one_refused_node_of_a_thousand_touches_no_other() -> None:
    """999 are followed, one is named."""
    names = [f"n{number}" for number in range(1000)]
    plant = Plant(assets=tuple(Asset(path=f"a/{name}", name=name) for name in names))
    nodes = [{"node": f"nsu={URI};s={name}", "metric": "parts", "asset": f"a/{name}"} for name in names]
    sink = MemorySink()
    there = [name for name in names if name != "n500"]
    async with peer(*there) as server, collecting(config(server.port, *nodes), sink, plant=plant) as component:
        await sink.until(samples=999)
        assert component.snapshot()["gauges"]["bad_nodes"] == 1
        assert f"nsu={URI};s=n500: BadNodeIdUnknown" in component.snapshot()["detail"]


async def test_a_port_that_speaks_something_else_is_a_source_error() -> None:
    """Garbage instead of OPC UA is said as the source's fault, in a sentence."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        collector = OpcUaCollector(config(port, timeout_ms=500), PLANT, Component("mill"))
        with pytest.raises(SourceError, match=r"opc\.tcp://127\.0\.0\.1"):
            await collector.run(MemorySink())

"""The collector against a real server in a process of its own."""

import asyncio
import time

import pytest
from asyncua.ua.object_ids import ObjectIds

from collectors.opcua.collector import OpcUaCollector
from collectors.opcua.events import tells_model_change
from collectors.opcua.items import MODEL_CHANGES
from collectors.opcua.session import connect
from collectors.opcua.subscription import Subscription
from telemetry.errors import SourceError
from telemetry.health import Component
from telemetry.samples import Quality
from tests.collectors.opcua.peer import METRICS, PLANT, T0_MS, URI, config, peer
from tests.collectors.opcua.running import MS, collecting, row
from tests.contracts.collector import until
from tests.contracts.memory import MemorySink

WAITING_FOR_INITIAL_DATA = 0x8032_0000


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


async def test_how_late_values_are_is_told_by_their_own_times() -> None:
    """The machine's last values are weeks old; what we say ourselves, that it is there, changes nothing of it."""
    sink = MemorySink()
    async with peer("parts") as server:
        nodes = {"node": f"nsu={URI};s=parts", "metric": "parts"}
        late_ms = time.time_ns() / MS - T0_MS
        async with collecting(config(server.port, nodes, online_s=0.2), sink) as component:
            await until(lambda: len([one for one in sink.samples if one.metric == "online"]) > 3)
            assert late_ms < component.snapshot()["gauges"]["lag_ms"] < late_ms + 600_000


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
        await until(lambda: component.snapshot()["gauges"]["bad_nodes"] == 1)
        assert component.counted("reconnects") == 0
    assert row(sink, "parts") == [(0, 0.0), (1, 1.0)]
    assert row(sink, "power") == [(0, 0.0)]


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
            async with asyncio.timeout(30):
                await run


class _BrokenError(Exception):
    """What a broken sink raises."""


async def test_cancelled_it_ends_though_the_server_is_frozen() -> None:
    """Leaving does not depend on the server's goodwill: an answer of its would be waited for two minutes."""
    sink = MemorySink()
    patient = {"timeout_ms": 120_000, "keepalive_ms": 60_000, "lifetime_ms": 600_000}
    async with peer() as server:
        collector = OpcUaCollector(config(server.port, **patient), PLANT, Component("mill"))
        run = asyncio.create_task(collector.run(sink))
        await sink.until(samples=len(METRICS))
        server.freeze()
        run.cancel()
        done, _ = await asyncio.wait({run}, timeout=30)
        server.release()
    assert done == {run}
    assert run.cancelled()


@pytest.mark.parametrize("kind", [ObjectIds.BaseModelChangeEventType, ObjectIds.GeneralModelChangeEventType])
async def test_model_changes_are_told_and_no_other_events(kind: int) -> None:
    """By a server that knows nothing of sub-types in a filter: with the nodes that changed, or without."""
    async with peer() as server, connect(config(server.port), None) as session:
        subscription = await Subscription.create(session, config(server.port))
        assert await subscription.follow_model_changes()
        await server.tell(announce=ObjectIds.SystemEventType)
        await server.tell(announce=kind)
        came = []
        while not came:
            came = [told for one in await subscription.next() for told in one.readings]
        subscription.close()
    assert [(handle, tells_model_change(reading)) for handle, reading in came] == [(MODEL_CHANGES, True)]


async def test_a_node_that_moved_is_followed_though_the_server_did_not_answer_at_first() -> None:
    """Whether the former item was deleted is not known: it is not taken for the new one, which is asked for again."""
    async with peer("parts", "power") as server:
        settings = config(server.port, timeout_ms=1_000)
        async with connect(settings, None) as session:
            subscription = await Subscription.create(session, settings)
            place = (await session.namespaces()).index(URI)
            assert await subscription.follow({0: f"ns={place};s=parts"}, ()) == {}
            server.freeze()
            with pytest.raises(SourceError):
                await subscription.follow({0: f"ns={place};s=power"}, ())
            server.release()
            assert 0 not in subscription.items
            assert await subscription.follow({0: f"ns={place};s=power"}, ()) == {}
            await server.write(("parts", 5.0, 1), ("power", 7.5, 1))
            came: list[object] = []
            while 7.5 not in came:
                came += [reading.value for one in await subscription.next() for _, reading in one.readings]
            subscription.close()
    assert 5.0 not in came


async def test_one_node_that_falls_silent_is_said_and_the_others_flow() -> None:
    """The watchdog of a single item: no value for four seconds, although it was promised one."""
    sink = MemorySink()
    nodes = [{"node": f"nsu={URI};s=parts", "metric": "parts", "silence_s": 4}]
    nodes.append({"node": f"nsu={URI};s=power", "metric": "power"})
    async with peer() as server, collecting(config(server.port, *nodes), sink) as component:
        await until(lambda: component.snapshot()["gauges"].get("silent_nodes") == 1)
        assert f"nsu={URI};s=parts is silent" in component.snapshot()["detail"]
        await server.write(("parts", 1.0, 1))
        await until(lambda: component.snapshot()["gauges"]["silent_nodes"] == 0)
        assert abs(component.snapshot()["gauges"]["server_ahead_ms"]) < 10_000


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

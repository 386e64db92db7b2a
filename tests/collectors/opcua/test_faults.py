"""Faults of servers and paths, one by one: data flows again, and nothing is missing that the server still had."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from collectors.opcua.collector import OpcUaCollector
from telemetry.errors import StoreError
from telemetry.health import Component, Condition
from telemetry.plant import Asset, Plant
from tests.collectors.opcua.authority import Authority
from tests.collectors.opcua.peer import METRICS, PLANT, T0_MS, URI, Wire, config, peer
from tests.collectors.opcua.running import MS, collecting, row
from tests.collectors.opcua.tap import CREATE_ITEMS, REPUBLISHED, tapped
from tests.contracts.collector import until
from tests.contracts.memory import MemorySink

PARTS = {"node": f"nsu={URI};s=parts", "metric": "parts"}


def written(count: int, first: int = 1) -> list[tuple[str, float, int]]:
    return [("parts", float(n), n) for n in range(first, first + count)]


def all_of(sink: MemorySink, metric: str = "parts") -> dict[int, float]:
    """Value by ms after T0; what came twice came with the same value."""
    rows = row(sink, metric)
    assert len(set(rows)) == len(dict(rows))
    return dict(rows)


async def test_a_killed_server_that_comes_back_is_followed_again(tmp_path: Path) -> None:
    """What its queue held when it was killed is read from the historian that outlived it."""
    sink = MemorySink()
    async with (
        peer(history=str(tmp_path / "historian")) as server,
        collecting(config(server.port, publishing_ms=1000), sink) as component,
    ):
        await server.write(*written(1))
        await until(lambda: (1, 1.0) in row(sink, "parts"))
        await server.write(*written(50, 2))
        await server.kill()
        await until(
            lambda: component.condition is Condition.FAILING and "nothing listens" in component.snapshot()["detail"]
        )
        await server.start()
        await until(lambda: component.condition is Condition.OK)
        await server.write(*written(1, 52))
        await until(lambda: (52, 52.0) in row(sink, "parts") and len(all_of(sink)) == 53)
        assert component.counted("reconnects") >= 1
        assert component.counted("holes_left") == 0
    assert all_of(sink) == {n: float(n) for n in range(53)}


async def test_namespaces_in_another_order_after_a_restart_change_nothing(tmp_path: Path) -> None:
    """Index 2 becomes index 3, and a node of the same name stands where ours was: ours is still the one followed, and
    the one whose history is read."""
    sink = MemorySink()
    async with (
        peer("parts", history=str(tmp_path / "historian")) as server,
        collecting(config(server.port, {"node": f"nsu={URI};s=parts", "metric": "parts"}, publishing_ms=1000), sink),
    ):
        await sink.until(samples=1)
        await server.write(*written(20))
        await server.kill()
        server.uris = ("urn:other", URI)
        server.options |= {"nodes": {"urn:other": ["parts"], URI: ["parts"]}}
        await server.start()
        await server.tell(write=[[["urn:other", "parts"], 99.0, T0_MS + 5], [[URI, "parts"], 21.0, T0_MS + 21]])
        await until(lambda: len(all_of(sink)) == 22)
        await server.tell(write=[[["urn:other", "parts"], 99.0, T0_MS + 22], [[URI, "parts"], 23.0, T0_MS + 23]])
        await until(lambda: (23, 23.0) in row(sink, "parts"))
    assert all_of(sink) == {n: float(n) for n in (*range(22), 23)}


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
        assert component.counted("overflows") >= 1


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


async def test_a_node_that_vanished_is_looked_for_until_it_is_followed() -> None:
    """The server refuses the first request for the node that has come back: it is asked again, and the node told."""
    sink = MemorySink()
    async with peer("parts") as server, tapped(server.port) as path:
        nodes = {"node": f"nsu={URI};s=parts", "metric": "parts"}
        async with collecting(config(path.port, nodes), sink, retry_s=0.1) as component:
            await sink.until(samples=1)
            path.refuse[CREATE_ITEMS] = 2
            await server.write(("parts", 0.0, 1, 0x8034_0000))  # BadNodeIdUnknown
            await until(lambda: path.refuse[CREATE_ITEMS] == 0)
            await server.write(("parts", 2.0, 2))
            await until(lambda: path.said[CREATE_ITEMS] >= 4)
            await until(lambda: (2, 2.0) in row(sink, "parts"))
            assert component.counted("reconnects") == 0


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


@pytest.mark.parametrize("ahead", [True, False], ids=["a day and an hour ahead", "in 1995"])
async def test_a_source_time_that_cannot_be_is_set_aside_and_misleads_nobody(ahead: bool) -> None:
    """The value is a dead letter that says why; those before and after it are kept, and what is missed afterwards is
    looked for from the last time that could be."""
    sink = MemorySink()
    wrong_ms = (time.time_ns() // MS + 25 * 3_600_000 if ahead else 800_000_000_000) - T0_MS
    async with peer("parts", history=True) as server:
        path = Wire(server.port)
        await path.mend()
        async with collecting(config(path.port, PARTS), sink) as component:
            await until(lambda: row(sink, "parts") == [(0, 0.0)])
            await server.write(("parts", 1.0, 1))
            await server.write(("parts", 2.0, wrong_ms))
            await until(lambda: component.counted("dead_letters") == 1)
            await path.cut()
            await until(lambda: component.condition is Condition.FAILING)
            await server.write(("parts", 3.0, 3), ("parts", 4.0, 4))
            await path.mend()
            await until(lambda: component.counted("holes_filled") == 1)
            await server.write(("parts", 5.0, 5))
            await until(lambda: (5, 5.0) in row(sink, "parts"))
        await path.cut()
    assert all_of(sink) == {0: 0.0, 1: 1.0, 3: 3.0, 4: 4.0, 5: 5.0}
    (letter,) = sink.dead_letters
    assert ("more than a day ahead of ours" if ahead else "is before 2000") in letter.reason


async def test_a_lost_message_is_sent_again() -> None:
    """The numbers have a gap: Republish brings what is missing, before what came after it."""
    sink = MemorySink()
    async with peer("parts") as server, tapped(server.port) as path:
        nodes = {"node": f"nsu={URI};s=parts", "metric": "parts"}
        async with collecting(config(path.port, nodes), sink) as component:
            await sink.until(samples=1)
            path.lose = 1
            await server.write(*written(10))
            await until(lambda: len(all_of(sink)) == 11)
            assert path.said[REPUBLISHED] == 1
            assert component.counted("missing_messages") == 0
            assert component.counted("reconnects") == 0
    assert row(sink, "parts") == [(n, float(n)) for n in range(11)]


@pytest.mark.parametrize("kept", [True, False])
async def test_a_lost_message_that_the_server_forgot_is_counted_and_read_from_history(kept: bool) -> None:
    """Without history it is said that something is missing; with it, nothing is."""
    sink = MemorySink()
    async with peer("parts", history=kept) as server, tapped(server.port) as path:
        path.forget = True
        nodes = {"node": f"nsu={URI};s=parts", "metric": "parts"}
        async with collecting(config(path.port, nodes), sink) as component:
            await sink.until(samples=1)
            path.lose = 1
            await server.write(*written(10))
            await until(lambda: component.counted("missing_messages") == 1)
            await until(lambda: component.counted("holes_filled") + component.counted("holes_left") == 1)
            await server.write(*written(1, 11))
            await until(lambda: (11, 11.0) in row(sink, "parts"))
            assert (component.counted("holes_filled"), component.counted("holes_left")) == (kept, not kept)
            assert component.counted("reconnects") == 0
    assert all_of(sink) == {n: float(n) for n in (range(12) if kept else (0, 11))}


async def test_what_a_sink_refused_stays_unacknowledged_at_the_server() -> None:
    """The server may forget a message once it is acknowledged: only after it is durable is it."""
    sink = MemorySink()
    async with peer("parts") as server, tapped(server.port) as path:
        nodes = {"node": f"nsu={URI};s=parts", "metric": "parts"}
        collector = OpcUaCollector(config(path.port, nodes, lifetime_ms=1000, keepalive_ms=300), PLANT, Component("m"))
        run = asyncio.create_task(collector.run(sink))
        await sink.until(samples=1)
        await until(lambda: path.acknowledged == path.delivered)
        sink.block()
        await server.write(*written(5))
        await until(lambda: sink.waiting > 0 and len(path.delivered) == 2)
        refused = path.delivered[-1]
        sink.fail_with = StoreError("disk full")
        sink.unblock()
        with pytest.raises(StoreError, match="disk full"):
            async with asyncio.timeout(20):
                await run
    assert refused not in path.acknowledged


async def test_limits_that_shrink_at_a_restart_are_found_out(tmp_path: Path) -> None:
    """It took any number of items; now it refuses more than seven of any kind at once, and does not say so before."""
    names = [f"n{number}" for number in range(60)]
    plant = Plant(assets=tuple(Asset(path=f"a/{name}", name=name) for name in names))
    nodes = [{"node": f"nsu={URI};s={name}", "metric": "parts", "asset": f"a/{name}"} for name in names]
    sink = MemorySink()
    async with peer(*names, history=str(tmp_path / "historian")) as server:
        settings = config(server.port, *nodes, publishing_ms=1000)
        async with collecting(settings, sink, plant=plant) as component:
            await sink.until(samples=60)
            await server.write(*((name, float(n), n) for name in names for n in (1, 2, 3)))
            await server.kill()
            server.options["most_operations"] = 7
            await server.start()
            await until(lambda: component.counted("holes_filled") == 60)
            await server.write(*((name, 4.0, 4) for name in names))
            wanted = {(f"a/{name}", n) for name in names for n in (1, 2, 3, 4)}
            await until(lambda: wanted <= {(one.asset, one.time_ns // MS - T0_MS) for one in sink.samples})
            assert component.snapshot()["gauges"]["bad_nodes"] == 0
            assert component.counted("holes_left") == 0


async def test_a_certificate_that_expires_stops_nothing_for_good(tmp_path: Path) -> None:
    """Refused while it is expired, with a sentence; renewed by an authority we trust, what was recorded is read."""
    authority, folder = Authority(), tmp_path / "ours"
    (folder / "trusted").mkdir(parents=True)
    (folder / "trusted" / "plant.der").write_bytes(authority.certificate.public_bytes(Encoding.DER))
    key, certificate = tmp_path / "server.pem", tmp_path / "server.der"
    now = datetime.now(UTC)
    authority.write_server(key, certificate, now + timedelta(days=1))
    sink = MemorySink()
    options = {"certificate": str(certificate), "key": str(key), "history": str(tmp_path / "historian")}
    async with peer("parts", **options) as server:
        nodes = {"node": f"nsu={URI};s=parts", "metric": "parts"}
        ours = {"security": "Basic256Sha256", "certificates": str(folder), "user": "km0"}
        async with collecting(config(server.port, nodes, **ours), sink, password="measure") as component:
            await sink.until(samples=1)
            await server.kill()
            authority.write_server(key, certificate, now - timedelta(minutes=1))
            await server.start()
            await until(lambda: "expired on" in component.snapshot()["detail"])
            await server.write(*written(20))
            await server.kill()
            authority.write_server(key, certificate, now + timedelta(days=1))
            await server.start()
            await until(lambda: component.condition is Condition.OK)
            await server.write(*written(1, 21))
            await until(lambda: len(all_of(sink)) == 22)
    assert all_of(sink) == {n: float(n) for n in range(22)}


async def test_a_subscription_handed_over_in_words_only_loses_nothing_that_history_has() -> None:
    """asyncua's server says Good, and nothing comes of it any more: it is given up, and history fills the hole."""
    sink = MemorySink()
    async with (
        peer(history=True, hands_over=True) as server,
        tapped(server.port) as path,
        collecting(config(path.port), sink) as component,
    ):
        await sink.until(samples=len(METRICS))
        for turn in range(2):
            await path.cut()
            await until(lambda: component.condition is Condition.FAILING)
            await server.write(*written(10, 1 + 20 * turn))
            await path.mend()
            await until(lambda: component.condition is Condition.OK)
            await server.write(*written(10, 11 + 20 * turn))
            await until(lambda newest=20 + 20 * turn: len(all_of(sink)) == newest + 1)
        assert component.counted("resumed") == 1
    assert all_of(sink) == {n: float(n) for n in range(41)}

"""The OPC UA machines, seen by an independent asyncua client."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.client.client import Client

from simulators.demo import LATHE, MACHINES, MILL, PRESS, PRINTER
from simulators.opcua_plant import NAMESPACE, OpcUaPlant
from simulators.timeline import Event, Timeline, machine_events
from tests.support import free_port

HOUR_NS = 3600 * 10**9
METRICS = ("state", "reason", "product", "parts", "parts_good")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


IDLE = dataclasses.replace(PRINTER, path="km0/additive/print-hall/printer-2")
pytestmark = pytest.mark.asyncio(loop_scope="module")


def metrics(asset: str) -> tuple[str, ...]:
    return (*METRICS, MACHINES[asset][0].gauge.metric) if asset in MACHINES else METRICS


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plant() -> AsyncIterator[tuple[OpcUaPlant, int]]:
    """One server, slow to start, for all tests; each test writes to machines of its own."""
    born = (time.time_ns() // 10**9 - 86_400) * 10**9
    one = OpcUaPlant(
        free_port(),
        {path: metrics(path) for path in MACHINES} | {IDLE.path: METRICS},
        lambda path: machine_events(MACHINES[path][0], 1, born),
    )
    await one.start()
    yield one, born
    await one.stop()


def source_ns(told: ua.DataValue) -> int:
    moment: Any = told.SourceTimestamp  # asyncua declares a type of its own and gives a naive datetime
    since: timedelta = moment.replace(tzinfo=UTC) - EPOCH
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000


class Witness:
    """Remembers every notification: (asset, metric) → [(time_ns, value)]."""

    def __init__(self, names: dict[ua.NodeId, tuple[str, str]]) -> None:
        self._names = names
        self.seen: dict[tuple[str, str], list[tuple[int, Any]]] = {}

    def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        told = data.monitored_item.Value
        if told.StatusCode.is_bad():
            return
        self.seen.setdefault(self._names[node.nodeid], []).append((source_ns(told), value))

    async def has(self, count: int, assets: Collection[str]) -> None:
        """Return once that many values of these assets came."""
        async with asyncio.timeout(20):
            while sum(len(told) for series, told in self.seen.items() if series[0] in assets) < count:  # noqa: ASYNC110  # told by the library
                await asyncio.sleep(0.02)


async def follow(client: Client, assets: Iterable[str], queue: int = 10_000, period_ms: float = 100) -> Witness:
    index = await client.get_namespace_index(NAMESPACE)
    names = {
        ua.NodeId(ua.String(f"{asset}/{metric}"), ua.Int16(index)): (asset, metric)
        for asset in assets
        for metric in metrics(asset)
    }
    witness = Witness(names)
    subscription = await client.create_subscription(period_ms, witness)
    # A measurement that repeats is news by its time; without this filter the server drops it.
    news = ua.DataChangeFilter(Trigger=ua.DataChangeTrigger.StatusValueTimestamp)
    wanted = [
        subscription._make_monitored_item_request(
            client.get_node(node), ua.AttributeIds.Value, news, queue, ua.MonitoringMode.Reporting, 0.0
        )
        for node in names
    ]
    await subscription.create_monitored_items(wanted)
    return witness


def expected(events: list[Event], asset: str) -> dict[tuple[str, str], list[tuple[int, Any]]]:
    found: dict[tuple[str, str], list[tuple[int, Any]]] = {}
    for time_ns, metric, value in events:
        found.setdefault((asset, metric), []).append((time_ns, value))
    return found


async def test_a_subscribed_client_sees_every_value_of_the_history(plant: tuple[OpcUaPlant, int]) -> None:
    """A day of two machines written at full speed arrives whole, in order, with source times, status and types."""
    server, born = plant
    days = {
        path: Timeline(machine_events(MACHINES[path][0], 1, born)).until(born + 24 * HOUR_NS)
        for path in (MILL.path, LATHE.path)
    }
    async with Client(server.url) as client:
        assert not await server.followed(0)
        witness = await follow(client, (*MACHINES, IDLE.path))
        assert await server.followed(5)
        for path, events in days.items():
            await server.write(path, events)
        assert await server.delivered(20)
        await witness.has(sum(len(events) for events in days.values()), days)
    seen = {series: told for series, told in witness.seen.items() if series[0] in days}
    assert seen == expected(days[MILL.path], MILL.path) | expected(days[LATHE.path], LATHE.path)


async def test_a_slow_client_with_a_short_queue_makes_the_machine_wait(plant: tuple[OpcUaPlant, int]) -> None:
    """With room for 200 values and a second between notifications nothing is dropped: writing waits."""
    server, born = plant
    events = Timeline(machine_events(PRESS, 1, born)).until(born + 2 * HOUR_NS)
    async with Client(server.url) as client:
        witness = await follow(client, [PRESS.path], queue=200, period_ms=300)
        await server.write(PRESS.path, events)
        assert await server.delivered(20)
        await witness.has(len(events), [PRESS.path])
    assert witness.seen == expected(events, PRESS.path)


async def test_a_client_that_wants_the_newest_value_holds_nobody_up(plant: tuple[OpcUaPlant, int]) -> None:
    """A queue of one is its owner's choice: the machine goes on."""
    server, born = plant
    events = Timeline(machine_events(PRINTER, 1, born)).until(born + 24 * HOUR_NS)
    async with Client(server.url) as client:
        await follow(client, [PRINTER.path], queue=1, period_ms=5000)
        await asyncio.wait_for(server.write(PRINTER.path, events), 5)


async def test_a_node_without_a_value_says_so(plant: tuple[OpcUaPlant, int]) -> None:
    """Before anything was written a node is waiting for initial data, and is no zero."""
    server, _ = plant
    async with Client(server.url) as client:
        index = await client.get_namespace_index(NAMESPACE)
        node = client.get_node(f"ns={index};s={IDLE.path}/parts")
        told = await node.read_data_value(raise_on_bad_status=False)
    assert told.StatusCode is not None
    assert told.StatusCode.name == "BadWaitingForInitialData"


async def test_history_is_answered_from_the_process(plant: tuple[OpcUaPlant, int]) -> None:
    """HistoryRead gives the raw values of any past interval, never written or not, with their source times."""
    server, born = plant
    events = Timeline(machine_events(MILL, 1, born)).until(born + 10 * HOUR_NS + 1)
    wanted = [(t, v) for t, m, v in events if m == "spindle_load" and t >= born + 4 * HOUR_NS]
    start = EPOCH + timedelta(microseconds=born // 1000) + timedelta(hours=4)
    async with Client(server.url) as client:
        index = await client.get_namespace_index(NAMESPACE)
        node = client.get_node(f"ns={index};s={MILL.path}/spindle_load")
        values = await node.read_raw_history(start, start + timedelta(hours=6))
    assert [(source_ns(told), told.Value and told.Value.Value) for told in values] == wanted


async def test_history_does_not_tell_the_future(plant: tuple[OpcUaPlant, int]) -> None:
    """Asked for tomorrow, the machine answers up to now."""
    server, _ = plant
    now = datetime.now(UTC)
    async with Client(server.url) as client:
        index = await client.get_namespace_index(NAMESPACE)
        node = client.get_node(f"ns={index};s={MILL.path}/spindle_load")
        values = await node.read_raw_history(now - timedelta(hours=3), now + timedelta(days=1))
    assert values
    assert max(map(source_ns, values)) <= time.time_ns()


async def test_the_folders_follow_the_plant(plant: tuple[OpcUaPlant, int]) -> None:
    """A visitor finds the machine where the plant has it, and its variables by name."""
    server, _ = plant
    async with Client(server.url) as client:
        index = await client.get_namespace_index(NAMESPACE)
        path = [f"{index}:{part}" for part in ("Plant", *MILL.path.split("/"))]
        machine = await client.nodes.objects.get_child(path)
        names = [(await child.read_browse_name()).Name for child in await machine.get_children()]
        assert names == list(metrics(MILL.path))
        types = [await (await machine.get_child(f"{index}:{name}")).read_data_type_as_variant_type() for name in names]
    kinds = ua.VariantType
    assert types == [kinds.Int32, kinds.String, kinds.String, kinds.UInt32, kinds.UInt32, kinds.Double]

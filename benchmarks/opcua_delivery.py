"""OPC UA end to end: items at 10 Hz from real servers into a sink, and the same notifications from a recorded stream.

The servers are processes of their own, two to five of asyncua, one of node-opcua: theirs is not counted. `given/s` is
what they took, on the cores that they share with us; all that entered a queue is waited for. `missing` is what entered
a server's queues and the sink never got, `folded` what a server was given and never queued: node-opcua's keeps the last
of what a node takes within 50 ms, unless told otherwise. `overflows` are the server's own overflow bits.

CPU times are of our process, per value. "stream" has neither socket nor library: what it costs from the bytes of a
message to the sink is ours. In a server's row "ours" is that figure, and "library" what is left: sockets, chunks,
requests. Beside it runs the library's own client by its cheapest path, a raw callback that keeps what it is handed.

KM0_BENCH_ITEMS=1000 runs one size alone, KM0_BENCH_FEEDS="asyncua;node-opcua" the stream and these feeds alone.
"""

import asyncio
import logging
import os
import resource
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any, Final, Protocol, cast

from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.utils import Buffer
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.ua_binary import struct_from_binary

from benchmarks import Row
from benchmarks.opcua_feeds import HZ, Feed, Server, asyncua, node_opcua, recorded
from collectors.opcua.collector import OpcUaCollector
from collectors.opcua.config import OpcUaConfig
from collectors.opcua.delivery import Delivery
from collectors.opcua.holes import Holes
from collectors.opcua.presence import Presence
from collectors.opcua.session import Session
from collectors.opcua.sources import Sources
from collectors.opcua.subscription import Subscription
from telemetry.health import Component
from telemetry.plant import Asset, Plant
from telemetry.samples import Sample
from telemetry.validity import Gate

ITEMS: Final = tuple(int(one) for one in os.environ.get("KM0_BENCH_ITEMS", "100,1000,5000").split(","))
FEEDS: Final = os.environ.get("KM0_BENCH_FEEDS", "")
SECONDS: Final = {5_000: 2.0}
"""For how long values are given, where it is not 6 s."""


class _Sink:
    """Keeps what it got; durable after `put_s` [s]."""

    def __init__(self, put_s: float = 0.0) -> None:
        self.batches: list[Sequence[Sample]] = []
        self.count = 0
        self._put_s = put_s

    async def put(self, samples: Sequence[Sample]) -> None:
        if self._put_s and self.batches:
            await asyncio.sleep(self._put_s)
        self.batches.append(samples)
        self.count += len(samples)

    async def set_aside(self, source: str, reason: str, raw: bytes) -> None:
        raise AssertionError(f"{source}: {reason}: {raw!r}")


class _Reader(Protocol):
    """Follows the nodes of servers; `count` is what came, `distinct` what came of values that are not the first, 0."""

    @property
    def count(self) -> int: ...
    def tasks(self) -> list[Awaitable[None]]: ...
    def distinct(self) -> int: ...
    def overflows(self) -> int: ...


class _Ours:
    """A collector for each server."""

    def __init__(self, servers: Sequence[Server], sink: _Sink) -> None:
        self._servers, self._sink = servers, sink
        self._components = [Component("load") for _ in servers]

    @property
    def count(self) -> int:
        return self._sink.count

    def tasks(self) -> list[Awaitable[None]]:
        return [
            OpcUaCollector(_config(server), _plant(server.names), component).run(self._sink)
            for server, component in zip(self._servers, self._components, strict=True)
        ]

    def distinct(self) -> int:
        return len({(one.asset, one.value) for batch in self._sink.batches for one in batch if one.value})

    def overflows(self) -> int:
        return sum(component.counted("overflows") for component in self._components)


class _Librarys:
    """The library's own client, a raw callback that keeps what it is handed."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._servers = servers
        self._changes: list[tuple[str, Any]] = []
        self.count = 0

    def tasks(self) -> list[Awaitable[None]]:
        return [self._follow(server) for server in self._servers]

    def distinct(self) -> int:
        items = ((url, one) for url, change in self._changes for one in change.MonitoredItems)
        return len({(url, one.ClientHandle, one.Value.Value.Value) for url, one in items if one.Value.Value.Value})

    def overflows(self) -> int:
        return 0  # nobody looks

    async def _follow(self, server: Server) -> None:
        async with Client(server.url, timeout=60, watchdog_intervall=600) as client:  # a full server answers late
            index = await client.get_namespace_index(server.uri)

            nodes = {name: ua.NodeId.from_string(f"ns={index};s={name}") for name in server.names}

            def take(result: Any) -> None:
                for change in result.NotificationMessage.NotificationData or ():
                    self._changes.append((server.url, change))
                    self.count += len(change.MonitoredItems)

            asked = ua.CreateSubscriptionParameters(
                RequestedPublishingInterval=100, RequestedLifetimeCount=3000, RequestedMaxKeepAliveCount=30
            )
            created = await client.uaclient.create_subscription(asked, take)
            items = ua.CreateMonitoredItemsParameters(SubscriptionId=created.SubscriptionId)
            items.TimestampsToReturn = ua.TimestampsToReturn.Both
            every = ua.DataChangeFilter(Trigger=ua.DataChangeTrigger.StatusValueTimestamp)
            for handle, name in enumerate(server.names):
                item = ua.MonitoredItemCreateRequest(MonitoringMode=ua.MonitoringMode.Reporting)
                item.ItemToMonitor = ua.ReadValueId(NodeId=nodes[name], AttributeId=AttributeIds.Value)
                item.RequestedParameters = ua.MonitoringParameters(
                    ClientHandle=handle, SamplingInterval=0, Filter=every, QueueSize=10_000, DiscardOldest=True
                )
                items.ItemsToCreate.append(item)
            await client.uaclient.create_monitored_items(items)
            await asyncio.Event().wait()


def _config(server: Server) -> OpcUaConfig:
    nodes = [{"node": f"nsu={server.uri};s={name}", "asset": f"a/{name}", "metric": "power"} for name in server.names]
    settings = {"publishing_ms": 100, "sampling_ms": 0, "online_s": 0, "nodes": nodes}
    return OpcUaConfig.model_validate(
        {"kind": "opcua", "name": "load", "url": server.url, "security": "None", **settings}, strict=False
    )


def _plant(names: Sequence[str]) -> Plant:
    return Plant(assets=tuple(Asset(path=f"a/{name}", name=name) for name in names))


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def _served(
    name: str,
    items: int,
    feed: AbstractAsyncContextManager[Feed],
    reader: Callable[[Sequence[Server]], _Reader],
    ours_s: float | None,
    put_s: float,
) -> Row:
    """A row of a feed; `ours_s`: CPU [µs] of the stream's row, where the reader is ours; `put_s`: its sink's [s]."""
    async with feed as fed:
        reading = reader(fed.servers)
        tasks = [asyncio.ensure_future(task) for task in reading.tasks()]
        while reading.count < items:
            await asyncio.sleep(0.05)
            for task in tasks:
                if task.done():
                    task.result()
        cpu_s, began = _cpu_s(), time.perf_counter()
        given = await fed.give()
        give_s = time.perf_counter() - began
        before = -1
        while reading.count != before:  # what is still on its way
            before = reading.count
            await asyncio.sleep(put_s + 0.7)
        cpu_s = _cpu_s() - cpu_s
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    delivered = reading.distinct()
    row = _row(name, items, given.values, delivered, give_s, cpu_s)
    row |= {"folded": given.values - given.queued, "missing": given.queued - delivered}
    if ours_s is None:
        return row
    total = cpu_s / max(1, delivered) * 1e6
    return row | {"overflows": reading.overflows(), "ours µs": ours_s, "library µs": round(total - ours_s, 1)}


def _row(name: str, items: int, given: int, delivered: int, give_s: float, cpu_s: float) -> Row:
    return {
        "feed": name,
        "items": items,
        "asked/s": round(items * HZ),
        "given/s": round(given / give_s),
        "folded": 0,
        "missing": given - delivered,
        "overflows": "",
        "CPU µs": round(cpu_s / max(1, delivered) * 1e6, 1),
    }


class _Recorded:
    """A session whose Publish answers are a recorded stream."""

    url = "recorded"

    def __init__(self, bodies: Sequence[bytes]) -> None:
        self._bodies = list(reversed(bodies))

    async def request(self, _: Any, *, patient: bool = False) -> bytes:
        if not self._bodies and patient:
            await asyncio.Event().wait()
        return self._bodies.pop()


async def _stream(items: int) -> list[Row]:
    """Ours from the bytes to the sink, and the library's decoder, whose objects nobody takes up, on the same bytes."""
    server, sink = Server("opc.tcp://recorded", "urn:x", [f"n{n}" for n in range(items)]), _Sink()
    bodies = recorded(items, max(20, 200_000 // items))
    total = items * len(bodies)
    created = SimpleNamespace(
        SubscriptionId=1, RevisedPublishingInterval=100.0, RevisedMaxKeepAliveCount=30, RevisedLifetimeCount=3000
    )
    config, component = _config(server), Component("load")
    subscription = Subscription(cast("Session", _Recorded(bodies)), config, created)
    sources = Sources(config, Gate(_plant(server.names)))
    delivery = Delivery(sources, Presence(0, time.time_ns), Holes(), component, time.time_ns)
    cpu_s, began = _cpu_s(), time.perf_counter()
    while sink.count < total:
        await delivery.published(await subscription.next(), [], subscription, sink)
    ours = _row("stream", items, total, sink.count, time.perf_counter() - began, _cpu_s() - cpu_s)
    subscription.close()
    few = bodies[: max(2, 50_000 // items)]
    cpu_s, began, count = _cpu_s(), time.perf_counter(), 0
    for body in few:
        answer = struct_from_binary(ua.PublishResponse, Buffer(body))
        count += len(answer.Parameters.NotificationMessage.NotificationData[0].MonitoredItems)
    wall_s, cpu_s = time.perf_counter() - began, _cpu_s() - cpu_s
    theirs = _row("stream, library", items, items * len(few), count, wall_s, cpu_s)
    return [row | {"asked/s": "all"} for row in (ours, theirs)]


def run() -> list[Row]:
    """Every feed with every number of items."""
    logging.getLogger("asyncua").setLevel(logging.ERROR)
    rows: list[Row] = []
    for items in ITEMS:
        seconds = SECONDS.get(items, 6.0)
        rows += asyncio.run(_stream(items))
        ours_s = float(str(rows[-2]["CPU µs"]))
        feeds: dict[str, tuple[AbstractAsyncContextManager[Feed], Any, float | None, float]] = {
            "asyncua": (asyncua(items, seconds), lambda servers: _Ours(servers, _Sink()), ours_s, 0.0),
            "asyncua, library": (asyncua(items, seconds), _Librarys, None, 0.0),
            "node-opcua": (node_opcua(items, seconds, 0), lambda servers: _Ours(servers, _Sink()), ours_s, 0.0),
            "node-opcua, 50 ms": (node_opcua(items, seconds, 50), lambda servers: _Ours(servers, _Sink()), ours_s, 0.0),
        }
        if items == 100:
            slow = asyncua(items, seconds, max_queue=10)
            feeds["asyncua, slow sink"] = (slow, lambda servers: _Ours(servers, _Sink(2.0)), ours_s, 2.0)
        rows += [
            asyncio.run(_served(name, items, feed, reader, share, put_s))
            for name, (feed, reader, share, put_s) in feeds.items()
            if not FEEDS or name in FEEDS.split(";")
        ]
    return rows

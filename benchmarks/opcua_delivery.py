"""OPC UA end to end: items at 10 Hz from real servers into a sink, and the same notifications from a recorded stream.

The servers are processes of their own, two of asyncua and one of node-opcua: nothing of theirs is counted. `missing`
is what a server was given and the sink never got; `overflows` is what the server says it dropped. "stream" has neither
socket nor library: what it costs is ours, from the bytes of a message to the sink. What a server's row costs beyond is
the library's share: sockets, chunks, requests.
"""

import asyncio
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary

from benchmarks import Row
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
from telemetry.protocols import Collector
from telemetry.samples import Sample
from telemetry.validity import Gate
from tests.collectors.opcua.foreign import Foreign
from tests.collectors.opcua.peer import T0_MS, URI, Peer
from tests.support import free_port

HZ: Final = 10.0
SECONDS: Final = 6.0
ITEMS: Final = (100, 1_000, 5_000)
_ASYNCUA_SERVERS: Final = 2


class _Sink:
    """Keeps what it got; durable at once."""

    def __init__(self) -> None:
        self.batches: list[Sequence[Sample]] = []
        self.count = 0

    async def put(self, samples: Sequence[Sample]) -> None:
        self.batches.append(samples)
        self.count += len(samples)

    async def set_aside(self, source: str, reason: str, raw: bytes) -> None:
        raise AssertionError(f"{source}: {reason}: {raw!r}")

    def distinct(self) -> int:
        """Values that are not the first ones, 0."""
        return len({(one.asset, one.value) for batch in self.batches for one in batch if one.value})


def _config(url: str, uri: str, names: Sequence[str], **settings: Any) -> OpcUaConfig:
    nodes = [{"node": f"nsu={uri};s={name}", "asset": f"a/{name}", "metric": "power"} for name in names]
    given = {"publishing_ms": 100, "sampling_ms": 0, "online_s": 0, "nodes": nodes, **settings}
    return OpcUaConfig.model_validate(
        {"kind": "opcua", "name": "load", "url": url, "security": "None", **given}, strict=False
    )


def _plant(names: Sequence[str]) -> Plant:
    return Plant(assets=tuple(Asset(path=f"a/{name}", name=name) for name in names))


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def _collected(
    feed: str,
    collectors: Sequence[tuple[Collector, Component]],
    items: int,
    give: Callable[[], Awaitable[int]],
    sink: _Sink,
) -> Row:
    tasks = [asyncio.create_task(collector.run(sink)) for collector, _ in collectors]
    while sink.count < items:
        await asyncio.sleep(0.05)
        for task in tasks:
            if task.done():
                task.result()
    cpu_s, began = _cpu_s(), time.perf_counter()
    given = await give()
    wall_s = time.perf_counter() - began
    before = -1
    while sink.count != before:  # what is still on its way
        before = sink.count
        await asyncio.sleep(0.7)
    cpu_s = _cpu_s() - cpu_s
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    delivered = sink.distinct()
    overflows = sum(component.counted("overflows") for _, component in collectors)
    return _row(feed, items, given, delivered, overflows, wall_s, cpu_s)


def _row(feed: str, items: int, given: int, delivered: int, overflows: int, wall_s: float, cpu_s: float) -> Row:
    return {
        "feed": feed,
        "items": items,
        "asked/s": round(items * HZ),
        "given/s": round(given / wall_s),
        "delivered/s": round(delivered / wall_s),
        "missing": given - delivered,
        "overflows": overflows,
        "CPU s per million": round(cpu_s / max(1, delivered) * 1e6, 1),
    }


async def _asyncua(items: int) -> Row:
    share = items // _ASYNCUA_SERVERS
    groups = [[f"n{number}" for number in range(k * share, (k + 1) * share)] for k in range(_ASYNCUA_SERVERS)]
    peers = [Peer(tuple(group)) for group in groups]
    sink = _Sink()
    try:
        for peer in peers:
            await peer.start()
        both: list[tuple[Collector, Component]] = []
        for peer, group in zip(peers, groups, strict=True):
            component, url = Component("load"), f"opc.tcp://127.0.0.1:{peer.port}/"
            both.append((OpcUaCollector(_config(url, URI, group), _plant(group), component), component))

        async def give() -> int:
            count = round(share * HZ * SECONDS)
            pace = {"count": count, "per_s": share * HZ, "start_ms": T0_MS}
            paces = [
                peer.tell(pace={"nodes": [[URI, name] for name in group], **pace})
                for peer, group in zip(peers, groups, strict=True)
            ]
            await asyncio.gather(*paces)
            # value n goes to node n mod share: the first, 0, is the one that was there
            return _ASYNCUA_SERVERS * (count - 1)

        return await _collected(f"asyncua, {_ASYNCUA_SERVERS} servers", both, items, give, sink)
    finally:
        for peer in peers:
            await peer.kill()


async def _node(items: int) -> Row:
    names = [f"n{number}" for number in range(items)]
    with tempfile.TemporaryDirectory() as folder:
        server = Foreign(Path(folder), free_port(), variables=names, machines=False)
        try:
            await server.start()
            component = Component("load")
            config = _config(server.url, "urn:km0:foreign", names)
            collector = OpcUaCollector(config, _plant(names), component)

            async def give() -> int:
                return items * await server.pace(names, HZ, SECONDS)

            return await _collected("node-opcua", [(collector, component)], items, give, _Sink())
        finally:
            await server.kill()


_MARK: Final = 0x7A6B5C4D
"""Stands for the sequence number while a message is encoded."""


class _Recorded:
    """A session whose Publish answers are a recorded stream: `rounds` messages of a value of each item."""

    url = "recorded"

    def __init__(self, items: int, rounds: int) -> None:
        at = ua.DateTime.now(UTC)
        values = [
            ua.MonitoredItemNotification(
                ua.UInt32(handle), ua.DataValue(ua.Variant(1.5, ua.VariantType.Double), ua.StatusCode(), at, at)
            )
            for handle in range(items)
        ]
        response = ua.PublishResponse()
        response.Parameters.SubscriptionId = ua.UInt32(1)
        response.Parameters.NotificationMessage.NotificationData = [ua.DataChangeNotification(MonitoredItems=values)]
        response.Parameters.NotificationMessage.SequenceNumber = ua.UInt32(_MARK)
        before, after = bytes(struct_to_binary(response)).split(_MARK.to_bytes(4, "little"))
        self._bodies = [before + sequence.to_bytes(4, "little") + after for sequence in range(rounds, 0, -1)]

    async def request(self, _: Any, *, patient: bool = False) -> bytes:
        if not self._bodies and patient:
            await asyncio.Event().wait()
        return self._bodies.pop()


async def _stream(items: int) -> Row:
    names = [f"n{number}" for number in range(items)]
    rounds = max(20, 200_000 // items)
    config, sink, component = _config("opc.tcp://recorded", "urn:x", names), _Sink(), Component("load")
    created = SimpleNamespace(
        SubscriptionId=1, RevisedPublishingInterval=100.0, RevisedMaxKeepAliveCount=30, RevisedLifetimeCount=3000
    )
    subscription = Subscription(cast("Session", _Recorded(items, rounds)), config, created)
    delivery = Delivery(
        Sources(config, Gate(_plant(names))), Presence(0, time.time_ns), Holes(), component, time.time_ns
    )
    cpu_s, began = _cpu_s(), time.perf_counter()
    while sink.count < rounds * items:
        await delivery.published(await subscription.next(), [], subscription, sink)
    wall_s, cpu_s = time.perf_counter() - began, _cpu_s() - cpu_s
    subscription.close()
    return _row("stream", items, rounds * items, sink.count, 0, wall_s, cpu_s)


def run() -> list[Row]:
    """Every feed with every number of items."""
    rows = []
    for items in ITEMS:
        for feed in (_asyncua, _node, _stream):
            row = asyncio.run(feed(items))
            if feed is _stream:
                row["asked/s"] = "as fast as it goes"
            rows.append(row)
    return rows

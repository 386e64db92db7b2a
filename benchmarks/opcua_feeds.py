"""What benchmarks/opcua_delivery.py reads from: servers in processes of their own, and a recorded stream."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any, Final

from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary

from tests.collectors.opcua.foreign import Foreign
from tests.collectors.opcua.peer import T0_MS, URI, Peer
from tests.support import free_port

HZ: Final = 10.0


@dataclass(frozen=True, slots=True)
class Server:
    """One server's address and the nodes in it."""

    url: str
    uri: str
    names: Sequence[str]


@dataclass(frozen=True, slots=True)
class Given:
    """How many values the servers were given, and how many of them entered the queues of monitored items."""

    values: int
    queued: int


@dataclass(frozen=True, slots=True)
class Feed:
    """Servers, and what makes them take `HZ` values a second of every node, at most, for so long."""

    servers: Sequence[Server]
    give: Callable[[], Awaitable[Given]]


@contextlib.asynccontextmanager
async def asyncua(items: int, seconds: float, **options: Any) -> AsyncIterator[Feed]:
    """asyncua's server, a process for each 1,000 items, two at least: a core is full of it long before we are (see
    docs/simulators.md, "What it costs"), and it takes long to make more variables."""
    processes = max(2, items // 1000)
    share = items // processes
    groups = [[f"n{number}" for number in range(k * share, (k + 1) * share)] for k in range(processes)]
    peers = [Peer(tuple(group), options=options) for group in groups]
    count = round(share * HZ * seconds)

    async def give() -> Given:
        pace = {"count": count, "per_s": share * HZ, "start_ms": T0_MS}
        await asyncio.gather(
            *(
                peer.tell(seconds=600, pace={"nodes": [[URI, name] for name in group], **pace})
                for peer, group in zip(peers, groups, strict=True)
            )
        )
        # value n goes to node n mod share: the first, 0, is the one that was there
        given = processes * (count - 1)
        return Given(given, given)

    try:
        for peer in peers:
            await peer.start()
        urls = [f"opc.tcp://127.0.0.1:{peer.port}/" for peer in peers]
        yield Feed([Server(url, URI, group) for url, group in zip(urls, groups, strict=True)], give)
    finally:
        for peer in peers:
            await peer.kill()


@contextlib.asynccontextmanager
async def node_opcua(items: int, seconds: float, every_ms: int) -> AsyncIterator[Feed]:
    """node-opcua's server, which folds what a node takes within `every_ms` into its last value; 0: it queues all."""
    names = [f"n{number}" for number in range(items)]
    with tempfile.TemporaryDirectory() as folder:
        options = {"variables": names, "machines": False, "capabilities": {"minSupportedSampleRate": every_ms}}
        server = Foreign(Path(folder), free_port(), **options)

        async def give() -> Given:
            each, queued = await server.pace(names, HZ, seconds)
            return Given(items * each, queued)

        try:
            await server.start()
            yield Feed([Server(server.url, "urn:km0:foreign", names)], give)
        finally:
            await server.kill()


_MARK: Final = 0x7A6B5C4D
"""Stands for the sequence number while a message is encoded."""


def recorded(items: int, rounds: int) -> list[bytes]:
    """PublishResponses with a Double of each item, both times in each, numbered from 1."""
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
    return [before + sequence.to_bytes(4, "little") + after for sequence in range(1, rounds + 1)]

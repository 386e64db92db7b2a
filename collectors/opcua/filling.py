"""Holes are filled from the server's own history, or said to stay.

Invariant: what a break left unknown of a metric is known again only when every node that tells the metric was filled.
"""

import asyncio
from collections.abc import Callable, Mapping

from collectors.opcua.delivery import Delivery
from collectors.opcua.history import Part, read_raw
from collectors.opcua.holes import Holes
from collectors.opcua.session import Session
from telemetry.errors import SourceError
from telemetry.protocols import Sink


async def fill(
    session: Session,
    delivery: Delivery,
    holes: Holes,
    nodes: Mapping[int, str],
    sink: Sink,
    *,
    retry_s: float,
    report: Callable[[], None],
) -> None:
    """Fill holes of `nodes` ("ns=3;s=…" by handle) whenever some open, for ever; `report` when one is left."""
    while True:
        await holes.opened.wait()
        holes.opened.clear()
        try:
            async for parts in read_raw(session, holes.begin(nodes)):
                await _take(parts, delivery, holes, sink)
                if any(part.refusal for part in parts):
                    report()
        except SourceError:
            # Tried again, unless the server is gone altogether; then its silence says so.
            asyncio.get_running_loop().call_later(retry_s, holes.opened.set)
        finally:
            holes.put_back()


async def _take(parts: list[Part], delivery: Delivery, holes: Holes, sink: Sink) -> None:
    await delivery.from_history({part.hole.handle: part.readings for part in parts}, sink)
    for part in parts:
        if part.refusal:
            holes.close(part.hole.handle)
            delivery.left(part.hole.handle, part.refusal)
        elif part.whole:
            holes.close(part.hole.handle)
            await delivery.filled(part.hole.handle, sink)

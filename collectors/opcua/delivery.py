"""From readings to durable samples: what was published, and what the server's history holds.

Invariants:
- returning means durable; who called acknowledges only then;
- what cannot become a sample is set aside with its reason, and touches no other value.
"""

import asyncio
import contextlib
import heapq
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from time import monotonic
from typing import Final

from asyncua.ua.status_codes import StatusCodes

from collectors.opcua.blend import BlendPart
from collectors.opcua.events import EVENTS, tells_model_change, tells_overflow
from collectors.opcua.holes import Holes
from collectors.opcua.items import MODEL_CHANGES
from collectors.opcua.machine import Reader
from collectors.opcua.presence import Presence
from collectors.opcua.sources import Sources
from collectors.opcua.subscription import Subscription
from collectors.opcua.values import OVERFLOW
from collectors.opcua.wire import Publication, Reading
from telemetry.errors import DecodeError, SourceError
from telemetry.glossary import METRICS
from telemetry.health import Component
from telemetry.protocols import Sink
from telemetry.samples import Sample
from telemetry.validity import can_be

_NO_NODE: Final = (StatusCodes.BadNodeIdUnknown, StatusCodes.BadNodeIdInvalid)

_LAST_PUT_S: Final = 0.4
"""What was being made durable when we were cancelled gets so long [s] to become so."""


@dataclass(slots=True)
class _Batch:
    """What is made durable together: samples, and what is set aside (reason, bytes)."""

    received_ns: int
    samples: list[Sample] = field(default_factory=list)
    aside: list[tuple[str, bytes]] = field(default_factory=list)


class Delivery:
    """The way of one collector's readings into the sink."""

    def __init__(
        self,
        sources: Sources,
        presence: Presence,
        holes: Holes,
        component: Component,
        now_ns: Callable[[], int],
    ) -> None:
        self._sources: Final = sources
        self._presence: Final = presence
        self._holes: Final = holes
        self._component: Final = component
        self._now_ns: Final = now_ns
        self.latest: Final[dict[int, int]] = {}
        """Source time [ns] of the value published last, by handle: what is missing later came after it. It is not the
        greatest: a server's clock may be set back."""
        self.settled = True
        """Whether everything in `latest` is durable."""
        self.spoke: Final[dict[int, float]] = {}
        """When nodes that may not be silent last spoke, on the monotonic clock [s]."""
        self.vanished: Final[set[int]] = set()
        """Handles of which the server said that it does not have the node any more: where one comes back under the same
        id, the item that followed the former stays dumb."""
        self.kept: Collection[int] = ()
        """Handles of a subscription that the server kept through a break: if it speaks, nothing is missing of them."""
        self.model_changed: Final = asyncio.Event()
        """Set when the server says that nodes came or went."""
        self.without_history = ""
        """A node whose hole was left, and why; "" for none."""

    async def published(
        self, publications: Sequence[Publication], said: Sequence[Sample], subscription: Subscription, sink: Sink
    ) -> None:
        """Make notifications durable, and with them what is `said` besides."""
        if subscription.missing:
            self._component.count("missing_messages", subscription.missing)
            subscription.missing = 0
            self._component.count("event_gaps", len(self._sources.events))  # no history has them
            self.open_holes(self.latest)
        batch = _Batch(self._now_ns(), list(said))
        if (published_ns := publications[-1].published_ns) > 0:  # node-opcua's keep-alives bear no time
            self._component.gauge("server_ahead_ms", (published_ns - batch.received_ns) / 1e6)
        batch.samples += self.known_again(self.kept)
        self.kept = ()
        self.settled = False
        self._take(chain.from_iterable(one.readings for one in publications), batch, live=True)
        batch.aside += [broken for one in publications for broken in one.broken]
        await self._keep(batch, subscription, sink)
        self.settled = True
        self._component.count("messages_received", sum(one.carries_data for one in publications))
        self._component.count("bytes_received", sum(one.size for one in publications))
        told_ns = (reading.source_ns for one in publications for _, reading in one.readings)
        if newest_ns := max((at_ns for at_ns in told_ns if can_be(at_ns, batch.received_ns)), default=0):
            self._component.gauge("lag_ms", (self._now_ns() - newest_ns) / 1e6)

    async def from_history(self, readings: Mapping[int, Sequence[Reading]], sink: Sink) -> None:
        """Make values of the past durable, by handle."""
        batch = _Batch(self._now_ns())
        self._take(((handle, reading) for handle, some in readings.items() for reading in some), batch, live=False)
        await self._keep(batch, None, sink)
        self._component.count("from_history", len(batch.samples))

    async def say(self, samples: Iterable[Sample], sink: Sink, subscription: Subscription | None = None) -> None:
        """Make samples of our own durable."""
        await self._keep(_Batch(0, list(samples)), subscription, sink)

    async def filled(self, handle: int, sink: Sink) -> None:
        """Nothing of this node is missing any more."""
        self._component.count("holes_filled")
        await self.say(self.known_again((handle,)), sink)

    def known_again(self, handles: Iterable[int]) -> list[Sample]:
        """What takes the place of "unknown" where nothing is missing any more of any node that tells the metric."""
        series = dict.fromkeys(self._series(handle) for handle in handles)
        if not series:
            return []
        there = (handle for handle in range(len(self._sources)) if not self._sources.gone(handle))
        missing = {self._series(handle) for handle in there if handle in self._holes}
        return [sample for one in series if one not in missing for sample in self._presence.filled(*one)]

    def left(self, handle: int, reason: str) -> None:
        """What was missed of this node is gone, and will not be asked for again."""
        self._component.count("holes_left")
        self._presence.left(*self._series(handle))
        self.without_history = f"{self._sources[handle].label}: {reason}"

    def open_holes(self, handles: Iterable[int]) -> None:
        """Values may be missing after those published last."""
        for handle in handles:
            if handle in self.latest:
                self._holes.open(handle, self.latest[handle])

    def _series(self, handle: int) -> tuple[str, str]:
        reader = self._sources[handle].reader
        return reader.asset, reader.metric

    def _take(self, readings: Iterable[tuple[int, Reading]], batch: _Batch, *, live: bool) -> None:
        """Make samples of readings, each node's in the order given. The nodes of a joined metric are taken together in
        the order of time: node after node, each value of one would tell again all that the others had told since."""
        states: list[Sample] = []
        joined: dict[int, list[tuple[int, Reading]]] = {}
        sources = self._sources.all
        for handle, reading in readings:
            if handle >= len(sources):
                if handle == MODEL_CHANGES:
                    if tells_model_change(reading):
                        self.model_changed.set()
                    continue
                batch.aside.append((f"a value for handle {handle}, which was never given", repr(reading).encode()))
                continue
            reader = sources[handle].reader
            if isinstance(reader, BlendPart):
                joined.setdefault(handle, []).append((handle, reading))
                continue
            found = self._made(handle, reader, reading, batch, live=live)
            batch.samples += found
            if reader.holds_state:
                states += found
        last: dict[tuple[str, str, int], Sample] = {}
        for handle, reading in heapq.merge(*joined.values(), key=_at_ns):
            for sample in self._made(handle, sources[handle].reader, reading, batch, live=live):
                last[sample.asset, sample.metric, sample.time_ns] = sample
        batch.samples += last.values()
        states += (sample for sample in last.values() if METRICS[sample.metric].kind == "state")
        batch.samples += self._presence.delivered(states, live=live)

    def _made(self, handle: int, reader: Reader, reading: Reading, batch: _Batch, *, live: bool) -> list[Sample]:
        if handle in self.spoke:
            self.spoke[handle] = monotonic()
        status = reading.status
        if live and status & 0xFFFF_0000 in _NO_NODE:
            self.vanished.add(handle)
        if live and status & OVERFLOW:  # a value of the past bears the bit of another subscription's queue
            self._component.count("overflows")
            self.open_holes((handle,))
        if live and reader.metric == EVENTS and tells_overflow(reading):
            self._component.count("overflows")
            self._component.count("event_gaps")
        at_ns = reading.source_ns or reading.server_ns
        if can_be(at_ns, batch.received_ns) and not (status and reading.waiting):
            self.latest[handle] = at_ns if live else max(at_ns, self.latest.get(handle, 0))
        try:
            return reader.samples(reading, batch.received_ns)
        except DecodeError as error:
            label = self._sources[handle].label
            batch.aside.append((f"{label}: {error}", repr(reading).encode("utf-8", "replace")))
            return []

    async def _keep(self, batch: _Batch, subscription: Subscription | None, sink: Sink) -> None:
        """Return once all is durable. Once begun it is ended even if we are cancelled: no server sends it again."""
        if not batch.samples and not batch.aside:
            return
        name = self._component.name
        keeping = asyncio.create_task(self._put(batch, sink), name=f"{name}: put")
        patience_s = subscription.lifetime_s / 3 if subscription is not None else None
        try:
            while not (await asyncio.wait({keeping}, timeout=patience_s))[0]:
                assert subscription is not None
                # A server that is gone is noticed by the next Publish; what we hold must be kept first.
                with contextlib.suppress(SourceError):
                    await subscription.touch()
        finally:
            if not keeping.done():
                await asyncio.wait({keeping}, timeout=_LAST_PUT_S)
                keeping.cancel()
        keeping.result()

    async def _put(self, batch: _Batch, sink: Sink) -> None:
        if batch.samples:
            await sink.put(batch.samples)
            self._component.count("samples", len(batch.samples))
        if batch.aside:
            # Together, so that the spool can commit them together.
            name = self._component.name
            await asyncio.gather(*(sink.set_aside(name, reason, raw) for reason, raw in batch.aside))
            self._component.count("dead_letters", len(batch.aside))


def _at_ns(told: tuple[int, Reading]) -> int:
    return told[1].source_ns or told[1].server_ns

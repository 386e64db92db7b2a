"""The OPC UA collector: one session after the other with one server, and what each leaves to the next.

Invariants:
- a notification is acknowledged after its samples are durable, never before;
- what may have been missed between two sessions is a hole in every node, unless the server kept the subscription.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Coroutine
from time import monotonic, time_ns
from typing import Any, Final

from collectors.opcua.config import OpcUaConfig
from collectors.opcua.delivery import Delivery
from collectors.opcua.filling import fill
from collectors.opcua.holes import Holes
from collectors.opcua.machine import Reader
from collectors.opcua.presence import Presence
from collectors.opcua.progress import Progress
from collectors.opcua.session import Session, connect
from collectors.opcua.sources import Sources
from collectors.opcua.subscription import Subscription
from collectors.opcua.wire import Publication
from telemetry.errors import SourceError
from telemetry.health import Component
from telemetry.plant import Plant
from telemetry.protocols import Sink
from telemetry.samples import SECOND_NS, Sample
from telemetry.validity import Gate, can_be

RETRY_S: Final = 30.0
"""How often refused nodes are tried again [s]."""

SETTLED_S: Final = 0.2
"""How long [s] after the server told of a change machines are browsed again: a job comes with all of its nodes."""


class OpcUaCollector:
    """Follows the nodes of one server. `run` again after a SourceError goes on where it stopped."""

    def __init__(
        self,
        config: OpcUaConfig,
        plant: Plant,
        component: Component,
        *,
        password: str | None = None,
        retry_s: float = RETRY_S,
        now_ns: Callable[[], int] = time_ns,
    ) -> None:
        self._config = config
        self._component = component
        self._password = password
        self._retry_s = retry_s
        self._now_ns = now_ns
        gate = Gate(plant, now_ns)
        self._sources: Final = Sources(config, gate)
        self._holes: Final = Holes()
        self._refused: dict[int, str] = {}
        self._transfers = True
        """Until the server has shown that it does not let a new session take over a subscription."""
        self._silent: list[int] = []
        self._away: list[Sample] = []
        """What is to be said of the time in which the process did not run."""
        self._kept: tuple[Subscription, dict[int, str]] | None = None
        """The subscription that a broken connection left at the server, and the nodes it follows."""
        self._presence: Final = Presence(config.online_s, now_ns)
        self._delivery: Final = Delivery(self._sources, self._presence, self._holes, component, now_ns)
        self._progress: Final = Progress(config.progress)
        self._reached: Final = self._progress.read()
        if self._reached.heard_ns:
            self._presence.resume(self._reached.heard_ns, self._reached.states)
            self._take_up_progress()
            states = dict.fromkeys((one.asset, one.metric) for one in self._readers() if one.holds_state)
            self._away = self._presence.lost(self._sources.assets, states, "the collector was not running")
        if config.history_s:
            for handle in range(len(self._sources)):
                self._holes.open(handle, now_ns() - round(config.history_s * SECOND_NS))

    @property
    def name(self) -> str:
        return self._config.name

    async def run(self, sink: Sink) -> None:
        """Collect until cancelled. Raises SourceError when the server is lost; then run again."""
        try:
            await self._connected(sink)
        except asyncio.CancelledError:
            if self._delivery.settled:
                self._remember()
            raise
        except SourceError as error:
            states = dict.fromkeys((one.asset, one.metric) for one in self._readers() if one.holds_state)
            await self._delivery.say(self._presence.lost(self._sources.assets, states, str(error)), sink)
            raise

    async def _connected(self, sink: Sink) -> None:
        async with connect(self._config, self._password) as session:
            kept, self._kept = self._kept, None
            taken_over = kept is not None and await kept[0].resume(session)
            if kept is not None and taken_over:
                subscription, resolved = kept
                self._component.count("resumed")
                self._delivery.kept = resolved
            else:
                self._transfers = self._transfers and kept is None
                subscription, resolved = await Subscription.create(session, self._config), {}
                self._open_holes_of_break(session, subscription.silence_s)
                if self._presence.heard_ns:
                    self._component.count("event_gaps", len(self._sources.events))  # no history has them
                if self._config.machines and self._config.browse_s:
                    await subscription.follow_model_changes()  # before we browse: no change is to be missed
            session.transferable = self._transfers
            self._component.gauge("server_ahead_ms", session.clock_ahead_ns / 1e6)
            self._component.gauge("session_since_s", self._now_ns() / SECOND_NS)
            try:
                await self._follow(session, subscription, resolved)
                said = self._away + self._presence.connected(self._sources.assets)
                await self._delivery.say(said, sink, subscription)
                self._away = []
                tasks = (
                    self._deliver(subscription, sink),
                    self._look_again(session, subscription, resolved),
                    fill(
                        session,
                        self._delivery,
                        self._holes,
                        resolved,
                        sink,
                        retry_s=self._retry_s,
                        report=lambda: self._report(subscription),
                    ),
                    self._watch_silence(subscription),
                )
                await _together(self.name, *tasks)
            except SourceError:
                if taken_over and subscription.silent and not subscription.heard:
                    # asyncua's server lets us take it over, and then publishes to the session that is gone. (Of a
                    # connection that broke once more before anything came, nothing can be concluded.)
                    self._transfers = False
                self._delivery.kept = ()
                if self._transfers and subscription.standing:
                    self._kept = (subscription, resolved)
                raise
            finally:
                self._component.gauge("session_since_s", math.nan)
                subscription.close()

    def _open_holes_of_break(self, session: Session, silence_s: float) -> None:
        """What came after the values delivered last may be missing. Where the server's clock was set back meanwhile,
        that began at the time on the new clock at which we last heard of it, not at those values' times."""
        back_ns: int | None = None
        if self._presence.heard_ns:
            # What we heard last may have been on its way for as long as we wait before we call a server silent.
            back_ns = self._presence.heard_ns + session.clock_ahead_ns - round(silence_s * SECOND_NS)
        for handle, latest_ns in self._delivery.latest.items():
            self._holes.open(handle, latest_ns if back_ns is None else min(latest_ns, back_ns))

    async def _follow(self, session: Session, subscription: Subscription, resolved: dict[int, str]) -> None:
        """Subscribe to every node not followed yet; `resolved` gets those that the server took."""
        namespaces = await session.namespaces()
        await self._sources.discover(session, namespaces)
        self._take_up_progress()
        wanted, refused, gone = {}, {}, []
        for handle, source in enumerate(self._sources):
            if self._sources.gone(handle):
                gone.append(handle)
                continue
            node = source.address.within(namespaces)
            if node is None:
                if handle not in resolved:
                    refused[handle] = f"the server has no namespace {source.address.uri}"
            elif resolved.get(handle) != node:
                wanted[handle] = node
        for handle in gone:
            resolved.pop(handle, None)
        await subscription.leave(gone)
        # Known before the first value can arrive, so that a hole found in it can be filled.
        resolved.update(wanted)
        try:
            not_taken = await subscription.follow(wanted, self._sources.events)
        except SourceError:
            for handle in wanted:
                if handle not in subscription.items:
                    del resolved[handle]
            raise
        for handle, reason in not_taken.items():
            refused[handle] = reason
            del resolved[handle]
        self._refused = refused
        self._report(subscription)
        self._holes.opened.set()

    def _take_up_progress(self) -> None:
        """What a former process delivered of sources that are known by now."""
        for handle, source in enumerate(self._sources):
            # Where the time of a value was ahead of ours, or could not be: what came after our last sign of life.
            latest_ns = min(self._reached.latest.get(source.key, 0), self._reached.heard_ns)
            if handle not in self._delivery.latest and can_be(latest_ns, self._now_ns()):
                self._delivery.latest[handle] = latest_ns
                self._holes.open(handle, latest_ns)

    def _remember(self) -> None:
        latest = {self._sources[handle].key: ns for handle, ns in self._delivery.latest.items()}
        # a hole that is still open begins where its values end
        latest.update({self._sources[handle].key: ns for handle, ns in self._holes.starts().items()})
        self._progress.write(self._presence.heard_ns, latest, self._presence.states.values())

    def _readers(self) -> list[Reader]:
        return [source.reader for source in self._sources]

    def _report(self, subscription: Subscription) -> None:
        nodes, refused = self._sources, self._refused
        there = len(nodes) - sum(map(nodes.gone, range(len(nodes))))
        self._component.gauge("nodes", there - len(refused))
        self._component.gauge("bad_nodes", len(refused) + len(self._sources.missing))
        self._component.gauge("short_queues", len(subscription.items.short_queues))
        self._component.gauge("silent_nodes", len(self._silent))
        self._component.gauge("sampling_ms", subscription.items.sampling_ms)
        detail = f"{there - len(refused)} of {there} nodes"
        for handle, reason in list(refused.items())[:3]:
            detail += f"; {nodes[handle].label}: {reason}"
        for handle, size in list(subscription.items.short_queues.items())[:1]:
            detail += f"; the server queues only {size} values of {nodes[handle].label}: lower publishing_ms"
        for handle in self._silent[:3]:
            detail += f"; {nodes[handle].label} is silent"
        if subscription.items.without_deadband:
            first = nodes[min(subscription.items.without_deadband)].label
            detail += (
                f"; the server applies no deadband to {len(subscription.items.without_deadband)} nodes, first {first}"
            )
        for name, reason in self._sources.missing.items():
            detail += f"; machine {name!r} was not found: {reason}"
        if self._delivery.without_history:
            detail += f"; what was missed is not in the server's history: {self._delivery.without_history}"
        if self._sources.missing or (there and there == len(refused)):
            self._component.failing(detail)  # the session stands, and nothing comes of what is wanted
        else:
            self._component.ok(detail)

    async def _look_again(self, session: Session, subscription: Subscription, resolved: dict[int, str]) -> None:
        """Try nodes again that were refused, or that vanished, and browse machines again: a server adds jobs and tools
        while it runs, and may say so."""
        browse_s = (self._config.browse_s if self._config.machines else 0) or math.inf
        browsed = ended = monotonic()
        took_s, told = 0.0, False
        vanished, changed = self._delivery.vanished, self._delivery.model_changed
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(self._retry_s, browse_s)):  # wait_for of 3.11 can lose a cancellation
                    await changed.wait()
            if changed.is_set():
                # Changes come in swarms: browsing shall not take more than a quarter of the server's time.
                await asyncio.sleep(max(SETTLED_S, ended + 3 * took_s - monotonic()))
                told = True
                changed.clear()
            due = told or monotonic() - browsed >= browse_s
            if not (due or vanished or self._refused or self._sources.missing):
                continue
            lost = set(vanished)
            vanished.clear()  # before: what vanishes meanwhile is to be looked for once more
            for handle in lost:
                resolved.pop(handle, None)
            began = monotonic()
            try:
                await self._follow(session, subscription, resolved)
                browsed, told = monotonic(), False
            except SourceError:  # a server that is gone is noticed, and said, by its silence
                vanished |= lost
            ended = monotonic()
            took_s = ended - began

    async def _watch_silence(self, subscription: Subscription) -> None:
        """Say which nodes have been silent for longer than the plant file lets them."""
        limits = {handle: node.silence_s for handle, node in enumerate(self._config.nodes) if node.silence_s}
        spoke = self._delivery.spoke
        spoke.update(dict.fromkeys(limits, monotonic()))
        while limits:
            await asyncio.sleep(min(1.0, min(limits.values()) / 4))
            now = monotonic()
            silent = [handle for handle, limit in limits.items() if now - spoke[handle] > limit]
            if silent != self._silent:
                self._silent = silent
                self._report(subscription)

    async def _deliver(self, subscription: Subscription, sink: Sink) -> None:
        while True:
            publications = await subscription.next()
            said = self._presence.alive(self._sources.assets)
            await self._delivery.published(publications, said, subscription, sink)
            if said:
                self._remember()
            for publication in publications:
                _raise_if_ended(publication)


def _raise_if_ended(publication: Publication) -> None:
    if publication.ended is not None:
        raise SourceError(f"the server ended the subscription with status 0x{publication.ended:08X}")


async def _together(name: str, *parts: Coroutine[Any, Any, None]) -> None:
    """Run the parts until one fails, end the others, and raise what it raised, not a group of it."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part, name=name)
    except ExceptionGroup as failed:
        # A bug, or a sink that failed, comes before the loss of the source: it must not be run over by a retry.
        raise min(failed.exceptions, key=lambda error: isinstance(error, SourceError)) from None

"""The OPC UA collector: notifications in, samples out, holes filled from the server's history.

Invariants:
- a notification is acknowledged after its samples are durable, never before;
- a hole opened by a break, an overflow or a missing message stays open until history filled it or the server said
  that it has none: a second break does not shorten it;
- what cannot become a sample is set aside with its reason, and touches no other value.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Mapping
from time import monotonic, time_ns
from typing import Any, Final

from collectors.opcua.config import OpcUaConfig
from collectors.opcua.history import NoHistoryError, read_raw
from collectors.opcua.machines import Reader
from collectors.opcua.presence import Presence
from collectors.opcua.progress import Progress
from collectors.opcua.session import Session, connect
from collectors.opcua.sources import Sources
from collectors.opcua.subscription import Subscription
from collectors.opcua.values import OVERFLOW
from collectors.opcua.wire import Publication, Reading
from telemetry.errors import DecodeError, SourceError
from telemetry.health import Component
from telemetry.plant import Plant
from telemetry.protocols import Sink
from telemetry.samples import SECOND_NS, Sample
from telemetry.validity import Gate

RETRY_S: Final = 30.0
"""How often refused nodes are tried again [s]."""

_LAST_PUT_S: Final = 0.4
"""What was being made durable when we were cancelled gets so long [s] to become so."""


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
        self._latest: Final[dict[int, int]] = {}
        """Newest source time delivered [ns], by handle; a node's handle is its place in the configuration."""
        self._holes: Final[dict[int, int]] = {}
        """From when on [ns] values of a node may be missing, by handle."""
        self._hole_opened = asyncio.Event()
        self._refused: dict[int, str] = {}
        self._without_history = ""
        self._transfers = True
        """Until the server has shown that it does not let a new session take over a subscription."""
        self._settled = True
        """Whether everything in `_latest` is durable."""
        self._spoke: Final[dict[int, float]] = {}
        """When nodes that may not be silent last spoke, on the monotonic clock [s]."""
        self._silent: list[int] = []
        self._away: list[Sample] = []
        """What is to be said of the time in which the process did not run."""
        self._kept: tuple[Subscription, dict[int, str]] | None = None
        """The subscription that a broken connection left at the server, and the nodes it follows."""
        self._presence: Final = Presence(config.online_s, now_ns)
        self._progress: Final = Progress(config.progress)
        self._reached: Final = self._progress.read()
        if self._reached.heard_ns:
            self._presence.resume(self._reached.heard_ns, self._reached.states)
            self._take_up_progress()
            states = dict.fromkeys((one.asset, one.metric) for one in self._readers() if one.holds_state)
            self._away = self._presence.lost(self._sources.assets, states, "the collector was not running")
        if config.history_s:
            self._holes.update(dict.fromkeys(range(len(self._sources)), now_ns() - round(config.history_s * SECOND_NS)))

    @property
    def name(self) -> str:
        return self._config.name

    async def run(self, sink: Sink) -> None:
        """Collect until cancelled. Raises SourceError when the server is lost; then run again."""
        try:
            await self._connected(sink)
        except asyncio.CancelledError:
            if self._settled:
                self._remember()
            raise
        except SourceError as error:
            states = dict.fromkeys((one.asset, one.metric) for one in self._readers() if one.holds_state)
            await self._keep(sink, self._presence.lost(self._sources.assets, states, str(error)), [], None)
            raise

    async def _connected(self, sink: Sink) -> None:
        async with connect(self._config, self._password) as session:
            kept, self._kept = self._kept, None
            taken_over = kept is not None and await kept[0].resume(session)
            if kept is not None and taken_over:
                subscription, resolved = kept
                self._component.count("resumed")
                await self._keep(sink, self._nothing_missed(resolved), [], subscription)
            else:
                self._transfers = self._transfers and kept is None
                subscription, resolved = await Subscription.create(session, self._config), {}
                for handle, latest_ns in self._latest.items():
                    self._holes.setdefault(handle, latest_ns)
            session.transferable = self._transfers
            try:
                await self._follow(session, subscription, resolved)
                said = self._away + self._presence.connected(self._sources.assets)
                await self._keep(sink, said, [], subscription)
                self._away = []
                tasks = (
                    self._deliver(subscription, sink),
                    self._retry_refused(session, subscription, resolved),
                    self._fill_holes(session, subscription, resolved, sink),
                    self._watch_silence(subscription),
                )
                await _together(self.name, *tasks)
            except SourceError:
                if taken_over and not subscription.heard:
                    # asyncua's server lets us take it over, and then publishes to the session that is gone
                    self._transfers = False
                if self._transfers and subscription.standing:
                    self._kept = (subscription, resolved)
                raise
            finally:
                subscription.close()

    def _nothing_missed(self, resolved: Mapping[int, str]) -> list[Sample]:
        """The server kept what we had not heard: what is unknown of the break will be told by what comes now."""
        readers = [self._sources[handle].reader for handle in resolved if handle not in self._holes]
        return [sample for reader in readers for sample in self._presence.filled(reader.asset, reader.metric)]

    async def _follow(self, session: Session, subscription: Subscription, resolved: dict[int, str]) -> None:
        """Subscribe to every node not followed yet; `resolved` gets those that the server took."""
        namespaces = await session.namespaces()
        await self._sources.discover(session, namespaces)
        self._take_up_progress()
        wanted, refused = {}, {}
        for handle, source in enumerate(self._sources):
            if handle in resolved:
                continue
            node = source.address.within(namespaces)
            if node is None:
                refused[handle] = f"the server has no namespace {source.address.uri}"
            else:
                wanted[handle] = node
        # Known before the first value can arrive, so that a hole found in it can be filled.
        resolved.update(wanted)
        for handle, reason in (await subscription.follow(wanted, self._sources.events)).items():
            refused[handle] = reason
            del resolved[handle]
        self._refused = refused
        self._report(subscription)
        self._hole_opened.set()

    def _take_up_progress(self) -> None:
        """What a former process delivered of sources that are known by now."""
        for handle, source in enumerate(self._sources):
            latest_ns = self._reached.latest.get(source.key, 0)
            if latest_ns and handle not in self._latest:
                self._latest[handle] = latest_ns
                self._holes.setdefault(handle, latest_ns)

    def _remember(self) -> None:
        latest = {self._sources[handle].key: ns for handle, ns in self._latest.items()}
        # a hole that is still open begins where its values end
        latest.update({self._sources[handle].key: ns for handle, ns in self._holes.items()})
        self._progress.write(self._presence.heard_ns, latest, self._presence.states.values())

    def _readers(self) -> list[Reader]:
        return [source.reader for source in self._sources]

    def _report(self, subscription: Subscription) -> None:
        nodes, refused = self._sources, self._refused
        self._component.gauge("nodes", len(nodes) - len(refused))
        self._component.gauge("bad_nodes", len(refused))
        self._component.gauge("short_queues", len(subscription.short_queues))
        self._component.gauge("silent_nodes", len(self._silent))
        detail = f"{len(nodes) - len(refused)} of {len(nodes)} nodes"
        for handle, reason in list(refused.items())[:3]:
            detail += f"; {nodes[handle].label}: {reason}"
        for handle, size in list(subscription.short_queues.items())[:1]:
            detail += f"; the server queues only {size} values of {nodes[handle].label}: lower publishing_ms"
        for handle in self._silent[:3]:
            detail += f"; {nodes[handle].label} is silent"
        for name, reason in self._sources.missing.items():
            detail += f"; machine {name!r} was not found: {reason}"
        if self._without_history:
            detail += f"; what was missed is not in the server's history: {self._without_history}"
        self._component.ok(detail)

    async def _retry_refused(self, session: Session, subscription: Subscription, resolved: dict[int, str]) -> None:
        while len(resolved) < len(self._sources) or self._sources.missing:
            await asyncio.sleep(self._retry_s)
            with contextlib.suppress(SourceError):  # a server that is gone is noticed, and said, by its silence
                await self._follow(session, subscription, resolved)

    async def _watch_silence(self, subscription: Subscription) -> None:
        """Say which nodes have been silent for longer than the plant file lets them."""
        limits = {handle: node.silence_s for handle, node in enumerate(self._config.nodes) if node.silence_s}
        self._spoke.update(dict.fromkeys(limits, monotonic()))
        while limits:
            await asyncio.sleep(min(1.0, min(limits.values()) / 4))
            now = monotonic()
            silent = [handle for handle, limit in limits.items() if now - self._spoke[handle] > limit]
            if silent != self._silent:
                self._silent = silent
                self._report(subscription)

    async def _deliver(self, subscription: Subscription, sink: Sink) -> None:
        while True:
            publications = await subscription.next()
            received_ns = self._now_ns()
            if subscription.missing:
                self._component.count("missing_messages", subscription.missing)
                subscription.missing = 0
                self._open_holes(self._latest)
            samples = self._presence.alive(self._sources.assets)
            self._component.gauge("server_ahead_ms", (publications[-1].published_ns - received_ns) / 1e6)
            aside: list[tuple[str, bytes]] = []
            self._settled = False
            for publication in publications:
                for handle, reading in publication.readings:
                    self._take(handle, reading, received_ns, samples, aside)
                aside += publication.broken
            await self._keep(sink, samples, aside, subscription)
            self._settled = True
            if samples and samples[0].metric == "online":
                self._remember()
            for publication in publications:
                _raise_if_ended(publication)

    def _take(
        self,
        handle: int,
        reading: Reading,
        received_ns: int,
        samples: list[Sample],
        aside: list[tuple[str, bytes]],
        *,
        live: bool = True,
    ) -> None:
        if not 0 <= handle < len(self._sources):
            aside.append((f"a value for handle {handle}, which was never given", repr(reading).encode()))
            return
        reader = self._sources[handle].reader
        if handle in self._spoke:
            self._spoke[handle] = monotonic()
        if reading.status & OVERFLOW:
            self._component.count("overflows")
            self._open_holes((handle,))
        try:
            found = reader.samples(reading, received_ns)
        except DecodeError as error:
            aside.append((f"{self._sources[handle].label}: {error}", repr(reading).encode("utf-8", "replace")))
            return
        if not found:
            return
        samples += found
        if reader.holds_state:
            samples += self._presence.delivered(found, live=live)
        if reading.source_ns > self._latest.get(handle, 0):
            self._latest[handle] = reading.source_ns

    def _open_holes(self, handles: Iterable[int]) -> None:
        for handle in handles:
            if handle in self._latest:
                self._holes.setdefault(handle, self._latest[handle])
        self._hole_opened.set()

    async def _keep(
        self, sink: Sink, samples: list[Sample], aside: list[tuple[str, bytes]], subscription: Subscription | None
    ) -> None:
        """Return once all is durable. Once begun it is ended even if we are cancelled: no server sends it again."""
        if not samples and not aside:
            return
        keeping = asyncio.create_task(self._put(sink, samples, aside), name=f"{self.name}: put")
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

    async def _put(self, sink: Sink, samples: list[Sample], aside: list[tuple[str, bytes]]) -> None:
        if samples:
            await sink.put(samples)
            self._component.count("samples", len(samples))
        if aside:
            # Together, so that the spool can commit them together.
            await asyncio.gather(*(sink.set_aside(self.name, reason, raw) for reason, raw in aside))
            self._component.count("dead_letters", len(aside))

    async def _fill_holes(
        self, session: Session, subscription: Subscription, resolved: dict[int, str], sink: Sink
    ) -> None:
        while True:
            await self._hole_opened.wait()
            self._hole_opened.clear()
            for handle in [handle for handle in self._holes if handle in resolved]:
                start_ns = self._holes.pop(handle)
                filled = False
                try:
                    await self._fill(session, handle, resolved[handle], start_ns, sink)
                    filled = True
                    values = self._sources[handle].reader
                    await self._keep(sink, self._presence.filled(values.asset, values.metric), [], None)
                    self._component.count("holes_filled")
                except NoHistoryError as error:
                    filled = True
                    self._component.count("holes_left")
                    reader = self._sources[handle].reader
                    self._presence.left(reader.asset, reader.metric)
                    self._without_history = f"{self._sources[handle].label}: {error}"
                    self._report(subscription)
                except SourceError:
                    # Tried again, unless the server is gone altogether; then its silence says so.
                    asyncio.get_running_loop().call_later(self._retry_s, self._hole_opened.set)
                finally:
                    if not filled:
                        self._holes[handle] = min(start_ns, self._holes.get(handle, start_ns))

    async def _fill(self, session: Session, handle: int, node: str, start_ns: int, sink: Sink) -> None:
        async for readings in read_raw(session, node, start_ns):
            samples: list[Sample] = []
            aside: list[tuple[str, bytes]] = []
            received_ns = self._now_ns()
            for reading in readings:
                # Stored values bear no overflow bit of ours: they open no hole.
                self._take(handle, _stored(reading), received_ns, samples, aside, live=False)
            await self._keep(sink, samples, aside, None)
            self._component.count("from_history", len(samples))


def _stored(reading: Reading) -> Reading:
    return Reading(reading.value, reading.status & ~OVERFLOW, reading.source_ns, reading.server_ns)


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

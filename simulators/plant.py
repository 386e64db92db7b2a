"""The plant while it runs: every asset's timeline on its wire, first the past at full speed, then the present.

Invariants. An event is published once, in the order of its asset's life, never before its own instant. It is in the
journal when its wire has accepted it; `reached` is noted once everything before that instant is accepted. What the
machines are does not depend on when, how fast or in how many runs they are played.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from simulators.demo import LINK, MACHINES
from simulators.echo_reflector import EchoReflector
from simulators.journal import Journal
from simulators.link import PROBE_METRICS, link_events
from simulators.mqtt_plant import MqttPublisher
from simulators.payloads import Message, report_messages, value_messages
from simulators.radio_path import LinkConfig
from simulators.replay import replay
from simulators.spec import Spec
from simulators.timeline import Event, Timeline, machine_events
from simulators.truth import Truth
from simulators.udp_link import UdpLink
from telemetry.errors import SourceError

if TYPE_CHECKING:
    from simulators.opcua_plant import OpcUaPlant

CHUNK_NS: Final = 600 * 10**9
"""History is played in steps of so much plant time [ns]."""

_MARK_NS: Final = 10**9
_FAR_NS: Final = 1 << 62
_CLOSE_S: Final = 0.5

Send = Callable[[list[Event]], Awaitable[None]]


@dataclass(slots=True)
class _Asset:
    timeline: Timeline
    send: Send


class Plant:
    """`start`, then `play` (returns when the present is reached), then `live` (until cancelled), then `stop`."""

    def __init__(self, spec: Spec, journal: Journal, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._spec = spec
        self._journal = journal
        self._now_ns = now_ns
        self._cursor_ns = spec.starts_at_ns
        self._probed_from_ns = _FAR_NS
        self._assets: dict[str, _Asset] = {}
        self._mqtt = MqttPublisher(spec.mqtt.host, spec.mqtt.port, self._accepted) if spec.mqtt else None
        self._opcua: OpcUaPlant | None = None
        self._link: UdpLink | None = None
        self._reflector: EchoReflector | None = None
        machines = [MACHINES[path][0] for path in spec.assets if path in MACHINES]
        self.truth: Final = Truth(machines, spec.seed, spec.epoch_ns, [LINK] if LINK.path in spec.assets else [])

    @property
    def published(self) -> int:
        """Values that wires have accepted in this run."""
        return self._journal.published

    async def start(self) -> dict[str, Any]:
        """Open the wires; returns their addresses. Raises SourceError or OSError when one cannot be had."""
        ports: dict[str, Any] = {}
        if self._mqtt:
            await self._mqtt.start()
        if self._spec.link:
            self._reflector = EchoReflector(port=self._spec.link.reflector_port).start()
            target = self._reflector.address
            self._link = UdpLink(LinkConfig(), self._spec.seed, target, port=self._spec.link.port).start()
            ports |= {"link_port": self._link.port, "reflector_port": target[1]}
        if self._spec.opcua:
            from simulators.opcua_plant import OpcUaPlant  # asyncua takes a second to import: only where it is used

            machines = {path: _variables(path) for path in self._spec.assets if _speaks(path) == "opcua"}
            self._opcua = OpcUaPlant(self._spec.opcua.port, machines, self._life)
            await self._opcua.start()
            ports |= {"opcua_url": self._opcua.url, "opcua_port": self._opcua.port}
        for path in self._spec.assets:
            await self._open(path)
        return ports

    async def play(self, progress: Callable[[float], None]) -> None:
        """Publish the replay and the past, as fast as the wires take it. `progress` hears the share done [0…1].

        Raises SourceError when the OPC UA client that the spec waits for does not come.
        """
        wait_s = self._spec.opcua.await_client_s if self._spec.opcua else 0.0
        if self._opcua and wait_s and not await self._opcua.followed(wait_s):
            raise SourceError(f"no OPC UA client monitors every variable of {self._opcua.url} after {wait_s:g} s")
        if self._spec.replay and self._mqtt:
            told = self._spec.replay
            await replay(told.path, told.asset, self._mqtt.publish, ends_at_ns=told.ends_at_ns)
        begin_ns = self._cursor_ns
        while (now_ns := self._now_ns()) - self._cursor_ns > _MARK_NS:
            await self._advance(min(self._cursor_ns + CHUNK_NS, now_ns))
            await self._reached()
            progress((self._cursor_ns - begin_ns) / (self._now_ns() - begin_ns))
        if self._link:
            self._probed_from_ns = self._cursor_ns

    async def live(self) -> None:
        """Publish each event at its instant, until cancelled."""
        marked_ns = self._cursor_ns
        while True:
            now_ns = self._now_ns()
            await self._advance(now_ns + 1)
            if now_ns - marked_ns >= _MARK_NS:
                marked_ns = now_ns
                await self._reached()
            next_ns = min((asset.timeline.next_ns for asset in self._assets.values()), default=now_ns + _MARK_NS)
            await asyncio.sleep(min(max(0, next_ns - self._now_ns()), _MARK_NS) / 1e9)

    async def stop(self) -> int:
        """Let what is under way arrive, note how far we came, close the wires. Returns the messages left behind."""
        if self._opcua:
            await self._opcua.delivered(_CLOSE_S)
        left = await self._mqtt.stop() if self._mqtt else 0
        if not left:
            self._journal.reached(self._cursor_ns)
        if self._opcua:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._opcua.stop(), _CLOSE_S)
        for each in (self._link, self._reflector):
            if each:
                await asyncio.to_thread(each.stop)
        return left

    def write_truth(self) -> None:
        """The truth from where this run began to where it has come, if the spec names a file."""
        if self._spec.truth:
            self.truth.write(self._spec.truth, self._spec.starts_at_ns, self._cursor_ns)

    def _life(self, path: str) -> Iterator[Event]:
        if path == LINK.path:
            return link_events(LINK, self._spec.seed, self._spec.epoch_ns)
        return machine_events(MACHINES[path][0], self._spec.seed, self._spec.epoch_ns)

    async def _open(self, path: str) -> None:
        timeline = Timeline(self._life(path))
        past = timeline.until(self._cursor_ns)
        if _speaks(path) != "opcua":
            to_messages = report_messages if _speaks(path) == "printer" else value_messages
            self._assets[path] = _Asset(timeline, partial(self._publish, to_messages, path))
            return
        # A variable has its value in force before anyone looks; what happens at this very instant is news.
        assert self._opcua
        in_force = {metric: (time_ns, metric, value) for time_ns, metric, value in past}
        await self._opcua.write(path, in_force.values())
        self._assets[path] = _Asset(timeline, partial(self._write, path))
        await self._write(path, timeline.until(self._cursor_ns + 1))

    async def _advance(self, end_ns: int) -> None:
        """Publish every event before `end_ns`."""
        async with asyncio.TaskGroup() as wires:
            for asset in self._assets.values():
                if events := asset.timeline.until(end_ns):
                    wires.create_task(_send(asset, events))
        self._cursor_ns = max(self._cursor_ns, end_ns)

    async def _reached(self) -> None:
        if self._mqtt:
            await self._mqtt.settled()
        self._journal.reached(self._cursor_ns)

    async def _write(self, path: str, events: list[Event]) -> None:
        assert self._opcua
        await self._opcua.write(path, events)
        self._journal.add(path, events)

    async def _publish(
        self, to_messages: Callable[[str, list[Event]], list[Message]], path: str, events: list[Event]
    ) -> None:
        assert self._mqtt
        wanted = [event for event in events if event[0] < self._probed_from_ns or event[1] not in PROBE_METRICS]
        for message in to_messages(path, wanted):
            await self._mqtt.publish(message)

    def _accepted(self, message: Message) -> None:
        self._journal.add(message.asset, message.events)


async def _send(asset: _Asset, events: list[Event]) -> None:
    await asset.send(events)


def _speaks(path: str) -> str:
    return MACHINES[path][1] if path in MACHINES else "mqtt"


def _variables(path: str) -> tuple[str, ...]:
    return ("state", "reason", "product", "parts", "parts_good", MACHINES[path][0].gauge.metric)

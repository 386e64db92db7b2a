"""The plant while it runs: every asset's timeline on its wire, first the past at full speed, then the present.

Invariants. An event is published once, in the order of its asset's life, never before its own instant. It is in the
journal when its wire has accepted it; `reached` is noted once everything before that instant is accepted. What the
machines are does not depend on when, how fast or in how many runs they are played.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from simulators.breaking import Breaking
from simulators.echo_reflector import EchoReflector
from simulators.faults import WORD, Done
from simulators.journal import Journal
from simulators.link import PROBE_METRICS
from simulators.lives import lives
from simulators.mqtt_devices import MqttDevices, Send
from simulators.mqtt_plant import MqttPublisher
from simulators.payloads import Message
from simulators.radio_path import LinkConfig
from simulators.recordings import replay
from simulators.sections import Link, OpcUaMachine, RadioNetwork, SparkplugMachine, Vehicle
from simulators.sparkplug_edge import SparkplugEdge
from simulators.spec import Spec
from simulators.timeline import Event, Timeline, told
from simulators.truth import Truth
from simulators.udp_link import UdpLink
from telemetry.errors import SourceError

if TYPE_CHECKING:
    from simulators.companion import Speech
    from simulators.opcua_plant import OpcUaPlant

CHUNK_NS: Final = 600 * 10**9
"""History is played in steps of so much plant time [ns]."""

FINE_NS: Final = 60 * 10**9
"""With faults in smaller steps [ns], at any speed, for faults are drawn message by message: one that is lost is then
not a whole batch of ten minutes."""

_BEAT_S: Final = 0.2
"""At a speed, and without faults, what happened is told so often [s]."""

_MARK_NS: Final = 10**9
_FAR_NS: Final = 1 << 62
_CLOSE_S: Final = 0.5
_HOST_S: Final = 30.0


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
        self.done: Final = Done()
        self._mqtt: MqttPublisher | None = None
        self._devices: MqttDevices | None = None
        if (broker := spec.mqtt) is not None:
            self._mqtt = MqttPublisher(broker.host, broker.port, self._accepted, login=broker.login, ca=broker.ca)
            self._devices = MqttDevices(self._mqtt, spec.seed, spec.epoch_ns, spec.scenario.faults, self.done)
        self._opcua: OpcUaPlant | None = None
        self._link: UdpLink | None = None
        self._reflector: EchoReflector | None = None
        scenario, played = spec.scenario, {asset.path: asset for asset in spec.played}
        self._played = played
        self._machines = {path: model for path, model in scenario.models.items() if path in played}
        self._links = {path: model for path, model in scenario.link_models.items() if path in played}
        self._speeches: dict[str, Speech] = {
            path: asset.speaks
            for path, asset in played.items()
            if isinstance(asset, OpcUaMachine) and asset.speaks != "plain"
        }
        others = [asset.model for asset in scenario.others if asset.path in played]
        self._edges: dict[str, SparkplugEdge] = {}
        self._to_forward: dict[str, dict[str, list[Event]]] = {}
        self.truth: Final = Truth(self._machines.values(), spec.seed, spec.epoch_ns, self._links.values(), others)

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

            machines = {path: one.metrics for path, one in self._played.items() if isinstance(one, OpcUaMachine)}
            lived = self._spec.until_ns is None
            self._opcua = OpcUaPlant(
                self._spec.opcua.port, machines, self._life, lived=lived, speeches=self._speeches,
                manners=self._spec.scenario.opcua, certificates=self._spec.opcua.certificates,
            )  # fmt: skip
            await self._opcua.start()
            ports |= {"opcua_url": self._opcua.url, "opcua_port": self._opcua.port}
            if self._opcua.certificate is not None:
                ports["opcua_certificate"] = str(self._opcua.certificate)
        await self._open_edges()
        for path in self._played:
            await self._open(path)
        if self._devices:
            await self._devices.leftovers()
        if self._mqtt:
            await self._mqtt.settled()
        return ports

    async def play(self, progress: Callable[[float], None], ask: Callable[[int], None] | None = None) -> None:
        """Publish the replay and the past, at the spec's speed or as fast as the wires take it. `progress` hears the
        share done [0…1], `ask` is given the numbers of the faults that only the parent can make: a broker that
        restarts, a process that stands still.

        Raises SourceError when the OPC UA client that the spec waits for does not come.
        """
        wait_s = self._spec.opcua.await_client_s if self._spec.opcua else 0.0
        if self._opcua and wait_s and not await self._opcua.followed(wait_s):
            raise SourceError(f"no OPC UA client monitors every variable of {self._opcua.url} after {wait_s:g} s")
        for edge in self._edges.values():
            await edge.followed(_HOST_S)
        if self._spec.replay and self._mqtt:
            told = self._spec.replay
            await replay(told.path, told.asset, self._mqtt.publish, ends_at_ns=told.ends_at_ns)
        machines = [path for path, one in self._played.items() if isinstance(one, OpcUaMachine)]
        breaking = Breaking(
            self._spec.scenario.faults, self._spec.epoch_ns, self._opcua, machines, self._edges.values(), self.done
        )
        begin_ns, began_s = self._cursor_ns, time.monotonic()
        while (end_ns := self._past_ends_ns) - self._cursor_ns > (0 if self._spec.until_ns else _MARK_NS):
            step_ends_ns = min(self._cursor_ns + self._step_ns, end_ns)
            if self._spec.speed:
                due_s = began_s + (step_ends_ns - begin_ns) / 1e9 / self._spec.speed
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            await self._advance(step_ends_ns)
            await breaking.until(self._cursor_ns, ask)
            await self._reached()
            progress((self._cursor_ns - begin_ns) / (self._past_ends_ns - begin_ns))
        if self._devices:
            await self._devices.rest(entered=self._spec.until_ns is not None)
        await breaking.mend()
        await self._reached()
        if self._opcua:
            self.done.unheard = sorted(self._opcua.alarms.unheard)
        if self._spec.disturbances:
            self.done.write(self._spec.disturbances)
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
        for edge in self._edges.values():
            await edge.stop()
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

    @property
    def _step_ns(self) -> int:
        if self._spec.scenario.faults:
            return FINE_NS
        beat_ns = max(1_000_000, round(self._spec.speed * _BEAT_S * 1e9))
        return min(CHUNK_NS, beat_ns) if self._spec.speed else CHUNK_NS

    @property
    def _past_ends_ns(self) -> int:
        return self._now_ns() if self._spec.until_ns is None else self._spec.until_ns

    def _life(self, path: str) -> Iterator[Event]:
        seed, born_ns = self._spec.seed, self._spec.epoch_ns
        asset = self._played[path]
        if isinstance(asset, Link | Vehicle | RadioNetwork):
            return asset.model.events(seed, born_ns)
        life = told(lives(self._machines, path, seed, born_ns), self._machines[path], seed, born_ns)
        if path in self._speeches:
            from simulators.companion import events

            return events(self._speeches[path], life)
        return life

    async def _open(self, path: str) -> None:
        timeline = Timeline(self._life(path))
        past = timeline.until(self._cursor_ns)
        asset = self._played[path]
        if isinstance(asset, SparkplugMachine):
            edge = self._edges[asset.group]
            in_force = {metric: (time_ns, metric, value) for time_ns, metric, value in past}
            in_force |= {metric: (t, metric, value) for t, metric, value in timeline.until(self._cursor_ns + 1)}
            edge.begin(path, in_force.values(), self._cursor_ns)
            self._assets[path] = _Asset(timeline, partial(self._forward, asset.group, path))
            return
        if asset.kind != "opcua":
            assert self._devices
            model = self._machines.get(path)
            turn = model.rolls_over_at if model is not None else None
            send = self._devices.open(asset, partial(self._life, path), turn or WORD)
            self._assets[path] = _Asset(timeline, partial(self._publish, send))
            return
        # A variable has its value in force before anyone looks; what happens at this very instant is news.
        assert self._opcua
        in_force = {metric: (time_ns, metric, value) for time_ns, metric, value in past}
        await self._opcua.write(path, in_force.values())
        self._assets[path] = _Asset(timeline, partial(self._write, path))
        await self._write(path, timeline.until(self._cursor_ns + 1))

    async def _open_edges(self) -> None:
        """An edge node for each line whose machines speak Sparkplug."""
        lines: dict[str, dict[str, tuple[str, Sequence[str]]]] = {}
        for asset in self._played.values():
            if isinstance(asset, SparkplugMachine):
                lines.setdefault(asset.group, {})[asset.device] = asset.path, asset.metrics
        for group, devices in lines.items():
            broker = self._spec.mqtt
            assert broker
            primary = None if broker.sparkplug_host is None else broker.sparkplug_host.replace("{group}", group)
            edge = SparkplugEdge(
                broker.host, broker.port, group, "gateway", devices, self._journal.add, primary,
                login=broker.login, ca=broker.ca,
            )  # fmt: skip
            await edge.start()
            self._edges[group] = edge

    async def _forward(self, group: str, path: str, events: list[Event], _until_ns: int) -> None:
        self._to_forward.setdefault(group, {})[path] = events

    async def _advance(self, end_ns: int) -> None:
        """Publish every event before `end_ns`."""
        async with asyncio.TaskGroup() as wires:
            for asset in self._assets.values():
                events = asset.timeline.until(end_ns)
                if events or (self._devices and self._devices.disturbed):
                    wires.create_task(_send(asset, events, end_ns))
        for group, heard in self._to_forward.items():
            self._edges[group].publish(heard, end_ns)
        self._to_forward.clear()
        self._cursor_ns = max(self._cursor_ns, end_ns)

    async def _reached(self) -> None:
        if self._mqtt:
            await self._mqtt.settled()
        for edge in self._edges.values():
            await edge.settled()
        self._journal.reached(self._cursor_ns)

    async def _write(self, path: str, events: list[Event], _until_ns: int = 0) -> None:
        assert self._opcua
        await self._opcua.write(path, events)
        self._journal.add(path, events)

    async def _publish(self, send: Send, events: list[Event], until_ns: int) -> None:
        await send([one for one in events if one[0] < self._probed_from_ns or one[1] not in PROBE_METRICS], until_ns)

    def _accepted(self, message: Message) -> None:
        self._journal.add(message.asset, message.events)


async def _send(asset: _Asset, events: list[Event], until_ns: int) -> None:
    await asset.send(events, until_ns)

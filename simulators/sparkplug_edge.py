"""A simulated Sparkplug B edge node: births with aliases, data in order, rebirth, death, store and forward.

Invariants. `seq` counts every message but the death; `bdSeq` every CONNECT. Data go out only after the births of this
session, and, with a primary host, only while that says that it is online. What could not be sent, and what was sent
in the last seconds before a connection or the primary host was lost, goes out after the next births as historical: see
simulators.outbox.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from simulators import sparkplug_words as words
from simulators.machine import NS_PER_MS
from simulators.mqtt_session import Door, Login, refused
from simulators.outbox import Outbox, Told
from simulators.sparkplug_payload import asks_for_birth, payload
from simulators.timeline import Event, Value
from telemetry.errors import SourceError

_KEEPALIVE_S: Final = 3
_SEQUENCE: Final = 256
_WITH_WILL: Final = 0x04


class SparkplugEdge:
    """One edge node and its devices. `devices`: name of each, its asset and its metrics."""

    def __init__(
        self,
        host: str,
        port: int,
        group: str,
        edge: str,
        devices: Mapping[str, tuple[str, Sequence[str]]],
        accepted: Callable[[str, Iterable[Event]], None],
        primary_host: str | None = None,
        *,
        login: Login = None,
        ca: Path | None = None,
    ) -> None:
        """`login`, `ca`: as Door has them, whose errors are raised."""
        self._door: Final = Door(host, port, login, ca)
        self._group, self._edge = group, edge
        self._devices: Final = {asset: device for device, (asset, _) in devices.items()}
        names = [(asset, name) for asset, metrics in devices.values() for name in metrics]
        self._aliases: Final = {key: number for number, key in enumerate(names, 1)}
        self._outbox: Final = Outbox(accepted)
        self._primary: Final = primary_host
        self._client: Client | None = None
        self._bd_seq = -1
        self._seq = 0
        self._connected = self._begun = self._born = self._cut = False
        self._host_online = threading.Event() if primary_host is not None else None
        self._host_said_ms = -1
        self._refusal: SourceError | None = None
        self._in_force: dict[tuple[str, str], tuple[int, Value]] = {}
        self._now_ms = 0
        self._changed = asyncio.Event()
        self.rebirths = 0
        """How often a host asked for births."""

    @property
    def assets(self) -> Collection[str]:
        """The assets of its devices."""
        return self._devices.keys()

    async def start(self, timeout_s: float = 5.0) -> None:
        """Connect. Raises SourceError when the broker does not answer in time [s] or refuses."""
        self._loop = asyncio.get_running_loop()
        self._connect()
        try:
            if not await self._until(lambda: self._connected, timeout_s):
                raise self._door.closed(timeout_s)
        except SourceError:
            await self._disconnect()
            raise

    def begin(self, asset: str, in_force: Iterable[Event], now_ns: int) -> None:
        """What is in force before anything is told: it stands in the first birth."""
        self._now_ms = max(self._now_ms, now_ns // NS_PER_MS)
        for time_ns, name, value in in_force:
            self._in_force[asset, name] = time_ns, value

    async def followed(self, seconds: float) -> None:
        """Let it speak; return once the births are out.

        Raises SourceError when the primary host is not online within so long [s], or the broker refuses us.
        """
        self._begun = True
        self._pump()
        if not await self._until(lambda: self._born, seconds):
            raise SourceError(f"the Sparkplug host application {self._primary!r} is not online after {seconds:g} s")

    def publish(self, told: Mapping[str, Iterable[Event]], now_ns: int) -> None:
        """Tell events of devices, now or when it can be done. `now_ns`: the devices' clock [ns]; all that happened to
        any of them until then must be there, for a birth says of all what is in force."""
        self._now_ms = max(self._now_ms, now_ns // NS_PER_MS)
        for asset, events in told.items():
            for event in events:
                time_ns, name, value = event
                self._in_force[asset, name] = time_ns, value
                self._outbox.add(Told(asset, event, historical=not self._born))
        self._pump()

    async def settled(self) -> None:
        """Return once the broker has everything, or the uplink was cut on purpose. SourceError when it refuses us."""
        await self._until(lambda: self._cut or self._outbox.empty, None)

    async def cut(self) -> None:
        """The uplink is lost: the broker publishes the will, and what happens is kept."""
        self._cut = True
        await self._disconnect()

    async def mend(self) -> None:
        """The uplink is back."""
        if self._cut:
            self._cut = False
            self._connect()

    async def stop(self) -> None:
        """Say NDEATH and leave."""
        with suppress(TimeoutError, SourceError):
            await asyncio.wait_for(self.settled(), 2.0)
        if self._born and self._client is not None:
            said = self._client.publish(self._topic("NDEATH"), self._death(), qos=1)
            await asyncio.to_thread(said.wait_for_publish, 1.0)
        await self._disconnect()

    # the session

    def _connect(self) -> None:
        self._bd_seq = (self._bd_seq + 1) % _SEQUENCE
        client = self._door.client(f"{self._group}-{self._edge}")
        client.reconnect_delay_set(1, 1)
        client.will_set(self._topic("NDEATH"), self._death(), qos=1)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        self._door.enter(client, _KEEPALIVE_S, clean=True)
        self._client = client

    async def _disconnect(self) -> None:
        """Leave. The specification wants the will published even after an NDEATH of our own: with MQTT 5 each
        DISCONNECT asks for it (payloads-ndeath-will-message-publisher-disconnect-mqtt50)."""
        client, self._client = self._client, None
        self._lost()
        if client is not None:
            client.on_disconnect = None
            client.disconnect(reasoncode=ReasonCode(PacketTypes.DISCONNECT, identifier=_WITH_WILL))
            await asyncio.to_thread(client.loop_stop)

    def _lost(self) -> None:
        self._connected = self._born = False
        self._outbox.lost()
        self._changed.set()

    def _hear_host(self, message: bytes) -> None:
        with suppress(ValueError, KeyError, TypeError):
            said = json.loads(message)
            online, stamp = bool(said["online"]), int(said["timestamp"])
            if stamp < self._host_said_ms or self._host_online is None:
                return
            self._host_said_ms = stamp
            if online:
                self._host_online.set()
                self._pump()
            elif self._host_online.is_set():
                self._host_online.clear()
                self._loop.create_task(self._host_gone(), name="Sparkplug host gone")

    async def _host_gone(self) -> None:
        """The specification's way: say that we die, disconnect, and come back to wait for the host."""
        if self._client is not None and self._born:
            self._client.publish(self._topic("NDEATH"), self._death(), qos=1)
        await self._disconnect()
        if not self._cut:
            self._connect()

    def _rebirth(self) -> None:
        self.rebirths += 1
        if self._born:
            self._outbox.late()
            self._give_birth()

    # what is said

    def _pump(self) -> None:
        online = self._host_online is None or self._host_online.is_set()
        if not (self._begun and self._connected and online and self._client is not None):
            return
        if not self._born:
            self._born = True
            self._give_birth()
        for batch in self._outbox.batches():
            self._data(batch)
        if self._outbox.unproved:
            proof = self._client.publish(f"km0/sent/{self._group}/{self._edge}", b"", qos=1)
            self._outbox.prove(proof.mid)
        self._changed.set()

    def _give_birth(self) -> None:
        self._seq = 0
        self._say("NBIRTH", words.node(self._bd_seq, self._now_ms))
        for asset in self._devices:
            metrics = []
            for (owner, name), alias in self._aliases.items():
                if owner != asset:
                    continue
                time_ns, value = self._in_force.get((asset, name), (self._now_ms * NS_PER_MS, None))
                metrics.append(words.birth(name, alias, time_ns, value))
                if value is not None:
                    self._outbox.sent(Told(asset, (time_ns, name, value)))
            self._say("DBIRTH", metrics, asset)

    def _data(self, batch: list[Told]) -> None:
        metrics = []
        for told in batch:
            time_ns, name, value = told.event
            alias = self._aliases[told.asset, name]
            metrics.append(words.data(name, alias, time_ns, value, historical=told.historical))
            self._outbox.sent(told)
        self._say("DDATA", metrics, batch[0].asset)

    def _say(self, kind: str, metrics: list[bytes], asset: str | None = None) -> None:
        assert self._client is not None
        topic = self._topic(kind) + (f"/{self._devices[asset]}" if asset is not None else "")
        self._client.publish(topic, payload(metrics, time_ms=self._now_ms, seq=self._seq), qos=0)
        self._seq = (self._seq + 1) % _SEQUENCE

    def _topic(self, kind: str) -> str:
        return f"spBv1.0/{self._group}/{kind}/{self._edge}"

    def _death(self) -> bytes:
        return payload([words.session(self._bd_seq)])

    def _proved(self, mid: int) -> None:
        self._outbox.proved(mid)
        self._changed.set()

    async def _until(self, reached: Callable[[], bool], seconds: float | None) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not reached():
                    if self._refusal is not None:
                        raise self._refusal
                    self._changed.clear()
                    await self._changed.wait()
        return reached()

    # paho calls these on its own thread; a client that was left says nothing any more

    def _on_connect(
        self, client: Client, _data: Any, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._loop.call_soon_threadsafe(self._from, client, self._refused, reason)
            return
        client.subscribe(self._topic("NCMD"), qos=1)
        if self._primary is not None:
            client.subscribe(f"spBv1.0/STATE/{self._primary}", qos=1)
        self._loop.call_soon_threadsafe(self._from, client, self._came_up)

    def _on_disconnect(
        self, client: Client, _data: Any, _flags: DisconnectFlags, _reason: ReasonCode, _properties: Properties | None
    ) -> None:
        # paho connects again by itself; the will of that CONNECT is another one
        self._bd_seq = (self._bd_seq + 1) % _SEQUENCE
        client.will_set(self._topic("NDEATH"), self._death(), qos=1)
        self._loop.call_soon_threadsafe(self._from, client, self._lost)

    def _on_message(self, client: Client, _data: Any, message: MQTTMessage) -> None:
        body = bytes(message.payload)
        if message.topic.startswith("spBv1.0/STATE/"):
            self._loop.call_soon_threadsafe(self._from, client, self._hear_host, body)
        elif asks_for_birth(body):
            self._loop.call_soon_threadsafe(self._from, client, self._rebirth)

    def _on_publish(
        self, client: Client, _data: Any, mid: int, _reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._from, client, self._proved, mid)

    def _from(self, client: Client, act: Callable[..., None], *arguments: Any) -> None:
        if client is self._client:
            act(*arguments)

    def _refused(self, reason: ReasonCode) -> None:
        self._refusal = refused(reason)
        self._changed.set()

    def _came_up(self) -> None:
        self._refusal, self._connected = None, True
        self._pump()
        self._changed.set()

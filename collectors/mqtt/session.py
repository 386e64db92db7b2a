"""One connection of an MQTT session, driven by asyncio; paho-mqtt speaks the protocol.

Invariants:
- A message is acknowledged by `acknowledge` and nowhere else; what is not acknowledged the broker sends again.
- At most `max_in_flight` messages and `max_in_flight_bytes` bytes (passed by one message at most) are taken and not yet
  acknowledged. At the bound the socket is not read and the broker waits. It is told a receive-maximum too, but brokers
  ignore it.
- A Session connects once. When it broke, `batch` raises SourceError; the retry loop makes the next Session.
- paho runs no thread and no retry of its own; but for the connecting, it is called by the event loop alone.
- After a read that emptied the socket, nothing is read for GATHER_S, so that what follows comes in one piece: at a
  steady 20,000 messages/s that is the difference between a full core and a sixth of one. A first message never waits.
"""

import asyncio
import socket as stdlib_socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, time_ns
from types import TracebackType
from typing import Any, Final, Self

import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from collectors.mqtt.client import READ_BYTES, BatchingClient, acknowledge_singly
from collectors.mqtt.connecting import CONNECT_S, SessionSettings, connect, in_thread, made_client
from collectors.mqtt.decoder import Message, Publication
from collectors.mqtt.framing import Batch, without_length
from collectors.mqtt.keepalive import Keepalive
from collectors.mqtt.topics import generalisations, shared_group
from telemetry.errors import SourceError

READS_PER_WAKE: Final = 4
"""Most reads before other tasks of the process have their turn: about 5 ms."""

PACKETS_PER_WAKE: Final = 100
"""The same where a read gets a packet or a record at most: a plain paho client, WebSocket, TLS."""

GATHER_S: Final = 0.004
"""How long [s] a socket that was emptied is left alone."""

_FAREWELL_S: Final = 0.3
"""How long [s] the broker may take to acknowledge our last words."""

_FORGET_LEVELS: Final = 8
"""Deepest topic whose subscription is searched for: 3 · 2^8 filters are named to the broker, or twice as many."""

_ONLY_WHEN_NEW: Final = 1
"""Retain handling: retained messages come with a new subscription, not again with every reconnection."""

_ACKNOWLEDGE: Final = {1: b"\x40\x02", 2: b"\x70\x02"}


class Session:
    """`async with Session(settings, ready) as session`: connected. Raises SourceError when it cannot be.

    `ready(detail)` is called once the broker confirmed the subscriptions; messages kept for us may come before.
    """

    def __init__(self, settings: SessionSettings, ready: Callable[[str], None]) -> None:
        self._settings: Final = settings
        self._ready: Final = ready
        self._loop: Final = asyncio.get_running_loop()
        self._client: Final = made_client(settings)
        self._gathered = Batch()  # a plain paho client's; a batching one has its own
        self._in_flight = 0
        self._in_flight_bytes = 0
        self._wake: Final = asyncio.Event()
        self._connected = False
        self._resumed = False
        self._failure: Exception | None = None
        self._descriptor: int | None = None
        self._reading = False
        self._resting: asyncio.TimerHandle | None = None
        self._keepalive = Keepalive(settings.keepalive_s, monotonic())
        self._tick: asyncio.TimerHandle | None = None

    @property
    def in_flight(self) -> int:
        """Messages read and not yet acknowledged."""
        return self._in_flight

    async def __aenter__(self) -> Self:
        try:
            await self._connect()
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._failure is None:
            if self._settings.farewell is not None:
                await self._published(self._settings.farewell(time_ns()))
            self._client.disconnect()  # the broker keeps the session for as long as it was told when we connected
            self._client.loop_write()
        self._close()

    async def batch(self, timeout_s: float | None = None) -> Batch:
        """Everything that gathered since the last call; after `timeout_s` [s] it may be nothing.

        Raises SourceError once broken.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._failure is None and not self._waiting.messages:
                    self._wake.clear()
                    await self._wake.wait()
        if self._failure is not None:  # what gathered can no longer be acknowledged, and will come again
            raise self._failure
        taken, self._waiting = self._waiting, Batch()
        return taken

    def acknowledge(self, batch: Batch) -> None:
        """Tell the broker that these are safe with us. After a break it does nothing: they will come again."""
        if self._failure is not None:
            return
        self._in_flight -= len(batch.messages)
        self._in_flight_bytes -= batch.size
        if isinstance(self._client, BatchingClient):
            self._client.acknowledge(batch.acknowledgements)
        else:
            acknowledge_singly(self._client, batch.acknowledgements)
        self._read_or_not()

    def publish(self, publication: Publication) -> None:
        """Publish, without waiting for the broker to have it. After a break it does nothing."""
        if self._failure is None:
            self._client.publish(*publication)

    def forget(self, topic: str) -> None:
        """Take the subscription that brought this topic out of the session; those of the settings stay.

        A session remembers the subscriptions of an earlier plant file, and no broker lists them. But the filter is
        one of the generalisations of the topic, alone or in our group of `$share`, and to unsubscribe from what is not
        subscribed to is harmless. The name of another group is not to be guessed.
        """
        if self._failure is None and topic.count("/") < _FORGET_LEVELS:
            wanted = self._settings.subscriptions
            groups = {"", *(shared_group(one) for one in wanted)}
            found = [f"{group}{one}" for one in generalisations(topic) for group in sorted(groups)]
            self._client.unsubscribe([one for one in found if one not in wanted])

    async def _published(self, publication: Publication) -> None:
        """Publish, and wait a moment for the broker to have it: it may read nothing more of a socket that closes."""
        taken = asyncio.Event()
        self._client.on_publish = lambda *_: taken.set()
        self.publish(publication)
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                await taken.wait()

    @property
    def _waiting(self) -> Batch:
        return self._client.batch if isinstance(self._client, BatchingClient) else self._gathered

    @_waiting.setter
    def _waiting(self, batch: Batch) -> None:
        if isinstance(self._client, BatchingClient):
            self._client.batch = batch
        else:
            self._gathered = batch

    async def _connect(self) -> None:
        settings, client = self._settings, self._client
        try:
            async with asyncio.timeout(3 * CONNECT_S):
                await in_thread(lambda: connect(client, settings))
        except TimeoutError:
            raise SourceError(f"{settings.where} does not answer") from None
        except OSError as error:  # also a name that is not known, and every fault of TLS
            raise SourceError(f"cannot connect to {settings.where}: {error}") from error
        self._attach()
        try:
            async with asyncio.timeout(CONNECT_S):
                while not self._connected:
                    if self._failure is not None:
                        raise self._failure
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            raise SourceError(f"{settings.where} accepts connections but says nothing: is it an MQTT broker?") from None
        self._subscribe()

    def _attach(self) -> None:
        """From here on the event loop drives the client."""
        client = self._client
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        if isinstance(client, BatchingClient):
            client.room = self._room
        client.on_disconnect = self._on_disconnect
        socket = client.socket()
        if socket is None:
            raise SourceError(f"{self._settings.where} closed the connection at once")
        self._descriptor = descriptor = socket.fileno()
        socket = getattr(socket, "_socket", socket)  # paho's WebSocket keeps the real one there
        if isinstance(socket, stdlib_socket.socket):  # else an acknowledgement may wait 40 ms for company
            socket.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
        client.on_socket_close = lambda *_: self._detach()
        client.on_socket_register_write = lambda *_: self._loop.add_writer(descriptor, self._write)
        client.on_socket_unregister_write = lambda *_: self._no_writer(descriptor)
        self._read_or_not()
        self._write()  # what of CONNECT did not go out at once
        self._on_tick()

    def _no_writer(self, descriptor: int) -> None:
        self._loop.remove_writer(descriptor)

    def _detach(self) -> None:
        """The event loop lets go of the socket, before it closes: its number may be another file's at once."""
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
            self._descriptor = None
        self._reading = False
        for timer in (self._tick, self._resting):
            if timer is not None:
                timer.cancel()
        self._tick = self._resting = None

    def _close(self) -> None:
        self._detach()
        self._fail(SourceError("the session is closed"))
        # paho closes a socket by itself only after DISCONNECT went out whole, and has no public way to do it sooner.
        self._client._sock_close()

    def _fail(self, error: Exception) -> None:
        """`batch` raises the first error that was reported."""
        self._failure = self._failure or error
        self._wake.set()

    def _subscribe(self) -> None:
        filters = self._settings.subscriptions.items()
        if self._settings.version5:
            self._client.subscribe(
                [(one, SubscribeOptions(qos=qos, retainHandling=_ONLY_WHEN_NEW)) for one, qos in filters]
            )
        else:
            self._client.subscribe(list(filters))

    def _room(self) -> tuple[int, int]:
        """How many messages and bytes may be taken."""
        settings = self._settings
        return settings.max_in_flight - self._in_flight, settings.max_in_flight_bytes - self._in_flight_bytes

    def _read_or_not(self) -> None:
        """Listen to the socket, unless we are full, resting or detached."""
        reading = self._descriptor is not None and self._resting is None and min(self._room()) > 0
        if self._descriptor is None or reading is self._reading:
            return
        self._reading = reading
        if reading:
            self._keepalive.heard(monotonic())  # that we heard nothing was our own doing
            self._loop.add_reader(self._descriptor, self._read)
            if self._holds_bytes():
                self._loop.call_soon(self._read)
        else:
            self._loop.remove_reader(self._descriptor)

    def _holds_bytes(self) -> bool:
        """Whether bytes were read already that wake no selector: by us, or by TLS when it decrypted its record."""
        client = self._client
        if isinstance(client, BatchingClient) and client.pending:
            return True
        socket = getattr(client.socket(), "_socket", client.socket())
        return isinstance(socket, ssl.SSLSocket) and socket.pending() > 0

    def _read(self) -> None:
        if not self._reading:
            return
        self._keepalive.heard(monotonic())
        try:
            more = self._read_batch() if isinstance(self._client, BatchingClient) else self._read_packets()
        except Exception as error:  # not handled, only carried to the task that owns us: `batch` raises it
            self._fail(error)
            self._detach()
            return
        if self._waiting.messages:
            self._wake.set()
        if self._holds_bytes():
            self._loop.call_soon(self._read)
        elif not more and self._descriptor is not None:
            self._resting = self._loop.call_later(GATHER_S, self._rested)
        self._read_or_not()

    def _read_batch(self) -> bool:
        """Take what the socket holds; whether there may be more."""
        client = self._client
        assert isinstance(client, BatchingClient)
        # TLS and WebSocket give one record or frame per read: they are empty when there is none.
        plain = isinstance(client.socket(), stdlib_socket.socket) and not isinstance(client.socket(), ssl.SSLSocket)
        whole = READ_BYTES if plain else 1
        for _ in range(READS_PER_WAKE if plain else PACKETS_PER_WAKE):
            batch = client.batch
            count, size = len(batch.messages), batch.size
            if client.pending:
                client.take_pending()
            else:
                client.loop_read()
            self._in_flight += len(batch.messages) - count
            self._in_flight_bytes += batch.size - size
            if client.last_read < whole or client.pending or self._descriptor is None:
                return client.pending
        return True

    def _read_packets(self) -> bool:
        for _ in range(PACKETS_PER_WAKE):
            before = self._in_flight
            self._client.loop_read()
            if self._in_flight == before or min(self._room()) <= 0:
                return False
        return True

    def _rested(self) -> None:
        self._resting = None
        self._read_or_not()

    def _write(self) -> None:
        self._client.loop_write()

    def _on_tick(self) -> None:
        now = monotonic()
        if not self._reading:
            self._keepalive.heard(now)
        if self._keepalive.lost(now):
            self._fail(SourceError(f"{self._settings.where} is silent: the connection is half-open"))
            self._detach()
            return
        if self._connected and self._keepalive.due(now):
            self._client._send_pingreq()  # paho's own keepalive is not for those who stop reading: see keepalive.py
        self._tick = self._loop.call_later(self._keepalive.tick, self._on_tick)

    def _on_connect(
        self, client: paho.Client, _data: object, flags: Any, reason: ReasonCode, _properties: object
    ) -> None:
        if reason.is_failure:
            self._fail(SourceError(f"{self._settings.where} refuses us: {reason}"))
            return
        self._connected = True
        self._resumed = flags.session_present
        self._keepalive = Keepalive(client.keepalive, monotonic())  # the broker may have asked for its own
        self._wake.set()

    def _on_subscribe(
        self, _client: paho.Client, _data: object, _id: int, reasons: list[ReasonCode], _properties: object
    ) -> None:
        weaker = []
        for (one, qos), reason in zip(self._settings.subscriptions.items(), reasons, strict=False):
            if reason.is_failure:
                self._fail(SourceError(f"{self._settings.where} refuses the subscription to {one!r}: {reason}"))
                return
            if reason.value < qos:
                weaker.append(one)
        if self._settings.greeting is not None:
            self.publish(self._settings.greeting)
        detail = "session resumed" if self._resumed else "new session"
        self._ready(f"{detail}; the broker only gives QoS 0 on {', '.join(weaker)}" if weaker else detail)

    def _on_message(self, _client: paho.Client, _data: object, packet: paho.MQTTMessage) -> None:
        """A message that paho read: of QoS 2, or all when the client is a plain one."""
        batch = self._waiting
        properties = b"" if packet.properties is None else without_length(packet.properties.pack())  # type: ignore[no-untyped-call]  # paho leaves it untyped
        batch.messages.append(Message(packet.topic, bytes(packet.payload), time_ns(), packet.retain, properties))
        if packet.qos:
            batch.acknowledgements += _ACKNOWLEDGE[packet.qos] + packet.mid.to_bytes(2, "big")
        batch.duplicates += packet.dup
        size = len(packet.payload) + len(packet.topic)
        batch.size += size
        if not isinstance(self._client, BatchingClient):  # which counts what it took by itself
            self._in_flight += 1
            self._in_flight_bytes += size

    def _on_disconnect(
        self, _client: paho.Client, _data: object, flags: Any, reason: ReasonCode, _properties: object
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._fail(SourceError(f"{self._settings.where} ended the connection: {reason}"))
            return
        # A broker that hangs up without a word may do so because another client came with our id: mosquitto 2.0 does.
        twin = f"; if again and again: is {self._settings.client_id!r} the client id of another client too?"
        self._fail(SourceError(f"the connection to {self._settings.where} broke: {reason}{twin}"))

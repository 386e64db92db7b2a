"""One connection of a persistent MQTT session, driven by asyncio; paho-mqtt speaks the protocol.

Invariants:
- A message is acknowledged by `acknowledge` and nowhere else; what is not acknowledged the broker sends again.
- At most `max_in_flight` messages and `max_in_flight_bytes` bytes (passed by one message at most) are read and not yet
  acknowledged. At the bound the socket is not read and the broker waits. It is told a receive-maximum too, but brokers
  ignore it.
- A Session connects once. When it broke, `batch` raises SourceError; the retry loop makes the next Session.
- paho runs no thread and no retry of its own; but for the connecting, it is called by the event loop alone.

Reading with `loop.add_reader` needs no hand-over and was not slower than paho's own thread (20k against 18k messages/s
at QoS 1, 49 against 54 CPU s per million), once several packets are read per wake-up.
"""

import asyncio
import socket as stdlib_socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic, time_ns
from types import TracebackType
from typing import Any, Final, Self

import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from collectors.mqtt.connecting import CONNECT_S, SessionSettings, connect, in_thread, made_client
from collectors.mqtt.decoder import Message
from collectors.mqtt.keepalive import Keepalive
from collectors.mqtt.topics import generalisations
from telemetry.errors import SourceError

PACKETS_PER_WAKE: Final = 100
"""Most packets read before other tasks of the process have their turn: about 5 ms."""

_FORGET_LEVELS: Final = 8
"""Deepest topic whose subscription is searched for: 3 · 2^8 filters are named to the broker."""

_ONLY_WHEN_NEW: Final = 1
"""Retain handling: retained messages come with a new subscription, not again with every reconnection."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message, and what acknowledging it takes. `duplicate`: the broker says that it sent it before."""

    message: Message
    packet_id: int
    qos: int
    duplicate: bool
    size: int


class Session:
    """`async with Session(settings, ready) as session`: connected. Raises SourceError when it cannot be.

    `ready(detail)` is called once the broker confirmed the subscriptions; messages kept for us may come before.
    """

    def __init__(self, settings: SessionSettings, ready: Callable[[str], None]) -> None:
        self._settings: Final = settings
        self._ready: Final = ready
        self._loop: Final = asyncio.get_running_loop()
        self._client: Final = made_client(settings)
        self._gathered: list[Delivery] = []
        self._in_flight = 0
        self._in_flight_bytes = 0
        self._wake: Final = asyncio.Event()
        self._connected = False
        self._resumed = False
        self._failure: Exception | None = None
        self._descriptor: int | None = None
        self._reading = False
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
            self._client.disconnect()  # the broker keeps the session for as long as it was told when we connected
            self._client.loop_write()
        self._close()

    async def batch(self) -> list[Delivery]:
        """Everything that gathered since the last call, at least one message. Raises SourceError once broken."""
        while True:
            self._wake.clear()
            if self._failure is not None:  # what gathered can no longer be acknowledged, and will come again
                raise self._failure
            if self._gathered:
                taken, self._gathered = self._gathered, []
                return taken
            await self._wake.wait()

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Tell the broker that these are safe with us. After a break it does nothing: they will come again."""
        if self._failure is not None:
            return
        for delivery in deliveries:
            self._in_flight -= 1
            self._in_flight_bytes -= delivery.size
            if delivery.qos:
                self._client.ack(delivery.packet_id, delivery.qos)
        self._read_unless_full()

    def forget(self, topic: str) -> None:
        """Take the subscription that brought this topic out of the session; those of the settings stay.

        A session remembers the subscriptions of an earlier plant file, and no broker lists them. But the filter is
        one of the generalisations of the topic, and to unsubscribe from what is not subscribed to is harmless.
        """
        if self._failure is None and topic.count("/") < _FORGET_LEVELS:
            self._client.unsubscribe([one for one in generalisations(topic) if one not in self._settings.subscriptions])

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
        client.on_disconnect = self._on_disconnect
        socket = client.socket()
        if socket is None:
            raise SourceError(f"{self._settings.where} closed the connection at once")
        self._descriptor = descriptor = socket.fileno()
        if isinstance(socket, stdlib_socket.socket):  # else an acknowledgement may wait 40 ms for company
            socket.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
        client.on_socket_close = lambda *_: self._detach()
        client.on_socket_register_write = lambda *_: self._loop.add_writer(descriptor, self._write)
        client.on_socket_unregister_write = lambda *_: self._no_writer(descriptor)
        self._read_unless_full()
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
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None

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

    def _read_unless_full(self) -> None:
        settings = self._settings
        full = self._in_flight >= settings.max_in_flight or self._in_flight_bytes >= settings.max_in_flight_bytes
        if self._descriptor is None or full is not self._reading:
            return
        if full:
            self._loop.remove_reader(self._descriptor)
        else:
            self._keepalive.heard(monotonic())  # that we heard nothing was our own doing
            self._loop.add_reader(self._descriptor, self._read)
            self._read_what_tls_holds()
        self._reading = not full

    def _read_what_tls_holds(self) -> None:
        """Bytes that TLS has decrypted already wake no selector."""
        socket = self._client.socket()
        if isinstance(socket, ssl.SSLSocket) and socket.pending():
            self._loop.call_soon(self._read)

    def _read(self) -> None:
        if not self._reading:
            return
        self._keepalive.heard(monotonic())
        try:
            for _ in range(PACKETS_PER_WAKE):
                before = self._in_flight
                self._client.loop_read()
                if self._in_flight == before or not self._reading:
                    break
        except Exception as error:  # not handled, only carried to the task that owns us: `batch` raises it
            self._fail(error)
            self._detach()
        else:
            if self._reading:
                self._read_what_tls_holds()

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
        detail = "session resumed" if self._resumed else "new session"
        self._ready(f"{detail}; the broker only gives QoS 0 on {', '.join(weaker)}" if weaker else detail)

    def _on_message(self, _client: paho.Client, _data: object, packet: paho.MQTTMessage) -> None:
        message = Message(packet.topic, bytes(packet.payload), time_ns(), packet.retain)
        size = len(packet.payload) + len(message.topic)
        self._gathered.append(Delivery(message, packet.mid, packet.qos, packet.dup, size))
        self._in_flight += 1
        self._in_flight_bytes += size
        self._wake.set()
        self._read_unless_full()

    def _on_disconnect(
        self, _client: paho.Client, _data: object, flags: Any, reason: ReasonCode, _properties: object
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._fail(SourceError(f"{self._settings.where} ended the connection: {reason}"))
            return
        # A broker that hangs up without a word may do so because another client came with our id: mosquitto 2.0 does.
        twin = f"; if again and again: is {self._settings.client_id!r} the client id of another client too?"
        self._fail(SourceError(f"the connection to {self._settings.where} broke: {reason}{twin}"))

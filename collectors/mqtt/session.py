"""One connection of an MQTT session, driven by asyncio; paho-mqtt speaks the protocol.

Invariants:
- A message is acknowledged by `acknowledge` and nowhere else; what is not acknowledged the broker sends again.
- At most `max_in_flight` messages and `max_in_flight_bytes` bytes (passed by one message at most) are taken and not yet
  acknowledged. At the bound the socket is not read and the broker waits. It is told a receive-maximum too, but brokers
  ignore it.
- A Session connects once. When it broke, `batch` raises SourceError; the retry loop makes the next Session.
- paho runs no thread and no retry of its own; but for the connecting, it is called by the event loop alone (pump.py).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import time_ns
from types import TracebackType
from typing import Any, Final, Self

import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from collectors.mqtt.connecting import CONNECT_S, SessionSettings, connect, in_thread, made_client
from collectors.mqtt.decoder import Publication
from collectors.mqtt.framing import Batch
from collectors.mqtt.pump import Pump
from collectors.mqtt.topics import generalisations, shared_group
from telemetry.errors import SourceError

_ACKNOWLEDGEMENT_BYTES: Final = 4

_FAREWELL_S: Final = 0.3
"""How long [s] the broker may take to acknowledge our last words."""

_FORGET_LEVELS: Final = 8
"""Deepest topic whose subscription is searched for: 3 · 2^8 filters are named to the broker, or twice as many."""

_ONLY_WHEN_NEW: Final = 1
"""Retain handling: retained messages come with a new subscription, not again with every reconnection."""


class Session:
    """`async with Session(settings, ready) as session`: connected. Raises SourceError when it cannot be.

    `ready(detail, resumed)` is called once the broker confirmed the subscriptions; messages kept for us may come
    before. `resumed`: the broker still had our session, and with it what it kept for us.
    `in_flight(messages)` is called whenever it changed how many are read and not yet acknowledged.
    """

    def __init__(
        self,
        settings: SessionSettings,
        ready: Callable[[str, bool], None],
        in_flight: Callable[[int], None] = lambda messages: None,  # noqa: ARG005  # not everybody wants to know
    ) -> None:
        self._settings: Final = settings
        self._ready: Final = ready
        self._in_flight: Final = in_flight
        self._client: Final = made_client(settings)
        self._client.room = self._room
        self._pump: Final = Pump(self._client, settings.where, settings.keepalive_s, self._came, self._fail)
        self._taken = 0  # given out by `batch`, not yet acknowledged
        self._taken_bytes = 0
        self._wake: Final = asyncio.Event()
        self._connected = False
        self._resumed = False
        self._kept_s = settings.expiry_s
        self._failure: Exception | None = None

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
                while self._failure is None and not self._client.batch.messages:
                    self._wake.clear()
                    await self._wake.wait()
        if self._failure is not None:  # what gathered can no longer be acknowledged, and will come again
            raise self._failure
        taken, self._client.batch = self._client.batch, Batch()
        self._taken += len(taken.messages)
        self._taken_bytes += taken.size
        return taken

    def acknowledge(self, batch: Batch) -> int:
        """Tell the broker that these are safe with us; how many were to be told (of QoS 0 none).

        After a break it does nothing: they will come again.
        """
        if self._failure is not None:
            return 0
        self._taken -= len(batch.messages)
        self._taken_bytes -= batch.size
        self._client.acknowledge(batch.acknowledgements)
        self._in_flight(self._taken + len(self._client.batch.messages))
        self._pump.review()
        return len(batch.acknowledgements) // _ACKNOWLEDGEMENT_BYTES

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

    async def _connect(self) -> None:
        settings, client = self._settings, self._client
        try:
            async with asyncio.timeout(3 * CONNECT_S):
                await in_thread(lambda: connect(client, settings))
        except TimeoutError:
            raise SourceError(f"{settings.where} does not answer") from None
        # also a name that is not known or can be none (ValueError), and every fault of TLS
        except (OSError, ValueError) as error:
            raise SourceError(f"cannot connect to {settings.where}: {error}") from error
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        self._pump.attach()
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

    def _room(self) -> tuple[int, int]:
        """How many messages and bytes may be taken."""
        settings, waiting = self._settings, self._client.batch
        return (
            settings.max_in_flight - self._taken - len(waiting.messages),
            settings.max_in_flight_bytes - self._taken_bytes - waiting.size,
        )

    def _came(self) -> None:
        waiting = len(self._client.batch.messages)
        if waiting:
            self._in_flight(self._taken + waiting)
            self._wake.set()

    def _close(self) -> None:
        self._pump.detach()
        self._in_flight(0)
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

    def _on_connect(
        self, client: paho.Client, _data: object, flags: Any, reason: ReasonCode, properties: object
    ) -> None:
        if reason.is_failure:
            self._fail(SourceError(f"{self._settings.where} refuses us: {reason}"))
            return
        self._connected = True
        self._resumed = flags.session_present
        self._kept_s = getattr(properties, "SessionExpiryInterval", self._kept_s)  # the broker may grant less
        self._pump.ping_every(client.keepalive)  # the broker may have asked for its own
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
        if self._kept_s < self._settings.expiry_s:
            detail += f"; the broker keeps messages for us only {self._kept_s} s while we are away"
        if weaker:
            detail += f"; the broker only gives QoS 0 on {', '.join(weaker)}"
        self._ready(detail, self._resumed)

    def _on_disconnect(
        self, _client: paho.Client, _data: object, flags: Any, reason: ReasonCode, _properties: object
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._fail(SourceError(f"{self._settings.where} ended the connection: {reason}"))
            return
        # A broker that hangs up without a word may do so because another client came with our id: mosquitto 2.0 does.
        twin = f"; if again and again: is {self._settings.client_id!r} the client id of another client too?"
        self._fail(SourceError(f"the connection to {self._settings.where} broke: {reason}{twin}"))

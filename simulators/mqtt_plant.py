"""Simulated MQTT devices: one client that publishes and keeps every message until the broker has acknowledged it.

Invariants. At most `WINDOW` messages are on their way; publishing waits for room. A message leaves memory, and enters
the journal, only with its PUBACK; while the broker is away they wait, and go out again when it is back.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from paho.mqtt.client import Client, ConnectFlags, MQTTMessageInfo
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from simulators.mqtt_session import Door, Login, refused
from simulators.payloads import Message
from telemetry.errors import SourceError

WINDOW: Final = 20
"""Messages under way at most. mosquitto's own limit is 20, and paho resends all it holds at once after a reconnect:
a broker ends the connection when it gets more than it announced (reason 0x93)."""

_KEEPALIVE_S: Final = 10


class MqttPublisher:
    """Publishes messages with QoS 1. `accepted` is called, on the event loop, with each message the broker took."""

    def __init__(
        self,
        host: str,
        port: int,
        accepted: Callable[[Message], None],
        client_id: str = "",
        *,
        login: Login = None,
        ca: Path | None = None,
    ) -> None:
        """`login`: user and password at the broker. `ca`: encrypt, to a broker whose certificate this PEM file signed.

        Raises SourceError when that file cannot be used.
        """
        self._door = Door(host, port, login, ca)
        self._accepted = accepted
        self._under_way: dict[int, Message] = {}
        self._room = asyncio.Semaphore(WINDOW)
        self._idle = asyncio.Event()
        self._idle.set()
        self._connected = asyncio.Event()
        self._refusal: SourceError | None = None
        self._client = self._door.client(client_id or f"km0-plant-{uuid4().hex[:8]}")
        self._client.max_inflight_messages_set(WINDOW)
        self._client.reconnect_delay_set(1, 2)
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish
        self._client.on_socket_open = _send_at_once

    @property
    def under_way(self) -> int:
        """Messages that the broker has not acknowledged yet."""
        return len(self._under_way)

    async def start(self, timeout_s: float = 5.0) -> None:
        """Connect. Raises SourceError when the broker does not answer in time [s] or refuses."""
        self._loop = asyncio.get_running_loop()
        self._door.enter(self._client, _KEEPALIVE_S)
        try:
            async with asyncio.timeout(timeout_s):  # wait_for of Python 3.11 can lose a cancellation
                await self._connected.wait()
        except BaseException as error:
            self._client.loop_stop()
            if not isinstance(error, TimeoutError):
                raise
            raise self._door.closed(timeout_s) from None
        self._raise_refusal()

    async def publish(self, message: Message, *, retain: bool = False) -> None:
        """Hand a message to the wire; waits while the window is full. Raises SourceError when the broker refuses us."""
        await self._room.acquire()
        self._raise_refusal()
        self._idle.clear()
        self._send(message, retain=retain)

    async def settled(self) -> None:
        """Return once everything handed in is acknowledged."""
        await self._idle.wait()
        self._raise_refusal()

    async def stop(self, timeout_s: float = 2.0) -> int:
        """Wait so long [s] for the last acknowledgements, then disconnect. Returns how many never came."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)
        return len(self._under_way)

    def _send(self, message: Message, *, retain: bool) -> None:
        info: MQTTMessageInfo = self._client.publish(message.topic, message.payload, qos=1, retain=retain)
        # NO_CONN is no failure: paho keeps the message and sends it after the next CONNACK.
        assert info.rc in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN), info.rc
        self._under_way[info.mid] = message

    def _acknowledged(self, mid: int, reason: int) -> None:
        message = self._under_way.pop(mid)
        if reason >= 0x80:
            self._refuse(SourceError(f"the broker refused a message on {message.topic}: reason code 0x{reason:02x}"))
            return
        self._accepted(message)
        self._room.release()
        if not self._under_way:
            self._idle.set()

    def _refuse(self, why: SourceError) -> None:
        self._refusal = why
        self._connected.set()
        self._idle.set()
        self._room.release()

    def _raise_refusal(self) -> None:
        if self._refusal is not None:
            raise self._refusal

    # paho calls these on its own thread.

    def _on_connect(
        self, _client: Client, _data: Any, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._loop.call_soon_threadsafe(self._refuse, refused(reason))
        else:
            self._loop.call_soon_threadsafe(self._connected.set)

    def _on_publish(
        self, _client: Client, _data: Any, mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._acknowledged, mid, reason.value)


def _send_at_once(_client: Client, _data: Any, connection: Any) -> None:
    """Without Nagle's algorithm: a message must not wait 40 ms for the acknowledgement of the one before."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

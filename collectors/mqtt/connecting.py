"""How a session reaches its broker: the settings, a paho client made of them, and connecting without blocking."""

import asyncio
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from collectors.mqtt.client import FITS, BatchingClient, Client, PlainClient
from collectors.mqtt.decoder import Publication

CONNECT_S: Final = 5.0
"""Longest time [s] for a step of connecting: each address, TLS, the broker's answer."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What a session is made of.

    `subscriptions` maps filters to QoS; `websocket` is the path of a WebSocket, None for plain TCP or TLS. `will` is
    published by the broker when we vanish, `greeting` by us once subscribed, `farewell(now_ns)` when we leave in order.
    """

    host: str
    port: int
    client_id: str
    subscriptions: dict[str, int]
    version5: bool
    username: str | None
    password: str | None
    tls: ssl.SSLContext | None
    keepalive_s: int
    expiry_s: int
    max_in_flight: int
    max_in_flight_bytes: int
    websocket: str | None = None
    clean_start: bool = False
    will: Publication | None = None
    greeting: Publication | None = None
    farewell: Callable[[int], Publication] | None = None

    @property
    def where(self) -> str:
        return f"{self.host}:{self.port}"


def made_client(settings: SessionSettings) -> Client:
    """A client that neither retries nor acknowledges by itself."""
    kind = BatchingClient if FITS else PlainClient
    client = kind(
        CallbackAPIVersion.VERSION2,
        client_id=settings.client_id,
        protocol=MQTTProtocolVersion.MQTTv5 if settings.version5 else MQTTProtocolVersion.MQTTv311,
        clean_session=None if settings.version5 else settings.clean_start,
        transport="tcp" if settings.websocket is None else "websockets",
        manual_ack=True,
        reconnect_on_failure=False,
    )
    client.connect_timeout = CONNECT_S
    if settings.username is not None:
        client.username_pw_set(settings.username, settings.password)
    if settings.websocket is not None:
        client.ws_set_options(path=settings.websocket)
    if settings.will is not None:
        client.will_set(*settings.will)
    if settings.tls is not None:
        client.tls_set_context(settings.tls)
    return client


def connect(client: paho.Client, settings: SessionSettings) -> None:
    """TCP, TLS and CONNECT; blocks for several times CONNECT_S at worst. Raises OSError."""
    properties = None
    if settings.version5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves this one class untyped
        properties.SessionExpiryInterval = settings.expiry_s
        properties.ReceiveMaximum = settings.max_in_flight
    client.connect(
        settings.host,
        settings.port,
        settings.keepalive_s,
        clean_start=settings.clean_start if settings.version5 else paho.MQTT_CLEAN_START_FIRST_ONLY,
        properties=properties,
    )


async def in_thread(call: Callable[[], T]) -> T:
    """The result of `call`, made in a thread of its own; when cancelled, the thread is left to end by itself.

    Not `asyncio.to_thread`: its threads are waited for at exit, and a connection attempt may hang for many seconds.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # None only when T is

    def work() -> None:
        result, error = None, None
        try:
            result = call()
        except BaseException as raised:  # carried to the awaiting task
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name="connecting", daemon=True).start()
    return await future

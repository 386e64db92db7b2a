"""Moves bytes between the socket of a connected client and asyncio: when to read, when to rest, when to give up.

Invariants:
- From `attach` to `detach` the client is called by the event loop alone.
- Without room the socket is not read and the broker waits; nothing else stops the reading.
- After a read that emptied the socket, nothing is read for GATHER_S, so that what follows comes in one piece: at a
  steady 20,000 messages/s that is the difference between a full core and a sixth of one. A first message never waits.
"""

import asyncio
import socket as stdlib_socket
import ssl
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from paho.mqtt.exception import MalformedPacket

from collectors.mqtt.client import Client
from collectors.mqtt.keepalive import Keepalive
from telemetry.errors import SourceError

GATHER_S: Final = 0.004
"""How long [s] a socket that was emptied is left alone."""


class Pump:
    """`came` is called after reads that may have brought messages, `failed` with why the connection is over."""

    def __init__(
        self,
        client: Client,
        where: str,
        keepalive_s: float,
        came: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._client: Final = client
        self._where: Final = where
        self._came: Final = came
        self._failed: Final = failed
        self._loop: Final = asyncio.get_running_loop()
        self._descriptor: int | None = None
        self._reading = False
        self._resting: asyncio.TimerHandle | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._keepalive = Keepalive(keepalive_s, monotonic())
        self._pinging = False

    def attach(self) -> None:
        """Take over the socket, on which CONNECT was sent. Raises SourceError when it is closed already."""
        client = self._client
        socket = client.socket()
        if socket is None:
            raise SourceError(f"{self._where} closed the connection at once")
        self._descriptor = descriptor = socket.fileno()
        inner = _inner(socket)
        if isinstance(inner, stdlib_socket.socket):  # else an acknowledgement may wait 40 ms for company
            inner.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
        client.on_socket_close = lambda *_: self.detach()
        client.on_socket_register_write = lambda *_: self._loop.add_writer(descriptor, self._write)
        client.on_socket_unregister_write = lambda *_: self._no_writer(descriptor)
        self.review()
        self._write()  # what of CONNECT did not go out at once
        self._on_tick()

    def detach(self) -> None:
        """Let go of the socket, before it closes: its number may be another file's at once."""
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
            self._descriptor = None
        self._reading = False
        for timer in (self._tick, self._resting):
            if timer is not None:
                timer.cancel()
        self._tick = self._resting = None

    def ping_every(self, keepalive_s: float) -> None:
        """The broker accepted us: ping it, by the interval [s] that it wants."""
        self._keepalive = Keepalive(keepalive_s, monotonic())
        self._pinging = True

    def review(self) -> None:
        """Listen to the socket, unless there is no room or we rest: to be called whenever room was made."""
        if self._descriptor is None:
            return
        reading = self._resting is None and min(self._client.room()) > 0
        if reading is self._reading:
            return
        self._reading = reading
        if reading:
            self._keepalive.heard(monotonic())  # that we heard nothing was our own doing
            self._loop.add_reader(self._descriptor, self._read)
            if self._holds_bytes():
                self._loop.call_soon(self._read)
        else:
            self._loop.remove_reader(self._descriptor)

    def _no_writer(self, descriptor: int) -> None:
        self._loop.remove_writer(descriptor)

    def _holds_bytes(self) -> bool:
        """Whether bytes were read already that wake no selector: by us, or by TLS when it decrypted its record."""
        if self._client.pending:
            return True
        socket = _inner(self._client.socket())
        return isinstance(socket, ssl.SSLSocket) and socket.pending() > 0

    def _read(self) -> None:
        if not self._reading:
            return
        self._keepalive.heard(monotonic())
        try:
            more = self._client.read()
        except MalformedPacket as error:
            self._failed(SourceError(f"{self._where} breaks the protocol: {error}"))
            self.detach()
            return
        except Exception as error:  # not handled, only carried to the task that owns the session
            self._failed(error)
            self.detach()
            return
        self._came()
        if self._holds_bytes():
            self._loop.call_soon(self._read)
        elif not more and self._descriptor is not None:
            self._resting = self._loop.call_later(GATHER_S, self._rested)
        self.review()

    def _rested(self) -> None:
        self._resting = None
        self.review()

    def _write(self) -> None:
        self._client.loop_write()

    def _on_tick(self) -> None:
        now = monotonic()
        if not self._reading:
            self._keepalive.heard(now)
        if self._keepalive.lost(now):
            self._failed(SourceError(f"{self._where} is silent: the connection is half-open"))
            self.detach()
            return
        if self._pinging and self._keepalive.due(now):
            self._client._send_pingreq()  # paho's own keepalive is not for those who stop reading: see keepalive.py
        self._tick = self._loop.call_later(self._keepalive.tick, self._on_tick)


def _inner(socket: Any) -> Any:
    """The real socket: paho's WebSocket keeps it inside."""
    return getattr(socket, "_socket", socket)

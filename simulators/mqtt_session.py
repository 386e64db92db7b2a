"""How a simulated device comes to its broker, MQTT 5: who it is, whether encrypted, and why it was not let in."""

import ssl
import sys
from pathlib import Path
from typing import Any, Final

from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from telemetry.errors import SourceError

Login = tuple[str, str] | None
"""User and password."""


class Door:
    """The way to one broker. `login`: user and password there. `ca`: encrypt, to a broker whose certificate this PEM
    file signed."""

    def __init__(self, host: str, port: int, login: Login = None, ca: Path | None = None) -> None:
        """Raises SourceError when the PEM file cannot be used."""
        self._address: Final = host, port
        self._login: Final = login
        self._tls: ssl.SSLContext | None = None
        if ca is not None:
            try:
                self._tls = ssl.create_default_context(cafile=str(ca))
            except OSError as error:
                raise SourceError(f"{ca} is no PEM file of an authority: {error}") from error
        self._failure = ""

    def client(self, client_id: str) -> Client:
        """A client that may go through it; `enter` has it do so."""
        client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5)
        if self._login is not None:
            client.username_pw_set(*self._login)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.on_connect_fail = self._failed
        return client

    def enter(self, client: Client, keepalive_s: int, *, clean: bool = False) -> None:
        """Connect and keep connecting, on paho's thread. `clean`: with Clean Start each time, not the first alone."""
        connect = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves this one class untyped
        connect.SessionExpiryInterval = 0
        start = True if clean else MQTT_CLEAN_START_FIRST_ONLY
        client.connect_async(*self._address, keepalive=keepalive_s, clean_start=start, properties=connect)
        client.loop_start()

    def closed(self, timeout_s: float) -> SourceError:
        """Nobody has answered for so long [s]: the error, with the reason of the last attempt."""
        host, port = self._address
        why = f": {self._failure}" if self._failure else ""
        return SourceError(f"no MQTT broker answers at {host}:{port} within {timeout_s:g} s{why}")

    def _failed(self, _client: Client, _data: Any) -> None:
        # paho tells no reason, but calls this while it handles the error.
        self._failure = str(sys.exc_info()[1] or "")


def refused(reason: object) -> SourceError:
    """The error of a CONNACK that lets nobody in."""
    return SourceError(f"the MQTT broker refused the connection: {reason}")

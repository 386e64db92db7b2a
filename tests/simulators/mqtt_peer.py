"""An independent subscriber: plain paho, no code of ours but the test's own."""

import json
import threading
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

REPORT_KEYS = {"job": "product", "made": "parts", "good": "parts_good", "power_w": "power", "state": "state"}


class Subscriber:
    """Subscribed to everything with QoS 1 in a lasting session; remembers all it received."""

    def __init__(self, port: int, client_id: str = "witness") -> None:
        self.messages: list[tuple[str, Any]] = []
        self.heard: list[tuple[float, str, bytes]] = []
        """When [s of the monotonic clock], on which topic, what."""
        self._found: set[tuple[str, str, int]] = set()
        self._read = 0
        self._subscribed = threading.Event()
        connect = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # untyped in paho
        connect.SessionExpiryInterval = 3600
        self._client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe("#", options=SubscribeOptions(qos=1))
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect("127.0.0.1", port, clean_start=False, properties=connect)
        self._client.loop_start()
        assert self._subscribed.wait(10)

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self.heard.append((time.monotonic(), message.topic, bytes(message.payload)))
        self.messages.append((message.topic, json.loads(message.payload)))

    def payloads(self) -> dict[str, list[bytes]]:
        """What came on each topic, in order."""
        found: dict[str, list[bytes]] = {}
        for _, topic, payload in list(self.heard):
            found.setdefault(topic, []).append(payload)
        return found

    def identities(self, printer: str = "km0/additive/print-hall/printer-1") -> set[tuple[str, str, int]]:
        """(asset, metric, time_ns) of all that was received, read from formats A and B."""
        found = self._found
        received = len(self.messages)
        for topic, payload in self.messages[self._read : received]:
            if topic.startswith("printers/"):
                keys = payload.keys() - {"ts"}
                found |= {(printer, REPORT_KEYS[key], payload["ts"] * 1_000_000) for key in keys}
                continue
            asset, metric = topic.rsplit("/", 1)
            values = payload if isinstance(payload, list) else [payload]
            found |= {(asset, metric, nanoseconds(value["time"])) for value in values}
        self._read = received
        return set(found)

    def wait_for(self, wanted: set[tuple[str, str, int]], seconds: float = 10.0) -> None:
        """Return once all of these were received; the test says what is missing otherwise."""
        deadline = time.monotonic() + seconds
        while not wanted <= self.identities() and time.monotonic() < deadline:
            time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def nanoseconds(text: str) -> int:
    """ISO 8601 with up to microseconds [ns]."""
    moment = datetime.fromisoformat(text)
    return (int(moment.replace(microsecond=0).astimezone(UTC).timestamp()) * 10**6 + moment.microsecond) * 1000

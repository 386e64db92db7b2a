"""The Sparkplug collector against a real broker: STATE, rebirths, and what a configuration may not be."""

import json
import socket
from typing import Any

import pytest

from telemetry.errors import ConfigError
from telemetry.health import Health
from telemetry.samples import Quality
from tests.collectors.mqtt.bench import PLANT, Publisher, config, publish_packet
from tests.collectors.mqtt.dialects import SPARKPLUG, SparkplugBench
from tests.collectors.mqtt.sparkplug_wire import metric, payload
from tests.contracts.collector import SizedSink, running, until
from tests.support import Mosquitto


class Listener:
    """Subscribes to everything over a bare socket (MQTT 3.1.1) and keeps what it hears."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00")
        assert self._socket.recv(4) == b"\x20\x02\x00\x00"
        self._socket.sendall(b"\x82\x06\x00\x01\x00\x01#\x00")
        assert self._read(5) == b"\x90\x03\x00\x01\x00"
        self._socket.settimeout(0.05)
        self._data = b""

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += self._socket.recv(size - len(data))
        return data

    def heard(self) -> bytes:
        """All bytes so far."""
        try:
            while True:
                more = self._socket.recv(65536)
                if not more:
                    break
                self._data += more
        except TimeoutError:
            pass
        return self._data

    def close(self) -> None:
        self._socket.close()


async def test_the_host_says_by_state_that_it_is_there(mosquitto: Mosquitto) -> None:
    """STATE online while it is there; a false offline is contradicted; births of unknown nodes are asked for."""
    bench, sink, listener = SparkplugBench(mosquitto), SizedSink(), Listener(mosquitto.port)
    async with running(bench, sink):
        await until(lambda: b'"online": true' in listener.heard())
        offline = json.dumps({"online": False, "timestamp": 1}).encode()
        publisher = Publisher(mosquitto.port)
        publisher.publish([("spBv1.0/STATE/km0", offline)], retain=True)
        await until(lambda: listener.heard().count(b'"online": true') == 2)
        publisher.publish([("spBv1.0/G/DDATA/E/D", payload(metric(value=1, alias=1), seq=2))])
        await until(lambda: b"spBv1.0/G/NCMD/E" in listener.heard() and b"Node Control/Rebirth" in listener.heard())
        publisher.close()
    await until(lambda: listener.heard().count(b'"online": false') == 2)
    listener.close()


async def test_what_was_known_is_not_known_after_the_host_was_away(mosquitto: Mosquitto) -> None:
    """When the connection ends, the last value is followed by one that says "not known from here on"."""
    bench, sink = SparkplugBench(mosquitto), SizedSink()
    async with running(bench, sink):
        known = await bench.publish(3)
        await sink.holds(known)
        await bench.kill_source()
        await until(lambda: sink.samples[-1].quality == Quality.BAD)
        assert sink.samples[-1].metric == "parts"
        assert sink.samples[-1].time_ns > max(time for _, _, time in known)
        await bench.start_source()


async def test_a_node_that_vanishes_is_unknown(mosquitto: Mosquitto) -> None:
    """The broker publishes the will of an edge node whose connection broke: all it said is stale."""
    bench, sink = SparkplugBench(mosquitto), SizedSink()
    will_topic, will = b"spBv1.0/G/NDEATH/E", payload(metric("bdSeq", 9, datatype=4))
    body = b"\x00\x04MQTT\x04\x0e\x00\x3c\x00\x04edge" + len(will_topic).to_bytes(2, "big") + will_topic
    body += len(will).to_bytes(2, "big") + will
    async with running(bench, sink):
        edge = socket.create_connection(("127.0.0.1", mosquitto.port))
        edge.sendall(b"\x10" + bytes([len(body)]) + body)
        assert edge.recv(4) == b"\x20\x02\x00\x00"
        birth = metric("Count", 5.0, alias=1, datatype=10, at_ms=1_795_305_600_000)
        edge.sendall(
            publish_packet("spBv1.0/G/NBIRTH/E", payload(metric("bdSeq", 9, datatype=4), seq=0), 0, qos=0)
            + publish_packet("spBv1.0/G/DBIRTH/E/D", payload(birth, at_ms=1_795_305_600_000, seq=1), 0, qos=0)
        )
        await sink.until(samples=1)
        edge.close()
        await sink.until(samples=2)
        assert [one.quality for one in sink.samples] == [Quality.GOOD, Quality.BAD]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"share": "g", "client_id": "a"}, "aliases and sequence numbers are one state"),
        ({"topics": [SPARKPLUG, {"dialect": "json", "topic": "{a}/{metric}"}]}, r"\[\[collectors\]\] of its own"),
        ({"status_topic": "km0/status"}, "leave out `status_topic`"),
        ({"topics": [SPARKPLUG | {"topic": "spBv1.0/G/DDATA/#/x"}]}, "last #|at the end"),
        ({"topics": [SPARKPLUG | {"topic": "spBv1.0/+/DDATA/+"}]}, "births and data come together"),
        ({"topics": [SPARKPLUG | {"asset": "a/{machine}"}]}, "{machine}"),
    ],
)
def test_what_a_host_application_cannot_be_is_said(settings: dict[str, Any], reason: str) -> None:
    """Refused when the plant file is checked, with the reason."""
    with pytest.raises(ValueError, match=reason):
        config(1883, **({"topics": [SPARKPLUG]} | settings))


def test_without_protobuf_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plant with Sparkplug on an installation without it: a ConfigError with the command."""
    monkeypatch.setitem(__import__("sys").modules, "collectors.mqtt.sparkplug", None)
    health = Health()
    with pytest.raises(ConfigError, match=r"km0-telemetry\[sparkplug\]"):
        config(1883, topics=[SPARKPLUG]).build(PLANT, health)

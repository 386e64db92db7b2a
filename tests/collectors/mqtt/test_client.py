"""The fast path says what paho itself says: every packet, cut and joined at every byte, with and without properties."""

import socket
from collections.abc import Iterator, Sequence
from typing import Any

import paho.mqtt.client as paho
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from collectors.mqtt import connecting
from collectors.mqtt.client import FITS, BatchingClient, fits
from collectors.mqtt.framing import Batch, Framer, MalformedLengthError, without_length
from tests.collectors.mqtt.bench import MqttBench
from tests.contracts.collector import CollectorContract
from tests.support import Mosquitto

V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311


def packet(head: int, body: bytes) -> bytes:
    """A packet of MQTT with its length."""
    length, size = bytearray(), len(body)
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    return bytes([head]) + length + body


def publish(
    topic: bytes, payload: bytes, head: int = 0x30, packet_id: int = 7, properties: bytes | None = b""
) -> bytes:
    """A PUBLISH; properties None: of MQTT 3.1.1."""
    identity = packet_id.to_bytes(2, "big") if head & 6 else b""
    extra = b"" if properties is None else bytes([len(properties)]) + properties
    return packet(head, len(topic).to_bytes(2, "big") + topic + identity + extra + payload)


USER = b"\x26\x00\x02at\x00\x0417.5"
"""The user property "at" = "17.5"."""

EVERY_KIND_5 = [
    packet(0x20, b"\x00\x00\x00"),  # CONNACK
    packet(0x90, b"\x00\x01\x00\x01"),  # SUBACK
    publish(b"a/b", b"zero"),
    publish(b"a/b", b"one", 0x32, 300),
    publish(b"a/b", b"again", 0x3A, 301),
    publish(b"a/b", b"kept", 0x31),
    publish(b"a/b", b"told", 0x32, 302, USER),
    publish(b"a/b", b"", 0x32, 303),
    publish("é/ß".encode(), b"x" * 200, 0x32, 304),
    publish(b"a/b", b"y" * 20_000, 0x32, 305),
    packet(0xD0, b""),  # PINGRESP
    publish(b"q/2", b"two", 0x34, 306),
    packet(0x62, b"\x01\x32"),  # PUBREL of that message, which completes it
    packet(0xB0, b"\x00\x02\x00\x00"),  # UNSUBACK
    publish(b"a/b", b"last", 0x32, 65535),
]
EVERY_KIND_311 = [
    packet(0x20, b"\x00\x00"),
    packet(0x90, b"\x00\x01\x01"),
    publish(b"a/b", b"zero", properties=None),
    publish(b"a/b", b"one", 0x32, 300, None),
    publish(b"a/b", b"", 0x3B, 301, None),
    packet(0xD0, b""),
    publish(b"q/2", b"two", 0x34, 302, None),
    packet(0x62, b"\x01\x2e"),
    packet(0xB0, b"\x00\x02"),
    publish(b"a/b", b"z" * 300, 0x33, 303, None),
]


class Heard:
    """A client on one end of a socket pair, and everything it says it heard."""

    def __init__(self, kind: type[paho.Client], version: MQTTProtocolVersion) -> None:
        self.events: list[Any] = []
        self.here, self.there = socket.socketpair()
        self.client = kind(CallbackAPIVersion.VERSION2, client_id="c", protocol=version, manual_ack=True)
        client = self.client
        client.on_connect = lambda *_: self.events.append("connected")
        client.on_subscribe = lambda _c, _d, mid, *_: self.events.append(("subscribed", mid))
        client.on_unsubscribe = lambda _c, _d, mid, *_: self.events.append(("unsubscribed", mid))
        client.on_disconnect = lambda _c, _d, _f, reason, _p: self.events.append(("disconnected", str(reason)))
        client.on_message = self._on_message
        client._sock = self.here
        self.here.setblocking(False)
        if isinstance(client, BatchingClient):
            client.room = lambda: (10**6, 10**9)

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        properties = b""
        if message.properties is not None:
            properties = without_length(message.properties.pack())  # type: ignore[no-untyped-call]  # paho leaves it untyped
        self.events.append((message.topic, bytes(message.payload), message.retain, properties))
        if isinstance(self.client, BatchingClient):
            self._order()

    def _order(self) -> None:
        """What the batch holds came before what paho just said."""
        client = self.client
        assert isinstance(client, BatchingClient)
        last = self.events.pop()
        self.collect()
        self.events.append(last)

    def collect(self) -> None:
        if isinstance(self.client, BatchingClient):
            self.events += [(m.topic, m.payload, m.retained, m.properties) for m in self.client.batch.messages]
            self.client.batch.messages.clear()

    def hear(self, pieces: Sequence[bytes]) -> list[Any]:
        """Every event, in order, when the bytes come in these pieces."""
        for piece in pieces:
            self.there.sendall(piece)
            while self.client._sock is not None and self.client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS:
                try:
                    if not self.here.recv(1, socket.MSG_PEEK):
                        break
                except (BlockingIOError, OSError):
                    break
        self.collect()
        return self.events

    def close(self) -> None:
        self.here.close()
        self.there.close()


@pytest.fixture
def clients() -> Iterator[Any]:
    made: list[Heard] = []

    def make(kind: type[paho.Client], version: MQTTProtocolVersion) -> Heard:
        made.append(Heard(kind, version))
        return made[-1]

    yield make
    for one in made:
        one.close()


def messages_of(events: Sequence[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, tuple) and len(event) == 4]


@pytest.mark.parametrize(("version", "packets"), [(V5, EVERY_KIND_5), (V311, EVERY_KIND_311)])
def test_it_hears_what_paho_hears(clients: Any, version: MQTTProtocolVersion, packets: list[bytes]) -> None:
    """Every kind of packet, one by one and all in one piece: the same messages and the same callbacks as paho's."""
    expected = clients(paho.Client, version).hear(packets)
    assert len(messages_of(expected)) == sum(one[0] >> 4 == 3 for one in packets)
    for pieces in (packets, [b"".join(packets)]):
        events = clients(BatchingClient, version).hear(pieces)
        assert messages_of(events) == messages_of(expected)
        assert sorted(map(str, events)) == sorted(map(str, expected))


def test_it_hears_the_same_wherever_the_stream_is_cut(clients: Any) -> None:
    """Two pieces, cut at every byte; and byte by byte."""
    stream = b"".join(one for one in EVERY_KIND_5 if len(one) < 1000)
    expected = messages_of(clients(BatchingClient, V5).hear([stream]))
    assert len(expected) == 9
    for at in range(1, len(stream)):
        heard = Heard(BatchingClient, V5)
        assert messages_of(heard.hear([stream[:at], stream[at:]])) == expected, f"cut at {at}"
        heard.close()
    assert messages_of(clients(BatchingClient, V5).hear([bytes([byte]) for byte in stream])) == expected


@pytest.mark.parametrize(
    "malformed",
    [
        packet(0x30, b"\x00"),  # no room for a topic's length
        packet(0x30, b"\x00\x09a/b"),  # a topic that ends beyond its packet
        packet(0x32, b"\x00\x03a/b\x00"),  # half a packet id
        packet(0x30, b"\x00\x03a/b"),  # no properties, not even their length
        packet(0x30, b"\x00\x03a/b\x09x"),  # properties that end beyond the packet
        publish(b"a/b", b"", 0x36),  # QoS 3
        b"\x30\xff\xff\xff\xff\x7f",  # a length of five bytes
        packet(0xF0, b""),  # AUTH, which nobody asked for
        packet(0x00, b""),  # no packet at all
    ],
)
def test_what_ends_a_connection_for_paho_ends_it_here(clients: Any, malformed: bytes) -> None:
    """What is malformed closes the connection; what came before it is heard, what comes after it is not."""
    stream = [publish(b"a/b", b"before"), malformed, publish(b"a/b", b"after")]
    heard = clients(BatchingClient, V5)
    assert [event[1] for event in messages_of(heard.hear([b"".join(stream)]))] == [b"before"]
    assert heard.client._sock is None
    paho_heard = clients(paho.Client, V5)
    paho_heard.there.sendall(b"".join(stream))
    while paho_heard.client._sock is not None and paho_heard.client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS:
        pass
    assert paho_heard.client._sock is None
    assert [event[1] for event in messages_of(paho_heard.events)] == [b"before"]


def test_nothing_is_heard_after_the_broker_said_goodbye(clients: Any) -> None:
    """DISCONNECT of the broker (session taken over): its reason is told, and bytes behind it are not looked at."""
    heard = clients(BatchingClient, V5)
    events = heard.hear([packet(0xE0, b"\x8e\x00") + publish(b"a/b", b"after")])
    assert ("disconnected", "Session taken over") in events
    assert messages_of(events) == []


def test_a_new_connection_starts_at_the_start_of_a_packet() -> None:
    """Half a packet of the connection before is forgotten."""
    taken, framer = Batch(), Framer(True, lambda *_: True)
    whole = publish(b"a/b", b"whole")
    framer.feed(publish(b"a/b", b"x" * 5000)[:900])
    framer.take(taken, 10, 10**6, 1)
    framer.reset()
    framer.feed(whole)
    framer.take(taken, 10, 10**6, 1)
    assert [message.payload for message in taken.messages] == [b"whole"]


def test_acknowledgements_are_joined_in_order(clients: Any) -> None:
    """PUBACKs of one batch go out in one piece: two bytes of head, the packet id, for QoS 1 only."""
    heard = clients(BatchingClient, V5)
    heard.there.sendall(publish(b"a", b"", 0x32, 1) + publish(b"a", b"") + publish(b"a", b"", 0x32, 0x1234))
    heard.client.loop_read()
    heard.client.acknowledge(heard.client.batch.acknowledgements)
    heard.client.loop_write()
    assert heard.there.recv(100) == b"\x40\x02\x00\x01\x40\x02\x12\x34"


def test_no_more_is_taken_than_there_is_room_for() -> None:
    """The bound of messages, and of bytes, which one message may pass; the rest waits in order."""
    stream = b"".join(publish(b"a/b", b"%03d" % n, 0x32, n + 1) for n in range(10))
    size = len(publish(b"a/b", b"000", 0x32, 1))
    framer = Framer(True, lambda *_: True)
    framer.feed(stream)
    seen: list[bytes] = []
    for messages, room, expected in ((4, 10**6, 4), (10, 2 * size + 1, 3), (0, 10**6, 0), (10, 10**6, 3)):
        batch = Batch()
        framer.take(batch, messages, room, 1)
        assert len(batch.messages) == expected
        assert framer.pending is (len(seen) + expected < 10)
        seen += [message.payload for message in batch.messages]
    assert seen == [b"%03d" % n for n in range(10)]


@given(st.lists(st.binary(max_size=60), max_size=8), st.booleans())
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_the_framer_raise(pieces: list[bytes], version5: bool) -> None:
    """Arbitrary bytes give messages, packets for the handler, or the one error that ends the connection."""
    framer = Framer(version5, lambda *_: True)
    try:
        for piece in pieces:
            framer.feed(piece)
            framer.take(Batch(), 1000, 10**6, 1)
    except MalformedLengthError:
        pass


# --- when paho is another one ---


def test_this_paho_is_the_known_one() -> None:
    """The paho-mqtt of this environment has what the fast path builds on; if this fails, look at its new version."""
    assert FITS


class Renamed(paho.Client):
    """A paho whose packets are read under another name."""

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:  # noqa: ARG002  # paho's signature
        return MQTTErrorCode.MQTT_ERR_SUCCESS


class Changed(paho.Client):
    """A paho whose queue takes something else."""

    def _packet_queue(self, command: int, packet: bytes) -> MQTTErrorCode:  # type: ignore[override]  # the point
        raise NotImplementedError


@pytest.mark.parametrize("other", [Renamed, Changed])
def test_another_paho_is_noticed(other: type[paho.Client]) -> None:
    """A paho that reads or writes differently is not built upon."""
    assert not fits(other)


class TestPlainPaho(CollectorContract):
    """Where paho differs, the session drives a plain client and keeps every promise."""

    @pytest.fixture
    async def bench(self, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> MqttBench:
        monkeypatch.setattr(connecting, "FITS", False)
        return MqttBench(mosquitto)

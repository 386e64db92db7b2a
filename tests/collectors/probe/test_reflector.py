"""The reflector, by bytes, by a hostile peer, and by our own probe over a link that loses packets."""

import asyncio
import contextlib
import hmac
import socket
import struct
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.probe import tlv
from collectors.probe.clocks import Instant
from collectors.probe.config import ProbeConfig
from collectors.probe.probe import Probe
from collectors.probe.reflector import SESSIONS, SOURCES, Reflector, ReflectorConfig, ReflectorServer
from collectors.probe.stamp import ErrorEstimate, Request, decode_reply, encode_request
from collectors.probe.timekeeping import ClockState
from collectors.probe.wire import Datagram
from simulators.radio_path import STILL, Direction, LinkConfig
from simulators.udp_link import UdpLink
from telemetry.config import Secret
from telemetry.errors import ConfigError, DecodeError, SourceError
from telemetry.health import Component, Health
from tests.contracts.memory import MemorySink
from tests.support import require_program

ASSET = "km0/network/5g/link-1"
KEY = b"0123456789abcdef"
REQUEST = Request(5, 0xE9D2A3B480000000, ErrorEstimate.from_bits(0x8001), 0xBEEF)
NOW = Instant(1_763_780_000_000_000_000, 1_000_000_000)


def datagram(data: bytes, source: str = "192.0.2.1", port: int = 5000, at: Instant = NOW) -> Datagram:
    return Datagram(data, (source, port), at.real_ns - 20_000, 61, 46 << 2 | 1)


def reflector(key: bytes | None = None, **settings: Any) -> tuple[Reflector, list[Instant]]:
    now = [NOW]
    return Reflector(ReflectorConfig(**settings), key, clock=lambda: now[0]), now


def test_answer() -> None:
    """T2 is when the kernel had the packet, T3 when the answer is made; the sender's fields and its TTL come back."""
    one, _ = reflector()
    one.keep_time(ClockState(True, 0.001, "chrony"))
    reply = decode_reply(one.answer(datagram(encode_request(REQUEST))) or b"")
    assert (reply.sender_sequence, reply.sender_stamp, reply.sender_error) == (5, REQUEST.stamp, REQUEST.error)
    assert (reply.ssid, reply.sender_ttl) == (0xBEEF, 61)
    assert (reply.sent - reply.received) * 10**9 // 2**32 in (19_999, 20_000)
    assert reply.error.synchronised
    assert reply.error.seconds == pytest.approx(0.001, rel=0.02)


def test_numbers() -> None:
    """Stateful, the answers of each session are numbered from 0, apart from those of others; stateless, copied."""
    one, _ = reflector(stateful=True)
    first, other = datagram(encode_request(REQUEST)), datagram(encode_request(REQUEST._replace(ssid=1)))
    numbers = [decode_reply(one.answer(each) or b"").sequence for each in (first, first, other, first)]
    assert numbers == [0, 1, 0, 2]
    copies, _ = reflector(stateful=False)
    assert decode_reply(copies.answer(first) or b"").sequence == 5


@given(st.binary(max_size=200))
def test_never_more_than_was_sent(data: bytes) -> None:
    """Whatever comes, the answer is none or exactly as long."""
    one, _ = reflector()
    answer = one.answer(datagram(data))
    assert answer is None or len(answer) == len(data)


def test_twamp_light_sender() -> None:
    """A sender that stops after its error estimate is answered with as many bytes: number, T3 and error estimate."""
    one, _ = reflector()
    answer = one.answer(datagram(encode_request(REQUEST)[:14])) or b""
    assert len(answer) == 14
    assert one.answer(datagram(bytes(13))) is None
    assert one.counts["malformed"] == 1


def test_padding_is_not_echoed() -> None:
    """What is behind the base packet and no extension comes back as zeros: nobody's bytes are sent on."""
    one, _ = reflector()
    answer = one.answer(datagram(encode_request(REQUEST) + b"\x01evil" * 20)) or b""
    assert answer[44:] == bytes(100)


def test_with_a_key_only_signed_packets_are_answered() -> None:
    """Unsigned, forged and truncated packets get no answer at all; a signed one gets a signed one."""
    one, _ = reflector(KEY)
    signed = encode_request(REQUEST, key=KEY)
    for bad in (encode_request(REQUEST), encode_request(REQUEST, 112), signed[:111], signed[:-1] + b"\0"):
        assert one.answer(datagram(bad)) is None
    answer = one.answer(datagram(signed)) or b""
    assert decode_reply(answer, KEY).sender_sequence == 5
    with pytest.raises(DecodeError):
        decode_reply(answer, b"another")
    assert (one.counts["malformed"], one.counts["answered"]) == (4, 1)


def test_rate_of_each_source() -> None:
    """A source is answered at its rate: of 1,000 packets within a second, 50 at once and 100 a second after; others
    are not made to wait for it."""
    one, now = reflector(rate=100.0)
    packet = encode_request(REQUEST)
    answered = 0
    for n in range(1000):
        now[0] = Instant(NOW.real_ns + n * 10**6, NOW.mono_ns + n * 10**6)
        answered += one.answer(datagram(packet, at=now[0])) is not None
    assert 148 <= answered <= 151
    assert one.counts["limited"] == 1000 - answered
    assert one.answer(datagram(packet, "192.0.2.2")) is not None


def test_total_rate() -> None:
    """Ten thousand sources together are answered at the total rate, and remembered up to a bound."""
    one, _ = reflector(total_rate=2000.0)
    packet = encode_request(REQUEST)
    answers = [one.answer(datagram(packet, f"198.51.{n // 250}.{n % 250}")) for n in range(10_000)]
    assert sum(answer is not None for answer in answers) == 1000
    assert len(one._sources) == SOURCES
    assert len(one._sessions) <= SESSIONS


# extensions: flags 0x80 (asked), type, length, value


def answered(extensions: bytes, key: bytes | None = None) -> bytes:
    one, _ = reflector(key)
    base = encode_request(REQUEST, key=key)
    return (one.answer(datagram(base + extensions)) or b"")[len(base) :]


def test_direct_measurement() -> None:
    """Direct Measurement: the sender's count comes back with how many packets were received and answered."""
    assert answered(bytes.fromhex("8005000c000000090000000000000000")).hex() == ("0005000c000000090000000100000001")


def test_class_of_service() -> None:
    """Class of Service: DSCP 46 and ECN 1 as they arrived, and that the wish for DSCP 10 was not followed (RP 1)."""
    value = 10 << 26 | 46 << 20 | 1 << 18 | 1 << 16
    assert answered(bytes.fromhex("80040004") + (10 << 26).to_bytes(4, "big")).hex() == f"00040004{value:08x}"


def test_unknown_malformed_and_chained_extensions() -> None:
    """What is not known keeps its U flag and value, what has a wrong length gets M, and the rest is still answered."""
    asked = bytes.fromhex("80c80002abcd8005000300000080010004ffffffff")
    assert answered(asked).hex() == "80c80002abcd400500030000000001000400000000"


def test_extensions_that_are_cut_off() -> None:
    """A chain that is cut off is padding."""
    assert answered(bytes.fromhex("80050fff00")) == bytes(5)


def test_signed_extensions() -> None:
    """The HMAC extension covers the sequence number and what is before it, in both directions; I says it was wrong."""
    extensions = [tlv.Tlv(tlv.Kind.DIRECT_MEASUREMENT, struct.pack(">III", 6, 0, 0))]
    asked = tlv.signed((5).to_bytes(4, "big"), extensions, KEY)
    answer = answered(asked, KEY)
    by_hand = hmac.digest(KEY, bytes(4) + answer[:16], "sha256")[:16]
    assert answer[16:].hex() == "00080010" + by_hand.hex()
    wrong = asked[:-1] + bytes([asked[-1] ^ 1])
    assert answered(wrong, KEY)[16] == tlv.UNVERIFIED


# on the wire


@contextmanager
def serving(**settings: Any) -> Iterator[ReflectorServer]:
    server = ReflectorServer(ReflectorConfig(port=0, **settings))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(5)


@asynccontextmanager
async def probing(port: int, key: bytes | None = None, **settings: Any) -> AsyncIterator[tuple[MemorySink, Component]]:
    sink, component = MemorySink(), Health().component("probe")
    config = ProbeConfig(kind="probe", asset=ASSET, host="127.0.0.1", port=port, **settings)
    task = asyncio.create_task(Probe(config, component, key).run(sink))
    try:
        yield sink, component
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_loss_by_direction_over_a_link() -> None:
    """Over a link that loses 9 % up and 3 % down, probe and stateful reflector tell the losses of each way."""
    lossy = LinkConfig(
        up=Direction(base_ms=1, slot_ms=0, harq=0, tail=0, loss_starts=0.09, loss_ends=0.9),
        down=Direction(base_ms=1, slot_ms=0, harq=0, tail=0, loss_starts=0.03, loss_ends=0.9),
        handover_s=0,
    )
    with serving() as server, UdpLink(lossy, 17, ("127.0.0.1", server.address[1])) as link:
        async with probing(link.port, interval_ms=3, timeout_ms=500, reflector="stateful") as (sink, component):
            await sink.until(samples=1200)
        truth = link.truth()
    # Up to an answered packet so long ago that whatever was sent before it has its outcome.
    answered_ns = sorted(sample.time_ns for sample in sink.samples if sample.metric == "rtt")
    end_ns = next(time_ns for time_ns in reversed(answered_ns) if time_ns < answered_ns[-1] - 700_000_000)
    told = {sample.time_ns: sample.text for sample in sink.samples if sample.metric == "rtt_lost"}
    ways = [text for time_ns, text in told.items() if time_ns < end_ns]
    gone = {passage.way: 0 for passage in truth.passages}
    for passage in truth.passages:
        stamp = passage.head[4:12] if passage.way == "up" else passage.head[28:36]
        gone[passage.way] += not passage.left_ns and _unix_ns(stamp) < end_ns
    assert (ways.count("up"), ways.count("down"), ways.count("")) == (gone["up"], gone["down"], 0)
    assert gone["up"] > 30
    assert gone["down"] > 10
    assert component.counted("reflector_restarts") == 0


def _unix_ns(stamp: bytes) -> int:
    seconds, fraction = struct.unpack(">II", stamp)
    return int((seconds - 2_208_988_800) * 10**9 + (fraction * 10**9 >> 32))


async def test_authenticated_over_a_link(tmp_path: Path) -> None:
    """With the same key on both sides everything is answered; with different keys nothing is."""
    secret = tmp_path / "key"
    secret.write_bytes(KEY)
    with serving(key=Secret(file=secret)) as server, UdpLink(STILL, 1, ("127.0.0.1", server.address[1])) as link:
        async with probing(link.port, KEY, interval_ms=10) as (sink, _):
            await sink.until(samples=20)
        async with probing(link.port, b"another", interval_ms=10, timeout_ms=50) as (other, _):
            await other.until(samples=20)
    assert {sample.metric for sample in sink.samples} == {"rtt", "clock_error", "duplicates", "reordered"}
    assert {sample.metric for sample in other.samples} == {"rtt_lost", "duplicates", "reordered"}


async def test_dscp_and_size() -> None:
    """Packets have the size and the DSCP that were asked for."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(5)
        peer.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        async with probing(peer.getsockname()[1], size=300, dscp=46):
            data, ancillary, _, _ = await asyncio.to_thread(peer.recvmsg, 2000, 100)
    assert len(data) == 300
    assert [value[0] for _, kind, value in ancillary if kind == socket.IP_TOS] == [46 << 2]


def test_a_port_that_is_taken() -> None:
    """A reflector that cannot listen says where, and why."""
    with serving() as server, pytest.raises(SourceError, match=f"port {server.address[1]}: Address already in use"):
        ReflectorServer(ReflectorConfig(port=server.address[1]))


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    """A missing key file stops the start."""
    with pytest.raises(ConfigError, match="cannot be read"):
        ReflectorServer(ReflectorConfig(port=0, key=Secret(file=tmp_path / "none")))


def test_wireshark_agrees(tmp_path: Path) -> None:
    """Wireshark's TWAMP-Test dissector, which knows nothing of us, reads from our packets what we put there."""
    tshark = require_program("tshark")
    one, _ = reflector()
    one.answer(datagram(encode_request(REQUEST)))  # so that the answer that is looked at has number 1
    request = encode_request(REQUEST)
    answer = one.answer(datagram(request)) or b""
    capture = tmp_path / "packets.pcap"
    capture.write_bytes(_pcap(request, 40000, 862) + _pcap(answer, 862, 40000)[24:])
    fields = ("seq_number", "timestamp", "error_estimate", "receive_timestamp", "sender_seq_number", "sender_timestamp",
              "sender_error_estimate", "sender_ttl")  # fmt: skip
    command = [tshark, "-r", str(capture), "-d", "udp.port==862,twamp.test", "-T", "fields"]
    command += [word for field in fields for word in ("-e", f"twamp.test.{field}")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"TZ": "UTC", "PATH": "/usr/bin"})
    sent, returned = (
        dict(zip(fields, line.split("\t"), strict=True)) for line in done.stdout.splitlines() if line.count("\t") > 3
    )
    assert (sent["seq_number"], sent["error_estimate"]) == ("5", "32769")
    assert sent["timestamp"] == "Apr 23, 2024 21:16:36.500000000 UTC"  # 0xE9D2A3B4 s and a half since 1900
    assert (returned["seq_number"], returned["sender_seq_number"], returned["sender_ttl"]) == ("1", "5", "61")
    assert (returned["sender_timestamp"], returned["sender_error_estimate"]) == (sent["timestamp"], "32769")
    assert returned["timestamp"] == "Nov 22, 2025 02:53:20.000000000 UTC"  # 1,763,780,000 s since 1970
    assert returned["receive_timestamp"] == "Nov 22, 2025 02:53:19.999980000 UTC"


def _pcap(payload: bytes, source: int, target: int) -> bytes:
    """A capture file of one UDP packet over raw IPv4."""
    udp = struct.pack(">HHHH", source, target, 8 + len(payload), 0) + payload
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1")
    packet = ip + udp
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    return head + struct.pack("<IIII", 1_700_000_000, 0, len(packet), len(packet)) + packet

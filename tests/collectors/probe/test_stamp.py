"""The STAMP codec against the vectors of the standards sheet and against hostile bytes."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.probe.stamp import (
    ErrorEstimate,
    Reply,
    Request,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
    from_stamp,
    to_stamp,
)
from telemetry.errors import DecodeError

KEY = b"0123456789abcdef"
VECTOR = Request(1, 0xE9D2A3B480000000, ErrorEstimate.from_bits(0x8001))
ANSWER = Reply(
    sequence=7,
    sent=0xE9D2A3B4C0000000,
    error=ErrorEstimate(True, False, 10, 3),
    ssid=0xBEEF,
    received=0xE9D2A3B4A0000000,
    sender_sequence=1,
    sender_stamp=VECTOR.stamp,
    sender_error=VECTOR.error,
    sender_ttl=61,
)


def test_request_vector() -> None:
    """Sequence 1 at 0xE9D2A3B480000000 with error 0x8001 is the published 44 bytes."""
    assert encode_request(VECTOR).hex() == "00000001" + "e9d2a3b480000000" + "8001" + "00" * 30


def test_authenticated_request_vector() -> None:
    """The same, authenticated with the published key, has the published HMAC, over the published 96 bytes."""
    packet = encode_request(VECTOR, key=KEY)
    assert packet[:96].hex() == "00000001" + "00" * 12 + "e9d2a3b480000000" + "8001" + "00" * 70
    assert packet[96:].hex() == "ecfa62b554ca669a38c1cf4036c3449b"
    assert decode_request(packet, KEY) == VECTOR


def test_reply_layout() -> None:
    """Each field of an unauthenticated reply stands at the byte where the table puts it; the SSID stands there once."""
    packet = encode_reply(ANSWER)
    assert len(packet) == 44
    assert packet[0:4] == (7).to_bytes(4, "big")
    assert packet[4:12].hex() == "e9d2a3b4c0000000"
    assert packet[12:14].hex() == "8a03"
    assert packet[14:16].hex() == "beef"
    assert packet[16:24].hex() == "e9d2a3b4a0000000"
    assert packet[24:28] == (1).to_bytes(4, "big")
    assert packet[28:36].hex() == "e9d2a3b480000000"
    assert packet[36:40].hex() == "80010000"
    assert packet[40:44].hex() == "3d000000"


def test_authenticated_reply_layout() -> None:
    """Each field of an authenticated reply stands at the byte where the table puts it."""
    packet = encode_reply(ANSWER, 112, KEY)
    assert len(packet) == 112
    assert packet[16:28].hex() == "e9d2a3b4c0000000" + "8a03" + "beef"
    assert packet[32:40].hex() == "e9d2a3b4a0000000"
    assert packet[48:52] == (1).to_bytes(4, "big")
    assert packet[64:74].hex() == "e9d2a3b480000000" + "8001"
    assert packet[80] == 61
    assert decode_reply(packet, KEY) == ANSWER


def test_symmetric_size() -> None:
    """Packets are padded with zeros to the size asked for; a reply is never longer than its request."""
    assert encode_request(VECTOR, 200) == encode_request(VECTOR) + bytes(156)
    assert encode_reply(ANSWER, 100) == encode_reply(ANSWER) + bytes(56)
    assert encode_reply(ANSWER, 14) == encode_reply(ANSWER)[:14]


def test_twamp_light_short_packets() -> None:
    """What a short TWAMP-Light packet leaves out reads as zero."""
    assert decode_request(encode_request(VECTOR._replace(ssid=5))[:14]) == VECTOR
    assert decode_reply(encode_reply(ANSWER)[:40]) == ANSWER._replace(sender_ttl=0)


@pytest.mark.parametrize("size", [0, 1, 13])
def test_truncated_request(size: int) -> None:
    """A request without its first fields is refused with its size."""
    with pytest.raises(DecodeError, match=f"^{size} bytes"):
        decode_request(bytes(size))


def test_wrong_hmac() -> None:
    """One bit anywhere in the signed bytes, another key, or a truncated packet is refused."""
    packet = encode_reply(ANSWER, 112, KEY)
    for position in (0, 16, 95, 96, 111):
        altered = bytearray(packet)
        altered[position] ^= 1
        with pytest.raises(DecodeError, match="HMAC"):
            decode_reply(bytes(altered), KEY)
    with pytest.raises(DecodeError, match="HMAC"):
        decode_reply(packet, b"another key")
    with pytest.raises(DecodeError, match="at least 112"):
        decode_reply(packet[:111], KEY)


def test_known_instants() -> None:
    """NTP 0xE9D2A3B4 s less 2,208,988,800 is Unix 1,713,829,812; PTP counts Unix seconds and nanoseconds."""
    assert from_stamp(VECTOR.stamp) == (0xE9D2A3B4 - 2_208_988_800) * 10**9 + 500_000_000
    assert to_stamp((0xE9D2A3B4 - 2_208_988_800) * 10**9 + 500_000_000) == VECTOR.stamp
    assert from_stamp(1_700_000_000 << 32 | 123_456_789, ptp=True) == 1_700_000_000_123_456_789


def test_era_of_2036() -> None:
    """The second after 2036-02-07 06:28:15 UTC, when NTP seconds wrap to 0, is read as that and not as 1900."""
    last = 0xFFFFFFFF - 2_208_988_800
    assert from_stamp(to_stamp(last * 10**9)) == last * 10**9
    assert to_stamp((last + 1) * 10**9) == 0
    assert from_stamp(0) == (last + 1) * 10**9


@given(st.integers(0, 4_000_000_000 * 10**9))
def test_no_nanosecond_is_lost(time_ns: int) -> None:
    """Every nanosecond from 1970 to 2096 comes back from its timestamp."""
    assert from_stamp(to_stamp(time_ns)) == time_ns


def test_error_estimate() -> None:
    """0x8001 is synchronised, 2⁻³² s; an estimate is never below the error it is made from, nor twice as large."""
    assert ErrorEstimate.from_bits(0x8001).seconds == 2.0**-32
    for seconds in (0.0, 1e-9, 50e-6, 0.001, 1.0, 3600.0):
        estimate = ErrorEstimate.of(seconds, synchronised=True)
        assert estimate.seconds >= seconds
        assert estimate.seconds <= max(seconds * 1.02, 2.0**-32 * 255)
        assert estimate.multiplier > 0
        assert ErrorEstimate.from_bits(estimate.bits) == estimate
    assert ErrorEstimate.of(1e30, synchronised=False).seconds == 255 * 2.0**31


@given(st.binary(max_size=300), st.sampled_from([None, KEY]))
def test_hostile_bytes(data: bytes, key: bytes | None) -> None:
    """Any bytes are decoded or refused with DecodeError, nothing else."""
    with contextlib.suppress(DecodeError):
        decode_request(data, key)
    with contextlib.suppress(DecodeError):
        decode_reply(data, key)

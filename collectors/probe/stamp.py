"""STAMP test packets (RFC 8762), bytes in and bytes out: no sockets, no clocks, no state.

Both modes: unauthenticated (44 bytes) and authenticated (112 bytes, HMAC-SHA-256 cut to 16 bytes over bytes 0–95).
Times are nanoseconds since the Unix epoch, UTC. Everything from the wire is hostile: decoding raises DecodeError, with
a reason, and nothing else. Layouts: RFC 8762 4.2.1 (sender) and 4.3.1 (reflector); SSID: RFC 8972 3.
"""

import hmac
import struct
from typing import Final, NamedTuple

from telemetry.errors import DecodeError

PORT: Final = 862
"""The port a reflector listens on unless the two sides agree on another."""

OPEN_BYTES: Final = 44
AUTHENTICATED_BYTES: Final = 112
_SIGNED: Final = 96
_HMAC: Final = 16

MIN_REQUEST_BYTES: Final = 14
"""A TWAMP-Light sender may stop after its error estimate (RFC 5357 4.1.2); what is missing reads as zero."""

MIN_REPLY_BYTES: Final = 36
"""A reply that ends before the echoed T1 cannot be told from a forgery; TWAMP-Light replies have 41 bytes."""

_OPEN_REQUEST: Final = struct.Struct(">IQHH28x")
_OPEN_REPLY: Final = struct.Struct(">IQHHQIQH2xB3x")
_SIGNED_REQUEST: Final = struct.Struct(">I12xQHH68x")
_SIGNED_REPLY: Final = struct.Struct(">I12xQHH4xQ8xI12xQH6xB15x")

_NTP_TO_UNIX_S: Final = 2_208_988_800
_SECOND_NS: Final = 10**9
_ERA_S: Final = 1 << 32


class ErrorEstimate(NamedTuple):
    """How far a clock may be off (RFC 4656 4.1.2, RFC 8186): 16 bits S Z Scale(6) Multiplier(8)."""

    synchronised: bool
    ptp: bool
    scale: int
    multiplier: int

    @property
    def seconds(self) -> float:
        """Multiplier × 2^(Scale − 32) [s]."""
        return float(self.multiplier * 2.0 ** (self.scale - 32))

    @property
    def bits(self) -> int:
        return self.synchronised << 15 | self.ptp << 14 | self.scale << 8 | self.multiplier

    @classmethod
    def from_bits(cls, bits: int) -> "ErrorEstimate":
        return cls(bool(bits & 0x8000), bool(bits & 0x4000), bits >> 8 & 0x3F, bits & 0xFF)

    @classmethod
    def of(cls, seconds: float, *, synchronised: bool) -> "ErrorEstimate":
        """The smallest estimate that is not below `seconds` [s]; the multiplier is never 0, as the RFC demands."""
        for scale in range(64):
            multiplier = -int(-seconds * 2.0 ** (32 - scale) // 1)
            if multiplier <= 255:
                return cls(synchronised, False, scale, max(1, multiplier))
        return cls(synchronised, False, 63, 255)


class Request(NamedTuple):
    """What a sender says. `stamp` is T1 as it stands in the packet; see `to_stamp` and `from_stamp`."""

    sequence: int
    stamp: int
    error: ErrorEstimate = ErrorEstimate(False, False, 0, 1)
    ssid: int = 0


class Reply(NamedTuple):
    """What a reflector says: T3 (`sent`), T2 (`received`), and the sender's own fields as it echoes them."""

    sequence: int
    sent: int
    error: ErrorEstimate
    ssid: int
    received: int
    sender_sequence: int
    sender_stamp: int
    sender_error: ErrorEstimate = ErrorEstimate(False, False, 0, 0)
    sender_ttl: int = 0


def to_stamp(time_ns: int) -> int:
    """The 64-bit NTP timestamp of an instant [ns]. Rounded up, so that `from_stamp` gives back the same nanosecond."""
    seconds, nanoseconds = divmod(time_ns, _SECOND_NS)
    fraction = -(-(nanoseconds << 32) // _SECOND_NS)
    return (seconds + _NTP_TO_UNIX_S) % _ERA_S << 32 | fraction


def from_stamp(stamp: int, *, ptp: bool = False) -> int:
    """The instant [ns] of a timestamp; `ptp` reads truncated PTPv2 (seconds and nanoseconds since 1970).

    NTP seconds wrap in February 2036: with the top bit clear, the era after it is meant (RFC 4330 3).
    """
    seconds, fraction = stamp >> 32, stamp & 0xFFFFFFFF
    if ptp:
        return seconds * _SECOND_NS + fraction
    if not seconds & 0x80000000:
        seconds += _ERA_S
    return (seconds - _NTP_TO_UNIX_S) * _SECOND_NS + (fraction * _SECOND_NS >> 32)


def encode_request(request: Request, size: int = 0, key: bytes | None = None) -> bytes:
    """The packet, padded with zeros to `size` bytes; never shorter than its mode's base packet."""
    if key is None:
        return _OPEN_REQUEST.pack(request.sequence, request.stamp, request.error.bits, request.ssid).ljust(size, b"\0")
    body = _SIGNED_REQUEST.pack(request.sequence, request.stamp, request.error.bits, request.ssid)
    return (body + _sign(body, key)).ljust(size, b"\0")


def decode_request(data: bytes, key: bytes | None = None) -> Request:
    """The request in a datagram. Raises DecodeError: too short, or in authenticated mode not signed with `key`."""
    if key is None:
        if len(data) < MIN_REQUEST_BYTES:
            raise DecodeError(f"{len(data)} bytes: a test packet has at least {MIN_REQUEST_BYTES}")
        sequence, stamp, error, ssid = _OPEN_REQUEST.unpack_from(data.ljust(OPEN_BYTES, b"\0"))
    else:
        _verify(data, key)
        sequence, stamp, error, ssid = _SIGNED_REQUEST.unpack_from(data)
    return Request(sequence, stamp, ErrorEstimate.from_bits(error), ssid)


def encode_reply(reply: Reply, size: int = OPEN_BYTES, key: bytes | None = None) -> bytes:
    """The packet, cut or padded with zeros to `size` bytes, that of the request it answers.

    RFC 8762 4.3 answers a short TWAMP-Light request with the whole base packet; cut to the request's size instead, a
    reflector never sends more than it was sent. An authenticated packet is never cut: its request is never shorter.
    """
    fields = (
        reply.sequence,
        reply.sent,
        reply.error.bits,
        reply.ssid,
        reply.received,
        reply.sender_sequence,
        reply.sender_stamp,
        reply.sender_error.bits,
        reply.sender_ttl,
    )
    if key is None:
        return _OPEN_REPLY.pack(*fields)[:size].ljust(size, b"\0")
    body = _SIGNED_REPLY.pack(*fields)
    return (body + _sign(body, key)).ljust(size, b"\0")


def decode_reply(data: bytes, key: bytes | None = None) -> Reply:
    """The reply in a datagram. Raises DecodeError: too short, or in authenticated mode not signed with `key`."""
    if key is None:
        if len(data) < MIN_REPLY_BYTES:
            raise DecodeError(f"{len(data)} bytes: a reply has at least {MIN_REPLY_BYTES}")
        fields = _OPEN_REPLY.unpack_from(data.ljust(OPEN_BYTES, b"\0"))
    else:
        _verify(data, key)
        fields = _SIGNED_REPLY.unpack_from(data)
    sequence, sent, error, ssid, received, sender_sequence, sender_stamp, sender_error, ttl = fields
    return Reply(
        sequence,
        sent,
        ErrorEstimate.from_bits(error),
        ssid,
        received,
        sender_sequence,
        sender_stamp,
        ErrorEstimate.from_bits(sender_error),
        ttl,
    )


def _sign(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")[:_HMAC]


def _verify(data: bytes, key: bytes) -> None:
    if len(data) < AUTHENTICATED_BYTES:
        raise DecodeError(f"{len(data)} bytes: an authenticated packet has at least {AUTHENTICATED_BYTES}")
    if not hmac.compare_digest(_sign(data[:_SIGNED], key), data[_SIGNED:AUTHENTICATED_BYTES]):
        raise DecodeError("the HMAC is wrong: the other side has another key, or the packet was altered")

"""Optional extensions behind a STAMP packet (RFC 8972): Type, Length, Value, each with flags. Bytes in, bytes out.

A sender sets U (not recognised) in each; a reflector clears it in those it knows. What is no well-formed chain of TLVs
is padding, and is returned as zeros: a reflector is no store of other people's bytes.
"""

import hmac
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from telemetry.errors import DecodeError

UNRECOGNISED: Final = 0x80
MALFORMED: Final = 0x40
UNVERIFIED: Final = 0x20

_HEADER: Final = struct.Struct(">BBH")
_HMAC_BYTES: Final = 16
_COUNTERS: Final = struct.Struct(">III")


class Kind(IntEnum):
    """Types of RFC 8972 that are answered here."""

    EXTRA_PADDING = 1
    TIMESTAMP_INFORMATION = 3
    CLASS_OF_SERVICE = 4
    DIRECT_MEASUREMENT = 5
    HMAC = 8


@dataclass(frozen=True, slots=True)
class Tlv:
    """One extension. `kind` may be one that nobody knows."""

    kind: int
    value: bytes
    flags: int = UNRECOGNISED

    def encode(self) -> bytes:
        return _HEADER.pack(self.flags, self.kind, len(self.value)) + self.value


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a reflector knows of a packet. `dscp` as it came, `answers` as it goes back. `received`, `answered`: packets
    of this session so far. `sync_source`: 1 NTP, 2 PTP, 0 not known."""

    dscp: int = 0
    answers: int = 0
    ecn: int = 0
    received: int = 0
    answered: int = 0
    sync_source: int = 0


def parse(data: bytes) -> list[Tlv]:
    """The extensions in the bytes behind a base packet. Raises DecodeError when one is cut off."""
    found: list[Tlv] = []
    position = 0
    while position < len(data):
        if len(data) - position < _HEADER.size:
            raise DecodeError(f"{len(data) - position} bytes behind the last extension")
        flags, kind, length = _HEADER.unpack_from(data, position)
        position += _HEADER.size
        if length > len(data) - position:
            raise DecodeError(f"an extension of {length} bytes, and {len(data) - position} are left")
        found.append(Tlv(kind, data[position : position + length], flags))
        position += length
    return found


def answer(request: bytes, reply: bytes, extensions: bytes, known: Circumstances, key: bytes | None = None) -> bytes:
    """What a reflector returns for the bytes behind a base packet: as many, each extension answered; zeros for what is
    no chain of extensions. `request`, `reply`: the sequence numbers of both packets, which HMACs cover."""
    if not extensions.strip(b"\0"):
        return bytes(len(extensions))
    try:
        asked = parse(extensions)
    except DecodeError:
        return bytes(len(extensions))
    answered, chain = b"", b""
    for tlv in asked:
        if tlv.kind == Kind.HMAC and key is not None:
            valid = hmac.compare_digest(tlv.value, digest(request + chain, key)) and tlv is asked[-1]
            value = digest(reply + answered, key) if len(tlv.value) == _HMAC_BYTES else tlv.value
            answered += Tlv(Kind.HMAC, value, 0 if valid else UNVERIFIED).encode()
        else:
            answered += _answered(tlv, known).encode()
        chain += tlv.encode()
    return answered


def signed(sequence: bytes, extensions: list[Tlv], key: bytes) -> bytes:
    """Extensions of a sender with the HMAC extension behind them, which covers the sequence number and all of them."""
    chain = b"".join(tlv.encode() for tlv in extensions)
    return chain + Tlv(Kind.HMAC, digest(sequence + chain, key)).encode()


def _answered(tlv: Tlv, known: Circumstances) -> Tlv:
    value = tlv.value
    if tlv.kind == Kind.EXTRA_PADDING:
        return Tlv(tlv.kind, bytes(len(value)), 0)
    if tlv.kind == Kind.CLASS_OF_SERVICE:
        if len(value) != 4:
            return Tlv(tlv.kind, value, MALFORMED)
        # DSCP1 (asked for, 6 bits), DSCP2 (as it arrived, 6), ECN (2), reverse path (2); the rest is zero.
        wanted = value[0] >> 2
        word = wanted << 26 | known.dscp << 20 | known.ecn << 18 | (1 if wanted != known.answers else 0) << 16
        return Tlv(tlv.kind, word.to_bytes(4, "big"), 0)
    if tlv.kind == Kind.DIRECT_MEASUREMENT:
        if len(value) != _COUNTERS.size:
            return Tlv(tlv.kind, value, MALFORMED)
        (sent,) = struct.unpack_from(">I", value)
        return Tlv(tlv.kind, _COUNTERS.pack(sent, known.received % 2**32, known.answered % 2**32), 0)
    if tlv.kind == Kind.TIMESTAMP_INFORMATION:
        if len(value) != 4:
            return Tlv(tlv.kind, value, MALFORMED)
        # Source and method (2: software) of our time of arrival, then of our time of departure.
        return Tlv(tlv.kind, bytes((known.sync_source, 2, known.sync_source, 2)), 0)
    return Tlv(tlv.kind, value, tlv.flags | UNRECOGNISED)


def digest(data: bytes, key: bytes) -> bytes:
    """HMAC-SHA-256, cut to 16 bytes."""
    return hmac.digest(key, data, "sha256")[:_HMAC_BYTES]

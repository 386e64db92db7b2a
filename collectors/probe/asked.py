"""What a sender asks a reflector for by extensions (RFC 8972), and what the answer tells. Bytes in, bytes out.

Direct Measurement tells how many packets the reflector had, so the direction of losses, even of a stateless one. Class
of Service tells whether the DSCP was changed on the way. What an answer does not tell is None: a reflector that knows
no extensions is no error. With a key, extensions that are not signed with it tell nothing.
"""

import hmac
import struct
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from collectors.probe.tlv import UNRECOGNISED, UNVERIFIED, Kind, Tlv, digest, parse, signed
from telemetry.errors import DecodeError

Extension = Literal["direct-measurement", "class-of-service"]

_HEADER: Final = 4
_HMAC: Final = 16
_COUNTERS: Final = struct.Struct(">III")


class Answered(NamedTuple):
    """`received`: packets of this session that the reflector has had, modulo 2³². `dscp_up`: the DSCP that our packet
    had when it got there. `dscp_kept`: whether the answer was sent with the DSCP that was asked for."""

    received: int | None = None
    dscp_up: int | None = None
    dscp_kept: bool | None = None


NOTHING: Final = Answered()


@dataclass(frozen=True, slots=True)
class Asked:
    """The extensions of every packet. `dscp` [0…63]: that of our packets, asked for in the answers too."""

    extensions: tuple[Extension, ...] = ()
    dscp: int = 0
    key: bytes | None = None

    def encode(self, base: bytes, sent: int, size: int) -> bytes:
        """What stands behind the base packet, `sent` being the number of packets sent with this one; padded so that the
        whole has `size` bytes, where that leaves room."""
        if not self.extensions:
            return bytes(max(0, size - len(base)))
        chain: list[Tlv] = []
        if "direct-measurement" in self.extensions:
            chain.append(Tlv(Kind.DIRECT_MEASUREMENT, _COUNTERS.pack(sent % 2**32, 0, 0)))
        if "class-of-service" in self.extensions:
            chain.append(Tlv(Kind.CLASS_OF_SERVICE, (self.dscp << 26).to_bytes(4, "big")))
        length = sum(_HEADER + len(each.value) for each in chain) + (0 if self.key is None else _HEADER + _HMAC)
        room = size - len(base) - length - _HEADER
        if room >= 0:
            chain.append(Tlv(Kind.EXTRA_PADDING, bytes(room)))
        if self.key is not None:
            return signed(base[:4], chain, self.key)
        return b"".join(each.encode() for each in chain)

    def read(self, reply: bytes, base: int) -> Answered:
        """What the extensions of a reply tell, whose base packet has `base` bytes."""
        if not self.extensions or len(reply) <= base:
            return NOTHING
        try:
            found = parse(reply[base:])
        except DecodeError:
            return NOTHING
        if self.key is not None and not self._verified(reply[:4], found):
            return NOTHING
        values = {each.kind: each.value for each in found if not each.flags}
        counters, service = values.get(Kind.DIRECT_MEASUREMENT, b""), values.get(Kind.CLASS_OF_SERVICE, b"")
        word = int.from_bytes(service, "big")
        known = len(service) == 4 and "class-of-service" in self.extensions
        counted = len(counters) == _COUNTERS.size and "direct-measurement" in self.extensions
        return Answered(
            _COUNTERS.unpack(counters)[1] if counted else None,
            word >> 20 & 0x3F if known else None,
            word >> 16 & 3 == 0 if known else None,
        )

    def _verified(self, sequence: bytes, found: list[Tlv]) -> bool:
        assert self.key is not None
        if not found or found[-1].kind != Kind.HMAC or found[-1].flags & (UNRECOGNISED | UNVERIFIED):
            return False
        chain = b"".join(each.encode() for each in found[:-1])
        return hmac.compare_digest(found[-1].value, digest(sequence + chain, self.key))

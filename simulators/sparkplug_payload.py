"""Sparkplug B payloads as an edge node writes them: protobuf by hand, from the field numbers of the specification.

No code is shared with what decodes them, and no protobuf library: what is wrong here is wrong on the wire, where
foreign decoders see it. Reference: Eclipse Sparkplug 3.0.0, chapter 6; field numbers of sparkplug_b.proto.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from simulators.timeline import Value

INT32: Final = 3
INT64: Final = 4
UINT64: Final = 8
DOUBLE: Final = 10
BOOLEAN: Final = 11
STRING: Final = 12

BD_SEQ: Final = "bdSeq"
REBIRTH: Final = "Node Control/Rebirth"

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class TypedValue:
    """A value with its datatype; None is null."""

    datatype: int
    value: Value | bool | None


def metric(
    typed: TypedValue,
    *,
    name: str | None = None,
    alias: int | None = None,
    time_ms: int | None = None,
    birth: bool = False,
    historical: bool = False,
) -> bytes:
    """One metric. `birth`: with its datatype, which data leave out."""
    told = b"" if name is None else _text(1, name)
    if alias is not None:
        told += _number(2, alias)
    if time_ms is not None:
        told += _number(3, time_ms)
    if birth:
        told += _number(4, typed.datatype)
    if historical:
        told += _number(5, 1)
    return told + _value(typed)


def payload(metrics: Iterable[bytes], *, time_ms: int | None = None, seq: int | None = None) -> bytes:
    """A whole message."""
    told = b"" if time_ms is None else _number(1, time_ms)
    told += b"".join(_block(2, one) for one in metrics)
    return told if seq is None else told + _number(3, seq)


def asks_for_birth(message: bytes) -> bool:
    """Whether an NCMD sets `Node Control/Rebirth` to true. What is no payload asks for nothing."""
    try:
        for number, value in _fields(message):
            if number == 2 and isinstance(value, bytes):
                said = dict(_fields(value))
                if said.get(1) == REBIRTH.encode() and said.get(14) == 1:
                    return True
    except (IndexError, struct.error):
        return False
    return False


def _value(typed: TypedValue) -> bytes:
    value = typed.value
    if value is None:
        return _number(7, 1)
    if typed.datatype == STRING:
        return _text(15, str(value))
    if typed.datatype == DOUBLE:
        return _key(13, _FIXED64) + struct.pack("<d", float(value))
    if typed.datatype == BOOLEAN:
        return _number(14, int(bool(value)))
    if typed.datatype == INT32:
        return _number(10, int(value) & 0xFFFF_FFFF)
    return _number(11, int(value) & 0xFFFF_FFFF_FFFF_FFFF)


def _key(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _number(number: int, value: int) -> bytes:
    return _key(number, _VARINT) + _varint(value)


def _text(number: int, value: str) -> bytes:
    return _block(number, value.encode())


def _block(number: int, value: bytes) -> bytes:
    return _key(number, _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    told = bytearray()
    while value > 0x7F:
        told.append(value & 0x7F | 0x80)
        value >>= 7
    told.append(value)
    return bytes(told)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of the fields. Raises IndexError or struct.error where the bytes are no protobuf."""
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    while place < len(message):
        key = varint()
        wire = key & 7
        if wire == _VARINT:
            yield key >> 3, varint()
        elif wire == _BYTES:
            length = varint()
            if place + length > len(message):
                raise IndexError(place)
            place += length
            yield key >> 3, message[place - length : place]
        elif wire in (_FIXED64, _FIXED32):
            place += 8 if wire == _FIXED64 else 4
        else:
            raise IndexError(wire)

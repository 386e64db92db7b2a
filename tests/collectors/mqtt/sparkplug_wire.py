"""Sparkplug B payloads written by hand: field number and wire type, then the value. Nothing of the codec under test."""

import struct


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _text(head: bytes, text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return head + varint(len(raw)) + raw


def metric(
    name: str = "",
    value: object = None,
    *,
    alias: int | None = None,
    datatype: int | None = None,
    at_ms: int | None = None,
    historical: bool = False,
    quality: int | None = None,
    field: int | None = None,
) -> bytes:
    """A Metric. The field is chosen by the value's type (int → long_value) unless given; None is null."""
    body = _text(b"\x0a", name) if name else b""
    body += b"" if alias is None else b"\x10" + varint(alias)
    body += b"" if at_ms is None else b"\x18" + varint(at_ms)
    body += b"" if datatype is None else b"\x20" + varint(datatype)
    body += b"\x28\x01" if historical else b""
    if quality is not None:
        entry = b"\x08\x03" + b"\x18" + varint(quality)
        body += _text(b"\x4a", _text(b"\x0a", "Quality") + _text(b"\x12", entry))
    if field is not None and isinstance(value, int):
        body += varint(field << 3) + varint(value)
    elif value is None:
        body += b"\x38\x01"
    elif isinstance(value, bool):
        body += b"\x70" + bytes([value])
    elif isinstance(value, int):
        body += b"\x58" + varint(value)
    elif isinstance(value, float):
        body += b"\x69" + struct.pack("<d", value)
    elif isinstance(value, str):
        body += _text(b"\x7a", value)
    elif isinstance(value, bytes):
        body += _text(varint((field or 16) << 3 | 2), value)
    return body


def payload(*metrics: bytes, at_ms: int | None = None, seq: int | None = None) -> bytes:
    body = b"" if at_ms is None else b"\x08" + varint(at_ms)
    body += b"".join(_text(b"\x12", one) for one in metrics)
    return body + (b"" if seq is None else b"\x18" + varint(seq))

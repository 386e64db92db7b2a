"""User properties of an MQTT 5 PUBLISH, read only where the plant file asks for one. Pure."""

from typing import Final

USER_PROPERTY: Final = 0x26
_FIXED: Final = {0x01: 1, 0x02: 4, 0x23: 2}
"""Payload format, message expiry, topic alias: their size in bytes."""

_PREFIXED: Final = frozenset((0x03, 0x08, 0x09))
"""Content type, response topic, correlation data: two bytes of length, then so many bytes."""

_SUBSCRIPTION: Final = 0x0B
"""Subscription identifier: a variable byte integer."""


def user_property(properties: bytes, name: str) -> str | None:
    """The first user property of that name; None when there is none, or what comes before it is malformed."""
    wanted, at = name.encode(), 0
    try:
        while at < len(properties):
            kind = properties[at]
            at += 1
            if kind == USER_PROPERTY:
                key, at = _prefixed(properties, at)
                value, at = _prefixed(properties, at)
                if key == wanted:
                    return value.decode()
            elif kind in _PREFIXED:
                _, at = _prefixed(properties, at)
            elif kind == _SUBSCRIPTION:
                while properties[at] > 127:
                    at += 1
                at += 1
            else:
                at += _FIXED[kind]
    except (IndexError, KeyError, UnicodeDecodeError):
        return None
    return None


def _prefixed(properties: bytes, at: int) -> tuple[bytes, int]:
    start = at + 2
    end = start + (properties[at] << 8 | properties[at + 1])
    if end > len(properties):
        raise IndexError
    return properties[start:end], end

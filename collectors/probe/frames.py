"""What a probe and its sender's process say to one another: MessagePack on the child's standard input and output.

Each frame is its length (four bytes, big-endian) and its message. The first to the child is a Setup; the end of its
input ends it. The last from the child may be a Failed.
"""

from typing import Final

import msgspec

from collectors.probe.asked import Extension
from collectors.probe.outcome import Outcome
from collectors.probe.timekeeping import ClockState

LENGTH_BYTES: Final = 4


class Setup(msgspec.Struct, array_like=True, tag=True):
    """What to send, and where to. Times in [ns]; with `backlog` packets not yet durable it pauses."""

    family: int
    target: tuple[str | int, ...]
    bind: str
    interval_ns: int
    timeout_ns: int
    size: int
    dscp: int
    ssid: int
    key: bytes | None
    stateful: bool | None
    one_way_error_ns: int
    cpu: int | None
    priority: int
    backlog: int
    extensions: tuple[Extension, ...] = ()


class Durable(msgspec.Struct, array_like=True, tag=True):
    """So many more outcomes are on disk."""

    outcomes: int


class Kept(msgspec.Struct, array_like=True, tag=True):
    """How well our clock is kept."""

    clock: ClockState


class Told(msgspec.Struct, array_like=True, tag=True):
    """What became of packets since the last frame, and how things stand: `counts` and the rest are of the session.

    `strangers`: datagrams that were no answers, cut, and why. `unreachable`: what the network last said.
    """

    outcomes: list[Outcome]
    counts: dict[str, int]
    clock_error_ns: int | None
    one_way_refusal: str
    strangers: list[tuple[bytes, str]]
    unreachable: str


class Failed(msgspec.Struct, array_like=True, tag=True):
    """Why it cannot send: the system allows no such socket, processor or priority."""

    reason: str


encode: Final = msgspec.msgpack.Encoder().encode
to_child: Final = msgspec.msgpack.Decoder(Setup | Durable | Kept)
from_child: Final = msgspec.msgpack.Decoder(Told | Failed)


def framed(message: msgspec.Struct) -> bytes:
    """As it goes over the pipe."""
    data = encode(message)
    return len(data).to_bytes(LENGTH_BYTES, "big") + data

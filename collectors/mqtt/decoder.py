"""What lies between the session and the dialects: the message, the reasons to refuse one, the decoder protocol.

Everything on this side of it is pure: no socket, no clock, no event loop.
"""

from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable

import msgspec

from telemetry.errors import DecodeError
from telemetry.samples import Sample


class Fault(StrEnum):
    """Why a message or one reading in it was refused: what the health page counts. The reason says it in full."""

    SYNTAX = "not the format"
    SHAPE = "a field is missing or of the wrong type"
    TIME = "time not readable"
    VALUE = "value not of its metric"
    GATE = "refused by the glossary or the plant model"
    BUG = "bug in the decoder"


class MessageError(DecodeError):
    """A DecodeError with the `fault` that it is counted under."""

    def __init__(self, fault: Fault, reason: str) -> None:
        super().__init__(reason)
        self.fault = fault


class Message(msgspec.Struct, frozen=True, gc=False):
    """One PUBLISH as it came: what a decoder sees of MQTT.

    `retained`: the broker kept it from before we subscribed, so it is old and its arrival says nothing of its time.
    `properties` are those of MQTT 5, not yet read.
    """

    topic: str
    payload: bytes
    received_ns: int
    retained: bool = False
    properties: bytes = b""


class Publication(NamedTuple):
    """A message that we publish."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


class Decoder(Protocol):
    """One dialect as configured for one kind of topic."""

    def decode(self, message: Message) -> list[Sample | MessageError]:
        """One entry per reading: its sample, or why it makes none. Raises MessageError when the whole makes none.

        A reading without a time of its own has the time it was received and the quality UNCERTAIN.
        """


class Opening(NamedTuple):
    """What a client says by being there or not: see SessionSettings."""

    will: Publication
    greeting: Publication
    farewell: Callable[[int], Publication]


@runtime_checkable
class Host(Decoder, Protocol):
    """A dialect that remembers what it heard and answers: it needs a connection of its own.

    Whatever is late or lost is only known by the clock, so it is asked again and again: `expire`.
    """

    counts: Counter[str]
    """What was odd, and how often since the start: for the health page."""

    def opening(self, now_ns: int) -> Opening:
        """What to publish around a connection that is about to begin."""

    def expire(self, now_ns: int) -> list[Sample | MessageError]:
        """What is to be said because nothing came in time."""

    def ended(self, now_ns: int) -> list[Sample | MessageError]:
        """The connection is over: what is no longer known from when on."""

    def say(self) -> list[Publication]:
        """What is to be published now; each is given once."""

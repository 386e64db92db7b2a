"""What lies in the spool: batches of samples in MessagePack, and dead letters with their reasons."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from pipeline.ingest.dead_letters import STORE
from telemetry.samples import Sample

ROW_BYTES: Final = 64
"""What a row takes on disk beside its body [bytes], about."""

_encode: Final = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Batch:
    """One put, as it lies on disk: `body` is its samples in MessagePack."""

    id: int
    put_ns: int
    samples: int
    body: bytes

    @property
    def size(self) -> int:
        """Room it takes [bytes]."""
        return len(self.body) + ROW_BYTES


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter to be written."""

    source: str
    reason: str
    raw: bytes


def encoded(samples: Sequence[Sample]) -> tuple[bytes, int, list[Letter]]:
    """The body, how many samples are in it, and letters for those that cannot be encoded."""
    try:
        return _encode(list(samples)), len(samples), []
    except (UnicodeEncodeError, OverflowError):
        good, letters = [], []
        for sample in samples:
            try:
                _encode(sample)
            except (UnicodeEncodeError, OverflowError) as error:
                letters.append(Letter(sample.metric, f"it cannot be kept: {error}", printable(repr(sample)).encode()))
            else:
                good.append(sample)
        return _encode(good), len(good), letters


def refused(sample: Sample, reason: str) -> Letter:
    """The dead letter of a sample that the store will never take."""
    return Letter(STORE, reason, msgspec.json.encode(sample))


def printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()

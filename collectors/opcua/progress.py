"""How far a collector got, kept in a small file, so that a restart of the process is a break like any other.

It is a hint, never the truth: an old file makes more of the server's history be read again, which is harmless; without
one that can be read we start as at first, and only `history_s` reads the past.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from telemetry.samples import Sample


@dataclass(frozen=True, slots=True)
class Reached:
    """`heard_ns`: the server's last sign of life; `latest`: newest source time [ns] by node, asset and metric."""

    heard_ns: int = 0
    latest: Mapping[str, int] = field(default_factory=dict)
    states: tuple[Sample, ...] = ()


class Progress:
    """One collector's file; None: nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path: Final = path

    def read(self) -> Reached:
        """What was reached; nothing when there is no file that can be read."""
        if self._path is None:
            return Reached()
        try:
            raw = json.loads(self._path.read_bytes())
            latest = {str(key): int(value) for key, value in raw["latest"].items()}
            states = tuple(msgspec.convert(one, Sample) for one in raw["states"])
            return Reached(int(raw["heard_ns"]), latest, states)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return Reached()

    def write(self, heard_ns: int, latest: Mapping[str, int], states: Iterable[Sample]) -> None:
        """Keep what was reached; whole or not at all. A disk that does not take it costs a longer read, no more."""
        if self._path is None:
            return
        raw = {"heard_ns": heard_ns, "latest": dict(latest), "states": [msgspec.to_builtins(one) for one in states]}
        beside = self._path.with_name(self._path.name + ".new")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(raw), encoding="utf-8")
            os.replace(beside, self._path)

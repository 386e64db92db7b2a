"""What an InfluxDB whose disk was full must be spared, or it loses what it has acknowledged.

After its disk was full, 1.x and 2.x refuse writes until they are started anew; then they write on behind the torn end
of their log, and at the next start drop what lies there (influxdata/influxdb issue 24901).

Invariants:
- Whether a server was started anew is what it says itself. A connection that ends, an answer that is late, a proxy in
  between tell nothing of it.
- In doubt nothing is sent: what waits is in the spool, and a start too many loses nothing.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol

from telemetry.errors import StoreError

PATHS: Final = {1: "/debug/vars", 2: "/metrics"}
"""Where a server tells since when it has lived, by its major version."""

_UPTIME: Final = re.compile(rb"^influxdb_uptime_seconds(?:\{[^}\n]*\})? ([0-9.e+]+)\s*$", re.MULTILINE)
_CLOCKS_DIFFER: Final = 1e-3
"""How far two monotonic clocks run apart, at most: twice what NTP may correct them by."""
_ROUNDED_S: Final = 0.01


class Start(Protocol):
    """When a server was started."""

    def is_before(self, later: "Start") -> bool:
        """Whether `later`, which was heard after this, is another start."""
        ...

    def was_before(self, instant_s: float) -> bool:
        """Whether it was surely before this instant of our monotonic clock [s]."""
        ...


@dataclass(frozen=True, slots=True)
class _Named:
    """1.x: its own clock's words for it, which do not change while it lives."""

    words: str

    def is_before(self, later: Start) -> bool:
        return later != self

    def was_before(self, instant_s: float) -> bool:  # noqa: ARG002 - its clock is not ours
        return not self.words


@dataclass(frozen=True, slots=True)
class _Between:
    """2.x, which tells how long it has lived: between these instants of our monotonic clock [s], heard at another."""

    earliest: float
    latest: float
    heard: float

    def is_before(self, later: Start) -> bool:
        if not isinstance(later, _Between):
            return True
        return later.earliest > self.latest + (later.heard - self.heard) * _CLOCKS_DIFFER + _ROUNDED_S

    def was_before(self, instant_s: float) -> bool:
        return self.latest + (self.heard - instant_s) * _CLOCKS_DIFFER + _ROUNDED_S < instant_s


NO_LOG: Final[Start] = _Named("")
"""Of a server whose log is not torn: 3.x keeps files that are written once."""


def told(major: int, status: int, body: bytes, asked_s: float, answered_s: float) -> Start:
    """Out of /debug/vars of 1.x or /metrics of 2.x, asked for and answered at these instants of our monotonic clock.

    Raises StoreError when it is not in there.
    """
    try:
        if status != 200:
            raise ValueError(status)
        if major < 2:
            return _Named(str(json.loads(body)["system"]["started"]))
        [uptime] = _UPTIME.findall(body)
        return _Between(asked_s - float(uptime), answered_s - float(uptime), answered_s)
    except (ValueError, LookupError, TypeError) as error:
        raise StoreError(
            f"InfluxDB's disk was full, and it does not tell when it was started (GET {PATHS[major]} answers "
            f"{status}): make room, and open that to this program; or start InfluxDB anew, twice, and then this program"
        ) from error


@dataclass(slots=True)
class _Full:
    """A bucket of a server whose disk was full."""

    since_s: float
    """When that was [s], by our monotonic clock."""
    last: Start | None = None
    starts: int = 0
    known: bool = False
    """Whether no start can have been missed: it told its own before another could be."""


class TornLog:
    """Keeps from writing between the first and the second start after the disk was full. Of one server."""

    def __init__(self, started: Callable[[], Start]) -> None:
        """`started` asks the server; it raises StoreError when that does not tell."""
        self._started: Final = started
        self._full: Final[dict[str, _Full]] = {}

    def full(self, bucket: str) -> None:
        """A write into it was refused because the disk was full."""
        self._full[bucket] = full = _Full(monotonic())
        self._look(full)
        full.known = True

    def spare(self, bucket: str) -> None:
        """Before something is sent. Raises StoreError when it would be lost."""
        full = self._full.get(bucket)
        if full is None:
            return
        self._look(full)
        if not (full.known or full.starts):
            raise StoreError(
                "InfluxDB's disk was full, and whether it was started anew since is not known: start it anew, twice; "
                "what it is sent before that it may lose"
            )
        if full.starts == 1:
            raise StoreError(
                "InfluxDB was started after its disk had been full: start it once more; what it is sent before that it "
                "would write behind the torn end of its log, and lose"
            )
        if full.starts > 1:
            self._full.pop(bucket, None)

    def stored(self, bucket: str) -> None:
        """What was sent is stored. Raises StoreError when it will be lost: it was started anew in between."""
        self.spare(bucket)
        self._full.pop(bucket, None)  # not started anew since: it was not the log that the disk had no room for

    def _look(self, full: _Full) -> None:
        start = self._started()
        full.known |= full.last is None and start.was_before(full.since_s)
        if full.last is not None and full.last.is_before(start):
            full.starts += 1
        full.last = start

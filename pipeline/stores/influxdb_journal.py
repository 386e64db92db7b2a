"""What writers touched, written into the database after the samples, for `changes` of whoever computes KPIs.

Invariants:
- An entry is written only after its samples are stored, so who sees the entry sees them. A process that dies in
  between writes both again: its spool still has the samples.
- Entries are numbered by the server's clock [ns], and per writer strictly ascending, across restarts too.
- Another writer's entry may become visible after a later one was read. So entries of the last LOOK_BACK_NS are read
  again, and given once. A writer that started anew is another writer of the same name that has ended.
- The journal keeps a week. Its very first entry says so: only while that is there has it everything since ever.
"""

import json
import threading
from collections.abc import Sequence
from typing import Any, Final

from pipeline.stores.columns import merged
from pipeline.stores.influxdb_rows import table
from pipeline.stores.influxdb_server import InfluxServer
from pipeline.stores.lineprotocol import block, quoted, series
from telemetry.samples import SECOND_NS, Span

KEPT_NS: Final = 7 * 24 * 3600 * SECOND_NS
"""How long entries are kept [ns]; `km0 init influxdb` gives the bucket this retention."""

LOOK_BACK_NS: Final = 60 * SECOND_NS

_NAME: Final = "km0_journal"
_SPANS: Final = 150
"""Spans of one entry: a string field takes 64 kB."""


class Journal:
    """Reads all writers' entries, and writes this one's. Thread-safe."""

    def __init__(self, server: InfluxServer, bucket: str, writer: str) -> None:
        self._server: Final = server
        self._bucket: Final = bucket
        self._writer: Final = writer
        self._lock = threading.Lock()
        self._last: int | None = None  # number of the newest entry known; None until asked
        self._blank = False  # there was no entry when asked, and none was written since
        self._opened_ns = 0
        self._given: dict[tuple[int, str], None] = {}  # others' entries given, youngest last

    def begin(self) -> bool:
        """Learn the newest number, once; whether no entry was ever found or written. Raises StoreError."""
        with self._lock:
            if self._last is None:
                [found] = self._server.ask(self._bucket, [f'SELECT last("spans") FROM "{_NAME}"'])  # noqa: S608  # a constant
                self._last = found[0]["values"][0][0] if found else 0
                self._blank = not found
                self._opened_ns = max(self._server.now_ns(), self._last)
            return self._blank

    def add(self, spans: Sequence[Span], *, first: bool) -> None:
        """One or more entries; `first`: nothing was ever stored before. Raises StoreError."""
        lead = series(_NAME, [("writer", self._writer)])
        parts = [spans[start : start + _SPANS] for start in range(0, len(spans), _SPANS)]
        with self._lock:
            assert self._last is not None
            number = max(self._server.now_ns(), self._last + 1)
            texts = [quoted(json.dumps([[s.asset, s.metric, s.first_ns, s.last_ns] for s in part])) for part in parts]
            marks = ["true" if first and not index else "false" for index in range(len(parts))]
            last = number + len(parts) - 1
            lines = block(lead, [("first", marks), ("spans", texts)], [str(one) for one in range(number, last + 1)])
            self._server.write(self._bucket, "".join(lines.pieces).encode())
            self._last, self._blank = last, False

    def since(self, after: int) -> tuple[int, tuple[Span, ...]] | None:
        """The newest entry's number and the spans of all entries after `after`; None when they are not all kept.

        Raises StoreError.
        """
        self.begin()
        with self._lock:
            low = after - LOOK_BACK_NS
            entries, first = self._server.ask(
                self._bucket,
                [
                    f'SELECT "spans", "writer" FROM "{_NAME}" WHERE time > {low}',  # noqa: S608  # a constant and a number
                    f'SELECT "spans" FROM "{_NAME}" WHERE "first" = true LIMIT 1',  # noqa: S608  # a constant
                ],
            )
            if not first and after < self._server.now_ns() - KEPT_NS:
                return None
            found = [entry for series in entries for entry in table(series)]
            newest = max((entry["time"] for entry in found), default=after)
            fresh = [entry for entry in found if entry["time"] > after or self._late(entry)]
            self._remember(found)
            assert self._last is not None
            self._last = max(self._last, newest)
            return max(after, newest), merged(span for entry in fresh for span in _spans(entry["spans"]))

    def newest(self) -> int:
        """Number of the newest entry known. Raises StoreError."""
        self.begin()
        assert self._last is not None
        return self._last

    def _late(self, entry: dict[str, Any]) -> bool:
        """Whether an entry before the cursor is new to us: another process wrote it, while we were looking already."""
        known = (entry["time"], entry["writer"]) in self._given
        settled = entry["writer"] == self._writer and entry["time"] <= self._opened_ns
        return not known and not settled

    def _remember(self, entries: Sequence[dict[str, Any]]) -> None:
        self._given |= dict.fromkeys((entry["time"], entry["writer"]) for entry in entries)
        horizon = max((time for time, _ in self._given), default=0) - 2 * LOOK_BACK_NS
        self._given = {known: None for known in self._given if known[0] > horizon}


def _spans(text: str) -> list[Span]:
    return [Span(*one) for one in json.loads(text)]

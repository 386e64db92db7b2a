"""What the clock of an edge node shows when ours shows an instant, by the times in its messages. Pure.

Invariants:
- A time that cannot be (before 2000, or more than a day ahead of ours: microseconds for milliseconds) says nothing of
  it.
- It is behind ours by what the quickest message since its birth says: the others were on their way for longer, and by
  a backlog that came late the node would die before it did. A clock that was set back in a session is read too late;
  what a birth says is in force all the same (sparkplug_values.py).
- A message from the future, as no other of its session was, is believed when the next one is from there too.
"""

from typing import Final

from telemetry.validity import can_be

MS_NS: Final = 1_000_000

_FUTURE_NS: Final = 60_000 * MS_NS
"""So much further ahead than the clock was known to be: it was set, or that one message is wrong."""


class NodeClock:
    """The clock of a node; `written_ms` [ms] is the time in a message of it, 0 for none."""

    def __init__(self) -> None:
        self._behind_ns: int | None = None
        self._doubted_ns: int | None = None
        self._newest_ns = 0

    def begin(self) -> None:
        """A session begins: what was known of its clock is no more."""
        self._behind_ns, self._doubted_ns, self._newest_ns = None, None, 0

    def read(self, written_ms: int, received_ns: int) -> None:
        """It came at `received_ns` [ns], by our clock."""
        written_ns = written_ms * MS_NS
        if not can_be(written_ns, received_ns):
            return
        behind_ns, doubted_ns, self._doubted_ns = received_ns - written_ns, self._doubted_ns, None
        if self._behind_ns is not None and behind_ns < min(self._behind_ns, 0) - _FUTURE_NS:
            if doubted_ns is None:
                self._doubted_ns = behind_ns
                return
            behind_ns = max(behind_ns, doubted_ns)
        self._behind_ns = behind_ns if self._behind_ns is None else min(behind_ns, self._behind_ns)
        self._newest_ns = max(self._newest_ns, written_ns)

    def at(self, received_ns: int) -> int:
        """What it shows [ns] when ours shows `received_ns`."""
        return received_ns - (self._behind_ns or 0)

    def written(self, written_ms: int, received_ns: int) -> int:
        """When a message was written, by its own clock [ns]."""
        return written_ms * MS_NS if can_be(written_ms * MS_NS, received_ns) else self.at(received_ns)

    def heard_until(self, received_ns: int) -> int:
        """When the newest message of the session was written, by its own clock [ns]."""
        return self._newest_ns or self.at(received_ns)

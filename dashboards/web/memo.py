"""Answers kept for a moment: whoever asks the same within it, and however many do, costs one reading.

Invariants: one key is computed by one thread at a time; nobody waits for a newer value who can be given one that is not
older than MOST_PERIODS of its periods; who waits is given what was waited for, however long it took; of what failed
nothing is left.
"""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from telemetry.samples import SECOND_NS

T = TypeVar("T")

MOST: Final = 256
MOST_PERIODS: Final = 5


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    at_ns: int
    value: T


@dataclass(slots=True)
class _Entry(Generic[T]):
    """What is known of a key, and how many threads want it now."""

    kept: _Kept[T] | None = None
    users: int = 0
    working: threading.Lock = field(default_factory=threading.Lock)


class Memo(Generic[T]):
    """Keeps at most MOST values, each for `period_s` [s] of `now_ns`. Thread-safe."""

    def __init__(self, period_s: float, now_ns: Callable[[], int]) -> None:
        self._period_ns = round(period_s * SECOND_NS)
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._entries: dict[Hashable, _Entry[T]] = {}

    def __len__(self) -> int:
        """How many keys something is held of."""
        with self._lock:
            return len(self._entries)

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """The value of the key, computed now if it is not kept or too old. What `compute` raises is not kept."""
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            entry.users += 1
        try:
            return self._from(entry, compute)
        finally:
            with self._lock:
                entry.users -= 1
                if entry.kept is None and not entry.users:
                    del self._entries[key]
                if len(self._entries) > MOST:
                    self._forget_oldest()

    def _from(self, entry: _Entry[T], compute: Callable[[], T]) -> T:
        known = entry.kept
        if known is not None and self._younger(known, 1):
            return known.value
        bearable = known is not None and self._younger(known, MOST_PERIODS)
        if not entry.working.acquire(blocking=not bearable):
            assert known is not None
            return known.value
        try:
            newer = entry.kept
            if newer is not None and (newer is not known or self._younger(newer, 1)):
                return newer.value  # whom this thread waited for has computed it
            begun_ns = self._now_ns()
            value = compute()
            entry.kept = _Kept(begun_ns, value)
            return value
        finally:
            entry.working.release()

    def _younger(self, kept: _Kept[T], periods: int) -> bool:
        return 0 <= self._now_ns() - kept.at_ns < periods * self._period_ns

    def _forget_oldest(self) -> None:
        idle = [(entry.kept.at_ns, key) for key, entry in self._entries.items() if entry.kept and not entry.users]
        for _, key in sorted(idle, key=lambda one: one[0])[: len(self._entries) - MOST]:
            del self._entries[key]

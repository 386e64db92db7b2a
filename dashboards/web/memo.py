"""Answers kept for a moment: whoever asks the same within it, and however many do, costs one reading."""

import threading
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from telemetry.samples import SECOND_NS

T = TypeVar("T")

MOST: Final = 256


class Memo(Generic[T]):
    """Keeps at most MOST values, each for `period_s` [s] of `now_ns`. Thread-safe; one key is computed once."""

    def __init__(self, period_s: float, now_ns: Callable[[], int]) -> None:
        self._period_ns = round(period_s * SECOND_NS)
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._kept: dict[Hashable, tuple[int, T]] = {}
        self._working: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """The value of the key, computed now if it is not kept or too old. What `compute` raises is not kept."""
        with self._lock:
            working = self._working.setdefault(key, threading.Lock())
        with working:
            now_ns = self._now_ns()
            with self._lock:
                kept = self._kept.get(key)
            if kept is not None and 0 <= now_ns - kept[0] < self._period_ns:
                return kept[1]
            value = compute()
            with self._lock:
                self._kept[key] = now_ns, value
                while len(self._kept) > MOST:
                    oldest = min(self._kept, key=lambda one: self._kept[one][0])
                    del self._kept[oldest]
                    self._working.pop(oldest, None)
            return value

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
        """The value of the key, computed now if it is not kept or too old. What `compute` raises is not kept.

        While one asks for a value that is too old, others are given the old one: nobody waits for what was known.
        """
        with self._lock:
            working = self._working.setdefault(key, threading.Lock())
            kept = self._kept.get(key)
        if kept is not None and self._fresh(kept[0]):
            return kept[1]
        if not working.acquire(blocking=kept is None):
            assert kept is not None
            return kept[1]
        try:
            with self._lock:
                kept = self._kept.get(key)
            if kept is not None and self._fresh(kept[0]):
                return kept[1]
            value = compute()
            with self._lock:
                self._kept[key] = self._now_ns(), value
                while len(self._kept) > MOST:
                    oldest = min(self._kept, key=lambda one: self._kept[one][0])
                    del self._kept[oldest]
                    self._working.pop(oldest, None)
            return value
        finally:
            working.release()

    def _fresh(self, at_ns: int) -> bool:
        return 0 <= self._now_ns() - at_ns < self._period_ns

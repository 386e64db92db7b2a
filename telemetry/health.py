"""What every running thing says of itself: state, since when, counters and gauges. Read by the API and by /metrics."""

import threading
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from time import time_ns
from typing import Any, Final

LOSSES: Final = ("dead_letters_dropped", "holes_left", "paused")
"""Counters of what is gone for good, each by the component that lost it: dead letters for which there was no room, gaps
that a server's history could not fill, packets that a probe did not send while nothing could be kept. What waits is not
lost: a full spool makes a broker wait."""


class Condition(StrEnum):
    """How a component is: STARTING until it first worked, OK, or FAILING with the reason in `detail`."""

    STARTING = "starting"
    OK = "ok"
    FAILING = "failing"


class Component:
    """The health of one running thing. Thread-safe; cheap enough to be called per batch, not per sample."""

    def __init__(self, name: str, now_ns: Callable[[], int] = time_ns) -> None:
        self.name: Final = name
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._gauges: dict[str, float] = {}
        self._condition = Condition.STARTING
        self._detail = ""
        self._since_ns = now_ns()

    def ok(self, detail: str = "") -> None:
        self._turn(Condition.OK, detail)

    def failing(self, detail: str) -> None:
        self._turn(Condition.FAILING, detail)

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter that only grows: "samples", "bytes", "dead_letters", "reconnects" …"""
        with self._lock:
            self._counts[name] += by

    def gauge(self, name: str, value: float) -> None:
        """Set a figure that goes up and down; the name ends in its unit: "lag_ms", "spooled_batches" …"""
        with self._lock:
            self._gauges[name] = value

    @property
    def condition(self) -> Condition:
        return self._condition

    def counted(self, name: str) -> int:
        with self._lock:
            return self._counts[name]

    def snapshot(self) -> dict[str, Any]:
        """As JSON-able data: name, condition, since_ns, detail, lost (see LOSSES), counts, gauges."""
        with self._lock:
            return {
                "name": self.name,
                "condition": self._condition.value,
                "since_ns": self._since_ns,
                "detail": self._detail,
                "lost": sum(self._counts[name] for name in LOSSES),
                "counts": dict(self._counts),
                "gauges": dict(self._gauges),
            }

    def _turn(self, condition: Condition, detail: str) -> None:
        with self._lock:
            if condition is not self._condition:
                self._condition, self._since_ns = condition, self._now_ns()
            self._detail = detail


class Health:
    """All components of a process, by name."""

    def __init__(self, now_ns: Callable[[], int] = time_ns) -> None:
        self._now_ns = now_ns
        self._components: dict[str, Component] = {}

    def component(self, name: str) -> Component:
        """The component of that name, made at the first call."""
        return self._components.setdefault(name, Component(name, self._now_ns))

    def snapshot(self) -> list[dict[str, Any]]:
        return [component.snapshot() for component in list(self._components.values())]

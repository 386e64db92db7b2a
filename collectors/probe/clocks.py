"""Two clocks read as one: wall clock for what a time means, monotonic clock for how long something took.

The kernel stamps packets with the wall clock, which may be stepped while a packet is under way. Durations are therefore
taken on the monotonic clock: both clocks are slewed at the same rate by NTP and PTP, so their difference is constant
but for steps, and a kernel stamp is carried over to the monotonic clock by that difference.
"""

import time
from collections.abc import Callable
from typing import Final, NamedTuple

STEP_NS: Final = 1_000_000
"""A change [ns] of the difference between the clocks that is a step and not the jitter of reading them."""

_BRACKET_NS: Final = 20_000


class Instant(NamedTuple):
    """One moment on both clocks [ns]."""

    real_ns: int
    mono_ns: int

    @property
    def difference_ns(self) -> int:
        return self.real_ns - self.mono_ns

    def stepped_since(self, earlier: "Instant") -> bool:
        """Whether the wall clock was set, in one direction or the other, between two moments."""
        return abs(self.difference_ns - earlier.difference_ns) > STEP_NS

    def at(self, kernel_ns: int) -> "Instant":
        """The moment at which the kernel read `kernel_ns` on the wall clock, when no step lies between it and self."""
        return Instant(kernel_ns, kernel_ns - self.difference_ns)


Clock = Callable[[], Instant]


def now() -> Instant:
    """Both clocks within 20 µs of one another; a preemption between the readings is noticed and read again."""
    for _ in range(2):
        reading, bracket_ns = _read()
        if bracket_ns < _BRACKET_NS:
            return reading
    return _read()[0]


def _read() -> tuple[Instant, int]:
    before = time.monotonic_ns()
    real = time.time_ns()
    after = time.monotonic_ns()
    return Instant(real, (before + after) // 2), after - before

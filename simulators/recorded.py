"""What a recording says: values with their times, whatever it was recorded in."""

from typing import NamedTuple

from simulators.timeline import Value


class Replayed(NamedTuple):
    """One sample of a recording. `good` is False where nothing is known from `time_ns` [ns] on."""

    time_ns: int
    metric: str
    value: Value
    good: bool = True

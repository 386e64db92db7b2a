"""Reading hand-written series as a store would be read."""

from collections.abc import Callable, Mapping
from zoneinfo import ZoneInfo

import numpy as np

from telemetry.glossary import holds
from telemetry.samples import SECOND_NS, Series, Window

MINUTE = 60 * SECOND_NS
HOUR = 60 * MINUTE
PARIS = ZoneInfo("Europe/Paris")


def reader(series: Mapping[str, Series]) -> Callable[[str, Window], Series]:
    """As Store.read: rows in the window, preceded by the one in force for a metric that holds."""

    def read(metric: str, asked: Window) -> Series:
        found = series.get(metric, Series.empty())
        low = int(np.searchsorted(found.times_ns, asked.start_ns, "left"))
        high = int(np.searchsorted(found.times_ns, asked.end_ns, "left"))
        low = max(0, low - 1) if holds(metric) else low
        part = slice(low, high)
        return Series(found.times_ns[part], found.values[part], found.quality[part], found.texts[part])

    return read

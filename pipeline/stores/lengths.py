"""How long the windows of KPI values can be, so that a store need not look at what began too long ago to matter."""

from typing import Final

from telemetry.samples import SECOND_NS

_HOUR_NS: Final = 3600 * SECOND_NS
DAY_NS: Final = 24 * _HOUR_NS

LONGEST_NS: Final = {
    "minute": _HOUR_NS // 60,
    "hour": _HOUR_NS,
    "shift": 30 * _HOUR_NS,
    "day": 25 * _HOUR_NS,
    "week": 170 * _HOUR_NS,
    "month": 32 * DAY_NS,
}
"""No window of these kinds is longer [ns]; of other kinds nothing is known."""

"""Numbers, durations and times as people of a language write them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from dashboards.web.texts import Language
from telemetry.samples import SECOND_NS

NARROW: Final = "\u202f"
NOT_KNOWN: Final = "—"


@dataclass(frozen=True)
class Formats:
    """`zone` is the plant's: a wall clock in the workshop and the page say the same."""

    language: Language
    zone: ZoneInfo

    def number(self, value: float | None, digits: int = 0) -> str:
        if value is None:
            return NOT_KNOWN
        text = f"{value:,.{digits}f}".replace("-", "\u2212")
        if self.language == "fr":
            return text.translate({ord(","): NARROW, ord("."): ","})
        return text

    def percent(self, share: float | None, digits: int = 1) -> str:
        if share is None:
            return NOT_KNOWN
        return self.number(share * 100, digits) + (f"{NARROW}%" if self.language == "fr" else "%")

    def ratio(self, share: float | None) -> str:
        """A small ratio: as many digits as it takes to see that it is not zero."""
        if share is None or share == 0:
            return self.percent(share, 0)
        return self.percent(share, 1 if share >= 0.01 else 2 if share >= 0.001 else 3)

    def ms(self, value: float | None) -> str:
        return self.number(value, 0 if value is not None and value >= 100 else 1)

    def duration(self, seconds: float) -> str:
        """ "42 s", "12 min", "3 h 05", "2 j 4 h": as coarse as it may be read."""
        whole = max(0, int(seconds))
        days = "j" if self.language == "fr" else "d"
        if whole < 60:
            return f"{whole}\u00a0s"
        if whole < 3600:
            return f"{whole // 60}\u00a0min"
        if whole < 24 * 3600:
            return f"{whole // 3600}\u00a0h\u00a0{whole % 3600 // 60:02d}"
        return f"{whole // 86400}\u00a0{days}\u00a0{whole % 86400 // 3600}\u00a0h"

    def between(self, start_ns: int | None, end_ns: int) -> str:
        return NOT_KNOWN if start_ns is None else self.duration((end_ns - start_ns) / SECOND_NS)

    def clock(self, time_ns: int, *, seconds: bool = False) -> str:
        return f"{self._local(time_ns):{'%H:%M:%S' if seconds else '%H:%M'}}"

    def day(self, time_ns: int) -> str:
        return f"{self._local(time_ns):{'%d/%m/%Y' if self.language == 'fr' else '%Y-%m-%d'}}"

    def moment(self, time_ns: int) -> str:
        return f"{self.day(time_ns)} {self.clock(time_ns)}"

    def _local(self, time_ns: int) -> datetime:
        return datetime.fromtimestamp(time_ns // SECOND_NS, self.zone)

"""Mean times between failures and to repair (ISO 22400-2), with the denominator said aloud."""

from dataclasses import dataclass
from math import nan
from typing import Literal

from telemetry.intervals import Intervals, total_s, union
from telemetry.samples import Window

Denominator = Literal["fe", "fe_plus_one"]
"""Failure events, plain reliability practice; or failure events + 1, as the text of 2014 is widely reported."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Up time and repair time [s] of a period, the failures in it, and the means [s], NaN when there were none."""

    up_s: float
    repair_s: float
    failures: int
    denominator: Denominator

    @property
    def mtbf_s(self) -> float:
        """Up time ÷ n [s]."""
        return self.up_s / self._n if self._n else nan

    @property
    def mttr_s(self) -> float:
        """Repair time ÷ n [s]."""
        return self.repair_s / self._n if self._n else nan

    @property
    def availability(self) -> float:
        """MTBF ÷ (MTBF + MTTR): up time ÷ (up time + repair time); NaN for a period without time."""
        whole = self.up_s + self.repair_s
        return self.up_s / whole if whole else nan

    @property
    def _n(self) -> int:
        return self.failures + (self.denominator == "fe_plus_one")


def reliability(start_ns: int, end_ns: int, failures: Intervals, denominator: Denominator = "fe") -> Reliability:
    """Of a period [ns] in which the machine was up but for these intervals [ns], each from failure to repaired.

    Failures that overlap or touch are one: a machine that is down cannot fail.
    """
    down = union(failures, Window(start_ns, end_ns))
    repair_s = total_s(down)
    return Reliability(Window(start_ns, end_ns).seconds - repair_s, repair_s, len(down), denominator)

"""The hours of a link's day, as they are kept: a day is added up from them, and none of their packets is read again.

Counts and times are summed, percentiles come from the hours' histograms (to 0.4 %), the largest of a day is the largest
of its hours. What crosses the end of an hour counts in each of the two: a run of losses there is two runs, and a time
down starts anew. An hour of which nothing is known adds nothing, and lowers the coverage by its length.
"""

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property, reduce
from math import fsum, inf, nan
from operator import add
from typing import Final

from pipeline.kpis.figure import Amount
from pipeline.kpis.histogram import Histogram
from pipeline.kpis.service import Decision, Periods, decide
from pipeline.kpis.use_cases import UseCase
from telemetry.samples import KpiValue, Ratio

RTT: Final = "rtt_histogram"
PERIODS: Final = "service_failed_periods"
AVAILABILITY: Final = "service_availability"
FAILURES: Final = "service_failures"

NOTHING: Final = Amount(nan, 0.0, 0)


class Hours:
    """Figures of the hours of a stretch, in any order; of an open hour, the part before `now_ns` counts."""

    def __init__(self, values: Iterable[KpiValue], now_ns: int, use_case: UseCase | None) -> None:
        self._rows: dict[str, list[KpiValue]] = defaultdict(list)
        for value in sorted(values, key=lambda one: one.start_ns):
            self._rows[value.kpi].append(value)
        self._now_ns = now_ns
        self._use_case = use_case
        self._histograms: dict[str, Histogram] = {}

    def _known(self, kpi: str) -> list[KpiValue]:
        return [value for value in self._rows[kpi] if value.coverage > 0]

    def coverage(self, kpi: str) -> float:
        """Share [0…1] of the stretch, each hour by its length."""
        lengths = [min(value.end_ns, self._now_ns) - value.start_ns for value in self._rows[kpi]]
        covered = fsum(value.coverage * length for value, length in zip(self._rows[kpi], lengths, strict=True))
        return min(1.0, covered / sum(lengths)) if sum(lengths) else 0.0

    def samples(self, kpi: str) -> int:
        return sum(value.samples for value in self._rows[kpi])

    def ratio(self, kpi: str) -> Ratio:
        """Sum over sum; not known where no hour is."""
        known = self._known(kpi)
        if not known:
            return Ratio(nan, 0.0, 0.0, self.samples(kpi))
        numerator, denominator = (
            fsum(part) for part in zip(*((v.numerator, v.denominator) for v in known), strict=True)
        )
        return Ratio(numerator, denominator, self.coverage(kpi), self.samples(kpi))

    def count(self, kpi: str) -> Amount:
        """The sum."""
        known = self._known(kpi)
        total = fsum(value.numerator for value in known)
        return Amount(total, self.coverage(kpi), self.samples(kpi), total) if known else self._unknown(kpi)

    def largest(self, kpi: str) -> Amount:
        values = [value.value for value in self._known(kpi) if value.value == value.value]
        return Amount(max(values), self.coverage(kpi), self.samples(kpi)) if values else self._unknown(kpi)

    def last(self, kpi: str) -> Amount:
        """That of the last hour which has one."""
        values = [value.value for value in self._known(kpi) if value.value == value.value]
        return Amount(values[-1], self.coverage(kpi), self.samples(kpi)) if values else self._unknown(kpi)

    def _unknown(self, kpi: str) -> Amount:
        return Amount(nan, 0.0, self.samples(kpi))

    def histogram(self, kpi: str) -> Amount:
        """All hours' histograms as one."""
        found = self._merged(kpi)
        size = float(found.size)
        return Amount(size, self.coverage(kpi), self.samples(kpi), size, detail=found.encode())

    def percentile(self, kpi: str, q: float) -> Amount:
        """Of the histograms; a lost packet is infinitely late."""
        value = self._merged(kpi).percentile(q, with_lost=True)
        return Amount(value, self.coverage(kpi), self.samples(kpi))

    def variation(self, q: float) -> Amount:
        """The q-quantile of the round trip, beyond the fastest."""
        found = self._merged(RTT)
        value = found.percentile(q, with_lost=True) - found.minimum
        return Amount(value, self.coverage(RTT), self.samples(RTT))

    def _merged(self, kpi: str) -> Histogram:
        if kpi not in self._histograms:
            parts = (Histogram.decode(value.detail) for value in self._rows[kpi] if value.detail)
            self._histograms[kpi] = reduce(add, parts, Histogram.of([]))
        return self._histograms[kpi]

    @cached_property
    def decision(self) -> Decision | None:
        """The verdict on the use case, by the periods of all hours; None without one, or without a packet."""
        up, failed = self.ratio(AVAILABILITY), self.ratio(PERIODS)
        if self._use_case is None or not up.denominator:
            return None
        usual_ms = 1000 * up.denominator / up.samples if up.samples else inf
        periods = Periods(up.denominator, int(failed.denominator), int(failed.numerator), usual_ms)
        return decide(self._use_case, periods)

    def decided(self, part: float) -> Amount:
        """A part of the decision, as a figure."""
        return Amount(part, self.coverage(AVAILABILITY), self.samples(AVAILABILITY))

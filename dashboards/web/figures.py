"""KPI values as figures with their unit and reference, and the names that the page asks the catalogue for."""

import math
from collections.abc import Iterator, Sequence
from typing import Final

from dashboards.web.context import CatalogueRow
from dashboards.web.models import Figure
from telemetry.samples import KpiValue

FACTORS: Final = ("trs", "do", "tp", "tq")
PARTS: Final = ("parts", "parts_good")
RTT_MEDIAN: Final = "rtt_p50"
RTT_TAIL: Final = "rtt_p99"


def known(value: float) -> float | None:
    """The number, or None when it is none: NaN and infinity do not exist in JSON."""
    return float(value) if math.isfinite(value) else None


class Catalogue:
    """The rows by name."""

    def __init__(self, rows: Sequence[CatalogueRow]) -> None:
        self._rows = {row.name: row for row in rows}

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[CatalogueRow]:
        return iter(self._rows.values())

    def row(self, name: str) -> CatalogueRow | None:
        return self._rows.get(name)

    def figure(self, value: KpiValue) -> Figure:
        row = self._rows.get(value.kpi)
        return Figure(
            kpi=value.kpi,
            kind=value.kind,
            start=value.start_ns,
            end=value.end_ns,
            value=known(value.value) if value.coverage > 0 else None,
            unit=row.unit if row else "",
            numerator=known(value.numerator),
            denominator=known(value.denominator),
            coverage=known(value.coverage) or 0.0,
            samples=value.samples,
            final=value.final,
            reference=row.reference if row else "",
        )

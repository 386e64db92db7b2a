"""The samples that recompute reads again and again, kept in memory and read anew only where they changed.

Invariants
- A kept series reaches from a start for ever on, and is what the store would answer, as of the changes last told: a
  change names the instants that were touched, and nothing else can have changed.
- A change before the start of a kept series may have changed the value in force there: the series is dropped.
- No more than `most_rows` rows are kept; beyond that it starts afresh.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.kpis import signals
from telemetry.glossary import holds
from telemetry.protocols import Store
from telemetry.samples import KpiValue, Series, Span, Window

FOR_EVER_NS: Final = 2**62


@dataclass(slots=True)
class _Kept:
    start_ns: int
    series: Series
    touched: tuple[int, int] | None = None  # first and last instant that is to be read again


class Recent:
    """Reads as the store does. Windows that reach to `now_ns` are kept; others are asked of the store unless held."""

    def __init__(self, store: Store, most_rows: int = 3_000_000) -> None:
        self._store = store
        self._most_rows = most_rows
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._rows = 0
        self.now_ns = 0

    def tell(self, spans: Iterable[Span]) -> None:
        """What was written since the last call."""
        for span in spans:
            kept = self._kept.get((span.asset, span.metric))
            if kept is None:
                continue
            if span.first_ns < kept.start_ns:
                self._drop((span.asset, span.metric))
                continue
            before = kept.touched or (span.first_ns, span.last_ns)
            kept.touched = min(before[0], span.first_ns), max(before[1], span.last_ns)

    def read(self, asset: str, metric: str, window: Window) -> Series:
        """As Store.read. Raises StoreError."""
        kept = self._kept.get((asset, metric))
        if kept is None or window.start_ns < kept.start_ns:
            if window.end_ns < self.now_ns:
                return self._store.read(asset, metric, window)
            kept = self._keep(asset, metric, window.start_ns)
        elif kept.touched is not None:
            self._renew(asset, metric, kept, *kept.touched)
        return signals.cut(kept.series, window, holding=holds(metric))

    def read_kpis(self, asset: str, kpi: str, window: Window) -> list[KpiValue]:
        """As Store.read_kpis. Raises StoreError."""
        return self._store.read_kpis(asset, kpi, window)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._rows = 0

    def _keep(self, asset: str, metric: str, start_ns: int) -> _Kept:
        kept = _Kept(start_ns, self._store.read(asset, metric, Window(start_ns, FOR_EVER_NS)))
        self._drop((asset, metric))
        if self._rows + len(kept.series) > self._most_rows:
            self.clear()
        if len(kept.series) <= self._most_rows:
            self._kept[asset, metric] = kept
            self._rows += len(kept.series)
        return kept

    def _renew(self, asset: str, metric: str, kept: _Kept, first_ns: int, last_ns: int) -> None:
        fresh = self._store.read(asset, metric, Window(first_ns, last_ns + 1))
        fresh = fresh.take(slice(int(np.searchsorted(fresh.times_ns, first_ns)), None))
        low, high = np.searchsorted(kept.series.times_ns, [first_ns, last_ns + 1]).tolist()
        self._rows -= len(kept.series)
        kept.series = Series.joined(kept.series.take(slice(low)), fresh, kept.series.take(slice(high, None)))
        kept.touched = None
        self._rows += len(kept.series)

    def _drop(self, key: tuple[str, str]) -> None:
        if key in self._kept:
            self._rows -= len(self._kept.pop(key).series)

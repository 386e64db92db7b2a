"""The three protocols that join the rooms: Sink, Collector, Store. tests/contracts holds one suite for each."""

from collections.abc import Sequence
from typing import Protocol

from telemetry.samples import Changes, KpiValue, Sample, Series, SeriesInfo, Window


class Sink(Protocol):
    """Where collectors put what they have. Returning *is* the acknowledgement."""

    async def put(self, samples: Sequence[Sample]) -> None:
        """Return once the samples are durable (fsync); wait while the spool is full."""

    async def set_aside(self, source: str, reason: str, raw: bytes) -> None:
        """Keep a message that will never decode, with its reason, as durably as a sample (a dead letter)."""


class Collector(Protocol):
    """Turns what a machine or a network link says into samples."""

    @property
    def name(self) -> str:
        """What the plant file calls it."""

    async def run(self, sink: Sink) -> None:
        """Collect until cancelled (returns within 1 s). Raise SourceError to be run again by the retry loop."""


class Store(Protocol):
    """Keeps samples and KPI values. Synchronous: threads call it. Every method may raise StoreError."""

    def write(self, samples: Sequence[Sample]) -> None:
        """Store all, in order, or raise RejectedError for some (the others are stored). Idempotent, last write wins."""

    def read(self, asset: str, metric: str, window: Window) -> Series:
        """The samples in the window; for a metric that holds, preceded by the last one strictly before its start."""

    def samples(self, asset: str, metric: str, window: Window) -> list[Sample]:
        """The whole samples in the window, in time order, none before it: for moving them elsewhere."""

    def latest(self, asset: str | None = None) -> list[Sample]:
        """The newest sample of every metric, of one asset or of all."""

    def next_time(self, asset: str, metric: str, after_ns: int) -> int | None:
        """The time of the first sample strictly after an instant, or None."""

    def inventory(self) -> list[SeriesInfo]:
        """Every series held, ordered by asset and metric, with the number of distinct identities."""

    def kept_since(self) -> int:
        """Retention may have dropped samples from before this instant [ns]; 0 when it dropped none."""

    def changes(self, after: int) -> Changes:
        """What `write` touched since the cursor `after` (0: since ever). Never misses a write, may repeat one."""

    def write_kpis(self, values: Sequence[KpiValue], cursor: int) -> None:
        """Store KPI values, replacing those of the same identity, and `cursor`, in one transaction."""

    def cursor(self) -> int:
        """The cursor last given to write_kpis, 0 at first."""

    def read_kpis(self, asset: str, kpi: str, window: Window) -> list[KpiValue]:
        """Values of windows that overlap `window`, in time order; of `window.kind` only, unless it is "interval"."""

    def read_many_kpis(
        self, assets: Sequence[str], kpis: Sequence[str], window: Window
    ) -> dict[tuple[str, str], list[KpiValue]]:
        """As read_kpis, for each pair of an asset and a KPI, asked at once: a list for each pair, maybe empty."""

    def close(self) -> None:
        """Release files and connections. Calling it twice is harmless."""

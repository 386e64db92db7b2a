"""The account of a demonstration: what was published against what is stored, identity by identity."""

from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from simulators.journal import published_times
from telemetry.plant import Asset
from telemetry.protocols import Store
from telemetry.samples import Sample, Window

_ALL: Final = Window(0, 2**63 - 1)
_MEASURED_BY_PROBE: Final = frozenset({"rtt", "rtt_lost", "delay_up", "delay_down", "clock_error"})
_LAGS_KEPT: Final = 1_000_000


@dataclass(frozen=True)
class Account:
    """The summary line of `km0 demo --json`. Times [s] and [ms] as named; None where there was nothing to measure."""

    published: int
    stored: int
    lost: int
    duplicates: int
    dead_letters: int
    measured: int
    kpi_values: int
    seconds_to_first_kpi: float | None
    publish_to_stored_p50_ms: float | None
    publish_to_stored_p99_ms: float | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Lags:
    """Times [ms] from publishing to stored, of what the simulated machines said live; the first million of them."""

    def __init__(self, assets: Sequence[Asset]) -> None:
        self.live_from_ns: int | None = None
        self._platform = frozenset(asset.path for asset in assets if asset.kind == "platform")
        self._lags = array("d")

    def on_stored(self, samples: Sequence[Sample], stored_ns: int) -> None:
        if self.live_from_ns is None or len(self._lags) >= _LAGS_KEPT:
            return
        for sample in samples:
            # The time of our own probe's samples is when a packet left; their answer is awaited before they are put.
            if sample.time_ns < self.live_from_ns or sample.metric in _MEASURED_BY_PROBE:
                continue
            if sample.asset not in self._platform:
                self._lags.append((stored_ns - sample.time_ns) / 1e6)

    def percentile(self, q: float) -> float | None:
        return round(float(np.percentile(np.frombuffer(self._lags), q)), 3) if self._lags else None


def published_and_stored(journal: Path, store: Store) -> tuple[int, int]:
    """How many identities the journal says were published, and how many of these the store holds."""
    published = stored = 0
    for (asset, metric), noted in published_times(journal).items():
        times = np.unique(np.array(noted, np.int64))
        published += len(times)
        stored += int(np.isin(times, store.read(asset, metric, _ALL).times_ns, assume_unique=True).sum())
    return published, stored

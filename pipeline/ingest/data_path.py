"""How long samples take: source time → received → durable → queryable, as samples of the platform's own assets.

An asset of kind "platform" whose path ends in the name of a collector has the figures of that collector; another one
has those of all together. Invariants: figures are of every sample that passed, none is picked; a collector's samples
are the same to the spool and to the store as without this; what is put here is not measured itself. Everything happens
in the event loop, so there are no locks. A source whose clock is ahead has negative delays, which are shown as such.
"""

import asyncio
from array import array
from collections.abc import Callable, Iterable, Sequence
from math import isnan
from time import time_ns
from typing import Final

import numpy as np

from pipeline.kpis.histogram import Histogram
from telemetry.plant import Asset
from telemetry.protocols import Sink
from telemetry.samples import Sample

EVERY_S: Final = 15.0
STAGES: Final = ("received", "durable", "queryable")

_FOLD: Final = 20_000


class _Account:
    """Delays [ms] since they were last told; memory is bounded, for what is too much is folded into a histogram."""

    def __init__(self) -> None:
        self._recent = array("d")
        self._folded = Histogram.of([])

    def add(self, delays_ms: Iterable[float]) -> None:
        self._recent.extend(delays_ms)
        if len(self._recent) >= _FOLD:
            self._folded += Histogram.of(np.array(self._recent))
            self._recent = array("d")

    def take(self) -> Histogram:
        """All since the last call."""
        found = self._folded + Histogram.of(np.array(self._recent))
        self._recent, self._folded = array("d"), Histogram.of([])
        return found


class _Timed:
    """A sink that notes when its samples were received and durable."""

    def __init__(self, path: "DataPath", collector: str, sink: Sink) -> None:
        self._path, self._collector, self._sink = path, collector, sink

    async def put(self, samples: Sequence[Sample]) -> None:
        await self._sink.put(samples)
        self._path.durable(self._collector, samples)

    async def set_aside(self, source: str, reason: str, raw: bytes) -> None:
        await self._sink.set_aside(source, reason, raw)


class DataPath:
    """Accounts of the assets of kind "platform" among `assets`; without one, nothing is measured and nothing costs."""

    def __init__(self, assets: Sequence[Asset], collectors: Sequence[str], now_ns: Callable[[], int] = time_ns) -> None:
        self._now_ns = now_ns
        platform = [asset.path for asset in assets if asset.kind == "platform"]
        ends = {path: path.rpartition("/")[2] for path in platform}
        self._assets = {
            name: [path for path in platform if ends[path] == name or ends[path] not in collectors]
            for name in collectors
        }
        self._accounts = {path: {stage: _Account() for stage in STAGES} for path in platform}
        self._collectors: dict[tuple[str, str], str] = {}

    @property
    def measures(self) -> bool:
        """Whether there is an asset to tell it of."""
        return bool(self._accounts)

    def sink(self, collector: str, sink: Sink) -> Sink:
        """The sink a collector is to put into."""
        return _Timed(self, collector, sink) if self._assets.get(collector) else sink

    def durable(self, collector: str, samples: Sequence[Sample]) -> None:
        """A collector's samples are on disk now."""
        now = self._now_ns()
        for sample in samples:
            self._collectors[sample.asset, sample.metric] = collector
        received = [(one.received_ns - one.time_ns) / 1e6 for one in samples if one.received_ns]
        kept = [(now - one.time_ns) / 1e6 for one in samples]
        for path in self._assets[collector]:
            self._accounts[path]["received"].add(received)
            self._accounts[path]["durable"].add(kept)

    def stored(self, samples: Sequence[Sample], stored_ns: int) -> None:
        """The store has them: from now on whoever asks gets them. As Drain's `on_stored`."""
        found: dict[str, list[float]] = {}
        for one in samples:
            collector = self._collectors.get((one.asset, one.metric))
            if collector is not None:
                found.setdefault(collector, []).append((stored_ns - one.time_ns) / 1e6)
        for collector, delays in found.items():
            for path in self._assets[collector]:
                self._accounts[path]["queryable"].add(delays)

    def take(self) -> list[Sample]:
        """What passed since the last call. A percentile that so few samples cannot carry is left out."""
        now, told = self._now_ns(), []
        for path, accounts in self._accounts.items():
            for stage, account in accounts.items():
                found = account.take()
                if not found.size:
                    continue
                figures = {"p50": found.percentile(0.5), "p99": found.percentile(0.99), "max": found.maximum}
                told += [
                    Sample(now, path, f"{stage}_{name}", value, received_ns=now)
                    for name, value in figures.items()
                    if not isnan(value)
                ]
        return told

    async def run(self, sink: Sink) -> None:
        """Put what passed, for ever."""
        while True:
            await asyncio.sleep(EVERY_S)
            if samples := self.take():
                await sink.put(samples)

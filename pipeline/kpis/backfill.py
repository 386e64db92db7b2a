"""A plant's history computed at once, spread over whatever Executor is given: threads, processes, or Dask.

    backfill(jobs, ThreadPoolExecutor())
    backfill(jobs, ProcessPoolExecutor())
    backfill(jobs, distributed.Client().get_executor())

A job is one machine with its series: plain data that any of them can carry. Nothing else knows where it runs.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import cast

from pipeline.kpis import signals
from pipeline.kpis.evaluate import evaluate
from telemetry.glossary import holds
from telemetry.plant import Asset, Plant
from telemetry.protocols import Store
from telemetry.samples import KpiValue, Series, Window


@dataclass(frozen=True)
class Job:
    """A machine of a plant, its series in time order, and the windows that are wanted, as known at `now_ns`."""

    plant: Plant
    asset: Asset
    series: Mapping[str, Series]
    windows: tuple[Window, ...]
    now_ns: int

    def read(self, asset: str, metric: str, window: Window) -> Series:
        """As Store.read."""
        assert asset == self.asset.path
        return signals.cut(self.series.get(metric, Series.empty()), window, holding=holds(metric))


def compute(job: Job) -> list[KpiValue]:
    """Every KPI of the job's windows, from one timeline over all of them."""
    store = cast("Store", job)  # evaluating reads, and does nothing else with a store
    return evaluate(store, job.plant, job.asset, job.windows, job.now_ns, job.series)


def backfill(jobs: Iterable[Job], executor: Executor | None = None) -> Iterator[list[KpiValue]]:
    """The values of each job, in the order of the jobs; without an executor, here and now."""
    return map(compute, jobs) if executor is None else executor.map(compute, jobs)

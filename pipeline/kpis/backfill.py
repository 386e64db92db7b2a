"""A plant's history computed at once, spread over whatever Executor is given: threads, processes, or Dask.

    backfill(jobs, ThreadPoolExecutor())
    backfill(jobs, ProcessPoolExecutor())
    backfill(jobs, distributed.Client().get_executor())

A job is one machine with its series: plain data that any of them can carry. Nothing else knows where it runs. Figures
come back as columns, a few arrays; `values()` makes rows of them for a store.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from operator import attrgetter

from pipeline.kpis import signals
from pipeline.kpis.evaluate import Columns, columns, history_of
from telemetry.glossary import holds
from telemetry.plant import Asset, Plant
from telemetry.samples import Series, Window


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


def compute(job: Job) -> Columns:
    """Every KPI of the job's windows, from one timeline over all of them. Raises ValueError for what is no machine."""
    if job.asset.kind != "machine" or not job.windows:
        raise ValueError(f"{job.asset.path} with {len(job.windows)} windows: a job is a machine with one at least")
    starts, ends = min(map(attrgetter("start_ns"), job.windows)), max(map(attrgetter("end_ns"), job.windows))
    history = history_of(job, job.plant, job.asset, Window(starts, ends), job.now_ns, job.series)
    return columns(history, job.windows)


def backfill(jobs: Iterable[Job], executor: Executor | None = None) -> Iterator[Columns]:
    """The figures of each job, in the order of the jobs; without an executor, here and now."""
    return map(compute, jobs) if executor is None else executor.map(compute, jobs)

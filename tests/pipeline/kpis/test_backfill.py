"""A backfill gives the same wherever it runs."""

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from pipeline.kpis.backfill import Job, backfill, compute
from pipeline.kpis.evaluate import Columns
from telemetry.calendar import hours
from telemetry.plant import Asset, Plant
from telemetry.samples import SECOND_NS, Series, Window

HOUR = 3600 * SECOND_NS
MILLS = tuple(Asset(path=f"km0/a/m{number}", name="m", cycle_s={"*": 60}, stale_after_s=1e6) for number in range(3))
PLANT = Plant(timezone="UTC", assets=MILLS)
START = 400_000 * HOUR


def jobs() -> list[Job]:
    """Each mill runs for one hour more than the one before it, of six."""
    return [
        Job(
            PLANT, asset, {"state": Series.of((START, 3), (START + (number + 1) * HOUR, 1))},
            tuple(hours(Window(START, START + 6 * HOUR))), START + 1000 * HOUR,
        )
        for number, asset in enumerate(MILLS)
    ]  # fmt: skip


RUNNING = [[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]]
"""1, 2 and 3 hours of six, in the order of the jobs."""


def running(found: Iterable[Columns]) -> list[list[float]]:
    return [[value.value for value in one.values() if value.kpi == "do"] for one in found]


@pytest.mark.parametrize("executor", [None, ThreadPoolExecutor, ProcessPoolExecutor])
def test_machines_are_spread_over_any_executor(executor: type[ThreadPoolExecutor | ProcessPoolExecutor] | None) -> None:
    """Here, in threads and in processes."""
    if executor is None:
        assert running(backfill(jobs())) == RUNNING
    else:
        with executor(2) as pool:
            assert running(backfill(jobs(), pool)) == RUNNING


@pytest.mark.timeout(120)
def test_machines_are_spread_over_dask() -> None:
    """A worker in a process of its own: what is sent and what comes back is plain data."""
    from distributed import Client  # here: every worker of a test run collects this file, one runs it

    with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as dask:
        assert running(backfill(jobs(), dask.get_executor())) == RUNNING


def test_a_link_has_no_timeline_to_backfill() -> None:
    """Columns are of machines: a link is told apart at once, not by a figure that is missing."""
    link = Asset(path="km0/a/link", name="link", kind="link")
    job = Job(Plant(timezone="UTC", assets=(link,)), link, {}, tuple(hours(Window(0, HOUR))), HOUR)
    with pytest.raises(ValueError, match="machine"):
        compute(job)

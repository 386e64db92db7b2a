"""A backfill gives the same wherever it runs."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from pipeline.kpis.backfill import Job, backfill
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


@pytest.mark.parametrize("executor", [None, ThreadPoolExecutor, ProcessPoolExecutor])
def test_machines_are_spread_over_any_executor(executor: type[ThreadPoolExecutor | ProcessPoolExecutor] | None) -> None:
    """Here, in threads and in processes: 1, 2 and 3 hours of running, in the order of the jobs."""
    if executor is None:
        found = list(backfill(jobs()))
    else:
        with executor(2) as pool:
            found = list(backfill(jobs(), pool))
    running = [[value.value for value in one.values() if value.kpi == "do"] for one in found]
    assert running == [[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]]

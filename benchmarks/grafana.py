"""What a board costs the database: all its queries, one after another, over a day and a month of the simulated plant.

On Debian's influxd, loaded from simulated facts with every KPI computed (the month takes minutes to make: MONTH_DAYS).
The aim is 300 ms for a day and 1 s for a month; the slowest panel is named.
"""

import os
import statistics
import tempfile
from pathlib import Path
from typing import Final

from benchmarks import Row
from dashboards.grafana.render import boards
from tests.dashboards.grafana.asking import Asked, asked
from tests.dashboards.grafana.simulated_day import Day, loaded
from tests.pipeline.stores.influxd import Influxd

MONTH_DAYS: Final = int(os.environ.get("KM0_BENCH_DAYS", "30"))
ROUNDS: Final = 3
EVERYTHING: Final = {"site": ".*", "area": ".*", "line": ".*", "asset": ".*", "window": "h"}


def _rows(day: Day, over: str, interval: str) -> list[Row]:
    found: list[Row] = []
    for name, board in boards(day.plant, "en").items():
        rounds: list[list[Asked]] = [list(asked(day, name, board, EVERYTHING, interval)) for _ in range(ROUNDS)]
        slowest = max(rounds[-1], key=lambda one: one.ms)
        found.append(
            {
                "board": name,
                "over": over,
                "queries": len(rounds[0]),
                "ms together": round(statistics.median(sum(one.ms for one in asking) for asking in rounds), 1),
                "slowest panel": slowest.panel,
                "its ms": round(slowest.ms, 1),
            }
        )
    return found


def run() -> list[Row]:
    """A row per board and stretch of time; the median of some rounds."""
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for hours, over, interval in ((25, "a day", "2m"), (24 * MONTH_DAYS + 1, f"{MONTH_DAYS} days", "1h")):
            server = Influxd(Path(folder) / f"{hours}")
            server.start()
            try:
                found += _rows(loaded(server, hours), over, interval)
            finally:
                server.stop()
    return found

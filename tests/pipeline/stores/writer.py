"""A process to be killed: writes to a DuckDB store, compacting often, and says on stdout which write returned.

Usage: python -m tests.pipeline.stores.writer PATH RUN
"""

import sys
from pathlib import Path

from pipeline.stores.duckdb import DuckDbStore
from telemetry.samples import KpiValue, Sample

BATCH = 50


def main(path: Path, run: int) -> None:
    store = DuckDbStore(path, compact_rows=1000)
    asset = f"site/run-{run}"
    for number in range(1_000_000):
        store.write([Sample(number * BATCH + n, asset, "parts", 1.0) for n in range(BATCH)])
        # Replaced at each write, with the cursor: both or neither may survive.
        store.write_kpis(
            [KpiValue(asset, "oee", "hour", 0, 1, number, 0.0, 0.0, 1.0, 1, final=True)], run * 10**6 + number
        )
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

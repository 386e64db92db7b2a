"""What a step of recompute costs beside a live demonstrator: four machines with a sample a second, a probed link.

History of 24 and of 48 h in a DuckDB file, then half a minute of live samples, one step a second. Cost must not grow
with history: only open windows are read. `all open` refreshes every open window at once, the day included.
"""

import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks import Row
from pipeline.recompute import Recompute
from pipeline.stores.duckdb import DuckDbStore
from telemetry.health import Component
from telemetry.plant import Asset, CalendarConfig, Plant, Turn
from telemetry.samples import SECOND_NS, Sample

HOUR = 3600
T0 = 1_769_900_000
SHIFTS = CalendarConfig(
    name="3x8",
    shifts=tuple(Turn(name=str(start), start=start * 60, end=(start + 8) % 24 * 60) for start in (21, 5, 13)),
    breaks=tuple(Turn(name=str(start), start=start * 60, end=start * 60 + 20) for start in (1, 9, 17)),
)
MACHINES = tuple(
    Asset(path=f"km0/a/m{number}", name=f"m{number}", calendar="3x8", cycle_s={"gear": 9.0}) for number in range(4)
)
LINK = Asset(path="km0/a/link", name="link", kind="link")
PLANT = Plant(calendars=(SHIFTS,), assets=(*MACHINES, LINK))


def second(at_s: int) -> list[Sample]:
    """What all assets say in one second: gauges, now and then a part or a stop, and two probes."""
    now = at_s * SECOND_NS
    found = [Sample(now + 250_000_000 * half, LINK.path, "rtt", 12.0 + at_s % 7) for half in range(2)]
    for asset in MACHINES:
        if at_s % 10 == 0:
            found.append(Sample(now, asset.path, "parts", float(at_s // 10)))
            found.append(Sample(now, asset.path, "parts_good", float(at_s // 10)))
        elif at_s % 10 == 5:
            found.append(Sample(now, asset.path, "state", 2.0 if at_s % 400 == 5 else 3.0))
        else:
            found.append(Sample(now, asset.path, "power", float(at_s % 13)))
    return found


def run() -> list[Row]:
    rows: list[Row] = []
    for hours in (24, 48):
        with tempfile.TemporaryDirectory() as folder:
            store = DuckDbStore(Path(folder) / "bench.duckdb")
            end = T0 + hours * HOUR
            store.write([Sample(T0 * SECOND_NS, asset.path, "product", 0.0, "gear") for asset in MACHINES])
            for start in range(T0, end, 600):
                store.write([sample for at_s in range(start, start + 600) for sample in second(at_s)])
            clock = [end * SECOND_NS]
            recompute = Recompute(store, PLANT, Component("recompute"), now_ns=lambda clock=clock: clock[0])  # type: ignore[misc]
            began, steps, windows = perf_counter(), 1, 0
            while (progress := recompute.step()).waiting:
                steps, windows = steps + 1, windows + progress.evaluated
            backfill_s = perf_counter() - began
            live: list[float] = []
            for at_s in range(end, end + 30):
                store.write(second(at_s))
                clock[0] = (at_s + 1) * SECOND_NS
                began = perf_counter()
                recompute.step()
                live.append(1000 * (perf_counter() - began))
            began = perf_counter()
            recompute.step(all_open=True)
            all_open = 1000 * (perf_counter() - began)
            store.write([Sample((T0 + HOUR) * SECOND_NS + 1, MACHINES[0].path, "state", 2.0)])
            began = perf_counter()
            recompute.step()
            late = 1000 * (perf_counter() - began)
            store.close()
        rows.append(
            {
                "history [h]": hours, "backfill [s]": round(backfill_s, 2), "backfill steps": steps,
                "windows": windows + progress.evaluated, "live step median [ms]": round(median(live), 1),
                "live step max [ms]": round(max(live), 1), "all open [ms]": round(all_open, 1),
                "one late sample [ms]": round(late, 1),
            }
        )  # fmt: skip
    return rows

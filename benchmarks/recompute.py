"""What a step of recompute costs beside a live demonstrator: four machines with a sample a second, a probed link.

History of 12, 24 and 48 h in a DuckDB file, then half a minute of live samples, one step a second, and ten late
samples at different hours, a step for each. Cost must not grow with history: only windows that changed are read.
`all open` refreshes every open window at once, the day included. CPU time is that of the process, all its threads;
time on the clock includes waiting for the disk, twice a step.
"""

import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

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
    return [_after(hours) for hours in (12, 24, 48)]


def _after(hours: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        store = DuckDbStore(Path(folder) / "bench.duckdb")
        end = T0 + hours * HOUR
        store.write([Sample(T0 * SECOND_NS, asset.path, "product", 0.0, "gear") for asset in MACHINES])
        for start in range(T0, end, 600):
            store.write([sample for at_s in range(start, start + 600) for sample in second(at_s)])
        clock = [end * SECOND_NS]
        recompute = Recompute(store, PLANT, Component("recompute"), now_ns=lambda: clock[0])
        began, steps, windows = perf_counter(), 1, 0
        while (progress := recompute.step()).waiting:
            steps, windows = steps + 1, windows + progress.evaluated
        backfill_s = perf_counter() - began

        def timed(*, all_open: bool = False) -> tuple[float, float]:
            began, used = perf_counter(), process_time()
            recompute.step(all_open=all_open)
            return 1000 * (perf_counter() - began), 1000 * (process_time() - used)

        live: list[tuple[float, float]] = []
        for at_s in range(end, end + 30):
            store.write(second(at_s))
            clock[0] = (at_s + 1) * SECOND_NS
            live.append(timed())
        all_open, _ = timed(all_open=True)
        late: list[tuple[float, float]] = []
        for number in range(10):
            at_ns = (T0 + hours * HOUR * number // 10 + 7) * SECOND_NS + 1
            store.write([Sample(at_ns, MACHINES[0].path, "state", 2.0)])
            late.append(timed())
        store.close()
    found: Row = {
        "history [h]": hours, "backfill [s]": round(backfill_s, 2), "backfill steps": steps,
        "windows": windows + progress.evaluated, "all open [ms]": round(all_open, 1),
    }  # fmt: skip
    for name, pairs in (("live step", live), ("late sample", late)):
        found[f"{name} [ms]"] = round(median(wall for wall, _ in pairs), 1)
        found[f"{name}, CPU [ms]"] = round(median(cpu for _, cpu in pairs), 1)
    return found

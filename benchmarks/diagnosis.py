"""From a file to a finished report: CSV as a controller logs it, read, diagnosed, drawn, set as PDF.

Each size in a process of its own, so that its memory is its own; rows are cycles of a press with stops, scrap and three
products, in time order. "first PDF" includes starting Python and loading every library. The peak is that of the whole
process (RSS); "of which libraries" is what it takes with a file of a hundred rows.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import Row

SIZES = (100, 100_000, 1_000_000, 10_000_000)
_PROGRAM = """
import json, resource, sys, time
started = time.perf_counter()
from pathlib import Path
from dashboards.reports import paper
from dashboards.reports.content import content
from pipeline.diagnosis.diagnosis import of_log
from pipeline.files import eventlog
from pipeline.files.propose import propose
from telemetry.plant import Asset
spent = {"start": time.perf_counter() - started}
def timed(name, work):
    began = time.perf_counter()
    found = work()
    spent[name] = time.perf_counter() - began
    return found
path = Path(sys.argv[1])
mapping = timed("propose", lambda: propose(path, timezone="UTC")).mapping
mapping = mapping.model_copy(update={"machine": Asset(path="a/press", name="press", cycle_s={"*": 11.0})})
log = timed("read", lambda: eventlog.load(path, mapping))
found = timed("diagnose", lambda: (lambda one: (one.findings, one))(of_log(log, path))[1])
made = timed("report", lambda: paper.pdf(content(found, "fr")))
assert made.startswith(b"%PDF") and log.faults.rows == int(sys.argv[2])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(spent | {"peak": peak, "pdf": len(made), "trs": found.subject.machines[0].oee.trs.value}))
"""


def press(path: Path, rows: int) -> None:
    """A row per cycle of 12 s (of 1 s, where there are millions): running or stopped, counters, product, cause."""
    rng = np.random.default_rng(1)
    start, step = np.datetime64("2025-01-06T05:00:00", "ms"), np.timedelta64(1000 if rows > 3_000_000 else 12_000, "ms")
    made = scrap = 0
    with path.open("w", encoding="utf-8") as file:
        file.write("Horodatage;Etat;Compteur;Bonnes;Article;Cause\n")
        for first in range(0, rows, 200_000):
            count = min(200_000, rows - first)
            index = np.arange(first, first + count)
            runs = rng.random(count) < 0.95
            total = made + np.cumsum(runs)
            bad = scrap + np.cumsum(runs & (rng.random(count) < 0.01))
            made, scrap = int(total[-1]), int(bad[-1])
            columns = (
                (start + index * step).astype(str), np.where(runs, "Marche", "Arrêt"), total, total - bad,
                np.array(["A", "B", "C"])[index // 5000 % 3], np.where(runs, "", "bourrage"),
            )  # fmt: skip
            file.writelines(
                ";".join(map(str, row)) + "\n" for row in zip(*(one.tolist() for one in columns), strict=True)
            )


def run() -> list[Row]:
    """One row per size."""
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            path = Path(folder) / "press.csv"
            press(path, size)
            megabytes = path.stat().st_size / 1e6
            done = subprocess.run(
                [sys.executable, "-c", _PROGRAM, path, str(size)], capture_output=True, check=True, text=True
            )
            told = json.loads(done.stdout)
            whole = sum(told[name] for name in ("start", "propose", "read", "diagnose", "report"))
            found.append(
                {"rows": f"{size:,}", "MB": round(megabytes, 1), "first PDF s": round(whole, 2)}
                | {f"{name} s": round(told[name], 2) for name in ("start", "propose", "read", "diagnose", "report")}
                | {"rows/s read": round(size / told["read"]), "peak MB": round(told["peak"]),
                   "PDF kB": round(told["pdf"] / 1000), "TRS": round(told["trs"], 4)}
            )  # fmt: skip
    return found

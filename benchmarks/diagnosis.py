"""From the upload to the finished report: the web app is sent a file over HTTP, as by a browser, and asked for the PDF.

A fresh server for each size, so that its memory is its own (VmHWM: libraries, store and pages included; a file of a
hundred rows says how much that is). Rows are cycles of a press, both counters changing in nearly every one, which is
the worst case. The upload ends when the file was looked at, so that the proposal is there. "computed" is from `run`
until the report lies there in both languages, "of which read" until the last row was read.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, sleep

import httpx2

from benchmarks import Row
from benchmarks.press import press
from benchmarks.served import served

SIZES = (100, 100_000, 1_000_000, 4_000_000, 10_000_000)
READY_S = 8.0
"""A server draws its first charts when it starts: what it does then is no part of a diagnosis."""
POLL_S = 0.05
_PIECE = 1 << 20


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            yield piece


def _one(client: httpx2.Client, file: Path, rows: int) -> Row:
    """Times [s] of each step. Raises RuntimeError when it failed."""
    times: dict[str, float] = {}
    began = perf_counter()

    def step(name: str) -> None:
        times[name] = perf_counter() - began - sum(times.values())

    size = file.stat().st_size
    answer = client.post(
        "/api/v1/diagnoses", params={"name": file.name}, content=_pieces(file), headers={"Content-Length": str(size)}
    )
    number = answer.raise_for_status().json()["id"]
    step("upload s")
    mapping = client.get(f"/api/v1/diagnoses/{number}/proposal").raise_for_status().json()["mapping"]
    mapping["machine"]["cycle_s"] = {"*": 11.0}
    mapping["timezone"] = "UTC"
    step("proposal s")
    started = read = perf_counter()
    client.post(f"/api/v1/diagnoses/{number}/run", json=mapping).raise_for_status()
    share = 0.0
    while (found := client.get(f"/api/v1/diagnoses/{number}").json())["state"] == "running":
        if found["share_read"] > share:
            share, read = found["share_read"], perf_counter()
        sleep(POLL_S)
    if found["state"] != "done":
        raise RuntimeError(f"{file.name}: {found['fault']}")
    step("computed s")
    pdf = client.get(f"/api/v1/diagnoses/{number}/report.pdf?lang=fr").raise_for_status().content
    step("PDF s")
    if not pdf.startswith(b"%PDF"):
        raise RuntimeError(f"{file.name}: no PDF")
    result = client.get(f"/api/v1/diagnoses/{number}/result").raise_for_status().json()
    if (result["rows"], result["bad_rows"]) != (rows, 0):
        raise RuntimeError(f"{file.name}: {result['rows']} rows, {result['bad_rows']} of them bad")
    whole = sum(times.values())
    return {"rows": f"{rows:,}", "MB": round(size / 1e6, 1), "upload to PDF s": round(whole, 2)} | {
        name: round(length, 2) for name, length in times.items()
    } | {"of which read s": round(read - started, 2)}  # fmt: skip


def run(sizes: tuple[int, ...] = SIZES) -> list[Row]:
    """One row per size."""
    found: list[Row] = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "press.csv"
            press(file, size)
            with served(Path(folder)) as app, httpx2.Client(base_url=app.base, timeout=300) as client:
                sleep(READY_S)
                before = app.peak_mb()
                row = _one(client, file, size)
                found.append(row | {"peak MB": round(app.peak_mb()), "before it MB": round(before)})
    return found


if __name__ == "__main__":
    import sys

    for measured in run(tuple(int(float(one)) for one in sys.argv[1:]) or SIZES):
        print(measured, flush=True)

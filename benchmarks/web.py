"""Page times of the web app over a year of the demonstrator's plant in a DuckDB file; then 50 users at once.

The app is served by uvicorn in a process of its own, as `km0 run` serves it, and asked over HTTP. "first" is the first
request for a page of a server that was started READY_S ago. "expired" is asked again after what was kept is too old: by
the app's own clock, which stands still otherwise. The aim is 300 ms for every page. `python -m benchmarks.web make
FOLDER` makes the year, `… measure FOLDER` measures what was made.
"""

import asyncio
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, sleep

import httpx2

from benchmarks import Row
from benchmarks.press import press
from benchmarks.served import END_S, served
from km0.plantfile import PlantFile, sample_file
from pipeline.kpis.evaluate import evaluate, windows
from pipeline.stores.duckdb import DuckDbStore
from telemetry.config import load
from telemetry.glossary import MachineState
from telemetry.plant import Asset
from telemetry.samples import SECOND_NS, Sample, Window

DAYS = 365
DAY_S = 86_400
CHUNK_S = 7 * DAY_S
USERS = 50
READY_S = 8.0
PAGES = (
    "/", "/assets/{machine}", "/losses?period=day", "/losses?period=month", "/losses?period=year",
    "/losses?asset={machine}&period=year", "/network?period=week", "/network?period=year", "/data?period=month",
    "/data?period=year", "/diagnoses", "/deadletters", "/definitions", "/settings",
    "/charts/losses/waterfall?period=year",
)  # fmt: skip
ROWS = 1_000_000
"""Of the file whose diagnosis has pages too."""
PREVIEW = {
    "preview": "1", "timezone": "Europe/Paris", "time": "Horodatage", "metric:state": "Etat",
    "metric:parts": "Compteur", "metric:parts_good": "Bonnes", "metric:product": "Article", "metric:reason": "Cause",
    "counts": "total", "cycle_s": "11", "words_of": "Etat", "word:Marche": "EXECUTING", "word:Arrêt": "NOT_EXECUTING",
}  # fmt: skip
REASONS = ("tool_breakage", "no_operator", "no_material", "changeover", "conveyor_full", "lubrication")


def _machine(asset: Asset, start_s: int, end_s: int, chance: random.Random) -> Iterator[Sample]:
    """Runs of half an hour, stops of some minutes with a reason, a count a minute while it runs."""
    at, made = start_s, (start_s - END_S + DAYS * DAY_S) // 30
    yield Sample(start_s * SECOND_NS, asset.path, "product", 0.0, next(iter(asset.cycle_s), "part"))
    while at < end_s:
        run, stop = 120 + round(chance.expovariate(1 / 1800)), 30 + round(chance.expovariate(1 / 300))
        yield Sample(at * SECOND_NS, asset.path, "state", float(MachineState.EXECUTING))
        for tick in range(at + 60, min(at + run, end_s), 60):
            made += 1
            yield Sample(tick * SECOND_NS, asset.path, "parts", float(made))
            yield Sample(tick * SECOND_NS, asset.path, "parts_good", float(made - made // 50))
        at += run
        yield Sample(at * SECOND_NS, asset.path, "state", float(MachineState.NOT_EXECUTING))
        yield Sample(at * SECOND_NS, asset.path, "reason", 0.0, chance.choice(REASONS))
        at += stop


def _gauge(asset: Asset, chance: random.Random) -> Iterator[Sample]:
    """A gauge each second over the last day."""
    for at in range(END_S - DAY_S, END_S):
        yield Sample(at * SECOND_NS, asset.path, "spindle_load", 40 + 20 * chance.random())


def _link(asset: Asset, start_s: int, end_s: int, chance: random.Random) -> Iterator[Sample]:
    """A probe a minute; ten a second over the last hour."""
    for at in range(start_s, end_s, 60):
        yield Sample(at * SECOND_NS, asset.path, "rtt", 8 + chance.expovariate(0.4))
    if end_s == END_S:
        for tenth in range(10 * 3600):
            at_ns = (END_S - 3600) * SECOND_NS + tenth * SECOND_NS // 10 + 1
            yield Sample(at_ns, asset.path, "rtt", 8 + chance.expovariate(0.4))


def fill(path: Path, file: PlantFile) -> dict[str, float]:
    """A year of the plant: samples and every KPI value of the catalogue, as recompute would have left them."""
    store, chance, count, began = DuckDbStore(path), random.Random(7), 0, perf_counter()
    first_s = END_S - DAYS * DAY_S
    for start in range(first_s, END_S, CHUNK_S):
        end = min(start + CHUNK_S, END_S)
        for asset in file.plant.assets:
            if asset.kind in ("machine", "link"):
                make = _machine if asset.kind == "machine" else _link
                samples = list(make(asset, start, end, chance))
                if end == END_S and asset.kind == "machine":
                    samples += _gauge(asset, chance)
                store.write(samples)
                count += len(samples)
    written = perf_counter()
    for start in range(first_s, END_S, 4 * CHUNK_S):
        span = Window(start * SECOND_NS, min(start + 4 * CHUNK_S, END_S) * SECOND_NS)
        for asset in file.plant.assets:
            if asset.kind in ("machine", "link"):
                metrics = {sample.metric for sample in store.latest(asset.path)}
                kinds = ("hour", "day", "month", "shift") if asset.kind == "machine" else ("hour", "day")
                due = [
                    one for one in windows(file.plant, asset, span)
                    if one.kind in kinds and (one.kind == "day" or one.kind == "month" or one.start_ns >= span.start_ns)
                ]  # fmt: skip
                store.write_kpis(evaluate(store, file.plant, asset, due, END_S * SECOND_NS, metrics), 1)
    store.close()
    return {"samples": count, "written [s]": written - began, "computed [s]": perf_counter() - written}


async def _ask(client: httpx2.AsyncClient, address: str) -> float:
    began = perf_counter()
    path, _, preview = address.partition(" ")
    answer = await (client.post(path, data=PREVIEW) if preview else client.get(path))
    answer.raise_for_status()
    return 1000 * (perf_counter() - began)


async def _crowd(base: str, addresses: list[str]) -> list[float]:
    """Each user reads every page once, in an order of their own, without a pause.

    The browsers are there before anybody asks: making one takes tens of milliseconds (certificates are read), and fifty
    in this one process made the first page of each seem a second late, which was the 95th percentile.
    """
    async with AsyncExitStack() as browsers:
        clients = [
            await browsers.enter_async_context(httpx2.AsyncClient(base_url=base, timeout=60)) for _ in range(USERS)
        ]

        async def user(number: int) -> list[float]:
            order = random.Random(number).sample(addresses, len(addresses))
            return [await _ask(clients[number], address) for address in order]

        found = await asyncio.gather(*(user(number) for number in range(USERS)))
    return [time for times in found for time in times]


async def _diagnosed(client: httpx2.AsyncClient, folder: Path) -> list[str]:
    """Its pages: mapping, preview (a form that is sent), result."""
    file = folder / "press.csv"
    press(file, ROWS)
    answer = await client.post("/api/v1/diagnoses", params={"name": file.name}, content=file.read_bytes())
    number = answer.raise_for_status().json()["id"]
    mapping = (await client.get(f"/api/v1/diagnoses/{number}/proposal")).json()["mapping"]
    mapping["machine"]["cycle_s"] = {"*": 11.0}
    mapping["timezone"] = "UTC"
    (await client.post(f"/api/v1/diagnoses/{number}/run", json=mapping)).raise_for_status()
    state = "running"
    while state == "running":  # another process computes it
        await asyncio.sleep(0.2)
        state = (await client.get(f"/api/v1/diagnoses/{number}")).json()["state"]
    if state != "done":
        raise RuntimeError(f"the diagnosis of {file.name} is {state}")
    page = f"/diagnoses/{number}"
    return [f"{page}?again=true", f"{page} preview", page]


async def _measure(base: str, addresses: list[str], later: Callable[[], None], folder: Path) -> list[Row]:
    rows: dict[str, Row] = {}
    async with httpx2.AsyncClient(base_url=base, timeout=60) as client:
        addresses = [*addresses, *await _diagnosed(client, folder)]
        for address in addresses:
            first = await _ask(client, address)
            again = median([await _ask(client, address) for _ in range(5)])
            rows[address] = {"page": address, "first [ms]": round(first), "again, median of 5 [ms]": round(again)}
        for address in addresses:
            later()
            rows[address]["expired [ms]"] = round(await _ask(client, address))
    times = await _crowd(base, addresses)
    cuts = quantiles(times, n=20)
    crowd: Row = {
        "page": f"all of them, {USERS} users at once", "again, median of 5 [ms]": round(median(times)),
        "95 % [ms]": round(cuts[18]), "slowest [ms]": round(max(times)), "requests": len(times),
    }  # fmt: skip
    return [*rows.values(), crowd]


def measure(folder: Path) -> list[Row]:
    """Raises ChildProcessError when the server does not start; why is on its stderr."""
    file = load(sample_file(), PlantFile)
    machine = next(asset.path for asset in file.plant.assets if asset.kind == "machine")
    addresses = [page.replace("{machine}", machine) for page in PAGES]
    with served(folder) as app:
        sleep(READY_S)
        return asyncio.run(_measure(app.base, addresses, app.later, folder))


def run() -> list[Row]:
    """The year made, and measured."""
    with tempfile.TemporaryDirectory() as folder:
        made = fill(Path(folder) / "year.duckdb", load(sample_file(), PlantFile))
        rows = measure(Path(folder))
    rows.insert(0, {"page": "a year of the plant was made: " + ", ".join(f"{k} {v:,.0f}" for k, v in made.items())})
    return rows


if __name__ == "__main__":
    task, place = sys.argv[1], Path(sys.argv[2])
    if task == "make":
        print(fill(place / "year.duckdb", load(sample_file(), PlantFile)))
    else:
        for row in measure(place):
            print(row)

"""The DuckDB store: rows written per second by batch size, and what a question costs when a million rows are held."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from benchmarks import Row
from benchmarks.measure import in_turn
from pipeline.stores import InfluxDbConfig
from pipeline.stores.duckdb import DuckDbStore
from telemetry.errors import StoreError
from telemetry.protocols import Store
from telemetry.samples import SECOND_NS, Sample, Window

T0: Final = 1_795_300_000 * SECOND_NS
HELD: Final = 1_000_000
ASSETS: Final = tuple(f"km0/bench/cell/mill-{n}" for n in range(10))


def gauges(first: int, rows: int) -> list[Sample]:
    """Rows of ten machines at 1 Hz, in time order."""
    return [
        Sample(T0 + n // 10 * SECOND_NS, ASSETS[n % 10], "power", n * 0.25, received_ns=T0 + n)
        for n in range(first, first + rows)
    ]


@contextmanager
def filled(rows: int) -> Iterator[DuckDbStore]:
    """A store that holds so many rows, on the disk of the checkout."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        store = DuckDbStore(Path(folder) / "store.duckdb")
        for first in range(0, rows, 50_000):
            store.write(gauges(first, min(50_000, rows - first)))
        yield store
        store.close()


def writing(store: DuckDbStore, numbers: Iterator[int], rows: int, writes: int) -> float:
    batches = [gauges(next(numbers) * rows, rows) for _ in range(writes)]
    for batch in batches:
        store.write(batch)
    return rows * writes


def counted_again(store: DuckDbStore, late: list[Sample]) -> None:
    store.write(late)
    store.inventory()


def asking(question: Callable[[], object], times: int) -> float:
    for _ in range(times):
        question()
    return times


def writes() -> list[Row]:
    with filled(0) as store:
        numbers = count()
        return in_turn(
            {
                f"write, {rows} rows at a time": partial(writing, store, numbers, rows, times)
                for rows, times in ((100_000, 3), (10_000, 10), (1000, 50), (100, 100), (1, 100))
            },
            "rows",
            rounds=3,
        )


def questions(held: int = HELD) -> list[Row]:
    middle = T0 + held // 20 * SECOND_NS
    some = Window(middle - min(50_000, held // 20) * SECOND_NS, middle + min(50_000, held // 20) * SECOND_NS)
    minute = Window(middle, middle + 60 * SECOND_NS)
    with filled(held) as store:
        late = gauges(held // 2, 1)
        rows = in_turn(
            {
                f"latest, {held} rows held": lambda: asking(store.latest, 1000),
                "next_time in the middle": lambda: asking(lambda: store.next_time(ASSETS[3], "power", middle), 50),
                "read 60 rows": lambda: asking(lambda: store.read(ASSETS[3], "power", minute), 50),
                f"read {2 * min(50_000, held // 20)} rows": lambda: asking(
                    lambda: store.read(ASSETS[3], "power", some), 10
                ),
                "inventory": lambda: asking(store.inventory, 100),
                "inventory after a late sample": lambda: asking(lambda: counted_again(store, late), 3),
            },
            "questions",
            rounds=3,
        )
    return [{"what": row["what"], "ms": round(1000 / row["questions/s"], 3), "rounds": row["rounds"]} for row in rows]


def stored(store: Store, batch: list[Sample]) -> None:
    """As the drain does: again, when the store takes nothing now, as an InfluxDB that compacts may."""
    while True:
        try:
            store.write(batch)
        except StoreError:
            time.sleep(1)
        else:
            return


def growth(sizes: tuple[int, ...] = (100_000, 1_000_000, 10_000_000)) -> list[Row]:
    """What 1000 samples of one machine cost while more and more of ten machines are held; InfluxDB beside, if there."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=".") as folder, ExitStack() as stack:
        stores: dict[str, Store] = {"DuckDB": DuckDbStore(Path(folder) / "store.duckdb")}
        if shutil.which("influxd"):
            from benchmarks.influxdb import influxd
            from pipeline.stores.influxdb import InfluxDbStore

            stores["InfluxDB"] = InfluxDbStore(InfluxDbConfig(url=stack.enter_context(influxd())))
        held = 0
        for size in sizes:
            while held < size:
                batch = gauges(held, 50_000)
                for store in stores.values():
                    stored(store, batch)
                held += len(batch)
            middle = T0 + held // 20 * SECOND_NS
            window = Window(middle, middle + 1000 * SECOND_NS)
            asked = {
                f"{name}: read 1000 of {held} rows": partial(
                    asking, partial(store.read, ASSETS[3], "power", window), 20
                )
                for name, store in stores.items()
            }
            rows += in_turn(asked, "questions", rounds=3)
        for store in stores.values():
            store.close()
    return [
        {"what": row["what"], "ms": round(1000 / max(row["questions/s"], 1), 1), "rounds": row["rounds"]}
        for row in rows
    ]


def run() -> list[Row]:
    return writes() + questions() + growth()

"""InfluxDB: our store beside what the server takes from prebuilt bodies, and beside influxdb-client, in one run.

Needs influxd on the PATH. The server's CPU is not counted, only this process's. All send points of the same kind over
one connection at a time, each round points that nobody sent before. "Prebuilt" has its bodies encoded before the clock
starts: no client can be faster over one connection; two show what the server has left.
"""

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlencode
from urllib.request import urlopen

import numpy as np
import urllib3

from benchmarks import Row
from benchmarks.measure import Cost, cost, in_turn
from benchmarks.spool import emptied
from km0 import influxd as server
from pipeline.stores import InfluxDbConfig
from pipeline.stores.columns import Columns
from pipeline.stores.duckdb import DuckDbStore
from pipeline.stores.influxdb import InfluxDbStore
from pipeline.stores.influxdb_writing import Lines
from telemetry.protocols import Store
from telemetry.samples import SECOND_NS, Sample, Window

T0: Final = 1_795_300_000 * SECOND_NS
ROWS: Final = 200_000


@contextmanager
def influxd() -> Iterator[str]:
    """The address of a server of its own, its data on the disk of the checkout."""
    with tempfile.TemporaryDirectory(dir=".") as folder, server.influxd(Path(folder).resolve() / "influxd") as section:
        yield section["url"]


def ask(url: str, statement: str) -> bytes:
    fields = urlencode({"q": statement, "db": "km0", "epoch": "ns"}).encode()
    with urlopen(f"{url}/query", fields, timeout=120) as answer:  # noqa: S310  # http, to ourselves
        found: bytes = answer.read()
        return found


def gauges(first: int, rows: int = ROWS) -> list[Sample]:
    """Ten machines at 1 Hz."""
    return [
        Sample(T0 + n // 10 * SECOND_NS, f"km0/bench/cell/mill-{n % 10}", "power", n % 4096 * 0.25, received_ns=T0 + n)
        for n in range(first, first + rows)
    ]


def bodies(samples: list[Sample]) -> list[bytes]:
    columns = Columns.of(samples)
    assert columns is not None
    return [body.text().encode() for body in Lines(columns, set()).bodies()]


def writing(url: str, rows: int = ROWS, few: int = 20_000) -> list[Row]:
    """Each round other points, made beforehand, so that nobody replaces what another wrote."""
    numbers = count()
    pool = urllib3.PoolManager(maxsize=2)
    store = InfluxDbStore(InfluxDbConfig(url=url))
    client = import_module("influxdb_client")

    def fresh(points: int = rows) -> list[Sample]:
        return gauges(next(numbers) * rows, points)

    def send(body: bytes) -> None:
        assert pool.request("POST", f"{url}/write?db=km0&precision=ns", body=body).status == 204

    def prebuilt(connections: int) -> Cost:
        made = bodies(fresh())
        with ThreadPoolExecutor(connections) as senders:
            return cost(lambda: len(list(senders.map(send, made))) and rows)

    def written(into: Store) -> Cost:
        samples = fresh()

        def write() -> float:
            for start in range(0, rows, 50_000):  # as the drain does
                into.write(samples[start : start + 50_000])
            return rows

        return cost(write)

    def drained() -> Cost:
        samples = fresh()
        return asyncio.run(emptied([samples[start : start + 1000] for start in range(0, rows, 1000)], store))

    def theirs() -> Cost:
        samples = fresh(few)
        return cost(lambda: write_points(samples))

    def write_points(samples: list[Sample]) -> float:
        options = client.WriteOptions(batch_size=5000, flush_interval=1000)
        with client.InfluxDBClient(url=url, token="", org="-") as session:
            service = session.write_api(write_options=options)
            # 1.6 has no /api/v2/write: what the client would send goes to /write instead, by a pool of the same kind
            service._write_service.post_write = lambda *, body, **_: send(body)
            for one in samples:
                *_, asset = one.asset.split("/")
                point = client.Point("machine").tag("area", "bench").tag("asset", asset).tag("line", "cell")
                point = point.tag("site", "km0").field("power", one.value).field("power_quality", one.quality)
                service.write("km0", "-", point.field("power_received", one.received_ns).time(one.time_ns))
            service.close()
        return len(samples)

    contestants: dict[str, Callable[[], Cost]] = {
        "prebuilt bodies, straight to the server": partial(prebuilt, 1),
        "prebuilt bodies over two connections": partial(prebuilt, 2),
        "InfluxDbStore.write, samples to stored": partial(written, store),
        "spool to InfluxDbStore by the drain": drained,
        "influxdb-client, Point and batching write API": theirs,
    }
    with tempfile.TemporaryDirectory(dir=".") as folder:
        embedded = DuckDbStore(Path(folder) / "store.duckdb")
        contestants["DuckDbStore.write, samples to stored"] = partial(written, embedded)
        found = in_turn(contestants, "points", rounds=3)
        embedded.close()
    store.close()
    return found


def reading(url: str, rows: int = 200_000) -> list[Row]:
    """One gauge of one machine into arrays: our store, plain JSON, and influxdb-client's `query_data_frame`.

    1.6 has no Flux, so that one is given the annotated CSV which a 2.x would send of the same samples, from memory:
    only what the client itself does with it counts.
    """
    store = InfluxDbStore(InfluxDbConfig(url=url))
    asset, start = "km0/bench/cell/reader", T0 - 10**7 * SECOND_NS
    for first in range(0, rows, 50_000):
        numbers = range(first, first + 50_000)
        store.write([Sample(start + n * SECOND_NS, asset, "power", n % 4096 * 0.25, received_ns=T0) for n in numbers])
    window = Window(start, T0)
    framed = _framed(start, rows)

    def ours() -> float:
        return len(store.read(asset, "power", window))

    def as_json() -> float:
        where = f"WHERE asset = 'reader' AND time < {T0}"
        answer = json.loads(ask(url, f"SELECT power, power_quality FROM machine {where}"))
        found = answer["results"][0]["series"][0]["values"]
        times = np.array([row[0] for row in found], np.int64)
        np.array([row[1] for row in found]), np.array([row[2] for row in found], np.int8)
        return len(times)

    contestants: dict[str, Callable[[], float]] = {
        "read a gauge as JSON": as_json,
        "influxdb-client, query_data_frame": framed,
        "InfluxDbStore.read": ours,
    }
    found = in_turn(contestants, "samples", rounds=3)
    store.close()
    return found


def _framed(start: int, rows: int) -> Callable[[], float]:
    """What `query_data_frame` does with the annotated CSV of a gauge, as Flux gives it: a row per sample."""
    parser = import_module("influxdb_client.client.flux_csv_parser")
    head = (
        "#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string,string\r\n"
        "#group,false,false,true,true,false,false,true,true,true\r\n#default,_result,,,,,,,,\r\n"
        ",result,table,_start,_stop,_time,_value,_field,_measurement,asset\r\n"
    )
    first, last = "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"
    at = [np.datetime_as_string(np.datetime64(start + n * SECOND_NS, "ns"), unit="s") for n in range(rows)]
    lines = [f",,0,{first},{last},{at[n]}Z,{n % 4096 * 0.25},power,machine,reader\r\n" for n in range(rows)]
    text = (head + "".join(lines) + "\r\n").encode()

    def frame() -> float:
        response = urllib3.HTTPResponse(BytesIO(text), preload_content=False)
        mode = parser.FluxSerializationMode.dataFrame
        with parser.FluxCsvParser(response, mode, data_frame_index=None) as parsing:
            [found] = list(parsing.generator())
        return len(found)

    return frame


def month() -> list[Row]:
    """A month of one machine at 1 Hz in DuckDB, and what a dashboard asks of it: an hourly mean."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path, asset, rows = Path(folder) / "store.duckdb", "km0/bench/cell/mill-1", 30 * 86400
        store = DuckDbStore(path)
        for first in range(0, rows, 200_000):
            numbers = range(first, min(first + 200_000, rows))
            store.write([Sample(T0 + n * SECOND_NS, asset, "power", n % 4096 * 0.25) for n in numbers])
        day = Window(T0 + 20 * 86400 * SECOND_NS, T0 + 21 * 86400 * SECOND_NS)
        whole = Window(T0, T0 + rows * SECOND_NS)

        def asked(window: Window) -> Callable[[], float]:
            hours = np.arange(window.start_ns, window.end_ns, 3600 * SECOND_NS)

            def ask() -> float:
                series = store.read(asset, "power", window)
                firsts = np.searchsorted(series.times_ns, hours)
                means = np.add.reduceat(series.values, firsts) / np.diff(firsts, append=len(series))
                return 1000.0 * (len(means) == len(hours))

            return ask

        found = in_turn(
            {"a day of 1 Hz by the hour": asked(day), "a month of 1 Hz by the hour": asked(whole)},
            "thousandths",
            rounds=15,
        )
        store.close()
    return [
        {"what": f"DuckDB: {row['what']}", "ms": round(1e6 / row["thousandths/s"], 1), "rounds": row["rounds"]}
        for row in found
    ]


def run() -> list[Row]:
    with influxd() as url:
        return writing(url) + reading(url) + month()

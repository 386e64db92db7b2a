"""The store of a plant: samples and KPI values in an InfluxDB server, as many processes as there are may share it.

Invariants:
- Nothing of a series is remembered between calls: another process may have written. (Which metrics have words beside
  their numbers is remembered, to write empty words where there may be some.)
- Every write sends samples first and what they touched second (see influxdb_journal).
- InfluxDB has no transactions: where the protocol asks for one, the order of writes makes a crash repeat, never skip.
"""

import threading
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.stores.influxdb_config import InfluxDbConfig
from pipeline.stores.influxdb_journal import Journal
from pipeline.stores.influxdb_kpis import KpiBucket
from pipeline.stores.influxdb_rows import table
from pipeline.stores.influxdb_schema import (
    GROUPED,
    MEASUREMENTS,
    NUMBER,
    QUALITY,
    RECEIVED,
    TEXT,
    asset_of,
    is_word,
    literal,
    measurement_of,
    metrics_of,
    name,
    where,
)
from pipeline.stores.influxdb_server import InfluxServer
from pipeline.stores.influxdb_writing import store_samples
from pipeline.stores.lengths import DAY_NS
from pipeline.stores.lineprotocol import EARLIEST_NS, LATEST_NS, UnwritableError
from telemetry.errors import RejectedError
from telemetry.glossary import holds
from telemetry.samples import Changes, KpiValue, Sample, Series, SeriesInfo, Span, Window
from telemetry.words import Words


class InfluxDbStore:
    """A Store in InfluxDB 1.x, 2.x or 3.x. Any thread may call any method; a write is stored when it returns."""

    def __init__(self, config: InfluxDbConfig) -> None:
        self._bucket: Final = config.bucket
        self._server: Final = InfluxServer(config)
        self._journal: Final = Journal(self._server, config.journal_bucket, config.writer_name)
        self._kpis: Final = KpiBucket(self._server, config.kpi_bucket)
        self._keep_ns: Final = config.keep_days * DAY_NS
        self._writing = threading.Lock()
        self._texted: set[str] | None = None

    # --- samples in ---

    def write(self, samples: Sequence[Sample]) -> None:
        """Raises RejectedError for what InfluxDB cannot or will never take, StoreError when it takes nothing now."""
        if not samples:
            return
        with self._writing:
            first = self._journal.begin() and not self._fields()
            if self._texted is None:
                fields = {field for held in self._fields().values() for field in held}
                self._texted = {
                    metric
                    for metric in metrics_of(fields)
                    if (metric + (NUMBER if is_word(metric) else TEXT)) in fields
                }
            reasons, spans = store_samples(self._server, self._bucket, samples, self._texted)
            if spans:
                self._journal.add(spans, first=first)
        if reasons:
            raise RejectedError(reasons)

    # --- samples out ---

    def read(self, asset: str, metric: str, window: Window) -> Series:
        start_ns, end_ns = max(window.start_ns, EARLIEST_NS), min(window.end_ns, LATEST_NS)
        word = is_word(metric)
        beside = [metric + QUALITY, metric + (NUMBER if word else TEXT)]
        try:
            series = f"FROM {name(measurement_of(metric))} WHERE {where(asset)}"
        except UnwritableError:
            return Series.empty()
        inside = f"{series} AND time >= {start_ns} AND time < {end_ns}"
        all_columns = ", ".join(map(name, (metric, *beside)))
        statements = []
        if holds(metric):
            statements.append(f"SELECT {all_columns} {series} AND time < {start_ns} ORDER BY time DESC LIMIT 1")
        if word:
            statements.append(f"SELECT {all_columns} {inside}")
        else:
            statements += [
                f"SELECT {name(beside[0])} {inside} AND {name(beside[0])} != 0",
                f"SELECT {name(beside[1])} {inside} AND {name(beside[1])} != ''",
            ]
        found = [[row for one in result for row in table(one)] for result in self._ask(statements)]
        before = found.pop(0) if holds(metric) else []
        if word:
            return _of_rows([*before, *found[0]], metric)
        times, values = self._server.ask_numbers(self._bucket, f"SELECT {name(metric)} {inside}")
        quality = _scattered(times, found[0], beside[0], np.zeros(len(times), np.int8))
        texts: npt.NDArray[np.object_] | Words = Words.none(len(times))
        if found[1]:
            texts = _scattered(times, found[1], beside[1], np.full(len(times), "", object))
        rest = Series(times, values, quality, texts)
        return Series.joined(_of_rows(before, metric), rest) if before else rest

    def samples(self, asset: str, metric: str, window: Window) -> list[Sample]:
        try:
            series = f"FROM {name(measurement_of(metric))} WHERE {where(asset)}"
        except UnwritableError:
            return []
        columns = ", ".join(name(metric + one) for one in ("", QUALITY, RECEIVED, NUMBER if is_word(metric) else TEXT))
        start_ns, end_ns = max(window.start_ns, EARLIEST_NS), min(window.end_ns, LATEST_NS)
        [found] = self._ask([f"SELECT {columns} {series} AND time >= {start_ns} AND time < {end_ns}"])
        rows = [row for one in found for row in table(one)]
        return [_sample(asset, metric, metric, row) for row in rows if row[metric] is not None]

    def latest(self, asset: str | None = None) -> list[Sample]:
        condition = "" if asset is None else f"WHERE {_condition(asset)}"
        statements, metrics = [], []
        for measurement, fields in self._fields().items():
            for metric in metrics_of(fields):
                beside = [one for one in (TEXT, NUMBER, QUALITY, RECEIVED) if metric + one in fields]
                columns = "".join(f", {name(metric + one)}" for one in beside)
                statements.append(
                    f"SELECT last({name(metric)}){columns} FROM {name(measurement)} {condition} GROUP BY {GROUPED}"  # noqa: S608  # names and literals are quoted by influxdb_schema
                )
                metrics.append(metric)
        found: list[Sample] = []
        for metric, result in zip(metrics, self._ask(statements), strict=True):
            for series in result:
                [row] = table(series)
                found.append(_sample(asset_of(series["tags"]), metric, "last", row))
        return sorted(found, key=lambda sample: (sample.asset, sample.metric))

    def next_time(self, asset: str, metric: str, after_ns: int) -> int | None:
        try:
            series = f"FROM {name(measurement_of(metric))} WHERE {where(asset)}"
        except UnwritableError:
            return None
        after = f"time > {max(after_ns, EARLIEST_NS - 1)} AND time <= {LATEST_NS}"
        [found] = self._ask([f"SELECT {name(metric)} {series} AND {after} ORDER BY time LIMIT 1"])
        return int(found[0]["values"][0][0]) if found else None

    def inventory(self) -> list[SeriesInfo]:
        """InfluxDB counts by reading all that it has: a second for some 10⁷ samples."""
        counted = self._aggregated("count", "first", "last")
        held = [
            SeriesInfo(asset, metric, int(count[1]), int(first[0]), int(last[0]))
            for (asset, metric), (count, first, last) in counted
        ]
        return sorted(held, key=lambda series: (series.asset, series.metric))

    # --- what changed ---

    def kept_since(self) -> int:
        return self._server.now_ns() - self._keep_ns if self._keep_ns else 0

    def changes(self, after: int) -> Changes:
        """After a cursor from before the journal's week: everything held, and not about to be dropped."""
        found = self._journal.since(after)
        if found is not None:
            return Changes(*found)
        newest = self._journal.newest()
        limit = self.kept_since()
        held = (
            Span(*key, max(limit, int(first[0])), int(last[0]))
            for key, (first, last) in self._aggregated("first", "last")
            if int(last[0]) >= limit
        )
        return Changes(newest, tuple(sorted(held, key=lambda span: (span.asset, span.metric))))

    # --- KPI values ---

    def write_kpis(self, values: Sequence[KpiValue], cursor: int) -> None:
        self._kpis.write(values, cursor)

    def cursor(self) -> int:
        return self._kpis.cursor()

    def read_kpis(self, asset: str, kpi: str, window: Window) -> list[KpiValue]:
        return self._kpis.read((asset,), (kpi,), window)[asset, kpi]

    def read_many_kpis(
        self, assets: Sequence[str], kpis: Sequence[str], window: Window
    ) -> dict[tuple[str, str], list[KpiValue]]:
        return self._kpis.read(assets, kpis, window)

    def close(self) -> None:
        self._server.close()

    # --- inside ---

    def _ask(self, statements: Sequence[str]) -> list[list[dict[str, Any]]]:
        return self._server.ask(self._bucket, statements) if statements else []

    def _fields(self) -> dict[str, set[str]]:
        """The fields of each of our measurements that is there."""
        asked = ", ".join(map(name, MEASUREMENTS))
        [found] = self._ask([f"SHOW FIELD KEYS FROM {asked}"])
        return {series["name"]: {field for field, _ in series["values"]} for series in found}

    def _aggregated(self, *functions: str) -> Iterator[tuple[tuple[str, str], list[list[Any]]]]:
        """Of every (asset, metric) the [time, figure] of each function."""
        metrics = [(measurement, one) for measurement, held in self._fields().items() for one in metrics_of(held)]
        results = iter(
            self._ask(
                [
                    f"SELECT {function}({name(metric)}) FROM {name(measurement)} GROUP BY {GROUPED}"  # noqa: S608  # names and literals are quoted by influxdb_schema
                    for measurement, metric in metrics
                    for function in functions
                ]
            )
        )
        for _, metric in metrics:
            by_asset: dict[str, list[list[Any]]] = {}
            for _ in functions:
                for series in next(results):
                    by_asset.setdefault(asset_of(series["tags"]), []).append(series["values"][0])
            for asset, figures in by_asset.items():
                if len(figures) == len(functions):  # less: the series began between two of the questions
                    yield (asset, metric), figures


def _condition(asset: str) -> str:
    try:
        return where(asset)
    except UnwritableError:
        return f'"asset" = {literal("")}'  # nothing has an empty one


def _sample(asset: str, metric: str, column: str, row: dict[str, Any]) -> Sample:
    own, quality, received = row[column], row.get(metric + QUALITY), row.get(metric + RECEIVED)
    if is_word(metric):
        value, text = row.get(metric + NUMBER) or 0.0, own
    else:
        value, text = own, row.get(metric + TEXT) or ""
    return Sample(row["time"], asset, metric, float(value), text, quality or 0, received or 0)


def _of_rows(rows: Sequence[dict[str, Any]], metric: str) -> Series:
    """Rows of JSON, for words and single values."""
    rows = [row for row in rows if row[metric] is not None]
    word = is_word(metric)
    number, text = (metric + NUMBER, metric) if word else (metric, metric + TEXT)
    texts: npt.NDArray[np.object_] = np.empty(len(rows), object)
    texts[:] = [row[text] or "" for row in rows]
    return Series(
        np.array([row["time"] for row in rows], np.int64),
        np.array([row[number] or 0.0 for row in rows], np.float64),
        np.array([row[metric + QUALITY] or 0 for row in rows], np.int8),
        texts,
    )


def _scattered(
    times: npt.NDArray[np.int64], rows: Sequence[dict[str, Any]], column: str, into: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """Put the few values that are not the usual one at their times."""
    for row in rows:
        place = int(np.searchsorted(times, row["time"]))
        if place < len(times) and times[place] == row["time"]:
            into[place] = row[column]
    return into

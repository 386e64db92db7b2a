"""The store in a file: samples appended to DuckDB and de-duplicated by the reader; no server needed.

Invariants:
- A row is never updated. Of rows with one identity, the one of the highest `write` is in force; inside one write
  there is one row per identity. So a redelivered write is harmless, and compaction may happen at any time or never.
- `write` numbers grow for ever, across restarts too: they are the cursor of `changes`.
- What is remembered in memory (`_known`) follows the file: it is changed after a commit, under the file's lock.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import time_ns
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.stores.columns import Columns, SeriesKey, merged, refusals
from pipeline.stores.duckdb_file import DuckDbFile
from pipeline.stores.duckdb_kpis import KpiTable
from pipeline.stores.duckdb_reading import series_in, time_before
from pipeline.stores.duckdb_retention import DAY_NS, EVERY_NS, forget
from telemetry.errors import RejectedError, StoreError
from telemetry.glossary import holds
from telemetry.samples import Changes, KpiValue, Sample, Series, SeriesInfo, Span, Window

COMPACT_ROWS: Final = 1_000_000
"""So many rows in `recent` start a compaction: about a second of work, during which writers wait."""

_ENDS: Final = np.iinfo(np.int64)


@dataclass(slots=True)
class _Known:
    """What is remembered of one series. `samples` is None when a write may have replaced something: count again.
    `rows` counts what was written over and over, too."""

    id: int
    first_ns: int
    latest: Sample
    samples: int | None
    rows: int

    def about(self, start_ns: int, end_ns: int) -> float:
        """How many samples lie in [start_ns, end_ns), were they spread evenly."""
        whole_ns = self.latest.time_ns - self.first_ns + 1
        inside_ns = min(end_ns, self.latest.time_ns + 1) - max(start_ns, self.first_ns)
        return self.rows * max(inside_ns, 1) / whole_ns


class DuckDbStore:
    """A Store in one DuckDB file. Any thread may call any method; a write is on disk when it returns."""

    def __init__(
        self,
        path: Path,
        *,
        memory_mb: int = 1024,
        threads: int = 2,
        compact_rows: int = COMPACT_ROWS,
        keep_days: int = 0,
        now_ns: Callable[[], int] = time_ns,
    ) -> None:
        self._file: Final = DuckDbFile(path, memory_mb, threads)
        self._compact_rows: Final = compact_rows
        self._keep_ns: Final = keep_days * DAY_NS
        self._now_ns: Final = now_ns
        self._looked_ns = 0  # when samples that are too old were last looked for
        try:
            self._recover()
        except BaseException:
            self._file.close()
            raise

    def _recover(self) -> None:
        """Learn from the file what is kept in memory."""
        with self._file.lock, self._file.reading() as db:
            self._opening = self._file.openings
            self._kpis = KpiTable(db)
            self._cursor: int
            self._forgotten: int | None
            [(self._cursor, self._pruned, counted, self._forgotten)] = db.execute(
                "SELECT cursor, pruned, counted, forgotten FROM house"
            ).fetchall()
            [(last,)] = db.execute("SELECT max(write) FROM changes").fetchall()
            self._write = max(self._pruned, last or 0)
            [(self._recent_rows,)] = db.execute("SELECT count(*) FROM recent").fetchall()
            found = db.execute(
                "SELECT asset, metric, id, any_value(series.samples), min(time_ns), max(time_ns), count(*) "
                "FROM series JOIN samples ON series = id GROUP BY asset, metric, id ORDER BY id"
            ).fetchall()
            known: dict[SeriesKey, _Known] = {}
            for asset, metric, number, samples, first_ns, last_ns, rows in found:
                [newest] = db.execute(
                    "SELECT value, coalesce(text, ''), quality, received_ns FROM samples "
                    "WHERE series = ? AND time_ns = ? ORDER BY write DESC LIMIT 1",
                    [number, last_ns],
                ).fetchall()
                count = samples if counted == self._write else None
                known[asset, metric] = _Known(number, first_ns, Sample(last_ns, asset, metric, *newest), count, rows)
            self._known = known

    # --- samples in ---

    def write(self, samples: Sequence[Sample]) -> None:
        """Raises RejectedError for values that are not finite, times beyond 64 bits, text that is not Unicode."""
        reasons: dict[int, str] = {}
        columns = Columns.of(samples)
        if columns is None:
            reasons = refusals(samples)
            samples = [sample for index, sample in enumerate(samples) if index not in reasons]
            columns = Columns.of(samples)
            assert columns is not None
        if len(columns):
            with self._file.lock:
                self._follow()
                self._append(columns, samples)
                if self._recent_rows >= self._compact_rows:
                    with suppress(StoreError):  # the samples are safe; the next write tries to compact again
                        self.compact()
                with suppress(StoreError):  # as above
                    self._forget_old()
        if reasons:
            raise RejectedError(reasons)

    def _follow(self) -> None:
        """Learn anew after a fault that left a commit in doubt."""
        if self._opening != self._file.openings:
            self._recover()

    def _append(self, columns: Columns, samples: Sequence[Sample]) -> None:
        write = self._write + 1
        new = [key for key in columns.keys if key not in self._known]
        fresh = {key: number for number, key in enumerate(new, len(self._known))}
        ids = [fresh[key] if key in fresh else self._known[key].id for key in columns.keys]
        series = np.array(ids, np.int32)[columns.series]
        spans = np.array(columns.spans())
        rows: dict[str, npt.NDArray[Any]] = {
            "series": series,
            "time_ns": columns.times_ns,
            "value": columns.values,
            "quality": columns.quality,
            "received_ns": columns.received_ns,
        }
        touched = {
            "series": series[spans[:, 0]],
            "first_ns": columns.times_ns[spans[:, 0]],
            "last_ns": columns.times_ns[spans[:, 1] - 1],
        }
        text = "NULL"
        if columns.texts is not None:
            rows["text"], text = columns.texts, "nullif(text, '')"
        with self._file.writing() as db:
            db.register("rows", rows)
            db.register("touched", touched)
            if fresh:
                db.executemany("INSERT INTO series VALUES (?, ?, ?, NULL)", [[fresh[key], *key] for key in new])
            db.execute(
                f"INSERT INTO recent SELECT {write}, series, time_ns, value, quality, received_ns, {text} FROM rows"  # noqa: S608  # a number and one of two constants
            )
            db.execute(f"INSERT INTO changes SELECT {write}, series, first_ns, last_ns FROM touched")  # noqa: S608  # a number
        self._write = write
        self._recent_rows += len(columns)
        self._remember(columns, samples, ids)

    def _remember(self, columns: Columns, samples: Sequence[Sample], ids: list[int]) -> None:
        for start, end in columns.runs():
            key_index = int(columns.series[start])
            key = columns.keys[key_index]
            first_ns = int(columns.times_ns[start])
            newest = samples[int(columns.source[end - 1])]
            known = self._known.get(key)
            if known is None:
                self._known[key] = _Known(ids[key_index], first_ns, newest, end - start, end - start)
                continue
            known.rows += end - start
            if known.samples is not None:
                # Only what comes after all the others is surely new; anything else may replace, so count again.
                known.samples = known.samples + end - start if first_ns > known.latest.time_ns else None
            known.first_ns = min(known.first_ns, first_ns)
            if newest.time_ns >= known.latest.time_ns:
                known.latest = newest

    def _forget_old(self) -> None:
        now = self._now_ns()
        if self._keep_ns and now - self._looked_ns >= EVERY_NS:
            holding = [known.id for (_, metric), known in self._known.items() if holds(metric)]
            with self._file.writing() as db:
                forget(db, now - self._keep_ns, holding)
                db.execute("UPDATE house SET counted = -1")  # the numbers of samples are to be counted anew
            self._looked_ns = now
            self._recover()

    def compact(self) -> None:
        """Move `recent` into `history`, sorted by series and time, what is replaced left out of both.

        So `history` has one row per identity, however often the same was written, and the file does not grow by it.
        """
        with self._file.lock:
            with self._file.writing() as db:
                # Both columns are sorted in long stretches, so that only what overlaps in time is looked at.
                db.execute(
                    "DELETE FROM history USING recent WHERE history.series = recent.series "
                    "AND history.time_ns = recent.time_ns"
                )
                db.execute(
                    "INSERT INTO history SELECT * FROM recent "
                    "QUALIFY row_number() OVER (PARTITION BY series, time_ns ORDER BY write DESC) = 1 "
                    "ORDER BY series, time_ns"
                )
                db.execute("DELETE FROM recent")
            self._recent_rows = 0

    # --- samples out ---

    def read(self, asset: str, metric: str, window: Window) -> Series:
        known = self._known.get((asset, metric))
        if known is None:
            return Series.empty()
        start_ns, end_ns = (min(max(limit, _ENDS.min), _ENDS.max) for limit in (window.start_ns, window.end_ns))
        with self._file.reading() as db:
            if holds(metric) and known.first_ns < start_ns:
                start_ns = time_before(db, known.id, start_ns)
            return series_in(db, known.id, start_ns, end_ns, known.about(start_ns, end_ns))

    def samples(self, asset: str, metric: str, window: Window) -> list[Sample]:
        known = self._known.get((asset, metric))
        if known is None:
            return []
        start_ns, end_ns = (min(max(limit, _ENDS.min), _ENDS.max) for limit in (window.start_ns, window.end_ns))
        with self._file.reading() as db:
            found = db.execute(
                "SELECT time_ns, value, coalesce(text, ''), quality, received_ns FROM samples "
                "WHERE series = ? AND time_ns >= ? AND time_ns < ? "
                "QUALIFY row_number() OVER (PARTITION BY time_ns ORDER BY write DESC) = 1 ORDER BY time_ns",
                [known.id, start_ns, end_ns],
            ).fetchall()
        return [Sample(time_ns, asset, metric, *rest) for time_ns, *rest in found]

    def latest(self, asset: str | None = None) -> list[Sample]:
        newest = [known.latest for (path, _), known in list(self._known.items()) if asset is None or path == asset]
        return sorted(newest, key=lambda sample: (sample.asset, sample.metric))

    def next_time(self, asset: str, metric: str, after_ns: int) -> int | None:
        known = self._known.get((asset, metric))
        if known is None or known.latest.time_ns <= after_ns:
            return None
        if after_ns < known.first_ns:
            return known.first_ns
        with self._file.reading() as db:
            # Not min(time_ns): ordered with a limit, DuckDB skips the row groups that cannot matter.
            following: tuple[int] | None = db.execute(
                "SELECT time_ns FROM samples WHERE series = ? AND time_ns > ? ORDER BY time_ns LIMIT 1",
                [known.id, after_ns],
            ).fetchone()
        return following[0] if following else None

    def inventory(self) -> list[SeriesInfo]:
        """Counts what late or repeated samples touched since the last call: up to seconds for 10⁷ of them."""
        with self._file.lock:
            unsure = {known.id: known for known in self._known.values() if known.samples is None}
            if unsure:
                with self._file.reading() as db:
                    counted = db.execute(
                        "SELECT series, count(DISTINCT time_ns) FROM samples WHERE list_contains(?, series) GROUP BY 1",
                        [list(unsure)],
                    ).fetchall()
                for number, samples in counted:
                    unsure[number].samples = samples
            return [
                SeriesInfo(asset, metric, known.samples or 0, known.first_ns, known.latest.time_ns)
                for (asset, metric), known in sorted(self._known.items())
            ]

    # --- what changed ---

    def kept_since(self) -> int:
        return self._forgotten or 0

    def changes(self, after: int) -> Changes:
        """After a cursor whose records are pruned already (or one of another store): everything held."""
        with self._file.lock:
            if after < self._pruned or after > self._write:
                # Windows from before the retention were computed when their samples were there: they stay as they are.
                held = (
                    Span(*key, max(known.first_ns, self._forgotten or known.first_ns), known.latest.time_ns)
                    for key, known in self._known.items()
                    if known.latest.time_ns >= (self._forgotten or known.first_ns)
                )
                return Changes(self._write, tuple(sorted(held, key=lambda span: (span.asset, span.metric))))
            keys = {known.id: key for key, known in self._known.items()}
            with self._file.reading() as db:
                found = db.execute("SELECT series, first_ns, last_ns FROM changes WHERE write > ?", [after]).fetchall()
            return Changes(self._write, merged(Span(*keys[number], first, last) for number, first, last in found))

    # --- KPI values ---

    def write_kpis(self, values: Sequence[KpiValue], cursor: int) -> None:
        with self._file.lock:
            self._follow()
            pruned = max(self._pruned, min(cursor, self._write))
            with self._file.writing() as db:
                fresh = self._kpis.replace(db, values)
                db.execute("UPDATE house SET cursor = ?, pruned = ?", [cursor, pruned])
                if pruned > self._pruned:
                    db.execute("DELETE FROM changes WHERE write <= ?", [pruned])
            self._kpis.ids.update(fresh)
            self._cursor, self._pruned = cursor, pruned

    def cursor(self) -> int:
        return self._cursor

    def read_kpis(self, asset: str, kpi: str, window: Window) -> list[KpiValue]:
        return self.read_many_kpis((asset,), (kpi,), window)[asset, kpi]

    def read_many_kpis(
        self, assets: Sequence[str], kpis: Sequence[str], window: Window
    ) -> dict[tuple[str, str], list[KpiValue]]:
        with self._file.reading() as db:
            return self._kpis.read(db, assets, kpis, window)

    def close(self) -> None:
        with self._file.lock:
            if self._file.closed:
                return
            with suppress(StoreError):  # the counts only save a count at the next start
                self._keep_counts()
            self._file.close()

    def _keep_counts(self) -> None:
        counts = [[known.samples, known.id] for known in self._known.values()]
        with self._file.writing() as db:
            if counts:
                db.executemany("UPDATE series SET samples = ? WHERE id = ?", counts)
            db.execute("UPDATE house SET counted = ?", [self._write])

"""The KPI values of a DuckDB store: one row per identity, replaced by deleting and inserting in one transaction.

No index: a window that is open is replaced every second, and deleting by a narrow range of `start_ns` costs less than
keeping a primary key up to date.
"""

from collections.abc import Sequence
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt

from pipeline.stores.lengths import LONGEST_NS
from telemetry.samples import KpiValue, Window

_SELECTED: Final = (
    "SELECT series, start_ns, end_ns, value, numerator, denominator, coverage, samples, final, detail "
    "FROM kpis WHERE series"
)
_OVERLAP: Final = "start_ns < ? AND greatest(end_ns, start_ns + 1) > ?"

_FEW_STARTS: Final = 4
_FEW_ROWS: Final = 500
"""More than so many are deleted faster by a join."""

KpiKey = tuple[str, str, str]
"""(asset, kpi, kind)."""


class KpiTable:
    """Reads and writes the tables `kpis` and `kpi_series`. `ids` holds the committed series only."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        found = db.execute("SELECT asset, kpi, kind, id FROM kpi_series").fetchall()
        self.ids: dict[KpiKey, int] = {(asset, kpi, kind): number for asset, kpi, kind, number in found}

    def replace(self, db: duckdb.DuckDBPyConnection, values: Sequence[KpiValue]) -> dict[KpiKey, int]:
        """Write the values inside the caller's transaction; returns the new series, to add to `ids` once committed."""
        rows = list({(v.asset, v.kpi, v.kind, v.start_ns): v for v in values}.values())
        if not rows:
            return {}
        new = dict.fromkeys(key for v in rows if (key := (v.asset, v.kpi, v.kind)) not in self.ids)
        fresh = {key: number for number, key in enumerate(new, len(self.ids))}
        if fresh:
            db.executemany(
                "INSERT INTO kpi_series VALUES (?, ?, ?, ?)", [[number, *key] for key, number in fresh.items()]
            )
        ids = self.ids | fresh
        starts = np.array([v.start_ns for v in rows], np.int64)
        given: dict[str, npt.NDArray[Any]] = {
            "series": np.array([ids[v.asset, v.kpi, v.kind] for v in rows], np.int32),
            "start_ns": starts,
            "end_ns": np.array([v.end_ns for v in rows], np.int64),
            "value": np.array([v.value for v in rows], np.float64),
            "numerator": np.array([v.numerator for v in rows], np.float64),
            "denominator": np.array([v.denominator for v in rows], np.float64),
            "coverage": np.array([v.coverage for v in rows], np.float64),
            "samples": np.array([v.samples for v in rows], np.int64),
            "final": np.array([v.final for v in rows], np.bool_),
            "detail": np.array([v.detail for v in rows], object),
        }
        db.register("given", given)
        self._delete(db, given["series"], starts)
        # DuckDB reads a NaN of a numpy column as NULL.
        db.execute(
            "INSERT INTO kpis SELECT series, start_ns, end_ns, coalesce(value, 'nan'), coalesce(numerator, 'nan'), "
            "coalesce(denominator, 'nan'), coalesce(coverage, 'nan'), samples, final, detail FROM given"
        )
        return fresh

    @staticmethod
    def _delete(db: duckdb.DuckDBPyConnection, series: npt.NDArray[Any], starts: npt.NDArray[Any]) -> None:
        """Delete what `given` replaces. A join reads all of a history that is as old as the newest of it; where few
        windows begin, as in a live step, DuckDB skips the blocks without them."""
        distinct = np.unique(starts)
        if len(distinct) > _FEW_STARTS or len(starts) > _FEW_ROWS:
            db.execute(
                "DELETE FROM kpis USING given WHERE kpis.series = given.series AND kpis.start_ns = given.start_ns "
                "AND kpis.start_ns BETWEEN ? AND ?",
                [int(starts.min()), int(starts.max())],
            )
            return
        for start_ns in distinct.tolist():
            numbers = ", ".join(map(str, series[starts == start_ns].tolist()))
            db.execute(f"DELETE FROM kpis WHERE start_ns = ? AND series IN ({numbers})", [start_ns])  # noqa: S608  # numbers

    def read(
        self, db: duckdb.DuckDBPyConnection, assets: Sequence[str], kpis: Sequence[str], window: Window
    ) -> dict[tuple[str, str], list[KpiValue]]:
        """Of each pair of an asset and a KPI the values whose windows overlap `window`, in time order."""
        values: dict[tuple[str, str], list[KpiValue]] = {(asset, kpi): [] for asset in assets for kpi in kpis}
        keys = {
            number: key
            for key, number in list(self.ids.items())
            if key[:2] in values and window.kind in ("interval", key[2])
        }
        if not keys:
            return values
        # DuckDB skips the blocks whose values all began before anything asked for can have begun.
        longest_ns = max(LONGEST_NS.get(kind, 2**62) for _, _, kind in keys.values())
        statement = f"{_SELECTED} IN ({', '.join(map(str, keys))}) AND start_ns >= ? AND {_OVERLAP}"
        earliest_ns = max(window.start_ns - longest_ns, -(2**63))
        found = db.execute(statement, [earliest_ns, window.end_ns, window.start_ns]).fetchall()
        for number, *rest in found:
            asset, kpi, kind = keys[number]
            values[asset, kpi].append(KpiValue(asset, kpi, kind, *rest))
        for chosen in values.values():
            chosen.sort(key=lambda value: (value.start_ns, value.end_ns, value.kind))
        return values

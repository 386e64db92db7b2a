"""Dropping what is older than the plant wants to keep.

Of a metric that holds, the last sample before the limit stays: it is what is in force at the limit, maybe for years.
KPI values stay: a year of them is smaller than a day of samples, and they cannot be computed again.
"""

from collections.abc import Sequence
from typing import Final

import duckdb

from telemetry.samples import SECOND_NS

DAY_NS: Final = 24 * 3600 * SECOND_NS

EVERY_NS: Final = 3600 * SECOND_NS
"""How often old samples are looked for [ns]."""


def forget(db: duckdb.DuckDBPyConnection, before_ns: int, holding: Sequence[int]) -> None:
    """Drop samples before `before_ns`, inside the caller's transaction; `holding` are the series that hold."""
    db.execute(
        "CREATE TEMP TABLE in_force AS SELECT series, max(time_ns) AS time_ns FROM samples "
        "WHERE time_ns < ? AND list_contains(?, series) GROUP BY series",
        [before_ns, list(holding)],
    )
    for table in ("history", "recent"):
        kept = "(series, time_ns) IN (SELECT series, time_ns FROM in_force)"
        db.execute(f"DELETE FROM {table} WHERE time_ns < ? AND NOT {kept}", [before_ns])  # noqa: S608  # one of two names
    db.execute("DROP TABLE in_force")
    db.execute("UPDATE house SET forgotten = greatest(coalesce(forgotten, ?), ?)", [before_ns, before_ns])

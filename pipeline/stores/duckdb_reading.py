"""A series out of a DuckDB file, as arrays: of rows with one identity the one written last.

Most often nothing came late or twice, and rows are without words: what is more than numbers is read where it is.
"""

from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt

from telemetry.samples import Series

_INSIDE: Final = "FROM samples WHERE series = ? AND time_ns >= ? AND time_ns < ?"


def series_in(db: duckdb.DuckDBPyConnection, number: int, start_ns: int, end_ns: int) -> Series:
    """The rows of a series in [start_ns, end_ns); `db` must give one snapshot throughout."""
    asked = [number, start_ns, end_ns]
    # Most rows have no words, and strings are slow to fetch; but each question costs 2 ms, however small.
    found = db.execute(
        f"SELECT time_ns, value, quality, coalesce(text <> '', false) AS worded {_INSIDE}", asked
    ).fetchnumpy()
    times = np.asarray(found["time_ns"])
    if not (times[1:] > times[:-1]).all():
        whole = f"SELECT time_ns, value, quality, coalesce(text, '') AS text, write {_INSIDE}"
        return _in_force(db.execute(whole, asked).fetchnumpy())
    texts: npt.NDArray[np.object_] = np.full(len(times), "", object)
    if np.asarray(found["worded"]).any():
        words = db.execute(f"SELECT time_ns, text {_INSIDE} AND text <> ''", asked).fetchnumpy()
        texts[np.searchsorted(times, words["time_ns"])] = words["text"]
    return Series(times, np.asarray(found["value"]), np.asarray(found["quality"], np.int8), texts)


def time_before(db: duckdb.DuckDBPyConnection, number: int, start_ns: int) -> int:
    """The time [ns] of the last row strictly before an instant; the instant itself when there is none."""
    last = "SELECT max(time_ns) FROM samples WHERE series = ? AND time_ns < ?"
    [(last_ns,)] = db.execute(last, [number, start_ns]).fetchall()
    return start_ns if last_ns is None else int(last_ns)


def _in_force(found: dict[str, npt.NDArray[Any]]) -> Series:
    """Rows as DuckDB gives them; in time order, of each time the one written last."""
    times, writes = np.asarray(found["time_ns"]), np.asarray(found["write"])
    columns = np.asarray(found["value"]), np.asarray(found["quality"]), np.asarray(found["text"], object)
    order = np.lexsort((writes, times))
    times = times[order]
    last = np.ones(len(times), bool)
    last[:-1] = times[1:] != times[:-1]
    kept = order[last]
    return Series(times[last], *(column[kept] for column in columns))

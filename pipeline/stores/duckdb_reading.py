"""A series out of a DuckDB file, as arrays: of rows with one identity the one written last.

Nearly all rows are good and without words, and most often nothing came late or twice. So times and values alone are
read first; what else there is, DuckDB finds by the least and greatest value that it keeps of each block.
"""

from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt

from telemetry.samples import Series

_INSIDE: Final = "FROM samples WHERE series = ? AND time_ns >= ? AND time_ns < ?"
_WHOLE: Final = "SELECT time_ns, value, quality, coalesce(text, '') AS text, write FROM samples WHERE series = ?"


def series_in(db: duckdb.DuckDBPyConnection, number: int, start_ns: int, end_ns: int) -> Series:
    """The rows of a series in [start_ns, end_ns); `db` must give one snapshot throughout."""
    asked = [number, start_ns, end_ns]
    found = db.execute(f"SELECT time_ns, value {_INSIDE}", asked).fetchnumpy()
    times, values = np.asarray(found["time_ns"]), np.asarray(found["value"])
    if not (times[1:] > times[:-1]).all():
        return _in_force(db.execute(f"{_WHOLE} AND time_ns >= ? AND time_ns < ?", asked).fetchnumpy())
    quality = np.zeros(len(times), np.int8)
    texts: npt.NDArray[np.object_] = np.full(len(times), "", object)
    for column, usual, into in (("quality", "<> 0", quality), ("text", "IS NOT NULL", texts)):
        other = db.execute(f"SELECT time_ns, {column} {_INSIDE} AND {column} {usual}", asked).fetchnumpy()
        if len(other["time_ns"]):
            into[np.searchsorted(times, other["time_ns"])] = other[column]
    return Series(times, values, quality, texts)


def series_before(db: duckdb.DuckDBPyConnection, number: int, start_ns: int) -> Series:
    """The last row strictly before an instant, or none."""
    last = f"{_WHOLE} AND time_ns < ? ORDER BY time_ns DESC, write DESC LIMIT 1"
    return _in_force(db.execute(last, [number, start_ns]).fetchnumpy())


def joined(before: Series, after: Series) -> Series:
    if not len(before):
        return after
    return Series(
        np.concatenate((before.times_ns, after.times_ns)),
        np.concatenate((before.values, after.values)),
        np.concatenate((before.quality, after.quality)),
        np.concatenate((before.texts, after.texts)),
    )


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

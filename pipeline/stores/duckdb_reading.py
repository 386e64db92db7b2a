"""A series out of a DuckDB file, as arrays: of rows with one identity the one written last.

Most often nothing came late or twice, and rows are good and without words: what is more than numbers is read where it
is. A question costs 2 ms, however small, so few rows are read with one. Of many rows DuckDB finds the odd ones by the
least and greatest value that it keeps of each block, and hands the others over as Arrow: a third of what making numpy
arrays costs it.
"""

from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt

from telemetry.samples import Series
from telemetry.words import Words

MANY_ROWS: Final = 100_000
LATELY_NS: Final = 6 * 3600 * 10**9
_EARLIEST_NS: Final = -(2**63)

_INSIDE: Final = "FROM samples WHERE series = ? AND time_ns >= ? AND time_ns < ?"
_NUMBERS: Final = f"SELECT time_ns, value {_INSIDE}"

_Times = npt.NDArray[np.int64]
_Values = npt.NDArray[np.float64]
_Quality = npt.NDArray[np.int8]


def series_in(db: duckdb.DuckDBPyConnection, number: int, start_ns: int, end_ns: int, about: float) -> Series:
    """The rows of a series in [start_ns, end_ns), which are `about` so many; `db` must give one snapshot throughout."""
    asked = [number, start_ns, end_ns]
    times, values, quality, worded = (_many if about >= MANY_ROWS else _few)(db, asked)
    if not _ascending(times):
        whole = f"SELECT time_ns, value, quality, coalesce(text, '') AS text, write {_INSIDE}"
        return _in_force(db.execute(whole, asked).fetchnumpy())
    if not worded:
        return Series(times, values, quality, Words.none(len(times)))
    words = db.execute(f"SELECT time_ns, text {_INSIDE} AND text <> ''", asked).fetchnumpy()
    texts: npt.NDArray[np.object_] = np.full(len(times), "", object)
    texts[np.searchsorted(times, words["time_ns"])] = words["text"]
    return Series(times, values, quality, texts)


def _few(db: duckdb.DuckDBPyConnection, asked: list[int]) -> tuple[_Times, _Values, _Quality, bool]:
    """Times, values, quality, and whether there are words."""
    found = db.execute(
        f"SELECT time_ns, value, quality, coalesce(text <> '', false) AS worded {_INSIDE}", asked
    ).fetchnumpy()
    worded = bool(np.asarray(found["worded"]).any())
    return np.asarray(found["time_ns"]), np.asarray(found["value"]), np.asarray(found["quality"], np.int8), worded


def _many(db: duckdb.DuckDBPyConnection, asked: list[int]) -> tuple[_Times, _Values, _Quality, bool]:
    from nanoarrow.c_array_stream import c_array_stream  # here: importing it costs as much as many questions

    parts_of_times, parts_of_values = [np.empty(0, np.int64)], [np.empty(0)]
    with c_array_stream(db.sql(_NUMBERS, params=asked)) as stream:
        for batch in stream:
            parts_of_times.append(_view(batch.child(0), np.int64))
            parts_of_values.append(_view(batch.child(1), np.float64))
    times, values = np.concatenate(parts_of_times), np.concatenate(parts_of_values)
    quality = np.zeros(len(times), np.int8)
    if not _ascending(times):
        return times, values, quality, False  # all is read anew
    odd = db.execute(f"SELECT time_ns, quality {_INSIDE} AND quality <> 0", asked).fetchnumpy()
    if len(odd["time_ns"]):
        quality[np.searchsorted(times, odd["time_ns"])] = odd["quality"]
    worded = db.execute(f"SELECT 1 {_INSIDE} AND text IS NOT NULL LIMIT 1", asked).fetchone() is not None
    return times, values, quality, worded


def _ascending(times: _Times) -> bool:
    return bool((times[1:] > times[:-1]).all())


def _view(column: Any, kind: type) -> npt.NDArray[Any]:
    """It lives as long as the batch. Buffer 0 would tell which rows are valid: all are."""
    rows: npt.NDArray[Any] = np.frombuffer(column.view().buffer(1), kind)
    return rows[column.offset : column.offset + column.length]


def time_before(db: duckdb.DuckDBPyConnection, number: int, start_ns: int) -> int:
    """The time [ns] of the last row strictly before an instant; the instant itself when there is none."""
    for earliest_ns in (start_ns - LATELY_NS, _EARLIEST_NS):  # most often it is not far, and few blocks are looked at
        last = "SELECT max(time_ns) FROM samples WHERE series = ? AND time_ns >= ? AND time_ns < ?"
        [(last_ns,)] = db.execute(last, [number, max(earliest_ns, _EARLIEST_NS), start_ns]).fetchall()
        if last_ns is not None:
            return int(last_ns)
    return start_ns


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

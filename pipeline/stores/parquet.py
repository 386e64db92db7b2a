"""Samples and KPI values as Parquet files, which pandas, polars, DuckDB and Excel's Power Query read.

`samples.parquet`: asset, metric, time (UTC), time_ns, value, text, quality, received_ns. `kpis.parquet`: as KpiValue.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np

from telemetry.errors import ConfigError, StoreError
from telemetry.samples import KpiValue, Sample

SAMPLES: Final = "samples.parquet"
KPIS: Final = "kpis.parquet"

_SAMPLE: Final = {"time_ns": "BIGINT", "asset": "VARCHAR", "metric": "VARCHAR", "value": "DOUBLE", "text": "VARCHAR",
                  "quality": "TINYINT", "received_ns": "BIGINT"}  # fmt: skip
_KPI: Final = {"asset": "VARCHAR", "kpi": "VARCHAR", "kind": "VARCHAR", "start_ns": "BIGINT", "end_ns": "BIGINT",
               "value": "DOUBLE", "numerator": "DOUBLE", "denominator": "DOUBLE", "coverage": "DOUBLE",
               "samples": "BIGINT", "final": "BOOLEAN", "detail": "VARCHAR"}  # fmt: skip
_LATER: Final = {"detail": "''"}
"""Columns that files of before do not have, and what stands for them."""

_ROWS: Final = 50_000


def write_samples(folder: Path, chunks: Iterable[list[Sample]]) -> int:
    """Raises StoreError when the folder cannot be written."""
    return _write(folder / SAMPLES, _SAMPLE, chunks, "make_timestamp_ns(time_ns) AS time")


def write_kpis(folder: Path, chunks: Iterable[list[KpiValue]]) -> int:
    """Raises StoreError when the folder cannot be written."""
    return _write(folder / KPIS, _KPI, chunks, "make_timestamp_ns(start_ns) AS start")


def read_samples(folder: Path) -> Iterator[list[Sample]]:
    """Raises ConfigError when there is no such file, or one of something else."""
    return (list(map(_sample, rows)) for rows in _read(folder / SAMPLES, _SAMPLE))


def read_kpis(folder: Path) -> Iterator[list[KpiValue]]:
    """As `read_samples`."""
    return ([KpiValue(*row) for row in rows] for rows in _read(folder / KPIS, _KPI))


def rows_in(path: Path) -> int:
    """How many rows a file has. Raises ConfigError."""
    with duckdb.connect() as db:
        try:
            [(count,)] = db.execute("SELECT count(*) FROM read_parquet(?)", [str(path)]).fetchall()
        except duckdb.Error as error:
            raise ConfigError(f"{path} is no Parquet file of KM0 Telemetry: {_sentence(error)}") from error
        return int(count)


def _sample(row: tuple[Any, ...]) -> Sample:
    return Sample(*row)


def _write(path: Path, columns: dict[str, str], chunks: Iterable[list[Any]], readable: str) -> int:
    """Into a database beside the target first, so that memory stays bounded and a crash leaves no half file."""
    count = 0
    work, part = path.with_suffix(".work.duckdb"), path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        work.unlink(missing_ok=True)
        with duckdb.connect(str(work)) as db:
            db.execute(f"CREATE TABLE rows ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
            for chunk in chunks:
                given = {name: _column([getattr(row, name) for row in chunk], columns[name]) for name in columns}
                db.register("given", given)
                # DuckDB reads a NaN of a numpy column as NULL
                selected = (f"coalesce({n}, 'nan')" if kind == "DOUBLE" else n for n, kind in columns.items())
                db.execute(f"INSERT INTO rows SELECT {', '.join(selected)} FROM given")  # noqa: S608  # names of this module
                count += len(chunk)
            target = str(part).replace("'", "''")
            db.execute(f"COPY (SELECT *, {readable} FROM rows) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")  # noqa: S608  # a quoted path
        part.replace(path)
    except (duckdb.Error, OSError) as error:
        raise StoreError(f"{path} cannot be written: {_sentence(error)}") from error
    finally:
        for leftover in (work, Path(f"{work}.wal"), part):
            leftover.unlink(missing_ok=True)
    return count


def _column(values: list[Any], kind: str) -> np.ndarray[Any, Any]:
    if kind == "VARCHAR":
        column = np.empty(len(values), object)
        column[:] = values
        return column
    return np.array(values, {"BIGINT": np.int64, "TINYINT": np.int8, "DOUBLE": np.float64, "BOOLEAN": np.bool_}[kind])


def _read(path: Path, columns: dict[str, str]) -> Iterator[list[tuple[Any, ...]]]:
    rows_in(path)
    with duckdb.connect() as db:
        try:
            described = db.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
            held = {name for name, *_ in described}
            chosen = ", ".join(_LATER[name] if name in _LATER and name not in held else name for name in columns)
            found = db.execute(f"SELECT {chosen} FROM read_parquet(?)", [str(path)])  # noqa: S608  # names of this module
            while rows := found.fetchmany(_ROWS):
                yield rows
        except duckdb.Error as error:
            raise ConfigError(f"{path} is no Parquet file of KM0 Telemetry: {_sentence(error)}") from error


def _sentence(error: Exception) -> str:
    return str(error).partition("\n")[0].strip()

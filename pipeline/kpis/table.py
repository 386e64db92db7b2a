"""Tables of events as people have them: CSV of any kind, XLSX, Parquet; every cell as text, times as nanoseconds."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from telemetry.errors import ConfigError, DecodeError

if TYPE_CHECKING:
    import polars as pl

Times = npt.NDArray[np.int64]
Words = npt.NDArray[Any]

_LOCAL_FORMATS: Final = (
    "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d", "%d/%m/%YT%H:%M:%S%.f", "%d/%m/%YT%H:%M", "%d.%m.%YT%H:%M:%S",
    "%d.%m.%YT%H:%M",
)  # fmt: skip
_OFFSET: Final = r"(Z|z|[+-]\d\d:?\d\d)$"
_UNITS: Final = ((10**17, 1), (10**14, 1_000), (10**11, 1_000_000), (10**8, 1_000_000_000))


@dataclass(frozen=True)
class Rows:
    """The rows of a table: their instants [ns], and any column as text, "" where a cell is empty."""

    times_ns: Times
    frame: "pl.DataFrame"
    notes: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        return self.frame.columns

    def texts(self, column: str) -> Words:
        """A column as text. Raises DecodeError when there is none of that name."""
        import polars as pl

        if column not in self.frame.columns:
            raise DecodeError(f"there is no column {column!r}; there are {', '.join(self.frame.columns)}")
        cells = self.frame[column].cast(pl.String).fill_null("").str.strip_chars()
        found: Words = cells.to_numpy()
        return found


def read(path: Path, time: str, time_format: str | None, zone: str | None) -> Rows:
    """The table with its times. Raises DecodeError, and ConfigError when the reader is not installed."""
    try:
        import polars as pl
    except ImportError as error:
        raise ConfigError("tables need the extra `files`: pip install 'km0-telemetry[files]'") from error
    try:
        frame = _frame(path)
    except (pl.exceptions.PolarsError, ValueError, OSError, RuntimeError) as error:
        raise DecodeError(f"{path}: cannot be read as a table: {error}") from error
    if time not in frame.columns:
        raise DecodeError(f"{path}: there is no column {time!r} for the time; there are {', '.join(frame.columns)}")
    frame = frame.filter(pl.col(time).is_not_null())
    times, notes = _times(frame[time], time_format, zone)
    return Rows(times, frame, notes)


def _frame(path: Path) -> "pl.DataFrame":
    import polars as pl

    ending = path.suffix.lower()
    if ending == ".parquet":
        return pl.read_parquet(path)
    if ending == ".xlsx":
        import fastexcel

        try:
            return pl.read_excel(path, engine="calamine")
        except fastexcel.FastExcelError as error:
            raise ValueError(str(error).partition("\n")[0]) from error
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")  # what Excel writes in Western Europe
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    frame = pl.read_csv(text.encode(), separator=separator, infer_schema=False, truncate_ragged_lines=True)
    return frame.rename({name: name.strip() for name in frame.columns})


def _times(column: "pl.Series", time_format: str | None, zone: str | None) -> tuple[Times, tuple[str, ...]]:
    import polars as pl

    if column.dtype == pl.Datetime or column.dtype == pl.Date:
        moments = column.cast(pl.Datetime("ns", getattr(column.dtype, "time_zone", None)))
        return _placed(moments, zone) if moments.dtype == pl.Datetime("ns", None) else (_ns(moments), ())
    text = column.cast(pl.String).str.strip_chars().str.replace(r"^(\S+) +", "${1}T")
    if text.str.contains(r"^\d{9,}(\.\d*)?$").all():
        numbers = text.cast(pl.Float64) if text.str.contains(".", literal=True).any() else text.cast(pl.Int64)
        unit = next((unit for lowest, unit in _UNITS if abs(float(numbers[0])) >= lowest), 1_000_000_000)
        return np.rint(numbers.to_numpy() * unit).astype(np.int64), ()
    if time_format is None and text.str.contains(_OFFSET).all():
        moments = text.str.to_datetime("%+", time_unit="ns", time_zone="UTC", strict=False)
        return _ns(_whole(moments, column)), ()
    if time_format is not None:
        moments = column.cast(pl.String).str.to_datetime(time_format, time_unit="ns", strict=False)
        moments = _whole(moments, column)
        return _placed(moments, zone) if moments.dtype == pl.Datetime("ns", None) else (_ns(moments), ())
    tried = (text.str.to_datetime(one, time_unit="ns", strict=False) for one in _LOCAL_FORMATS)
    best = min(tried, key=lambda moments: moments.null_count())
    return _placed(_whole(best, column), zone)


def _whole(moments: "pl.Series", column: "pl.Series") -> "pl.Series":
    if moments.null_count():
        row = int(moments.is_null().arg_max() or 0)
        raise DecodeError(f"row {row + 1}: {str(column[row])[:40]!r} is not a time; say how it is written: time_format")
    return moments


def _ns(moments: "pl.Series") -> Times:
    found: Times = moments.to_physical().to_numpy().astype(np.int64)
    return found


def _placed(moments: "pl.Series", zone: str | None) -> tuple[Times, tuple[str, ...]]:
    """Wall-clock times in a zone. A time that the clock skips is an error; one it shows twice is the first, unless the
    rows before it in the file are later."""
    if zone is None:
        raise DecodeError('its times have no offset: state their zone, such as timezone = "Europe/Paris"')
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise DecodeError(f'{zone!r} is not an IANA time zone; write for example "Europe/Paris"') from None
    first = moments.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    if first.null_count():
        row = int(first.is_null().arg_max() or 0)
        raise DecodeError(
            f"row {row + 1}: {moments[row]} does not exist in {zone}: the clock skipped it. Are the times in UTC?"
        )
    early = _ns(first)
    late = _ns(moments.dt.replace_time_zone(zone, ambiguous="latest", non_existent="null"))
    twice = np.flatnonzero(early != late)
    if not len(twice):
        return early, ()
    turned = np.maximum.accumulate(early)[twice] > early[twice]
    early[twice[turned]] = late[twice[turned]]
    return early, (f"{len(twice)} rows lie in an hour that the clock showed twice: told apart by their order",)

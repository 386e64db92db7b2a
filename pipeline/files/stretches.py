"""Rows that are stretches: when each one ends, by a time of its own or by its length."""

import re
from datetime import datetime, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo

import numpy as np

from pipeline.files import numbers, times
from pipeline.files.faults import Faults, Why
from pipeline.files.mapping import EventLogConfig
from pipeline.files.tables import Batch, Table, polars
from pipeline.kpis.signals import Flags
from pipeline.said import Said
from telemetry.intervals import Instants
from telemetry.plant import Plant
from telemetry.samples import SECOND_NS

UNIT_S: Final = {"s": 1.0, "min": 60.0, "h": 3600.0}
_DATED: Final = re.compile(r"\d[-/.]\d")
_BACKWARDS: Final = Said("it ends before it starts", "la fin précède le début")


class Ends:
    """Reads the ends of a table whose rows have one."""

    def __init__(self, config: EventLogConfig, time: times.TimeReader | None, *, clock: bool) -> None:
        self._config, self._time, self._clock = config, time, clock

    @classmethod
    def of(cls, table: Table, config: EventLogConfig) -> Self | None:
        """None when its rows are instants. Raises DecodeError when the column is missing."""
        if config.end is None:
            return cls(config, None, clock=False) if config.duration is not None else None
        ends = table.columns.index(table.require(config.end, Said(" for the end", " pour la fin")))
        told = [row[ends] for row in table.sample]
        clock = config.clock is not None and not any(map(_DATED.search, told))
        if clock:
            told = joined_sample(table, config.time, config.end)
        return cls(config, times.TimeReader.of(told, config.time_format, config.timezone), clock=clock)

    def read(self, batch: Batch, read: times.Reading, faults: Faults) -> Instants:
        """When each row's state ends; its own start where that cannot be told, which is listed."""
        frame, config = batch.frame, self._config
        if self._time is not None and config.end is not None:
            column = frame[config.end]
            if self._clock:
                column = times.joined(frame[config.time], column)
            found = self._time.read(column)
            ends, wrong, where = found.times_ns, found.bad & ~read.bad, config.end
            why: Why = found.why
            if self._clock:  # from 21:00 to 05:00 is to 05:00 of the next day
                ends = _next_day(
                    ends, ~wrong & ~read.bad & (ends < read.times_ns), Plant(timezone=config.timezone or "UTC").zone
                )
        else:
            assert config.duration is not None
            unit = UNIT_S[config.duration_unit]
            cells = frame[config.duration].cast(polars().String).fill_null("").to_list()
            lengths = np.array([numbers.seconds(cell, unit) for cell in cells])
            wrong, where = ~np.isfinite(lengths) & ~read.bad, config.duration
            ends = read.times_ns + np.rint(np.where(np.isfinite(lengths), lengths, 0) * SECOND_NS).astype(np.int64)

            def why(row: int) -> Said:
                return no_length(cells[row])

        back = ~wrong & ~read.bad & (ends < read.times_ns)
        for flags, reason in ((wrong, why), (back, lambda _: _BACKWARDS)):
            if flags.any():
                faults.add(where, np.flatnonzero(flags), batch.lines, reason)
        wrong |= back
        return np.where(wrong | read.bad, read.times_ns, ends)


def _next_day(times_ns: Instants, rows: Flags, zone: ZoneInfo) -> Instants:
    """These rows a day later by the clock on the wall."""
    later = times_ns.copy()
    for row in np.flatnonzero(rows).tolist():
        seconds, rest = divmod(int(times_ns[row]), SECOND_NS)
        later[row] = round((datetime.fromtimestamp(seconds, zone) + timedelta(days=1)).timestamp()) * SECOND_NS + rest
    return later


def no_length(cell: str) -> Said:
    return Said(f"{cell[:40]!r} is not a length of time", f"« {cell[:40]} » n'est pas une durée")


def joined_sample(table: Table, date: str, clock: str) -> list[str]:
    """The first rows' dates and clocks as one column of times."""
    pl = polars()
    cells = (
        pl.Series([row[table.columns.index(column)] for row in table.sample], dtype=pl.String)
        for column in (date, clock)
    )
    found: list[str] = times.joined(*cells).to_list()
    return found

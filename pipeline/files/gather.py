"""From the cells of a table to the series of a machine, batch by batch, in memory that does not grow with repetition.

Invariants. Of a table whose rows are in time order, a value that repeats the one before it is not kept: values hold.
Where rows turn out not to be in order, the table is read again and everything is kept. Every row that could not be used
is in `faults`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

import numpy as np
import numpy.typing as npt

from pipeline.files import bits, numbers, sums, times
from pipeline.files import cells as cells_of
from pipeline.files.columns import UNKNOWN, Column, no_word, summed, with_more
from pipeline.files.faults import Faults
from pipeline.files.guard import RefusedFileError
from pipeline.files.mapping import EventLogConfig, Metric
from pipeline.files.stretches import UNIT_S, Ends, joined_sample, no_length
from pipeline.files.tables import OVERFLOW, Batch, Table, polars
from pipeline.kpis.counting import COUNTERS
from pipeline.kpis.signals import Flags
from pipeline.said import Said
from telemetry.dialects import Dialect, state_of
from telemetry.errors import DecodeError
from telemetry.glossary import MachineState
from telemetry.intervals import Instants
from telemetry.samples import Quality, Series, Window

if TYPE_CHECKING:
    from polars import Series as Cells

METRICS: Final[tuple[Metric, ...]] = get_args(Metric)
Progress = Callable[[float], None]


class OutOfOrderError(Exception):
    """Rows are not in time order."""


@dataclass
class Gathered:
    """The series of a file, by metric; its bad rows; what its owner should know; from the first row to the last."""

    series: dict[str, Series]
    faults: Faults
    notes: tuple[Said, ...]
    span: Window


class Gatherer:
    def __init__(self, table: Table, config: EventLogConfig, *, sparing: bool) -> None:
        self._table, self._config, self._sparing = table, config, sparing
        self._faults = Faults()
        self._dialect: Dialect = config.dialect or "words"
        self._found: dict[str, Column] = {}
        self._words: dict[str, dict[str, int]] = {}
        self._states: dict[str, int | None] = {}
        self._first_ns, self._last_ns = 1 << 62, -(1 << 62)
        self._laid_until_ns = -(1 << 62)
        self._usable: dict[str, int] = {}
        self._ends: list[Instants] = []
        self._starts: list[Instants] = []
        self._metrics = self._choose()
        sample = _sample(table, config)
        self._time = times.TimeReader.of(sample, config.time_format, config.timezone)
        self._stretches = Ends.of(table, config)

    def _choose(self) -> dict[Metric, str]:
        """The column (or the name, in a long table) of each metric that the file has."""
        config, table = self._config, self._table
        table.require(config.time, Said(" for the time", " pour l'heure"))
        for column in (config.clock, config.duration, config.name, config.value if config.name else None):
            if column is not None:
                table.require(column)
        found: dict[Metric, str] = {}
        for column in (*(() if config.name else config.bits), *config.lengths, *filter(None, [config.machines])):
            table.require(column)
        for metric in METRICS:
            if metric == "reason" and config.lengths:
                continue
            if metric == "state" and (config.bits or config.lengths):
                continue
            column = config.columns.get(metric, metric)
            if config.name is not None or column in table.columns:
                found[metric] = column
            elif metric in config.columns:
                table.require(column)
        if "state" not in found and config.each is None and not config.bits and not config.lengths:
            raise RefusedFileError(_no_state(table.columns))
        return found

    @property
    def wanted(self) -> list[str]:
        """The columns that are read."""
        config = self._config
        columns = [config.time, config.clock, config.end, config.duration, config.machines]
        columns += [config.name, config.value] if config.name else [*self._metrics.values(), *config.bits]
        columns += config.lengths
        return list(dict.fromkeys(column for column in columns if column is not None))

    def take(self, batch: Batch, wanted: list[str]) -> None:
        """Take the rows of a batch."""
        batch = self._whole(batch, wanted)
        frame = batch.frame
        column = frame[self._config.time]
        if self._config.clock is not None:
            column = times.joined(column, frame[self._config.clock])
        read = self._time.read(column)
        if read.bad.any():
            rows = np.flatnonzero(read.bad)
            self._faults.add(self._config.time, rows, batch.lines, read.why)
        good = ~read.bad
        moments = read.times_ns[good]
        if not len(moments):
            return
        if self._sparing and (moments[0] < self._last_ns or np.any(moments[1:] < moments[:-1])):
            raise OutOfOrderError
        reached = np.maximum.accumulate(np.concatenate(([self._last_ns], moments)))
        self._faults.back += int((moments < reached[:-1]).sum())
        self._first_ns = min(self._first_ns, int(moments.min()))
        self._last_ns = max(self._last_ns, int(moments.max()))
        ends = None
        if self._stretches is not None:
            ends = self._stretches.read(batch, read, self._faults)
            if self._config.lengths:
                starts, ends = sums.followed(read.times_ns, np.where(good, ends, read.times_ns), self._laid_until_ns)
                read = times.Reading(np.where(good, starts, 0), read.bad, read.why)
                moments = read.times_ns[good]
                self._laid_until_ns = int(ends[good].max())
                self._lay(batch, moments, ends[good], np.flatnonzero(good))
            self._last_ns = max(self._last_ns, int(ends[good].max()))
        self._take_cells(batch, read.times_ns, good, ends)
        if ends is not None:
            self._starts.append(moments)
            self._ends.append(ends[good])
            if self._config.each is not None and "state" not in self._metrics:
                state = float(MachineState[self._config.each])
                self._column("state").add(
                    moments, np.full(len(moments), state), np.zeros(len(moments), bool), steps=False
                )

    def _take_cells(self, batch: Batch, times_ns: Instants, good: Flags, ends: Instants | None) -> None:
        """The cells of every metric, in the rows whose time is good."""
        pl, frame = polars(), batch.frame
        if self._config.name is not None:
            names = frame[self._config.name].cast(pl.String).str.strip_chars()
            for metric, name in self._said():
                at = np.flatnonzero((names == name).fill_null(value=False).to_numpy() & good)
                if len(at):
                    self._cells(metric, batch, frame[self._config.value], times_ns, at, ends)
        else:
            for metric, name in self._said():
                column, told = frame[name], good
                if ends is not None and metric == "reason":  # of a stretch: without one there, it has none
                    column = column.cast(pl.String).fill_null("")
                else:
                    told = good & cells_of.filled(column)
                at = np.flatnonzero(told)
                if len(at) or metric == "state":
                    self._cells(metric, batch, column, times_ns, at, ends)

    def _lay(self, batch: Batch, starts: Instants, ends: Instants, rows: npt.NDArray[np.intp]) -> None:
        """The states of rows that sum up a shift, each stop with the heading of its column as its cause."""
        config = self._config
        cells = {name: batch.frame[name].cast(polars().String).gather(rows).to_list() for name in config.lengths}
        found = sums.laid(starts, ends, cells, config.lengths, UNIT_S[config.duration_unit])
        for row, name in found.unread:
            why = no_length(cells[name][row] or "")
            self._faults.add(name, rows[[row]], batch.lines, lambda _, why=why: why)  # type: ignore[misc]
        if found.too_long:
            self._faults.add(config.time, rows[found.too_long], batch.lines, lambda _: sums.TOO_LONG)
        known = self._words.setdefault("reason", {"": 0})
        codes = [known.setdefault(_UNIT.sub("", cause).strip(), len(known)) for cause in found.causes]
        none = np.zeros(len(codes), np.bool_)
        self._column("state").add(found.times_ns, np.array(found.states), none, steps=False)
        self._column("reason").add(found.times_ns, np.array(codes, np.float64), none, steps=False)

    def _whole(self, batch: Batch, wanted: list[str]) -> Batch:
        """The batch without its blank rows; rows with more cells than the header are told."""
        frame, lines = batch.frame, batch.lines
        filled = cells_of.any_filled(frame, wanted)
        if not filled.all():
            at = np.flatnonzero(filled)
            frame = frame.filter(polars().Series(filled))
            batch = Batch(frame, lambda: lines()[at], batch.done)
        self._faults.begin(frame.height)
        if OVERFLOW in frame.columns:
            beyond = cells_of.filled(frame[OVERFLOW])
            if beyond.any():
                self._faults.add("", np.flatnonzero(beyond), batch.lines, lambda _: _TOO_WIDE)
        return batch

    def _said(self) -> list[tuple[str, str]]:
        """What is read of the rows: metrics and bits, each with its column, or its name in a long table."""
        return [*self._metrics.items(), *((_BIT + name, name) for name in self._config.bits)]

    def _column(self, metric: str) -> Column:
        if metric not in self._found:
            self._found[metric] = Column(metric, sparing=self._sparing)
        return self._found[metric]

    def _cells(
        self, metric: str, batch: Batch, column: "Cells", times_ns: Instants, at: npt.NDArray[Any],
        ends: Instants | None,
    ) -> None:  # fmt: skip
        """Take the cells of one metric in these rows."""
        cells = column.gather(at)
        moments = times_ns[at]
        steps = metric in COUNTERS and self._config.counts == "since_last"
        if metric in COUNTERS or metric == "online":
            values, wrong = numbers.read(cells, self._config.decimal, self._table.layout.separator)
            silent = wrong & cells_of.unavailable(cells)
            wrong &= ~silent
            if ends is not None:
                moments = ends[at]  # what is counted of a stretch is counted at its end
            if wrong.any():
                rows = at[np.flatnonzero(wrong)]
                self._faults.add(column.name, rows, batch.lines, lambda row: cells_of.no_number(metric, column[row]))
                values, moments, silent = values[~wrong], moments[~wrong], silent[~wrong]
        elif metric.startswith(_BIT):
            values, silent = bits.read(cells)
            wrong = silent & ~cells_of.unavailable(cells)
            if wrong.any():
                rows = at[np.flatnonzero(wrong)]
                self._faults.add(metric.removeprefix(_BIT), rows, batch.lines, lambda row: cells_of.no_bit(column[row]))
        else:
            values, unknown = self._coded(metric, cells)
            silent = values == UNKNOWN
            if unknown.any():
                rows = at[np.flatnonzero(unknown)]
                self._faults.add(column.name, rows, batch.lines, lambda row: no_word(str(column[row]), self._dialect))
                self._usable[metric] = self._usable.get(metric, 0) - len(rows)
        self._usable[metric] = self._usable.get(metric, 0) + len(values)
        self._column(metric).add(moments, values, silent, steps=steps)

    def _coded(self, metric: str, cells: "Cells") -> tuple[npt.NDArray[np.float64], Flags]:
        """Words as codes, states as their numbers, UNKNOWN where nothing is known; and which words nobody knows."""
        pl = polars()
        text = cells.cast(pl.String).str.strip_chars()
        unique = text.unique().to_list()
        codes: list[float] = []
        strange: list[bool] = []
        for word in unique:
            if metric == "state":
                state = self._state(word)
                codes.append(UNKNOWN if state is None else state)
                strange.append(state is None and self._states[word] == UNKNOWN)
            elif word.upper() == "UNAVAILABLE":
                codes.append(UNKNOWN)
                strange.append(False)
            else:
                known = self._words.setdefault(metric, {})
                codes.append(known.setdefault(word[:_LONGEST_WORD], len(known)))
                strange.append(False)
        if not unique:
            return np.zeros(0), np.zeros(0, np.bool_)
        values = text.replace_strict(unique, codes, return_dtype=pl.Float64).to_numpy().copy()
        unknown = np.zeros(len(values), np.bool_)
        if any(strange):
            unknown = text.is_in([word for word, one in zip(unique, strange, strict=True) if one]).to_numpy()
        return values, unknown

    def _state(self, word: str) -> int | None:
        """The state of a word; None when nothing is known, or (UNKNOWN in the table) the word is not."""
        if word not in self._states:
            try:
                state = state_of(word, self._dialect, self._config.states)
                self._states[word] = None if state is None else int(state)
            except DecodeError:
                self._states[word] = UNKNOWN
        found = self._states[word]
        return None if found == UNKNOWN else found

    def finish(self) -> Gathered:
        """What the rows said."""
        faults = self._faults
        faults.settle()
        faults.skipped = self._time.skipped
        if self._last_ns < self._first_ns:
            raise RefusedFileError(faults.listed[0].reason if faults.listed else _NO_ROWS)
        for metric, usable in self._usable.items():
            if usable <= 0 and metric in ("state", *COUNTERS) and (column := self._metrics.get(metric)):  # type: ignore[call-overload]
                first = next((one for one in faults.listed if one.column == column or self._config.name), None)
                if first is not None:
                    raise RefusedFileError(Said(
                        f"line {first.line}: {first.reason.en}", f"ligne {first.line} : {first.reason.fr}"
                    ))  # fmt: skip
        series = {
            metric: column.series(list(self._words.get(metric, {})))
            for metric, column in self._found.items()
            if len(column)
        }
        told = {metric.removeprefix(_BIT): series.pop(metric) for metric in list(series) if metric.startswith(_BIT)}
        if told:
            series["state"] = bits.states(told, self._config.bits)
        if "state" not in series:
            raise RefusedFileError(_no_state(self._table.columns))
        notes = [*self._table.notes, *self._time.notes(), *([sums.NOTE] if self._config.lengths else [])]
        if self._ends:
            notes += self._close(series)
        for metric in COUNTERS:
            if metric in series and self._config.counts == "since_last":
                # of a stretch, all was made since it began
                series[metric] = summed(series[metric], self._first_ns if self._ends else None)
        span = Window(self._first_ns, self._last_ns + 1)
        return Gathered(series, faults, tuple(notes), span)

    def _close(self, series: dict[str, Series]) -> list[Said]:
        """End the states of a list of stretches: where the next does not follow at once, the state between rows."""
        starts, ends = np.concatenate(self._starts), np.concatenate(self._ends)
        order = np.argsort(starts, kind="stable")
        starts, ends = starts[order], np.maximum.accumulate(ends[order])
        gap = ends < np.append(starts[1:], np.iinfo(np.int64).max)
        at = ends[gap]
        between = self._config.between
        state = series["state"]
        series["state"] = with_more(
            state, at, 0.0 if between is None else float(MachineState[between]),
            Quality.BAD if between is None else Quality.GOOD,
        )  # fmt: skip
        if "reason" in series:
            series["reason"] = with_more(series["reason"], at, 0.0, Quality.GOOD)
        overlapping = int((starts[1:] < ends[:-1]).sum())
        if not overlapping:
            return []
        return [Said(
            f"{overlapping} {'rows begin' if overlapping > 1 else 'row begins'} before the row before ends: from there "
            "on the later row counts",
            f"{overlapping} {'lignes commencent' if overlapping > 1 else 'ligne commence'} avant la fin de la "
            "précédente : la plus récente l'emporte",
        )]  # fmt: skip


_LONGEST_WORD: Final = 200
_BIT: Final = "bit:"
_UNIT: Final = re.compile(r"[(\[].*?[)\]]|\b(min|mn|minutes|sec|s|h|heures)\.?$", re.IGNORECASE)
_NO_ROWS: Final = Said("it has a header and nothing below it", "il n'a qu'un titre, et rien au-dessous")


def _no_state(columns: Sequence[str]) -> Said:
    there = ", ".join(columns)
    return Said(
        f"nothing says the state: name its column under [columns], one of {there}",
        f"rien ne dit l'état : choisissez sa colonne parmi {there}",
    )


_TOO_WIDE: Final = Said(
    "the row has more cells than the header: is a decimal comma taken for a separator?",
    "la ligne a plus de cellules que l'en-tête : une virgule décimale prise pour un séparateur ?",
)


def _sample(table: Table, config: EventLogConfig) -> list[str]:
    at = table.columns.index(config.time)
    if config.clock is None:
        return [row[at] for row in table.sample]
    return joined_sample(table, config.time, config.clock)

"""A table shared out to the machines that it names, each with a gatherer of its own, in one reading."""

from typing import Final

import numpy as np

from pipeline.files import cells as cells_of
from pipeline.files.faults import Faults
from pipeline.files.gather import Gathered, Gatherer, OutOfOrderError, Progress
from pipeline.files.guard import RefusedFileError
from pipeline.files.mapping import EventLogConfig
from pipeline.files.tables import Batch, Table, polars
from pipeline.said import Said

_MOST_MACHINES: Final = 100
_NAMELESS: Final = Said("it names no machine", "elle ne nomme aucune machine")


def gather_each(table: Table, config: EventLogConfig, progress: Progress | None = None) -> dict[str, Gathered]:
    """Read a table, machine by machine in the order they come in; "" is the only one of a file of one machine. Raises
    DecodeError when a column is missing or holds nothing that can be used."""
    # a silence, or the end of one, is told by any row, so that then every row counts
    alive = "stale_after_s" in config.machine.model_fields_set or "online" in config.columns
    interval = config.end is not None or config.duration is not None
    if not alive and not interval:
        try:
            return _Readers(table, config, sparing=True).run(progress)
        except OutOfOrderError:
            pass
    return _Readers(table, config, sparing=False).run(progress)


class _Readers:
    """A gatherer for each machine."""

    def __init__(self, table: Table, config: EventLogConfig, *, sparing: bool) -> None:
        self._table, self._config, self._sparing = table, config, sparing
        self._each: dict[str, Gatherer] = {}
        self._nameless = Faults()

    def run(self, progress: Progress | None) -> dict[str, Gathered]:
        config = self._config
        wanted = Gatherer(self._table, config, sparing=False).wanted
        for batch in self._table.read(wanted):
            if config.machines is None:
                self._of("").take(batch, wanted)
            else:
                self._share(batch, wanted, config.machines)
            if progress is not None:
                progress(batch.done)
        if config.machines is None and not self._each:
            self._of("")
        if not self._each:
            told = Said("no row names a machine", "aucune ligne ne nomme une machine") if config.only is None else Said(
                f"no row is of the machine {config.only!r}", f"aucune ligne n'est de la machine « {config.only} »"
            )  # fmt: skip
            raise RefusedFileError(Said(
                f"column {config.machines!r}: {told.en}", f"colonne « {config.machines} » : {told.fr}"
            ))  # fmt: skip
        found = {name: one.finish() for name, one in self._each.items()}
        if self._nameless.count:  # somebody has to tell of them
            next(iter(found.values())).faults.merge(self._nameless)
        return found

    def _of(self, name: str) -> Gatherer:
        if name not in self._each:
            if len(self._each) >= _MOST_MACHINES:
                column = self._config.machines
                raise RefusedFileError(Said(
                    f"column {column!r} names more than {_MOST_MACHINES} machines: is it one?",
                    f"la colonne « {column} » nomme plus de {_MOST_MACHINES} machines : est-ce la bonne colonne ?",
                ))  # fmt: skip
            self._each[name] = Gatherer(self._table, self._config, sparing=self._sparing)
        return self._each[name]

    def _share(self, batch: Batch, wanted: list[str], column: str) -> None:
        pl, frame, lines = polars(), batch.frame, batch.lines
        names = frame[column].cast(pl.String).str.strip_chars().fill_null("")
        for name in names.unique(maintain_order=True).to_list():
            at = np.flatnonzero((names == name).to_numpy())
            if not name:
                at = at[cells_of.any_filled(frame.gather(at), wanted)]
            part = Batch(frame.gather(at), lambda at=at: lines()[at], batch.done)  # type: ignore[misc]
            if not name:
                self._nameless.begin(len(at))
                if len(at):
                    self._nameless.add(column, np.arange(len(at)), part.lines, lambda _: _NAMELESS)
            elif self._config.only in (None, name):
                self._of(name).take(part, wanted)

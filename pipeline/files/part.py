"""The first rows of a table, as a table: what a preview reads of a file that is too long to be read while one waits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.files.tables import Batch, Table


@dataclass
class Part:
    """`table` ends after its first `rows` rows, blank ones counted; once read, `whole` tells whether that was all."""

    rows: int
    of: Table
    whole: bool = True

    @property
    def table(self) -> Table:
        return replace(self.of, read=self._read)

    def _read(self, wanted: Sequence[str]) -> Iterator[Batch]:
        left, self.whole = self.rows, True
        for batch in self.of.read(wanted):
            if batch.frame.height > left:
                self.whole = False
            if left:
                yield Batch(batch.frame.head(left), batch.lines, batch.done)
            left = max(0, left - batch.frame.height)
            if not self.whole:
                return

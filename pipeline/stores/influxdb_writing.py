"""Samples into lines, and lines into the server: whatever part of a body is refused, exactly those lines are named.

Invariants:
- What is not refused is stored when `store` returns. Lines may be sent more than once: they replace themselves.
- Bodies are sent in the order given, each after the answer to the one before: of one identity the last given stays.
- A line is refused only when the server said so of it, of a body of it alone, or of every line of its body.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from pipeline.stores.columns import Columns, merged, refusals
from pipeline.stores.influxdb_answers import RefusedError, TooLargeError
from pipeline.stores.influxdb_schema import NUMBER, QUALITY, RECEIVED, TEXT, is_word, prefix
from pipeline.stores.influxdb_server import InfluxServer, Write
from pipeline.stores.lineprotocol import EARLIEST_NS, LATEST_NS, Block, UnwritableError, block, key, quoted, written
from telemetry.samples import Sample, Span

BODY_LINES: Final = 10_000
"""Lines of one request: about 1.3 MB, well below what any version takes."""

FIRST_PART: Final = BODY_LINES
LARGEST_PART: Final = 20_000
"""Samples of a write that are made into lines at once: one body at first, then more, to keep the lines of a series
together. Bodies are full but for the last, for each costs the server an fsync."""


@dataclass(frozen=True, slots=True)
class Body:
    """Lines of one request."""

    blocks: Sequence[Block]

    @staticmethod
    def of(lines: Sequence[str]) -> "Body":
        return Body([Block(lines, 1)])

    def __len__(self) -> int:
        return sum(len(one.pieces) // one.width for one in self.blocks)

    def text(self) -> str:
        return "".join(chain.from_iterable(one.pieces for one in self.blocks))

    def lines(self) -> list[str]:
        return [line for one in self.blocks for line in one.lines()]


class Lines:
    """The lines of some samples, in bodies. `rows[i]` is the row of `columns` of line i; `refused` by row."""

    def __init__(self, columns: Columns, texted: set[str]) -> None:
        """`texted`: metrics whose numbers may have words beside them; it grows by those that have."""
        self.rows: list[int] = []
        self.refused: dict[int, str] = {}
        self._columns, self._texted = columns, texted
        self._runs = columns.runs()

    def bodies(self) -> Iterator[Body]:
        """BODY_LINES each, made as they are asked for; `rows` and `refused` are whole when it ends."""
        columns, number = self._columns, 0
        for start in range(0, len(columns), BODY_LINES):
            end = min(start + BODY_LINES, len(columns))
            self._write(start, end)
            blocks: list[Block] = []
            while number < len(self._runs) and self._runs[number][0] < end:
                first, last = self._runs[number]
                if found := self._block(max(first, start) - start, min(last, end) - start):
                    blocks.append(found)
                if last > end:
                    break
                number += 1
            if blocks:
                yield Body(blocks)

    def _write(self, start: int, end: int) -> None:
        """The rows [start, end) as text, all series at once."""
        columns, rows = self._columns, slice(start, end)
        self._start = start
        self._times = written(columns.times_ns[rows].tolist())
        self._numbers = written(columns.values[rows].tolist())
        self._received = written(columns.received_ns[rows].tolist(), "i")
        self._quality = written(columns.quality[rows].tolist(), "i") if columns.quality[rows].any() else None
        self._words = None if columns.texts is None else [quoted(one) for one in columns.texts[rows]]

    def _block(self, first: int, last: int) -> Block | None:
        """Lines of the rows [first, last), of one series, of those that are written; None when all are refused."""
        columns, start = self._columns, self._start
        asset, metric = columns.keys[int(columns.series[start + first])]
        try:
            lead, name = prefix(asset, metric), key(metric)
        except UnwritableError as error:
            self.refused |= dict.fromkeys(range(start + first, start + last), str(error))
            return None
        # in time order, so what lies outside lies at the ends
        while first < last and (low := int(columns.times_ns[start + first])) < EARLIEST_NS:
            self.refused[start + first] = _outside(low)
            first += 1
        while first < last and (high := int(columns.times_ns[start + last - 1])) > LATEST_NS:
            self.refused[start + last - 1] = _outside(high)
            last -= 1
        if first >= last:
            return None
        rows = slice(first, last)
        words = None if self._words is None else self._words[rows]
        some = columns.texts is not None and any(columns.texts[start + first : start + last])
        fields: list[tuple[str, Sequence[str] | str]]
        if is_word(metric):
            fields = [(name, words or '""')]
            if metric in self._texted or columns.values[start + first : start + last].any():
                self._texted.add(metric)
                fields.append((name + NUMBER, self._numbers[rows]))
        else:
            fields = [(name, self._numbers[rows])]
            if some or metric in self._texted:
                self._texted.add(metric)
                fields.append((name + TEXT, words or '""'))
        fields.append((name + QUALITY, "0i" if self._quality is None else self._quality[rows]))
        fields.append((name + RECEIVED, self._received[rows]))
        self.rows += range(start + first, start + last)
        return block(lead, fields, self._times[rows])


def _outside(time_ns: int) -> str:
    return f"time {time_ns} ns is outside what InfluxDB keeps (1677 … 2262)"


class _Part:
    """Samples [start, end) of a write, and their lines."""

    def __init__(self, samples: Sequence[Sample], start: int, end: int, texted: set[str]) -> None:
        self._samples = samples[start:end]
        self._start = start
        self._kept: Sequence[int] = range(len(self._samples))
        self._reasons: dict[int, str] = {}
        columns = Columns.of(self._samples)
        if columns is None:
            self._reasons = refusals(self._samples)
            self._kept = [index for index in self._kept if index not in self._reasons]
            columns = Columns.of([self._samples[index] for index in self._kept])
            assert columns is not None
        self._columns = columns
        self.lines: Final = Lines(columns, texted)

    def reasons(self) -> dict[int, str]:
        """Why samples of the write were refused, by index: where an identity was given twice, for each of them."""
        refused = self.lines.refused
        rows = {self._identity(self._kept[int(self._columns.source[row])]): why for row, why in refused.items()}
        found = {index: rows[one] for index in self._kept if (one := self._identity(index)) in rows} if rows else {}
        return {self._start + index: reason for index, reason in (self._reasons | found).items()}

    def _identity(self, index: int) -> tuple[str, str, int]:
        sample = self._samples[index]
        return sample.asset, sample.metric, sample.time_ns

    def spans(self) -> Iterator[Span]:
        """What the lines that were stored touched."""
        columns, refused = self._columns, self.lines.refused
        for start, end in columns.spans():
            if not all(row in refused for row in range(start, end)):
                key = columns.keys[int(columns.series[start])]
                yield Span(*key, int(columns.times_ns[start]), int(columns.times_ns[end - 1]))


def store_samples(
    server: InfluxServer, bucket: str, samples: Sequence[Sample], texted: set[str]
) -> tuple[dict[int, str], Sequence[Span]]:
    """Why samples were refused, by index, and what the others touched. Raises StoreError. `texted`: see Lines."""
    parts: list[_Part] = []

    def bodies() -> Iterator[Body]:
        start, size = 0, FIRST_PART
        while start < len(samples):
            parts.append(_Part(samples, start, start + size, texted))
            yield from parts[-1].lines.bodies()
            start, size = start + size, min(2 * size, LARGEST_PART)

    refused = store(server, bucket, bodies())
    before = 0
    for part in parts:
        rows = part.lines.rows
        part.lines.refused |= {
            rows[line - before]: why for line, why in refused.items() if 0 <= line - before < len(rows)
        }
        before += len(rows)
    reasons = {index: why for part in parts for index, why in part.reasons().items()}
    return reasons, merged(span for part in parts for span in part.spans())


def store(server: InfluxServer, bucket: str, bodies: Iterable[Body]) -> dict[int, str]:
    """Send lines; the reasons for those that are refused, by their place among all lines. Raises StoreError.

    While the server works on a body the next one is made.
    """
    refused: dict[int, str] = {}
    count = 0
    sent: tuple[int, Body, Write] | None = None
    for body in bodies:
        write = server.writing(bucket, body.text().encode())
        if sent is not None:
            refused |= _settled(server, bucket, *sent)
        write.send()
        sent = count, body, write
        count += len(body)
    if sent is not None:
        refused |= _settled(server, bucket, *sent)
    return refused


def _settled(server: InfluxServer, bucket: str, first: int, body: Body, write: Write) -> dict[int, str]:
    """What becomes of a body that was sent: reasons by line, counted from `first`."""
    try:
        write.answer()
    except TooLargeError as error:
        lines = body.lines()
        if len(lines) == 1:
            return {first: f"a single line is too large for InfluxDB: {error}"}
    except RefusedError as error:
        lines = body.lines()
        named = {number: reason for number, reason in error.lines.items() if 0 <= number < len(lines)}
        if len(lines) == 1 or error.dropped == len(lines):
            named = dict.fromkeys(range(len(lines)), error.reason) | named
            return {first + number: reason for number, reason in named.items()}
        if named:
            # Where the server names lines, some versions keep the others and some keep nothing: send the others again.
            others = [number for number in range(len(lines)) if number not in named]
            again = _again(server, bucket, 0, [lines[number] for number in others]) if others else {}
            named |= {others[number]: reason for number, reason in again.items()}
            return {first + number: reason for number, reason in named.items()}
    else:
        return {}
    half = len(lines) // 2  # rows are ordered by series and time, so what is refused for one cause lies together
    return _again(server, bucket, first, lines[:half]) | _again(server, bucket, first + half, lines[half:])


def _again(server: InfluxServer, bucket: str, first: int, lines: Sequence[str]) -> dict[int, str]:
    body = Body.of(lines)
    write = server.writing(bucket, body.text().encode())
    write.send()
    return _settled(server, bucket, first, body, write)

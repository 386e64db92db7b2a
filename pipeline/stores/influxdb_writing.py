"""Samples into lines, and lines into the server: whatever part of a body is refused, exactly those lines are named.

Invariants:
- What is not refused is stored when `store` returns. Lines may be sent more than once: they replace themselves.
- A line is refused only when the server said so of it, of a body of it alone, or of every line of its body.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from pipeline.stores.columns import Columns
from pipeline.stores.influxdb_schema import NUMBER, QUALITY, RECEIVED, TEXT, is_word, prefix
from pipeline.stores.influxdb_server import InfluxServer, RefusedError, TooLargeError
from pipeline.stores.lineprotocol import EARLIEST_NS, LATEST_NS, UnwritableError, block, key, quoted

BODY_LINES: Final = 10_000
"""Lines of one request: about 1.3 MB, well below what any version takes."""


class Lines:
    """The lines of one write, in bodies. `rows[i]` is the row of `columns` that line i comes from; `refused` by row."""

    def __init__(self, columns: Columns, texted: set[str]) -> None:
        """`texted`: metrics whose numbers may have words beside them; it grows by those that have."""
        self.rows: list[int] = []
        self.refused: dict[int, str] = {}
        self._columns, self._texted = columns, texted
        self._text: list[str] = []

    def bodies(self) -> Iterator[list[str]]:
        """BODY_LINES each, encoded as they are asked for; `rows` and `refused` are whole when it ends."""
        for start, end in self._columns.runs():
            for first in range(start, end, BODY_LINES):
                self._add(self._columns, first, min(end, first + BODY_LINES), self._texted)
                while len(self._text) >= BODY_LINES:
                    body, self._text = self._text[:BODY_LINES], self._text[BODY_LINES:]
                    yield body
        if self._text:
            yield self._text

    def _add(self, columns: Columns, start: int, end: int, texted: set[str]) -> None:
        asset, metric = columns.keys[int(columns.series[start])]
        try:
            lead, name = prefix(asset, metric), key(metric)
        except UnwritableError as error:
            self.refused |= dict.fromkeys(range(start, end), str(error))
            return
        for at in (start, end - 1):  # in time order, so only the ends can lie outside
            if not EARLIEST_NS <= columns.times_ns[at] <= LATEST_NS:
                self.refused[at] = f"time {columns.times_ns[at]} ns is outside what InfluxDB keeps (1677 … 2262)"
        first, last = start + (start in self.refused), end - (end - 1 in self.refused)
        if first >= last:
            return
        rows = slice(first, last)
        quality = columns.quality[rows]
        same = "0i" if not quality.any() else [f"{one}i" for one in quality.tolist()]
        received = [f"{one}i" for one in columns.received_ns[rows].tolist()]
        numbers = list(map(repr, columns.values[rows].tolist()))
        words: list[str] | None = None
        if columns.texts is not None:
            words = [quoted(one) for one in columns.texts[rows]]
        fields: list[tuple[str, Sequence[str] | str]]
        if is_word(metric):
            fields = [(name, words or '""')]
            if columns.values[rows].any() or metric in texted:
                texted.add(metric)
                fields.append((name + NUMBER, numbers))
        else:
            fields = [(name, numbers)]
            if metric in texted or (columns.texts is not None and any(columns.texts[rows])):
                texted.add(metric)
                fields.append((name + TEXT, words or '""'))
        fields += [(name + QUALITY, same), (name + RECEIVED, received)]
        self._text += block(lead, fields, columns.times_ns[rows].tolist())
        self.rows += range(first, last)


def store(server: InfluxServer, bucket: str, bodies: Iterable[Sequence[str]]) -> dict[int, str]:
    """Send lines; the reasons for those that are refused, by their place among all lines. Raises StoreError.

    While the server works on a body the next one is made; they are sent one after the other.
    """
    refused: dict[int, str] = {}
    count = 0
    with ThreadPoolExecutor(1, "influxdb") as sender:
        sending: Future[dict[int, str]] | None = None
        first = 0
        for lines in bodies:
            if sending is not None:
                refused |= {first + number: reason for number, reason in sending.result().items()}
            first, count = count, count + len(lines)
            sending = sender.submit(_send, server, bucket, lines)
        if sending is not None:
            refused |= {first + number: reason for number, reason in sending.result().items()}
    return refused


def _send(server: InfluxServer, bucket: str, lines: Sequence[str]) -> dict[int, str]:
    try:
        server.write(bucket, "".join(lines).encode())
    except TooLargeError as error:
        if len(lines) == 1:
            return {0: f"a single line is too large for InfluxDB: {error}"}
    except RefusedError as error:
        named = {number: reason for number, reason in error.lines.items() if 0 <= number < len(lines)}
        if len(lines) == 1 or error.dropped == len(lines):
            return dict.fromkeys(range(len(lines)), error.reason) | named
        if named:
            # Where the server names lines, some versions keep the others and some keep nothing: send the others again.
            others = [number for number in range(len(lines)) if number not in named]
            again = _send(server, bucket, [lines[number] for number in others]) if others else {}
            return named | {others[number]: reason for number, reason in again.items()}
    else:
        return {}
    half = len(lines) // 2  # rows are ordered by series and time, so what is refused for one cause lies together
    first, second = _send(server, bucket, lines[:half]), _send(server, bucket, lines[half:])
    return first | {half + number: reason for number, reason in second.items()}

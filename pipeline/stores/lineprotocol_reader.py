"""InfluxDB's line protocol, read as strictly as the reference decoder of influxdata/line-protocol reads it.

The official corpus of that decoder, 1089 texts with their points or errors, is the test.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from telemetry.errors import DecodeError

Value = float | int | bool | str


@dataclass(frozen=True, slots=True)
class Point:
    """One line. The time is as written: its unit is the file's; None when the line has none."""

    name: str
    tags: tuple[tuple[str, str], ...]
    fields: tuple[tuple[str, Value], ...]
    time: int | None


LONGEST: Final = 16_000_000
"""No line is longer [bytes]: what cannot be read and goes on for longer is wrong, not unfinished."""

# A backslash escapes what would end the word, and stands for itself before anything else.
_MEASUREMENT: Final = re.compile(rb"(?:\\[, ]|[^, \x00-\x1f\x7f])*")
_KEY: Final = re.compile(rb"(?:\\[,= ]|[^,= \x00-\x1f\x7f])*")
_STRING: Final = re.compile(rb'(?:\\[\\"nrt]|[^"])*')
_PLAIN: Final = re.compile(rb"[^, \r\n]*")
_TIME: Final = re.compile(rb"[-0-9]*")
_EMPTY: Final = re.compile(rb" *(?:#[^\x00-\x1f\x7f]*)?(?:\r?\n|\r?\Z)")
_INTEGER: Final = re.compile(rb"-?[0-9]+")
_FLOAT: Final = re.compile(rb"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")

_MEASUREMENT_ESCAPE: Final = re.compile(rb"\\([, ])")
_KEY_ESCAPE: Final = re.compile(rb"\\([,= ])")
_STRING_ESCAPE: Final = re.compile(rb'\\([\\"nrt])')
_MEANT: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_BOOLEANS: Final = dict.fromkeys((b"t", b"T", b"true", b"True", b"TRUE"), True) | dict.fromkeys(
    (b"f", b"F", b"false", b"False", b"FALSE"), False
)


def points(content: bytes) -> Iterator[Point]:
    """The points of a text. Raises DecodeError at the first that is none, after those before it."""
    reader = _Reader(content)
    while reader.more():
        yield reader.point()


def points_of(blocks: Iterable[bytes]) -> Iterator[Point]:
    """The points of a text that comes in parts, cut anywhere. As `points`; of the text no more is held than a part and
    what goes on from the one before."""
    rest = b""
    for block in blocks:
        text, whole = rest + block, 0
        reader = _Reader(text)
        try:
            while reader.more():
                point = reader.point()
                if reader.at == len(text):
                    break  # it may go on
                whole = reader.at
                yield point
        except DecodeError:
            if len(text) - whole > LONGEST:
                raise
        rest = text[whole:]
    yield from points(rest)


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._text = content
        self._at = 0

    @property
    def at(self) -> int:
        """What lies before has been read."""
        return self._at

    def more(self) -> bool:
        """Skip empty lines and comments; whether anything is left."""
        while self._at < len(self._text) and (empty := _EMPTY.match(self._text, self._at)):
            self._at = empty.end()
        self._skip_spaces()
        return self._at < len(self._text)

    def point(self) -> Point:
        name = self._word(_MEASUREMENT, _MEASUREMENT_ESCAPE)
        if not name or name.startswith("#"):
            raise self._wrong("a measurement")
        tags = tuple(self._tags())
        keys = [key for key, _ in tags]
        if len(set(keys)) < len(keys):
            raise DecodeError(f"a tag is there twice in {name!r}")
        if self._next() != b" ":
            raise self._wrong("a space, and fields")
        self._skip_spaces()
        fields = tuple(self._fields())
        return Point(name, tags, fields, self._time())

    def _tags(self) -> Iterator[tuple[str, str]]:
        while self._next() == b",":
            self._at += 1
            key = self._word(_KEY, _KEY_ESCAPE)
            if not key or self._next() != b"=":
                raise self._wrong("a tag and '='")
            self._at += 1
            value = self._word(_KEY, _KEY_ESCAPE)
            if not value:
                raise self._wrong("the value of a tag")
            yield key, value

    def _fields(self) -> Iterator[tuple[str, Value]]:
        while True:
            key = self._word(_KEY, _KEY_ESCAPE)
            if not key or self._next() != b"=":
                raise self._wrong("a field and '='")
            self._at += 1
            yield key, self._value()
            if self._next() != b",":
                return
            self._at += 1

    def _value(self) -> Value:
        if self._next() == b'"':
            self._at += 1
            raw = self._take(_STRING)
            if self._next() != b'"':
                raise self._wrong("a closing quote")
            self._at += 1
            return _decoded(_STRING_ESCAPE.sub(lambda found: _MEANT.get(found[1], found[1]), raw))
        raw = self._take(_PLAIN)
        if raw in _BOOLEANS:
            return _BOOLEANS[raw]
        if raw[-1:] in (b"i", b"u") and _INTEGER.fullmatch(raw[:-1]):
            number = int(raw[:-1])
            low, high = (-(2**63), 2**63) if raw.endswith(b"i") else (0, 2**64)
            if low <= number < high and not (raw.endswith(b"u") and raw.startswith(b"-")):
                return number
        elif _FLOAT.fullmatch(raw) and math.isfinite(found := float(raw)):
            return found
        raise DecodeError(f"{raw[:50]!r} is no value of a field")

    def _time(self) -> int | None:
        if self._next() not in (b"", b" ", b"\r", b"\n"):
            raise self._wrong("a space, a comma or the end of the line")
        self._skip_spaces()
        raw = self._take(_TIME)
        if raw and not _INTEGER.fullmatch(raw):
            raise DecodeError(f"{raw[:50]!r} is no time")
        if raw and not -(2**63) <= int(raw) < 2**63:
            raise DecodeError(f"the time {raw[:50]!r} does not fit into 64 bits")
        self._skip_spaces()
        end = re.compile(rb"\r?\n|\r?\Z").match(self._text, self._at)
        if end is None:
            raise self._wrong("the end of the line")
        self._at = end.end()
        return int(raw) if raw else None

    def _word(self, pattern: re.Pattern[bytes], escape: re.Pattern[bytes]) -> str:
        return _decoded(escape.sub(rb"\1", self._take(pattern)))

    def _take(self, pattern: re.Pattern[bytes]) -> bytes:
        found = pattern.match(self._text, self._at)
        assert found is not None  # every pattern matches nothing, too
        self._at = found.end()
        return found[0]

    def _next(self) -> bytes:
        return self._text[self._at : self._at + 1]

    def _skip_spaces(self) -> None:
        while self._next() == b" ":
            self._at += 1

    def _wrong(self, wanted: str) -> DecodeError:
        line = self._text.count(b"\n", 0, self._at) + 1
        found = self._text[self._at : self._at + 20]
        return DecodeError(f"line {line}: {wanted} was expected, {found!r} is there")


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise DecodeError(f"{raw[:50]!r} is not UTF-8") from error

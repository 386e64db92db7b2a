"""InfluxDB's line protocol, written: one point at a time, or whole columns of one series at once.

A line is `measurement,tag=value field=value,field=value time`. Reference: the official corpus of
influxdata/line-protocol, which the tests encode byte for byte.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import msgspec

from telemetry.errors import KM0Error

EARLIEST_NS: Final = -(2**63) + 2
"""First instant [ns] that InfluxDB keeps: 1677-09-21."""

LATEST_NS: Final = 2**63 - 2
"""Last instant [ns] that InfluxDB keeps: 2262-04-11."""

Value = float | int | bool | str
"""A field's value; Python's type is InfluxDB's type: float, int64, boolean, string."""

_encode: Final = msgspec.json.Encoder().encode
_CONTROL: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f"}
_MEASUREMENT: Final = str.maketrans({",": "\\,", " ": "\\ ", **_CONTROL})
_KEY: Final = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ ", **_CONTROL})
_QUOTED: Final = str.maketrans({'"': '\\"', "\\": "\\\\"})
_STRING: Final = str.maketrans({'"': '\\"', "\\": "\\\\", **_CONTROL})


class UnwritableError(KM0Error):
    """Line protocol has no way to write this. Handled by whoever encodes: the sample is refused."""


def measurement(name: str) -> str:
    """The name of a measurement, escaped. Raises UnwritableError."""
    return _word(name).translate(_MEASUREMENT)


def key(name: str) -> str:
    """A tag key, tag value or field key, escaped. Raises UnwritableError."""
    return _word(name).translate(_KEY)


def _word(name: str) -> str:
    # There is no escape for a backslash: at the end of a word it would escape what follows the word.
    if not name or name.endswith("\\"):
        raise UnwritableError(f"{name!r} cannot be a name or a tag: it is empty or ends in a backslash")
    return name


def string(text: str) -> str:
    """A string field as the reference encoder writes it."""
    return f'"{text.translate(_STRING)}"'


def quoted(text: str) -> str:
    """A string field as influxd gives it back exactly: it does not undo the reference's `\\n`, and keeps a real one."""
    return f'"{text.translate(_QUOTED)}"'


def number(value: float) -> str:
    """A float as Go's shortest %g writes it, like the reference encoder. Raises UnwritableError for NaN, ±infinity."""
    if not math.isfinite(value):
        raise UnwritableError(f"{value} is not a finite number")
    text = repr(value)
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        return text.removesuffix(".0")
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)  # it is finite
    power = len(digits) + exponent - 1
    shown = "".join(map(str, digits)).rstrip("0")
    mantissa = shown[0] + ("." + shown[1:] if len(shown) > 1 else "")
    return f"{'-' * sign}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"


def field(value: Value) -> str:
    """A field's value in its type's own notation. Raises UnwritableError."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return f"{value}i"
        case float():
            return number(value)
        case str():
            return string(value)


def series(name: str, tags: Iterable[tuple[str, str]]) -> str:
    """`measurement,tag=value…`: what all lines of one series begin with. Tags are best given in order of key.

    Raises UnwritableError.
    """
    return ",".join((measurement(name), *(f"{key(tag)}={key(value)}" for tag, value in tags)))


def line(prefix: str, fields: Iterable[tuple[str, Value]], time_ns: int) -> str:
    """One point of the series that `prefix` (see `series`) names, without a line break. Raises UnwritableError."""
    return f"{prefix} {','.join(f'{key(name)}={field(value)}' for name, value in fields)} {time_ns}"


@dataclass(frozen=True, slots=True)
class Block:
    """Lines as the pieces they are joined of, `width` to a line: all are joined at once, single ones when need be."""

    pieces: Sequence[str]
    width: int

    def lines(self) -> list[str]:
        return ["".join(self.pieces[at : at + self.width]) for at in range(0, len(self.pieces), self.width)]


def block(prefix: str, columns: Sequence[tuple[str, Sequence[str] | str]], times: Sequence[str]) -> Block:
    """Lines of one series, each with its line break. `columns` holds escaped field keys and written values, one per
    line or the same for all. Nothing is done per point in Python.
    """
    columnar: list[Sequence[str] | str] = []
    constant = f"{prefix} "
    for name, values in columns:
        constant += f"{name}="
        if isinstance(values, str):
            constant += f"{values},"
        else:
            columnar += [constant, values]
            constant = ","
    columnar += [f"{constant.removesuffix(',')} ", times, "\n"]
    count, width = len(times), len(columnar)
    pieces: list[str] = [""] * (count * width)
    for place, column in enumerate(columnar):
        pieces[place::width] = [column] * count if isinstance(column, str) else column
    return Block(pieces, width)


def written(numbers: Sequence[float] | Sequence[int], ending: str = "") -> list[str]:
    """Finite numbers in a notation that every InfluxDB reads back exactly, each with the ending ("i" for an integer).

    msgspec writes floats as short as they can be, like `repr`, but many at once: `repr` of each takes three to five
    times as long where they have decimals, and half as long again where they are whole.
    """
    text = _encode(numbers).decode()[1:-1]
    return (f"{text}{ending}".replace(",", f"{ending},") if ending else text).split(",") if text else []

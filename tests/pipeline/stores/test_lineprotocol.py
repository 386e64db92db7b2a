"""Line protocol against the official corpus, which nobody here wrote."""

import base64
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stores.lineprotocol import UnwritableError, block, key, line, number, quoted, series, string, written
from pipeline.stores.lineprotocol_reader import Point, points, points_of
from telemetry.errors import DecodeError
from tests.support import shared_data

TYPES = {"float": float, "int": int, "uint": int, "string": str, "bool": bool}


def corpus(part: str) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads(shared_data("lineprotocol/corpus_subset.json").read_text())[part]
    return vectors


def plain(text: str | dict[str, str]) -> str:
    return base64.b64decode(text["binary"]).decode() if isinstance(text, dict) else text


def encoded(point: dict[str, Any]) -> str:
    fields = [(field["key"], TYPES[kind](value)) for field in point["fields"] for kind, value in field["value"].items()]
    return line(series(point["name"], [(tag["key"], tag["value"]) for tag in point["tags"]]), fields, point["time"])


def test_every_point_of_the_corpus_is_written_byte_for_byte() -> None:
    """115 points with every escape, type and extreme; where the reference refuses, so do we."""
    vectors = corpus("encode")
    for vector in vectors:
        point, expected = vector["input"]["point"], vector["output"]
        if "error" in expected:
            with pytest.raises(UnwritableError):
                encoded(point)
        else:
            assert encoded(point) == plain(expected["result"])
    assert len(vectors) == 115


def test_a_block_is_the_same_lines_as_one_at_a_time() -> None:
    """The columns of the hot path and the corpus-tested line differ in nothing but how a float is written."""
    lead = series("machine", [("asset", "mill 1"), ("line", "a,b=c")])
    columns = [(key("load"), ["1.5", "2.5"]), (key("load_quality"), "0i"), (key("note"), [quoted('a "b"'), '""'])]
    assert block(lead, columns, ["5", "6"]).lines() == [
        line(lead, [("load", 1.5), ("load_quality", 0), ("note", 'a "b"')], 5) + "\n",
        line(lead, [("load", 2.5), ("load_quality", 0), ("note", "")], 6) + "\n",
    ]


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=30),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=30),
)
def test_columns_are_written_exactly(floats: list[float], integers: list[int]) -> None:
    """What Python reads back is the same to the last bit, the sign of a zero too."""
    read_back = [float(text) for text in written(floats)]
    assert [value.hex() for value in read_back] == [value.hex() for value in floats]
    assert written(integers, "i") == [f"{value}i" for value in integers]
    assert written(integers) == [str(value) for value in integers]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0"), (-0.0, "-0"), (1.0, "1"), (1e-4, "0.0001"), (1e-5, "1e-05"), (999999.0, "999999"), (1e6, "1e+06"),
     (-6632243.0, "-6.632243e+06"), (0.1 + 0.2, "0.30000000000000004"), (5e-324, "5e-324")],
)  # fmt: skip
def test_floats_are_written_as_go_does(value: float, expected: str) -> None:
    """strconv.FormatFloat(x, 'g', -1, 64)."""
    assert number(value) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_cannot_be_written(value: float) -> None:
    """InfluxDB has no NaN and no infinity."""
    with pytest.raises(UnwritableError):
        number(value)


def test_a_line_break_in_a_string() -> None:
    """The reference escapes it; influxd gives that back as two characters, so the store writes it as it is."""
    assert string("a\nb") == '"a\\nb"'
    assert quoted('a\n"\\') == '"a\n\\"\\\\"'


def test_every_text_of_the_corpus_is_read_as_the_reference_reads_it() -> None:
    """1089 texts, most of them made to break decoders: their points, or an error where one is expected."""
    vectors = corpus("decode")
    assert len(vectors) == 1089
    for vector in vectors:
        given, expected = vector["input"], vector["output"]
        text = given["text"]
        content = base64.b64decode(text["binary"]) if isinstance(text, dict) else text.encode()
        if "error" in expected:
            with pytest.raises(DecodeError):
                list(points(content))
        else:
            cut = [content[at : at + 3] for at in range(0, len(content), 3)]
            assert list(points_of(cut)) == list(points(content))
            assert [_as_in_corpus(point, given) for point in points(content)] == [
                _normal(point) for point in expected["result"]
            ], text


def test_what_never_ends_is_refused_before_it_is_held_whole() -> None:
    """A file without line ends is no line that is not finished yet: reading stops at some megabytes."""
    given = 0

    def endless() -> Iterator[bytes]:
        nonlocal given
        yield b"m f=1\n"
        while True:
            given += 4
            yield b"x" * 4_000_000

    found = points_of(endless())
    assert next(found).name == "m"
    with pytest.raises(DecodeError):
        next(found)
    assert given < 30


def _as_in_corpus(point: Point, given: dict[str, Any]) -> tuple[object, ...]:
    unit = {"1ns": 1, "1µs": 1000, "1ms": 10**6, "1s": 10**9}[given["precision"]]
    time = given["defaultTime"] // unit * unit if point.time is None else point.time * unit
    return point.name, tuple(sorted(point.tags)), point.fields, time


def _normal(point: dict[str, Any]) -> tuple[object, ...]:
    fields = [(field["key"], kind, value) for field in point["fields"] for kind, value in field["value"].items()]
    return (
        plain(point["name"]),
        tuple(sorted((plain(tag["key"]), plain(tag["value"])) for tag in point["tags"])),
        tuple((plain(key), TYPES[kind](plain(value) if kind == "string" else value)) for key, kind, value in fields),
        point["time"],
    )

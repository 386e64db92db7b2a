"""Numbers out of InfluxDB's answers: what two servers said, byte for byte, and the same numbers in other forms."""

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.stores.influxdb import InfluxDbStore
from pipeline.stores.influxdb_rows import MESSAGE_PACK, _at_once, columns
from pipeline.stores.influxdb_server import InfluxServer
from tests.contracts.stored import EVER, MILL, at
from tests.pipeline.stores.influxd import Influxd

T0 = 1_795_300_000_000_000_000


def answer(rows: list[tuple[int, float]], **more: object) -> dict[str, object]:
    series = [{"name": "m", "columns": ["time", "v"], "values": rows}] if rows else []
    return {"results": [{"statement_id": 0, "series": series, **more}]}


def test_what_influxd_answers_is_read_exactly() -> None:
    """Three of the rows that InfluxDB 1.6.7 and 2.9 answered alike to `select v from m`, 0, 0.25 and 0.5 at 1 Hz."""
    said = (
        b"\x81\xa7results\x91\x82\xacstatement_id\x00\xa6series\x91\x83\xa4name\xa1m\xa7columns\x92\xa4time\xa1v\xa6values"
        b"\x93\x92\xd3\x18\xea/\xd6\x8dB@\x00\xcb\x00\x00\x00\x00\x00\x00\x00\x00\x92\xd3\x18\xea/\xd6\xc8\xdd\n\x00\xcb?"
        b"\xd0\x00\x00\x00\x00\x00\x00\x92\xd3\x18\xea/\xd7\x04w\xd4\x00\xcb?\xe0\x00\x00\x00\x00\x00\x00"
    )
    times, values, trouble = columns(said, MESSAGE_PACK)
    assert times.tolist() == [T0, T0 + 10**9, T0 + 2 * 10**9]
    assert values.tolist() == [0.0, 0.25, 0.5]
    assert trouble == ""


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65_535, 65_536, 70_000])
@pytest.mark.parametrize("start", [T0, -T0, 0])
def test_rows_are_the_same_in_every_form(count: int, start: int) -> None:
    """JSON, MessagePack with rows all alike (16 and more after 1970) and with rows of several lengths."""
    rows = [(start + n, n * 0.1) for n in range(count)]
    for text, kind in (
        (json.dumps(answer(rows)).encode(), "application/json"),
        (msgspec.msgpack.encode(answer(rows)), f"{MESSAGE_PACK}; charset=utf-8"),
    ):
        times, values, trouble = columns(text, kind)
        assert times.dtype == np.int64
        assert values.dtype == np.float64
        assert list(zip(times.tolist(), values.tolist(), strict=True)) == rows
        assert trouble == ""


def test_whole_numbers_among_the_values_are_read_too() -> None:
    """A row that is not like the others sends all of them the long way, and none is lost."""
    rows: list[tuple[int, float]] = [(T0 + n, 0.5) for n in range(100)]
    rows[50] = (T0 + 50, 7)
    times, values, _ = columns(msgspec.msgpack.encode(answer(rows)), MESSAGE_PACK)
    assert len(times) == 100
    assert values[50] == 7.0


_TIME = st.integers(-(2**63), 2**63 - 1)
_VALUE = st.floats(allow_nan=False) | st.integers(-(2**31), 2**31)
_FOREIGN = st.none() | st.text(max_size=9) | st.booleans() | st.lists(st.floats(), max_size=2)


@settings(deadline=None, max_examples=60)
@given(
    start=st.integers(0, 2**62),
    head=st.lists(st.tuples(_TIME, _VALUE), max_size=3),
    alike=st.integers(0, 40),
    tail=st.lists(st.tuples(_TIME, _VALUE), max_size=3),
    odd=st.none() | _FOREIGN,
    more=st.dictionaries(st.sampled_from(["partial", "tags", "messages"]), st.booleans(), max_size=1),
    column=st.sampled_from(["power", "values", "\u00e9" * 20]),
)
def test_the_short_way_reads_what_the_long_one_reads(
    start: int, head: list[tuple[int, float]], alike: int, tail: list[tuple[int, float]], odd: object,
    more: dict[str, bool], column: str,
) -> None:  # fmt: skip
    """Rows all alike and rows of other lengths and types among them, columns of any name, with something behind: every
    number is read as it is, and what is no number makes it no answer."""
    rows = [*head, *((start + n, n * 0.1) for n in range(alike)), *tail]
    series = {"name": "values", "columns": ["time", column], "values": rows} | more
    times, values, _ = columns(msgspec.msgpack.encode({"results": [{"series": [series]}]}), MESSAGE_PACK)
    assert times.tolist() == [time for time, _ in rows]
    assert values.tolist() == [value for _, value in rows]
    if odd is not None or not rows:
        series["values"] = [*rows, (start, odd)]
        with pytest.raises(msgspec.DecodeError):
            columns(msgspec.msgpack.encode({"results": [{"series": [series]}]}), MESSAGE_PACK)


@pytest.mark.parametrize("count", [10_000, 10_001, 20_000])
def test_a_real_answer_is_read_the_short_way(influxd: Influxd, count: int) -> None:
    """Whatever its length: 1.6.7 gathers rows in tens of thousands, and may say "partial" of what is whole."""
    config = influxd.databases("rows_")
    store = InfluxDbStore(config)
    store.write([at(n, n * 0.5, "power") for n in range(count)])
    server = InfluxServer(config)
    answer = server._query(config.bucket, 'SELECT "power" FROM "machine"', MESSAGE_PACK)
    found = _at_once(answer.data)
    assert found is not None
    assert found[1].tolist() == [n * 0.5 for n in range(count)]
    assert len(store.samples(MILL, "power", EVER)) == count


def test_an_error_in_the_answer_is_given() -> None:
    """In either form."""
    told = {"results": [{"statement_id": 0, "error": "database not found: km0"}]}
    assert columns(msgspec.msgpack.encode(told), MESSAGE_PACK)[2] == "database not found: km0"
    assert columns(json.dumps(told).encode(), "application/json")[2] == "database not found: km0"


@pytest.mark.parametrize("cut", [1, 40, 100, -1])
def test_an_answer_that_was_cut_is_no_answer(cut: int) -> None:
    """Neither some of the rows nor a crash: an error that means "ask again"."""
    whole = msgspec.msgpack.encode(answer([(T0 + n, 0.5) for n in range(100)]))
    with pytest.raises(msgspec.DecodeError):
        columns(whole[:cut], MESSAGE_PACK)

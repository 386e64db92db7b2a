"""InfluxDB's answers as columns and rows.

Numbers in bulk are asked for as MessagePack, which 1.4 to 2.x speak: a row of a float field is then 19 bytes, always
the same ones around eight of time and eight of value, so that numpy reads all rows at once and nothing is parsed.
Where a server answers JSON (3.x), or rows are not like that (times near 1970), msgspec decodes them, which costs ten
times as much. 1.x says "partial" after whatever it gathered of more than 10,000 rows, whole or not: so it is asked for
one piece (see influxdb_server), where it does not.
"""

from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

MESSAGE_PACK: Final = "application/x-msgpack"


class _Series(msgspec.Struct):
    values: list[tuple[int, float]]


class _Result(msgspec.Struct):
    series: list[_Series] = []
    error: str = ""


class _Answer(msgspec.Struct):
    results: list[_Result]


_decode_json: Final = msgspec.json.Decoder(_Answer).decode
_decode_packed: Final = msgspec.msgpack.Decoder(_Answer).decode
_ROW: Final = np.dtype([("time", np.int64), ("value", np.float64)])
_PACKED: Final = np.dtype([("pair", "u1"), ("int64", "u1"), ("time", ">i8"), ("float64", "u1"), ("value", ">f8")])
_MARKS: Final = {"pair": 0x92, "int64": 0xD3, "float64": 0xCB}
_VALUES: Final = b"\xa6values"
_LENGTHS: Final = {0xDC: 2, 0xDD: 4}
"""In how many bytes the length of an array stands that is too long for a single one, by its mark."""


def columns(answer: bytes, kind: str) -> tuple[Times, Values, str]:
    """Times [ns] and values of the answer to one statement about one numeric field of one series; the error in it.

    `kind` is the answer's content type. Raises ValueError for what is no such answer.
    """
    packed = kind.startswith(MESSAGE_PACK)
    if packed and (found := _at_once(answer)) is not None:
        return *found, ""
    [result] = (_decode_packed if packed else _decode_json)(answer).results
    values = result.series[0].values if result.series else []
    rows = np.fromiter(values, _ROW, len(values))
    return np.ascontiguousarray(rows["time"]), np.ascontiguousarray(rows["value"]), result.error


def _at_once(answer: bytes) -> tuple[Times, Values] | None:
    """The rows, when they are many, all alike, and the end of the answer."""
    mark = answer.find(_VALUES, 0, 1000) + len(_VALUES)
    if mark < len(_VALUES) or mark == len(answer) or answer[mark] not in _LENGTHS:
        return None
    first = mark + 1 + _LENGTHS[answer[mark]]
    count = int.from_bytes(answer[mark + 1 : first])
    if len(answer) != first + count * _PACKED.itemsize:
        return None
    rows = np.frombuffer(answer, _PACKED, count, first)
    if not all((rows[name] == mark).all() for name, mark in _MARKS.items()):
        return None
    return rows["time"].astype(np.int64), rows["value"].astype(np.float64)


def table(found: dict[str, Any]) -> list[dict[str, Any]]:
    """A series of a JSON answer as rows by column name."""
    return [dict(zip(found["columns"], values, strict=True)) for values in found["values"]]

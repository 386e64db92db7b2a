"""InfluxDB's answers as columns and rows.

Numbers in bulk are decoded by msgspec straight into arrays. CSV was tried: reading it with numpy alone takes twice the
time of this, because InfluxDB's nanoseconds do not fit into the floats that numpy reads quickly.
"""

from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


class _Series(msgspec.Struct):
    values: list[tuple[int, float]]


class _Result(msgspec.Struct):
    series: list[_Series] = []
    error: str = ""


class _Answer(msgspec.Struct):
    results: list[_Result]


_decode: Final = msgspec.json.Decoder(_Answer).decode
_ROW: Final = np.dtype([("time", np.int64), ("value", np.float64)])


def columns(answer: bytes) -> tuple[Times, Values, str]:
    """Times [ns] and values of the answer to one statement about one numeric field of one series; the error in it.

    Raises msgspec.DecodeError for what is no such answer.
    """
    [result] = _decode(answer).results or [_Result()]
    values = result.series[0].values if result.series else []
    rows = np.fromiter(values, _ROW, len(values))
    return np.ascontiguousarray(rows["time"]), np.ascontiguousarray(rows["value"]), result.error


def table(found: dict[str, Any]) -> list[dict[str, Any]]:
    """A series of a JSON answer as rows by column name."""
    return [dict(zip(found["columns"], values, strict=True)) for values in found["values"]]

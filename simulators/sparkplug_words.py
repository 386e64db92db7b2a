"""What an edge node calls the metrics of the glossary, and how it says one: born with its name, then by its alias."""

from typing import Final

from simulators.machine import NS_PER_MS
from simulators.packml import STATE_CURRENT
from simulators.sparkplug_payload import (
    BD_SEQ,
    BOOLEAN,
    DOUBLE,
    INT32,
    INT64,
    REBIRTH,
    STRING,
    UINT64,
    TypedValue,
    metric,
)  # fmt: skip
from simulators.timeline import Value
from telemetry.glossary import METRICS

NAMES: Final = {
    "state": "Status/StateCurrent",
    "product": "Status/Product",
    "parts": "Admin/ProdProcessedCount",
    "parts_scrap": "Admin/ProdDefectiveCount",
    "reason": "Admin/StopReason",
    "order": "Status/Order",
}
"""PackTags by metric of the glossary; others are `Measurement/<metric>`."""

_TYPES: Final = {"state": INT32, "counter": UINT64, "gauge": DOUBLE, "word": STRING, "event": DOUBLE}


def name_of(metric_name: str) -> str:
    """What the edge node calls a metric of the glossary."""
    return NAMES.get(metric_name, f"Measurement/{metric_name}")


def session(bd_seq: int, time_ms: int | None = None) -> bytes:
    """The number of the session, in births and deaths."""
    return metric(TypedValue(INT64, bd_seq), name=BD_SEQ, time_ms=time_ms, birth=True)


def node(bd_seq: int, time_ms: int) -> list[bytes]:
    """What the node says of itself when it is born [ms]."""
    return [
        session(bd_seq, time_ms),
        metric(TypedValue(BOOLEAN, value=False), name=REBIRTH, time_ms=time_ms, birth=True),
    ]


def birth(name: str, alias: int, time_ns: int, value: Value | None) -> bytes:
    """A metric in a birth, with the time [ns] since when it is so; None: not known yet."""
    return metric(_typed(name, value), name=name_of(name), alias=alias, time_ms=time_ns // NS_PER_MS, birth=True)


def data(name: str, alias: int, time_ns: int, value: Value, *, historical: bool) -> bytes:
    """A value after the birth, with its time [ns]."""
    return metric(_typed(name, value), alias=alias, time_ms=time_ns // NS_PER_MS, historical=historical)


def _typed(name: str, value: Value | None) -> TypedValue:
    return TypedValue(_TYPES[METRICS[name].kind], _raw(name, value))


def _raw(name: str, value: Value | None) -> Value | None:
    """A value as the wire has it: states are PackML's."""
    return STATE_CURRENT[int(value)] if name == "state" and value is not None else value

"""What is remembered of a metric that a birth described, and what the words around values mean. Pure."""

from dataclasses import dataclass
from typing import Any

from collectors.mqtt.decoder import MessageError
from collectors.mqtt.sparkplug_codec import BD_SEQ, INT64, value_of
from telemetry.samples import Quality, Sample


@dataclass(slots=True)
class Known:
    """A metric that a birth described. `metric` is "" when the plant file asks nothing of it.

    `field` is where its values lie when it is a plain number on both sides, of `bits` if signed; else "". `last` is its
    newest value; `unknown_ns` [ns] is from when on it was last said to be unknown. Where the clock of its node showed
    less at the birth that ended that, `again_ns` is the instant from which on what is in force is said to be, until the
    clock has passed it, and `since_ns` the time of that value.
    """

    name: str
    device: str
    datatype: int
    asset: str
    metric: str
    last_ns: int = 0
    stale: bool = False
    field: str = ""
    bits: int = 0
    alias: int | None = None
    last: Sample | None = None
    unknown_ns: int = 0
    again_ns: int = 0
    since_ns: int = 0


def bd_seq_of(payload: Any) -> int | None:
    """The number of the session that a birth or death speaks of, or None."""
    for metric in payload.metrics:
        if metric.name == BD_SEQ:
            try:
                value = value_of(metric, metric.datatype or INT64)
            except MessageError:
                return None
            return value if isinstance(value, int) else None
    return None


def severity(code: int | None) -> int:
    """0 BAD, 192 GOOD, 500 STALE; between them the severities of OPC classic, from which these come."""
    if code is None or 192 <= code < 256:
        return Quality.GOOD
    return Quality.UNCERTAIN if 64 <= code < 192 else Quality.BAD

"""What an edge node says to a host application, and what that makes of it: for the tests of Sparkplug's rules."""

import json
from typing import Any

from collectors.mqtt.decoder import Message, MessageError
from collectors.mqtt.sparkplug import SparkplugHost
from collectors.mqtt.sparkplug_topic import SparkplugTopic
from telemetry.samples import Quality, Sample
from tests.collectors.mqtt.sparkplug_wire import metric, payload

MS = 1_000_000
S = 1_000_000_000
T_MS = 1_795_305_600_000
T = T_MS * MS
PRESS = "km0/hall/plant1/press1"
RULES: dict[str, Any] = {
    "dialect": "sparkplug",
    "host_id": "km0",
    "asset": "km0/hall/plant1/press1",
    "node_asset": "km0/hall/plant1/edge1",
    "names": {"Good Count": "parts_good", "State": "state", "Speed": "spindle_speed", "Job": "product"},
    "states": {"RUNNING": "EXECUTING", "STOPPED": "NOT_EXECUTING"},
}


class Conversation:
    """A host application and what an edge node of group G, E with device D says to it."""

    def __init__(self, **changes: Any) -> None:
        self.host: SparkplugHost = SparkplugTopic.model_validate_json(json.dumps(RULES | changes)).decoder()
        self.now = T
        self.host.opening(T)

    def hear(self, kind: str, body: bytes, *, device: str = "D", after_ms: int = 1) -> list[Sample | MessageError]:
        self.now += after_ms * MS
        name = f"spBv1.0/G/{kind}/E" + (f"/{device}" if kind.startswith("D") else "")
        try:
            return self.host.decode(Message(name, body, self.now))
        except MessageError as error:
            return [error]

    def nbirth(self, *metrics: bytes, bd: int = 0, seq: int = 0, at_ms: int = T_MS) -> list[Sample | MessageError]:
        return self.hear("NBIRTH", payload(metric("bdSeq", bd, datatype=4), *metrics, at_ms=at_ms, seq=seq))

    def dbirth(self, *metrics: bytes, seq: int = 1, at_ms: int = T_MS) -> list[Sample | MessageError]:
        return self.hear("DBIRTH", payload(*metrics, at_ms=at_ms, seq=seq))

    def ddata(self, *metrics: bytes, seq: int, at_ms: int = T_MS, after_ms: int = 1) -> list[Sample | MessageError]:
        return self.hear("DDATA", payload(*metrics, at_ms=at_ms, seq=seq), after_ms=after_ms)

    def ndeath(self, bd: int | None) -> list[Sample | MessageError]:
        return self.hear("NDEATH", payload(*([] if bd is None else [metric("bdSeq", bd, datatype=4)])))

    def born(self) -> "Conversation":
        """With NBIRTH and a DBIRTH of Good Count (alias 1) = 100 and State (alias 2) = RUNNING."""
        self.nbirth()
        self.dbirth(
            metric("Good Count", 100, alias=1, datatype=8, at_ms=T_MS),
            metric("State", "RUNNING", alias=2, datatype=12, at_ms=T_MS),
        )
        return self

    def asked(self) -> list[str]:
        """Topics of what we publish now."""
        return [publication.topic for publication in self.host.say()]


def good(*answer: Sample | MessageError) -> list[tuple[str, float, int]]:
    """Metric, value and time [ms after T] of samples that are good; everything must be one."""
    assert all(isinstance(one, Sample) and one.quality == Quality.GOOD for one in answer), answer
    return [(one.metric, one.value, (one.time_ns - T) // MS) for one in answer if isinstance(one, Sample)]


def reasons(answer: list[Sample | MessageError]) -> str:
    assert answer
    assert all(isinstance(one, MessageError) for one in answer), answer
    return "; ".join(map(str, answer))


def stale(answer: list[Sample | MessageError]) -> dict[str, int]:
    """Metric and time [ns] of samples that say "not known from here on"; everything must be one."""
    assert all(isinstance(one, Sample) and one.quality == Quality.BAD for one in answer), answer
    return {one.metric: one.time_ns for one in answer if isinstance(one, Sample)}

"""From a reading of one node to a sample of one metric: words, units, times and trust."""

import math
from typing import Final

from collectors.opcua.config import OpcUaNode
from collectors.opcua.wire import Reading
from telemetry.errors import DecodeError
from telemetry.glossary import METRICS, MachineState
from telemetry.samples import Quality, Sample
from telemetry.validity import EARLIEST_NS, FUTURE_NS, Gate

OVERFLOW: Final = 0x80
"""Bit of a StatusCode: values before this one were dropped from the server's queue (OPC 10000-4, 7.39)."""

_TEXTUAL: Final = ("alarm", "break", "repair")
"""Events whose content is a text."""


def timed(reading: Reading, received_ns: int) -> tuple[int, Quality]:
    """The time [ns] and trust of a reading. Without a source's time the server's stands in, else ours: uncertain."""
    quality = Quality.of(reading.status)
    if reading.source_ns:
        return reading.source_ns, quality
    return reading.server_ns or received_ns, max(quality, Quality.UNCERTAIN)


class NodeValues:
    """Maps the readings of one node. Holds no state: a node whose type changes is read by what arrives."""

    def __init__(self, node: OpcUaNode, gate: Gate) -> None:
        self.asset: Final = node.asset
        self.metric: Final = node.metric
        self._gate = gate
        self._scale, self._offset = node.scale, node.offset
        self._exact = node.scale == 1 and node.offset == 0
        self._words = node.words
        metric = METRICS[node.metric]
        self._textual = metric.kind == "word" or metric.name in _TEXTUAL
        self._state = metric.name == "state"
        self.holds_state: Final = metric.kind == "state"
        self._plain = not self._words and not self._textual
        self._least, self._most = gate.limits(node.asset, node.metric)

    def samples(self, reading: Reading, received_ns: int) -> list[Sample]:
        """As `sample`, as a list of none or one."""
        if self._plain and not reading.status:
            # Most values by far: a good number at its source's time, within the limits. All others take the long way.
            value, time_ns = reading.value, reading.source_ns
            if type(value) is float or type(value) is int or type(value) is bool:
                number = float(value) if self._exact else value * self._scale + self._offset
                if self._least <= number <= self._most and EARLIEST_NS <= time_ns <= received_ns + FUTURE_NS:
                    return [Sample(time_ns, self.asset, self.metric, number, "", 0, received_ns)]
        sample = self.sample(reading, received_ns)
        return [] if sample is None else [sample]

    def sample(self, reading: Reading, received_ns: int) -> Sample | None:
        """The sample; None when the server only says that it has no value yet. DecodeError says why there is none.

        The source's time is the sample's. Where it is missing the server's stands in, else ours, and the quality is
        uncertain: such a time tells when the value was seen, not when it became true.
        """
        time_ns, quality = timed(reading, received_ns)
        if quality is Quality.BAD:
            # A first "no value yet" bears the time of asking: kept, it would hide the older value that comes next.
            if reading.waiting:
                return None
            value, text = 0.0, ""
        else:
            value, text = self._content(reading.value)
        sample = Sample(time_ns, self.asset, self.metric, value, text, int(quality), received_ns)
        if (refusal := self._gate.refusal(sample)) is not None:
            raise DecodeError(refusal)
        return sample

    def _content(self, value: object) -> tuple[float, str]:
        if self._words and not isinstance(value, (list, tuple)):
            meaning = self._words.get(_spelling(value), self._words.get("*"))
            if meaning is not None:
                return self._meaning(meaning)
            # A vendor's code that is not named must not pass for one of ours.
            if self._state or (isinstance(value, str) and not self._textual):
                raise DecodeError(f"{str(value)[:100]!r} is not among the words of {self.metric}; add it to `words`")
        if isinstance(value, (bool, int, float)):
            if self._textual:
                return 0.0, _spelling(value)
            number = float(value)
            if not math.isfinite(number):
                raise DecodeError(f"{self.metric} is {number}: not a finite number")
            return (number if self._exact else number * self._scale + self._offset), ""
        if isinstance(value, str):
            if self._textual:
                return 0.0, value
            if self._state and value in MachineState.__members__:
                return float(MachineState[value]), ""
            raise DecodeError(f"{value[:100]!r} is a word, and {self.metric} is a number; map it with `words`")
        if value is None:
            raise DecodeError("no value, and the status does not say it is bad")
        if isinstance(value, (list, tuple)):
            raise DecodeError(f"an array of {len(value)}: {self.metric} is a single value")
        raise DecodeError(f"a {type(value).__name__}: neither a number nor a word")

    def _meaning(self, meaning: str | float) -> tuple[float, str]:
        if isinstance(meaning, str):
            return (float(MachineState[meaning]), "") if self._state else (0.0, meaning)
        return (0.0, f"{meaning:.15g}") if self._textual else (float(meaning), "")


def _spelling(value: object) -> str:
    """How a value is written in the plant file: true, 4, 2.5, RUN."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.15g}" if isinstance(value, float) else str(value)

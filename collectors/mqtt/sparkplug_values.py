"""What a metric of a Sparkplug message says, read by the birth that described it. Pure."""

from collections.abc import Iterator
from typing import Any, Final

from collectors.mqtt.decoder import MessageError
from collectors.mqtt.mapping import Reader
from collectors.mqtt.sparkplug_clock import MS_NS
from collectors.mqtt.sparkplug_codec import quality_of, value_of
from collectors.mqtt.sparkplug_known import Known, severity
from telemetry.glossary import holds
from telemetry.samples import Quality, Sample
from telemetry.validity import FUTURE_NS


class Values:
    """Reads metrics as samples, and notes in what is known of them when they last spoke."""

    def __init__(self, reader: Reader, scale: float, offset: float) -> None:
        self._reader: Final = reader
        self._scale: Final = scale
        self._offset: Final = offset

    def number(self, known: Known, metric: Any, received_ns: int) -> Sample | None:
        """The commonest value, a number that came with its time, short and quick; None where `read` must look.

        `read` says the same of it: here is speed, there is meaning.
        """
        field, time_ms = known.field, metric.timestamp
        if not (time_ms and metric.HasField(field)) or metric.HasField("properties"):
            return None
        if metric.is_null or metric.is_historical:
            return None
        value, bits = getattr(metric, field), known.bits
        if bits:
            value &= (1 << bits) - 1
            if value >> (bits - 1):
                value -= 1 << bits
        time_ns = time_ms * MS_NS
        if time_ns <= known.again_ns:
            return None
        number = value * self._scale + self._offset
        sample = Sample(time_ns, known.asset, known.metric, number, "", Quality.GOOD, received_ns)
        if known.last_ns < time_ns <= received_ns + FUTURE_NS:
            known.last_ns, known.last = time_ns, sample
        known.stale = False
        return sample

    def read(
        self, known: Known, metric: Any, written_ms: int, received_ns: int, *, birth: bool
    ) -> Iterator[Sample | MessageError]:
        """What it says, whatever it is; `written_ms` [ms] is the time of its message, 0 when that has none."""
        quality = severity(quality_of(metric))
        try:
            raw = value_of(metric, known.datatype)
            number, text, own = self._reader.value(known.metric, raw, self._scale, self._offset)
        except MessageError as error:
            if quality != Quality.BAD:
                yield MessageError(error.fault, f"{known.name!r}: {error}")
                return
            number, text, own = 0.0, "", Quality.BAD
        quality = max(quality, own)
        written_ns = written_ms * MS_NS
        time_ns = metric.timestamp * MS_NS or written_ns
        if not time_ns:
            time_ns, quality = received_ns, max(quality, Quality.UNCERTAIN)
        sample = Sample(time_ns, known.asset, known.metric, number, text, quality, received_ns)
        yield sample
        if not birth and known.since_ns <= time_ns <= known.again_ns:
            known.since_ns = time_ns
            known.last = Sample(known.again_ns, known.asset, known.metric, number, text, quality, received_ns)
            yield known.last
        if metric.is_historical:
            return
        again_ns = 0
        if birth and holds(known.metric):
            again_ns = written_ns if written_ns <= received_ns + FUTURE_NS else 0
            if known.unknown_ns > max(time_ns, again_ns):  # said by a clock that shows less by now: a birth ends it
                known.since_ns = min(time_ns, again_ns or time_ns)  # it may be of the clock before
                known.again_ns = again_ns = known.unknown_ns + 1
        if again_ns > time_ns:
            time_ns = again_ns
            sample = Sample(time_ns, known.asset, known.metric, number, text, quality, received_ns)
            yield sample
        if known.last_ns < time_ns <= received_ns + FUTURE_NS:  # else it is not kept, and nothing is to follow it
            known.last_ns, known.last = time_ns, sample
        known.stale = False

"""One metric told by several nodes: joined in the order of their source times, whatever the order of arrival.

Invariant: whichever way the parts' changes arrive, live or from history, once or twice, the samples that remain (the
last one given for each instant) are those of all changes taken in time order.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from typing import Any, Final

from collectors.opcua.values import timed
from collectors.opcua.wire import Reading
from telemetry.errors import DecodeError
from telemetry.glossary import METRICS
from telemetry.samples import Quality, Sample
from telemetry.validity import Gate

KEEP: Final = 5_000
"""Changes of a part that are remembered: a late one is joined with what the others were so long ago."""

Combine = Callable[[Mapping[str, Any]], tuple[float, str] | None]
"""The value and text of the metric from the parts known at an instant (None: its value is bad); None: not told yet."""


class UnknownError(Exception):
    """Raised by a Combine: from here on the metric is not known."""


class Blend:
    """The joined metric of one asset. Its parts are made by `part`; with `since`, combine gets each as a pair with the
    source time [ns] since when it has been so."""

    def __init__(self, asset: str, metric: str, combine: Combine, gate: Gate, *, since: bool = False) -> None:
        self.asset: Final = asset
        self.metric: Final = metric
        self._combine: Final = combine
        self._gate: Final = gate
        self._since: Final = since
        self._times: Final[dict[str, list[int]]] = {}
        self._values: Final[dict[str, list[tuple[Any, int]]]] = {}

    def part(self, name: str, meaning: Callable[[Any], Any]) -> "BlendPart":
        """The reader of a node that tells `name`; `meaning` turns its value, or raises DecodeError."""
        self._times.setdefault(name, [])
        self._values.setdefault(name, [])
        return BlendPart(self, name, meaning)

    def adopt(self, name: str, other: "Blend", theirs: str) -> None:
        """Know of the part `name` what another blend knows of its part `theirs`."""
        self._times[name] = list(other._times[theirs])
        self._values[name] = list(other._values[theirs])

    def take(self, name: str, at_ns: int, value: Any, quality: int, received_ns: int) -> list[Sample]:
        """Take a change of a part; returns the samples that it makes or changes, in time order."""
        times, values = self._times[name], self._values[name]
        index = bisect_left(times, at_ns)
        if index < len(times) and times[index] == at_ns:
            values[index] = (value, quality)
        else:
            times.insert(index, at_ns)
            values.insert(index, (value, quality))
        end_ns = times[index + 1] if index + 1 < len(times) else None
        instants = {at_ns}
        for other, theirs in self._times.items():
            if other != name:
                instants.update(
                    theirs[bisect_right(theirs, at_ns) : None if end_ns is None else bisect_left(theirs, end_ns)]
                )
        if len(times) > KEEP:
            del times[: KEEP // 10], values[: KEEP // 10]
        return [sample for instant in sorted(instants) if (sample := self._at(instant, received_ns)) is not None]

    def _at(self, instant: int, received_ns: int) -> Sample | None:
        known: dict[str, Any] = {}
        worst = int(Quality.GOOD)
        for name, times in self._times.items():
            row = bisect_right(times, instant) - 1
            if row >= 0:
                value, quality = self._values[name][row]
                known[name] = (value, times[row]) if self._since else value
                if quality == Quality.UNCERTAIN:
                    worst = quality
        try:
            told = self._combine(known)
        except UnknownError:
            return Sample(instant, self.asset, self.metric, 0.0, "", Quality.BAD, received_ns)
        if told is None:
            return None
        sample = Sample(instant, self.asset, self.metric, told[0], told[1], worst, received_ns)
        if (refusal := self._gate.refusal(sample)) is not None:
            raise DecodeError(refusal)
        return sample


class BlendPart:
    """Reads one node of a blend."""

    def __init__(self, blend: Blend, name: str, meaning: Callable[[Any], Any]) -> None:
        self.asset: Final = blend.asset
        self.metric: Final = blend.metric
        self.holds_state: Final = METRICS[blend.metric].kind == "state"
        self._blend: Final = blend
        self._name: Final = name
        self._meaning: Final = meaning

    def succeed(self, former: "BlendPart") -> None:
        """Read the node from now on in the place of a reader of another blend, and remember what that one does."""
        self._blend.adopt(self._name, former._blend, former._name)

    def samples(self, reading: Reading, received_ns: int) -> list[Sample]:
        """The samples of the blend that this reading makes. Raises DecodeError."""
        time_ns, quality = timed(reading, received_ns)
        if quality is Quality.BAD:
            if reading.waiting:
                return []
            value = None
        else:
            value = self._meaning(reading.value)
        return self._blend.take(self._name, time_ns, value, quality, received_ns)

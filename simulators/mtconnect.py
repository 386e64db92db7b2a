"""A recorded machine: MTConnect SHDR files as samples of one asset.

Invariants. Times are cut to whole microseconds, which every consumer of JSON times keeps. A metric is told once per
instant (the last word counts) and when it changes. Every recording ends with a sample of quality "bad" for each metric
that holds, one millisecond after its last observation: nobody knows what happened until the next recording, so a state
must not be carried across, and the next count is a baseline and no increment.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from simulators.recorded import Replayed, value
from simulators.shdr import Observation, observations, recordings
from telemetry.errors import ConfigError
from telemetry.glossary import METRICS, MachineState, holds

_STATES: Final = {
    "ACTIVE": MachineState.EXECUTING,
    "READY": MachineState.NOT_EXECUTING,
    "STOPPED": MachineState.NOT_EXECUTING,
    "INTERRUPTED": MachineState.NOT_EXECUTING,
    "FEED_HOLD": MachineState.NOT_EXECUTING,
    "WAIT": MachineState.NOT_EXECUTING,
    "OPTIONAL_STOP": MachineState.NOT_EXECUTING,
    "PROGRAM_STOPPED": MachineState.NOT_EXECUTING,
    "PROGRAM_COMPLETED": MachineState.NOT_EXECUTING,
    "PROGRAM_OPTIONAL_STOP": MachineState.NOT_EXECUTING,
}
"""MTConnect's EXECUTION in the words of the house."""

_METRICS: Final = {
    "execution": "state",
    "partcount": "parts",
    "program": "program",
    "Fovr": "feed_override",
    "S1ovr": "spindle_override",
    "S1speed": "spindle_speed",
    "S1load": "spindle_load",
}
"""Names of data items as adapters choose them; many put the path's "p" or "p1" before the name."""

_PATH: Final = re.compile(r"^p\d*")
_UNAVAILABLE: Final = "UNAVAILABLE"
_MS_NS: Final = 1_000_000
_US_NS: Final = 1_000


def read_recordings(lines: Iterable[str], where: str) -> list[list[Observation]]:
    """The recordings of an SHDR file. Raises ConfigError when it holds no observation."""
    found = recordings(observations(lines))
    if not found:
        raise ConfigError(
            f"{where}: no MTConnect SHDR observation in it; lines look like 2022-08-08T13:51:34Z|key|value"
        )
    return found


def samples(parts: Iterable[Sequence[Observation]]) -> list[Replayed]:
    """The recordings as samples in time order."""
    return [sample for part in parts for sample in _recording(part)]


def _recording(part: Sequence[Observation]) -> list[Replayed]:
    told: dict[tuple[str, int], Replayed] = {}
    current: dict[str, Replayed] = {}
    for observation in part:
        sample = _sample(observation)
        if sample is None:
            continue
        before = current.get(sample.metric)
        if before is None or (before.value, before.good) != (sample.value, sample.good):
            told[sample.metric, sample.time_ns] = current[sample.metric] = sample
    end_ns = _whole_us(part[-1].time_ns) + _MS_NS
    ends = [Replayed(end_ns, metric, sample.value, False) for metric, sample in current.items() if holds(metric)]
    return [*told.values(), *ends]


def _sample(observation: Observation) -> Replayed | None:
    """What an observation says in the words of the glossary, if anything."""
    time_ns, key, word = _whole_us(observation.time_ns), observation.key, observation.value
    if key == "avail":
        return Replayed(time_ns, "state", int(MachineState.NOT_AVAILABLE)) if word == _UNAVAILABLE else None
    metric = _METRICS.get(key) or _METRICS.get(_PATH.sub("", key))
    if metric is None:
        return None
    if metric == "state":
        state = _STATES.get(word)
        return Replayed(time_ns, metric, int(state or 0), state is not None)
    if METRICS[metric].kind == "word":
        return Replayed(time_ns, metric, word, word != _UNAVAILABLE)
    try:
        return Replayed(time_ns, metric, value(metric, word, good=True))
    except ValueError:
        return Replayed(time_ns, metric, 0, False)


def _whole_us(time_ns: int) -> int:
    return time_ns // _US_NS * _US_NS

"""A recorded machine, played again: MTConnect SHDR files as samples of one asset, published in format A.

Invariants. Times are cut to whole microseconds, which every consumer of JSON times keeps. A metric is told once per
instant (the last word counts) and when it changes. Every recording ends with a sample of quality "bad" for each metric
that holds, one millisecond after its last observation: nobody knows what happened until the next recording, so a state
must not be carried across, and the next count is a baseline and no increment.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from simulators.payloads import BATCH, Message, value_object
from simulators.recorded import Replayed
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


def read_recordings(path: Path) -> list[list[Observation]]:
    """The recordings of an SHDR file. Raises ConfigError when it cannot be read or holds no observation."""
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            found = recordings(observations(lines))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}: an MTConnect SHDR recording is expected there") from error
    if not found:
        raise ConfigError(
            f"{path}: no MTConnect SHDR observation in it; lines look like 2022-08-08T13:51:34Z|key|value"
        )
    return found


def samples(parts: Iterable[Sequence[Observation]], *, ends_at_ns: int | None = None) -> list[Replayed]:
    """The recordings as samples in time order; with `ends_at_ns` [ns], moved as a whole so that the last is then."""
    found: list[Replayed] = []
    for part in parts:
        found += _recording(part)
    if ends_at_ns is None or not found:
        return found
    shift_ns = (ends_at_ns - max(sample.time_ns for sample in found)) // _US_NS * _US_NS
    return [sample._replace(time_ns=sample.time_ns + shift_ns) for sample in found]


def messages(asset: str, told: Iterable[Replayed]) -> list[Message]:
    """Samples in format A, in arrays per metric; the events they carry are in the journal's form."""
    series: dict[str, list[Replayed]] = {}
    for sample in told:
        series.setdefault(sample.metric, []).append(sample)
    found: list[Message] = []
    for metric, told_of_it in series.items():
        for first in range(0, len(told_of_it), BATCH):
            batch = told_of_it[first : first + BATCH]
            objects = [value_object(s.time_ns, s.value, None if s.good else "bad") for s in batch]
            payload = json.dumps(objects, separators=(",", ":")).encode()
            events = tuple((s.time_ns, s.metric, s.value) for s in batch)
            found.append(Message(f"{asset}/{metric}", payload, asset, events))
    return found


async def replay(
    path: Path, asset: str, publish: Callable[[Message], Awaitable[None]], *, ends_at_ns: int | None = None
) -> int:
    """Publish a recording as an asset; the number of samples. Raises as `read_recordings` and `publish`."""
    told = samples(read_recordings(path), ends_at_ns=ends_at_ns)
    for message in messages(asset, told):
        await publish(message)
    return len(told)


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
        number = float(word)
    except ValueError:
        return Replayed(time_ns, metric, 0, False)
    return Replayed(time_ns, metric, int(number) if number.is_integer() else number)


def _whole_us(time_ns: int) -> int:
    return time_ns // _US_NS * _US_NS

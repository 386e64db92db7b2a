"""Recordings of any form that we know, read from a file and played on a wire of one's choice.

MTConnect SHDR (simulators.mtconnect), event logs in CSV (simulators.event_log) and MQTT captures (simulators.capture)
are told apart by what is in them. Times stay as they were recorded, or the whole is moved.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from simulators.capture import Captured, is_capture, moved, read_capture, values_of
from simulators.event_log import is_event_log, read_event_log
from simulators.mtconnect import read_recordings, samples
from simulators.payloads import BATCH, Message, value_object
from simulators.recorded import Replayed
from telemetry.errors import ConfigError

if TYPE_CHECKING:
    from simulators.opcua_history import Told
    from simulators.opcua_plant import OpcUaPlant

_US_NS: Final = 1_000
_NEVER_NS: Final = 1 << 62


@dataclass(frozen=True)
class Recording:
    """`messages`: a capture's, with topics of their own; else `values`, by asset, in time order."""

    values: Mapping[str, Sequence[Replayed]] = field(default_factory=dict)
    messages: Sequence[Captured] = ()

    @property
    def span_ns(self) -> tuple[int, int]:
        """First and last instant [ns]."""
        if self.messages:
            return self.messages[0].at_ns, self.messages[-1].at_ns
        times = [one.time_ns for values in self.values.values() for one in values]
        return min(times), max(times)


def read(path: Path, asset: str | None) -> Recording:
    """A recording; `asset` is whose it is, where the file does not say so itself.

    Raises ConfigError when it cannot be read, or is of no form that we know.
    """
    lines = _lines(path)
    head = next((line for line in lines if line.strip()), "")
    if is_event_log(head):
        found = Recording(values=read_event_log(lines, str(path), asset))
    elif is_capture(head):
        return Recording(messages=read_capture(lines, str(path)))
    elif any("|" in line for line in lines):
        if asset is None:
            raise ConfigError(f"{path}: an MTConnect recording does not say whose it is: name it with --asset")
        found = Recording(values={asset: samples(read_recordings(lines, str(path)))})
    else:
        raise ConfigError(
            f"{path}: no recording that we know: MTConnect SHDR (time|key|value), an event log in CSV "
            "(time,metric,value), or what mosquitto_sub -F %j wrote"
        )
    if not any(found.values.values()):
        raise ConfigError(f"{path}: there is no value in it")
    return found


def _lines(path: Path) -> list[str]:
    """Its lines, with their ends: str.splitlines would cut messages at characters that are no end of line."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}: a recording is expected there") from error
    return [f"{line}\n" for line in text.split("\n")]


def shift_ns(recording: Recording, to_ns: int, *, begins: bool) -> int:
    """How far to move it [ns, whole µs] so that it begins, or else ends, at an instant [ns]."""
    first_ns, last_ns = recording.span_ns
    return (to_ns - (first_ns if begins else last_ns)) // _US_NS * _US_NS


async def replay(
    path: Path, asset: str, publish: Callable[[Message], Awaitable[None]], *, ends_at_ns: int | None = None
) -> int:
    """Publish an MTConnect recording as an asset, at once; the number of samples. `ends_at_ns` [ns]: moved as a whole,
    so that the last is then. Raises as `publish`, and ConfigError when it cannot be read."""
    found = Recording(values={asset: samples(read_recordings(_lines(path), str(path)))})
    by_ns = 0 if ends_at_ns is None else shift_ns(found, ends_at_ns, begins=False)
    return await over_mqtt(found, publish, by_ns=by_ns)


async def over_mqtt(
    recording: Recording, publish: Callable[[Message], Awaitable[None]], *, speed: float = 0.0, by_ns: int = 0
) -> int:
    """Publish it, moved by so much [ns] and so many times as fast as it was (0: at once): a capture's messages as they
    were, values in format A. Returns how many messages of a capture, or how many values. Raises as `publish`."""
    pace = _Pace(recording, speed)
    for captured in recording.messages:
        await pace.reached(captured.at_ns)
        told = moved(captured, by_ns, captured.at_ns + by_ns) if by_ns else captured
        await publish(Message(told.topic, told.payload, told.topic, ()))
    for asset, step in _steps(recording, at_once=not speed):
        await pace.reached(step[0].time_ns)
        for message in messages(asset, _moved(step, by_ns)):
            await publish(message)
    return len(recording.messages) or sum(map(len, recording.values.values()))


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


def as_values(recording: Recording, where: str) -> Recording:
    """A capture read as what it says. Raises ConfigError when it says nothing in format A."""
    return Recording(values=values_of(recording.messages, where)) if recording.messages else recording


def server_for(recording: Recording, port: int, by_ns: Callable[[], int] = lambda: 0) -> "OpcUaPlant":
    """An OPC UA server for the values of a recording, not started; its history has them as soon as they are told.

    `by_ns` says how far they are moved [ns]; it is asked when the first is told."""
    from simulators.opcua_plant import OpcUaPlant, fits

    metrics = {asset: tuple(dict.fromkeys(one.metric for one in values)) for asset, values in recording.values.items()}

    def retell(asset: str) -> Iterator["Told"]:
        yield from _events(_moved(recording.values[asset], by_ns()))
        yield _NEVER_NS, metrics[asset][0], 0

    server = OpcUaPlant(port, metrics, retell, lived=False)
    server.retyped = frozenset(
        asset for asset, values in recording.values.items() if not all(fits(one.metric, one.value) for one in values)
    )
    return server


async def over_opcua(recording: Recording, server: "OpcUaPlant", *, speed: float = 0.0, by_ns: int = 0) -> int:
    """Write its values, moved and paced as by `over_mqtt`, to a server that is started. Returns how many."""
    pace = _Pace(recording, speed)
    for asset, step in _steps(recording, at_once=not speed):
        await pace.reached(step[0].time_ns)
        await server.write(asset, _events(_moved(step, by_ns)))
    return sum(map(len, recording.values.values()))


def _events(values: Iterable[Replayed]) -> Iterator["Told"]:
    return ((one.time_ns, one.metric, one.value if one.good else None) for one in values)


def _moved(values: Iterable[Replayed], by_ns: int) -> list[Replayed]:
    return [one._replace(time_ns=one.time_ns + by_ns) for one in values]


class _Pace:
    """Waits until what was recorded at an instant may be told."""

    def __init__(self, recording: Recording, speed: float) -> None:
        self._speed: Final = speed
        self._first_ns: Final = recording.span_ns[0]
        self._began_s: Final = time.monotonic()

    async def reached(self, at_ns: int) -> None:
        if self._speed:
            due_s = self._began_s + (at_ns - self._first_ns) / 1e9 / self._speed
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))


def _steps(recording: Recording, *, at_once: bool) -> Iterator[tuple[str, list[Replayed]]]:
    """What assets say, together where it is of one instant; in the order of time. `at_once`: asset after asset."""
    if at_once:
        yield from ((asset, list(values)) for asset, values in recording.values.items())
        return
    everything = sorted(
        ((one.time_ns, asset, one) for asset, values in recording.values.items() for one in values),
        key=itemgetter(0, 1),
    )
    step: list[Replayed] = []
    owner, at_ns = "", 0
    for time_ns, asset, one in everything:
        if step and (asset, time_ns) != (owner, at_ns):
            yield owner, step
            step = []
        owner, at_ns = asset, time_ns
        step.append(one)
    if step:
        yield owner, step

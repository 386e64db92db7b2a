"""What the simulated MQTT devices put on the wire. Written from the devices' side: no code is shared with collectors.

Format A, one value per topic: `<asset path>/<metric>` carries {"value", "time", "quality"?} or a JSON array of them.
Format B, whole reports of a printer: `printers/<name>/report` carries {"ts", "state"?, "job"?, "made"?, "good"?,
"power_w"?}; a key is missing when it has not changed.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

from simulators.machine import BREAK, NS_PER_MS
from simulators.timeline import Event, Value
from telemetry.glossary import MachineState

BATCH: Final = 200
"""Values in one array of format A, at most: some 12 kB, below the 20 kB that small brokers accept."""


class Message(NamedTuple):
    """One MQTT message, and the events of an asset that it carries."""

    topic: str
    payload: bytes
    asset: str
    events: tuple[Event, ...]


def iso_time(time_ns: int) -> str:
    """An instant [ns] in ISO 8601, UTC, with as many digits as it needs: at least milliseconds."""
    seconds, fraction = divmod(time_ns, 1_000_000_000)
    digits = f"{fraction:09d}"
    digits = digits[:3] if digits.endswith("000000") else digits[:6] if digits.endswith("000") else digits
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{digits}Z"


def value_object(time_ns: int, value: Value, quality: str | None = None) -> dict[str, Any]:
    """One value of format A."""
    return {"value": value, "time": iso_time(time_ns)} | ({"quality": quality} if quality else {})


def value_messages(asset: str, events: Sequence[Event]) -> list[Message]:
    """Events of an asset in format A: one message each, or arrays where a metric has several."""
    series: dict[str, list[Event]] = {}
    for event in events:
        series.setdefault(event[1], []).append(event)
    messages: list[Message] = []
    for metric, all_events in series.items():
        for first in range(0, len(all_events), BATCH):
            batch = all_events[first : first + BATCH]
            objects = [value_object(time_ns, value) for time_ns, _, value in batch]
            payload = json.dumps(objects if len(objects) > 1 else objects[0], separators=(",", ":"))
            messages.append(Message(f"{asset}/{metric}", payload.encode(), asset, tuple(batch)))
    return messages


_KEYS: Final = {"product": "job", "parts": "made", "parts_good": "good", "power": "power_w"}
_WORDS: Final = {
    MachineState.NOT_AVAILABLE: "off",
    MachineState.OUT_OF_SERVICE: "error",
    MachineState.NOT_EXECUTING: "idle",
    MachineState.EXECUTING: "printing",
    MachineState.SETUP: "heating",
}


def report_messages(asset: str, events: Iterable[Event]) -> list[Message]:
    """Events of a printer in format B: one report per instant. The reason of a stop is in the choice of the word."""
    topic = f"printers/{asset.rsplit('/', 1)[-1]}/report"
    messages: list[Message] = []
    for time_ns, group in groupby(events, key=itemgetter(0)):
        now = {metric: value for _, metric, value in group}
        report = {_KEYS[metric]: value for metric, value in now.items() if metric in _KEYS}
        if "state" in now:
            report["state"] = _state_word(MachineState(int(now["state"])), str(now.get("reason", "")))
        if report:
            carried = tuple((time_ns, metric, value) for metric, value in now.items() if metric != "reason")
            payload = json.dumps({"ts": time_ns // NS_PER_MS} | report, separators=(",", ":"))
            messages.append(Message(topic, payload.encode(), asset, carried))
    return messages


def _state_word(state: MachineState, reason: str) -> str:
    if state is MachineState.NOT_EXECUTING and reason == BREAK:
        return "paused"
    if state is MachineState.SETUP and reason == "levelling":
        return "levelling"
    return _WORDS[state]

"""Faulty MQTT devices: events and messages on their way to the wire, made late, double, garbled or lost.

Invariants. Decisions are drawn from (seed, asset) in the order of its messages, so the same scenario is disturbed in
the same way at any speed. Events stay in the order of their life inside a message; held messages are released in the
order in which they are due.
"""

import heapq
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import ne
from random import Random
from typing import Final

from simulators.faults import Done, Fault
from simulators.payloads import Message, value_object
from simulators.timeline import Event, Value
from telemetry.glossary import METRICS

ToMessages = Callable[[str, list[Event]], list[Message]]

_GARBAGE: Final = (b"", b"{", b'{"value": "', b"\xff\xfe\x00\x01", b'"words"', b"[[[[[[", b"nan")
COUNTERS: Final = ("parts", "parts_good", "parts_scrap")
_YEAR_NS: Final = 365 * 86_400 * 10**9


@dataclass(frozen=True)
class Register:
    """Counters that did not begin at 0, and begin again there instead of showing `turn`."""

    turn: int
    began: Mapping[str, int]
    """What each showed at the birth of its machine."""

    @classmethod
    def rolling(cls, told: Iterable[Event], turn: int) -> "Register":
        """One that rolls over with the first part after these events."""
        counted = {metric: int(value) for _, metric, value in told if metric in COUNTERS}
        return cls(turn, {metric: (turn - 1 - value) % turn for metric, value in counted.items()})

    def shows(self, metric: str, count: int) -> int:
        return (self.began.get(metric, 0) + count) % self.turn


class Disturbance:
    """The faults of one asset. `messages` makes of its events what really leaves the device, up to `until_ns`."""

    def __init__(
        self,
        asset: str,
        faults: Mapping[int, Fault],
        starts_ns: int,
        seed: int,
        to_messages: ToMessages,
        done: Done,
        register: "Register | None" = None,
    ) -> None:
        """`faults`: by their numbers, for `done`. `register`: of a device whose counters roll over."""
        self._asset = asset
        self._starts_ns = starts_ns
        self._register = register
        self._faults = dict(faults)
        self._random = Random(f"{seed}/{asset}/wire")
        self._to_messages = to_messages
        self._done = done
        self._held: list[tuple[int, int, Message]] = []
        self._order = 0
        self._in_force: dict[str, Value] = {}
        self._passed: dict[str, int] = {}
        self._base: dict[str, float] = {}
        self._reset_by = {one.window_ns(starts_ns)[0]: number for number, one in self._of("counter-reset")}
        self._resets = sorted(self._reset_by)
        self._silences = [(number, *one.window_ns(starts_ns)) for number, one in self._of("silence")]
        self._told: set[int] = set()
        self._until_ns = starts_ns

    def leftovers(self) -> list[Message]:
        """What the broker still retains of another year, and of a machine that is gone."""
        asked = [number for number, _ in self._of("leftovers")]
        if not asked:
            return []
        old_ns = self._starts_ns - _YEAR_NS
        found = [
            _one(self._asset, "state", old_ns, 3),
            # A counter that goes on where it stood counts on: what it did in between would be nobody's guess.
            _one(self._asset, "parts", old_ns, 40_000 if self._register is None else self._register.shows("parts", 0)),
            Message(f"{self._asset}-gone/state", _one(self._asset, "state", old_ns, 3).payload, self._asset, ()),
        ]
        self._done.unusable.append((found[-1].topic, found[-1].payload.hex()))
        for number in asked:
            self._done.note(number, len(found))
        return found

    def messages(self, events: list[Event], until_ns: int) -> list[Message]:
        """What leaves the device, in the order in which it leaves."""
        told, marks = self._changed(events, until_ns)
        leaving: list[Message] = list(marks)
        for message in self._to_messages(self._asset, told):
            leaving += self._fate(message)
        while self._held and self._held[0][0] < until_ns:
            leaving.append(heapq.heappop(self._held)[2])
        mixed = [one for one, f in self._of("reordered") if f.active(until_ns - 1 - self._starts_ns)]
        if mixed:
            before = list(leaving)
            self._random.shuffle(leaving)
            for number in mixed:
                self._done.note(number, int(leaving != before))
        return self._noted(leaving)

    def rest(self) -> list[Message]:
        """What is still held, at the end."""
        rest = [message for _, _, message in sorted(self._held)]
        self._held = []
        return self._noted(rest)

    def _of(self, kind: str) -> list[tuple[int, Fault]]:
        """Its faults of a kind, with their numbers."""
        return [(number, fault) for number, fault in self._faults.items() if fault.kind == kind]

    def _noted(self, leaving: list[Message]) -> list[Message]:
        self._done.unusable += [(one.topic, one.payload.hex()) for one in leaving if not one.events]
        return leaving

    # events

    def _changed(self, events: list[Event], until_ns: int) -> tuple[list[Event], list[Message]]:
        """The events as a device with a wrong clock, a reset counter or a cut cable tells them; and its last words."""
        marks: list[Message] = []
        told: list[Event] = []
        before = dict(self._in_force)
        for number, start, end in self._silences:
            if start < until_ns and start not in self._told:
                self._told.add(start)
                self._done.note(number)
                known = before | {m: v for t, m, v in events if t < start}
                held = {metric: value for metric, value in known.items() if METRICS[metric].holds}
                marks += [_one(self._asset, metric, start, value, "bad") for metric, value in held.items()]
            if end <= until_ns and start in self._told and end not in self._told:
                self._told.add(end)
                known = before | {m: v for t, m, v in events if t < end}
                told += [(end, m, self._counted(end, m, v, v)) for m, v in known.items() if METRICS[m].holds]
        for at in self._resets:
            if self._until_ns <= at < until_ns:
                zeros = [(at, metric, 0) for metric in COUNTERS if metric in before]
                told += zeros
                self._done.note(self._reset_by[at], len(zeros))
        self._until_ns = until_ns
        for time_ns, metric, value in events:
            previous = self._in_force.get(metric, 0)
            self._in_force[metric] = value
            if any(start <= time_ns < end for _, start, end in self._silences):
                continue
            told.append((time_ns + self._skew_ns(time_ns), metric, self._counted(time_ns, metric, value, previous)))
        unique = {(time_ns, metric): value for time_ns, metric, value in told}
        return sorted((time_ns, metric, value) for (time_ns, metric), value in unique.items()), marks

    def _skew_ns(self, time_ns: int) -> int:
        since = time_ns - self._starts_ns
        by_s = 0.0
        for number, fault in (*self._of("skew"), *self._of("drift")):
            if fault.active(since):
                start_ns, end_ns = fault.window_ns(0)
                self._done.note(number)
                by_s += fault.by_s * (1.0 if fault.kind == "skew" else (since - start_ns) / (end_ns - start_ns))
        return round(by_s * 1000) * 10**6

    def _counted(self, time_ns: int, metric: str, value: Value, previous: Value) -> Value:
        """A counter as it stands after its resets."""
        if metric not in COUNTERS or isinstance(value, str) or isinstance(previous, str):
            return value
        passed = bisect_right(self._resets, time_ns)
        if passed > self._passed.get(metric, 0):
            self._passed[metric] = passed
            self._base[metric] = previous
        if passed or self._register is None:
            return value - self._base.get(metric, 0)
        if (shown := self._register.shows(metric, int(value))) < value:
            for number, _ in self._of("counter-rollover"):
                self._done.made[number] = 1
        return shown

    # messages

    def _fate(self, message: Message) -> list[Message]:
        at_ns = message.events[0][0] - self._starts_ns if message.events else 0
        leaving = [message]
        for number, fault in self._faults.items():
            if not fault.active(at_ns):
                continue
            hit = self._random.random() < fault.share
            if fault.kind == "lost" and hit:
                self._done.note(number)
                self._done.withheld += [(message.asset, metric, time_ns) for time_ns, metric, _ in message.events]
                return []
            if fault.kind == "duplicated" and hit:
                self._done.note(number)
                leaving.append(message)
            elif fault.kind == "garbage" and hit:
                self._done.note(number)
                leaving.append(Message(message.topic, self._random.choice(_GARBAGE), message.asset, ()))
            elif fault.kind == "type-change":
                quoted = [_in_quotes(one) for one in leaving]
                self._done.note(number, sum(map(ne, quoted, leaving)))
                leaving = quoted
            elif fault.kind == "late":
                due_ns = fault.window_ns(self._starts_ns)[1]
                self._done.note(number, len(leaving))
                for one in leaving:
                    self._order += 1
                    heapq.heappush(self._held, (due_ns, self._order, one))
                return []
        return leaving


def _one(asset: str, metric: str, time_ns: int, value: Value, quality: str | None = None) -> Message:
    payload = json.dumps(value_object(time_ns, value, quality)).encode()
    return Message(f"{asset}/{metric}", payload, asset, ((time_ns, metric, value),))


def _in_quotes(message: Message) -> Message:
    """The same message from a device that has begun to send its numbers as text."""

    def quoted(told: object, key: str) -> object:
        if isinstance(told, list):
            return [quoted(one, key) for one in told]
        if isinstance(told, dict):
            return {name: quoted(value, name) for name, value in told.items()}
        number = isinstance(told, int | float) and not isinstance(told, bool) and key not in ("ts", "time")
        return str(told) if number else told

    if not message.payload.startswith((b"{", b"[")):
        return message
    payload = json.dumps(quoted(json.loads(message.payload), ""), separators=(",", ":")).encode()
    return message._replace(payload=payload)

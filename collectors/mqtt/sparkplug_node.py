"""What one Sparkplug edge node has said so far: births, aliases, the order of its messages. Pure, the clock is given.

Invariants:
- Messages act in the order of their `seq`. One that came too early is held until those before it came, or until the
  reorder timeout, when it acts all the same and the births are asked for.
- A value is only read by a birth that described it; nothing is guessed.
- What holds (states, words, counters) is said again at the time of a birth: a birth certificate tells what is in force
  when it is written, and the metric in it may carry the older time of its last change.
- When a metric is no longer known it is said so once, later than its last value, by the clock of the node: by ours, the
  next birth of a node whose clock is behind would lie before it, and what it says would never be in force.
- It is taken back when the node tells as historical what happened meanwhile (sparkplug_outages.py).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from collectors.mqtt.decoder import Fault, MessageError
from collectors.mqtt.mapping import Reader, is_number
from collectors.mqtt.sparkplug_clock import NodeClock
from collectors.mqtt.sparkplug_codec import NUMBER_FIELDS, SIGNED_BITS, TYPE_NAMES
from collectors.mqtt.sparkplug_known import Known, bd_seq_of
from collectors.mqtt.sparkplug_outages import Outage, Outages
from collectors.mqtt.sparkplug_values import Values
from telemetry.samples import Quality, Sample

Answer = list[Sample | MessageError]

SEQUENCE: Final = 256

DEVICES: Final = 5000
"""Most devices of a node that are known at once: made-up names fill no memory."""


class Item(NamedTuple):
    """A message of the node: its type, device ("" for the node's own), payload and when it came [ns]."""

    kind: str
    device: str
    payload: Any
    received_ns: int


class EdgeNode:
    """State of one edge node. `mapped(device, name)` gives asset and metric; `count` is told what is odd."""

    def __init__(
        self,
        mapped: Callable[[str, str], tuple[str, str]],
        reader: Reader,
        rules: tuple[float, float, int],
        count: Callable[[str], None],
    ) -> None:
        self._mapped: Final = mapped
        scale, offset, self._timeout_ns = rules
        self._values: Final = Values(reader, scale, offset)
        self._count: Final = count
        self._named: Final[dict[str, dict[str, Known]]] = {}  # by device and name
        self._aliases: Final[dict[int, Known]] = {}
        self._held: Final[dict[int, Item]] = {}
        self._born: Final[set[str]] = set()
        self._bd_seq: int | None = None
        self._expected = 0
        self._deadline_ns: int | None = None
        self._unborn: set[str] = set()
        self._unborn_ns = 0
        self._heard_ns = 0
        self._clock: Final = NodeClock()
        self._outages: Final = Outages(self._timeout_ns)
        self.online = False
        self.wants_rebirth = False
        """Whether something came that only new births can explain."""

    def receive(self, item: Item) -> Answer:
        """What the message says, and what those that waited for it say."""
        self._heard_ns = item.received_ns
        if item.kind == "NDEATH":
            return self._node_death(item)
        if item.kind == "NBIRTH":
            return self._node_birth(item)
        self._clock.read(item.payload.timestamp, item.received_ns)
        if not self.online:
            self.wants_rebirth = True
            raise MessageError(Fault.SHAPE, f"{item.kind} came before the NBIRTH of its edge node, which is asked for")
        if not item.payload.HasField("seq"):
            self._count("seq_missing")
            return self._act(item)
        ahead = (item.payload.seq - self._expected) % SEQUENCE
        if ahead >= SEQUENCE // 2:
            self._count("seq_late")
            return self._act(item)
        if ahead:
            self._held[item.payload.seq % SEQUENCE] = item
            if self._deadline_ns is None:
                self._deadline_ns = item.received_ns + self._timeout_ns
            return []
        answer = self._act(item)
        self._expected = (self._expected + 1) % SEQUENCE
        return answer + self._act_on_following()

    def expire(self, now_ns: int) -> Answer:
        """What is to be said because it is that late: gaps that stayed, devices that were not born again."""
        answer: Answer = []
        if self._deadline_ns is not None and self._past(self._deadline_ns, now_ns):
            self._count("seq_gaps")
            self.wants_rebirth = True
            answer += self._act_on_held()
        if self._unborn and self._past(self._unborn_ns, now_ns):
            for device in self._unborn:
                answer += self._stale(self._of(device), self._clock.at(self._unborn_ns))
                self._born.discard(device)
            self._unborn = set()
        return answer

    def ended(self) -> Answer:
        """The connection is over: from the last message on nothing is known, until births that are asked for."""
        answer = self._act_on_held()
        if not self.online:
            return answer
        self.online, self.wants_rebirth = False, True  # a node with nothing to report would not be heard of
        return answer + self._unheard(self._heard_ns)

    def _past(self, deadline_ns: int, now_ns: int) -> bool:
        """Whether it is past; also when the clock was set back, or it would not be for as long."""
        return not deadline_ns - 2 * self._timeout_ns <= now_ns < deadline_ns

    def _act_on_following(self) -> Answer:
        answer: Answer = []
        while (held := self._held.pop(self._expected, None)) is not None:
            answer += self._act(held)
            self._expected = (self._expected + 1) % SEQUENCE
        if not self._held:
            self._deadline_ns = None
        return answer

    def _act_on_held(self, before_ms: int = 2**64) -> Answer:
        """Act on what waits, as far as it was not written after an instant [ms] of the node; the rest waits on."""
        answer: Answer = []
        for seq in sorted(self._held, key=lambda seq: (seq - self._expected) % SEQUENCE):
            if self._held[seq].payload.timestamp <= before_ms:
                answer += self._act(self._held.pop(seq))
                self._expected = (seq + 1) % SEQUENCE
        if not self._held:
            self._deadline_ns = None
        return answer

    def _act(self, item: Item) -> Answer:
        if item.kind == "DBIRTH":
            if not self._room_for(item.device):
                return [
                    MessageError(Fault.SHAPE, f"more than {DEVICES} devices of one edge node: {item.device[:60]!r}")
                ]
            self._make_room_for(item.device)
            self._unborn.discard(item.device)
            self._born.add(item.device)
            return list(self._births(item))
        if item.kind == "DDEATH":
            self._born.discard(item.device)
            return self._stale(self._of(item.device), self._written_ns(item))
        if item.device and item.device not in self._born:
            # a birth that would be refused is not asked for, or the node would tell all of them without end
            self.wants_rebirth = self.wants_rebirth or self._room_for(item.device)
            return [MessageError(Fault.SHAPE, f"DDATA of {item.device!r} came before its DBIRTH, which is asked for")]
        return self._data(item)

    def _node_birth(self, item: Item) -> Answer:
        bd_seq = bd_seq_of(item.payload)
        answer = self._act_on_held(before_ms=item.payload.timestamp or 2**64) if self.online else []
        if self.online and bd_seq != self._bd_seq:
            # Another session of the node, and the death of the one before never reached us.
            answer += self._stale(self._all(), self._written_ns(item))
            self._unborn = set()
        elif self.online:
            self._unborn = set(self._born)
            self._unborn_ns = item.received_ns + self._timeout_ns
        else:
            self._unborn = set()
        if not self.online or bd_seq != self._bd_seq:
            self._born.clear()
        self._bd_seq, self.online, self.wants_rebirth = bd_seq, True, False
        self._clock.begin()
        self._clock.read(item.payload.timestamp, item.received_ns)
        self._outages.end(self._written_ns(item), item.received_ns)
        self._expected = (item.payload.seq + 1) % SEQUENCE
        self._aliases.clear()
        answer += self._births(item)
        return answer + self._act_on_following()

    def _node_death(self, item: Item) -> Answer:
        if item.payload.HasField("seq"):
            self._count("seq_in_death")  # the specification forbids it; some publishers send one
        if not self.online or bd_seq_of(item.payload) != self._bd_seq:
            self._count("deaths_ignored")  # the late will of an older session
            return []
        answer = self._act_on_held()
        self.online = False
        self._born.clear()
        return answer + self._unheard(item.received_ns)

    def _births(self, item: Item) -> Iterator[Sample | MessageError]:
        """What a birth says; it replaces the one before, of the node or of that device."""
        device, before = item.device, self._named.get(item.device, {})
        for known in before.values():
            self._forget_alias(known)
        born = self._named[device] = {}
        twice: set[int] = set()
        for metric in item.payload.metrics:
            if not metric.name or not isinstance(metric.name, str):  # bytes, when it is no UTF-8
                yield MessageError(Fault.SHAPE, f"a metric of {item.kind} has no name that is text")
                continue
            asset, mapped = self._mapped(device, metric.name)
            known = Known(metric.name, device, metric.datatype, asset, mapped)
            if is_number(mapped):
                known.field = NUMBER_FIELDS.get(metric.datatype, "")
                known.bits = SIGNED_BITS.get(metric.datatype, 0)
            if metric.name in before:
                earlier = before[metric.name]
                known.last_ns, known.last, known.stale = earlier.last_ns, earlier.last, earlier.stale
                known.unknown_ns = earlier.unknown_ns if earlier.stale or earlier.again_ns else 0
            born[metric.name] = known
            if metric.HasField("alias"):
                known.alias = metric.alias
                other = self._aliases.setdefault(metric.alias, known)
                if other is not known:
                    twice.add(metric.alias)
                    yield MessageError(Fault.SHAPE, f"alias {metric.alias} is {known.name!r} and {other.name!r}")
            if metric.datatype in (16, 19):
                kind = TYPE_NAMES[metric.datatype]
                yield MessageError(Fault.SHAPE, f"{metric.name!r} is a {kind}: it is known by name, and not read")
            elif mapped:
                yield from self._values.read(known, metric, item.payload.timestamp, item.received_ns, birth=True)
        for alias in twice:
            del self._aliases[alias]
        yield from self._outages.born(device, item.received_ns)
        gone = [known for name, known in before.items() if name not in born]
        yield from self._stale(gone, self._written_ns(item))

    def _data(self, item: Item) -> Answer:
        answer: Answer = []
        aliases = self._aliases
        for metric in item.payload.metrics:
            alias = metric.alias
            known = (
                aliases.get(alias)
                if alias or metric.HasField("alias")
                else self._named.get(item.device, {}).get(metric.name)
            )
            if known is None:
                self.wants_rebirth = True
                called = f"alias {alias}" if metric.HasField("alias") else repr(metric.name)
                answer.append(MessageError(Fault.SHAPE, f"{called} is in no birth: births are asked for"))
            elif known.field and (sample := self._values.number(known, metric, item.received_ns)) is not None:
                answer.append(sample)
            elif known.metric:
                read = list(self._values.read(known, metric, item.payload.timestamp, item.received_ns, birth=False))
                answer += read
                if metric.is_historical and read and isinstance(said := read[0], Sample):
                    answer += self._outages.tell(known, said)
        return answer

    def _written_ns(self, item: Item) -> int:
        return self._clock.written(item.payload.timestamp, item.received_ns)

    def _room_for(self, device: str) -> bool:
        """Whether its birth would be taken."""
        return device in self._named or len(self._named) <= DEVICES or self._dead() is not None

    def _make_room_for(self, device: str) -> None:
        if device not in self._named and len(self._named) > DEVICES and (dead := self._dead()) is not None:
            for known in self._named.pop(dead).values():
                self._forget_alias(known)

    def _dead(self) -> str | None:
        return next((device for device in self._named if device and device not in self._born), None)

    def _forget_alias(self, known: Known) -> None:
        if known.alias is not None and self._aliases.get(known.alias) is known:
            del self._aliases[known.alias]

    def _of(self, device: str) -> list[Known]:
        return list(self._named.get(device, {}).values())

    def _all(self) -> list[Known]:
        return [known for device in self._named.values() for known in device.values()]

    def _stale(self, metrics: Iterable[Known], time_ns: int, outage: Outage | None = None) -> Answer:
        """From that time on, and after its last value, none of these is known."""
        answer: Answer = []
        for known in metrics:
            if known.metric and known.last_ns and not known.stale:
                known.stale = True
                known.unknown_ns = at_ns = max(time_ns, known.last_ns + 1)
                answer.append(Sample(at_ns, known.asset, known.metric, 0.0, "", Quality.BAD, self._heard_ns))
                if outage is not None:
                    outage.unknown(known, at_ns)
        return answer

    def _unheard(self, received_ns: int) -> Answer:
        """From that instant of ours on nobody hears the node; what it said before to be unknown stays so."""
        outage = self._outages.begin(self._clock.heard_until(received_ns))
        return self._stale(self._all(), self._clock.at(received_ns), outage)

"""Machines of a server found by their companion specification, and what each would give: no node list needed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from collectors.opcua import companion, meanings
from collectors.opcua.address import parse
from collectors.opcua.blend import Blend
from collectors.opcua.browse import Browser, Seen, address_of
from collectors.opcua.companion import MACHINERY, RULES, Rule
from collectors.opcua.config import OpcUaNode
from collectors.opcua.values import NodeValues
from collectors.opcua.wire import Reading
from telemetry.errors import DecodeError
from telemetry.samples import Sample
from telemetry.validity import Gate

MOST_NODES: Final = 20_000
"""Nodes of a machine that are looked at: a server that has no end must not keep us for ever."""

_DEPTH: Final = 10
_NAMEPLATE: Final = ("Manufacturer", "Model", "SerialNumber", "ProductInstanceUri", "ProductCode", "SoftwareRevision")


class Reader(Protocol):
    """Makes samples from the readings of one node."""

    @property
    def asset(self) -> str: ...
    @property
    def metric(self) -> str: ...
    @property
    def holds_state(self) -> bool: ...
    def samples(self, reading: Reading, received_ns: int) -> list[Sample]:
        """The samples of a reading. Raises DecodeError."""


@dataclass(frozen=True, slots=True)
class Place:
    """A node within a machine: its path from there, and the node that it belongs to."""

    seen: Seen
    path: str
    owner: "Place | None"


@dataclass(frozen=True, slots=True)
class Told:
    """A node that tells a metric, or a part of one."""

    place: Place
    metric: str
    reader: Reader


@dataclass(slots=True)
class Machine:
    """A machine as the server shows it. `told` is empty until `describe`."""

    seen: Seen
    address: str
    specification: str
    nameplate: dict[str, str] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Paths of nodes whose metric another node tells already."""
    speaks_events: bool = False


async def find(browser: Browser) -> list[Machine]:
    """The machines of a server: those in the Machines folder, and objects of a known type near the root."""
    objects = ua.NodeId(ua.Int32(ObjectIds.ObjectsFolder))
    machinery = browser.node(MACHINERY, 1001)
    roots = [objects, *([machinery] if machinery is not None else [])]
    found: dict[ua.NodeId, Machine] = {}
    near, seen_roots = list(roots), set(roots)
    for _ in range(3):
        below = await browser.children(near)
        nearer: list[ua.NodeId] = []
        for parent, children in zip(near, below, strict=True):
            await browser.ancestors([child.type for child in children])
            for child in children:
                if not child.is_object or child.node in seen_roots or child.node.NamespaceIndex == 0:
                    continue
                seen_roots.add(child.node)
                specification = _specification(browser, child) or ("Machinery" if parent == machinery else "")
                if specification:
                    found[child.node] = Machine(child, browser.address(child.node), specification)
                else:
                    nearer.append(child.node)
        near = nearer[:1000]
    return list(found.values())


def _specification(browser: Browser, seen: Seen) -> str:
    return next(
        (companion.MACHINE_TYPES[one] for one in browser.lineage(seen.type) if one in companion.MACHINE_TYPES), ""
    )


async def describe(browser: Browser, machine: Machine, asset: str, gate: Gate) -> None:
    """Fill in the nameplate and what the machine tells, for an asset. Raises SourceError."""
    places = await _walk(browser, machine.seen)
    plates = [place for place in places if place.owner is not None and place.owner.seen.name == "Identification"]
    texts = await browser.values([place.seen.node for place in plates])
    for place, text in zip(plates, texts, strict=True):
        words = getattr(text, "Text", text)
        if place.seen.name in _NAMEPLATE and words:
            machine.nameplate[place.seen.name] = str(words)
    notifier = await browser.readings([machine.seen.node], AttributeIds.EventNotifier)
    bits = notifier[0].Value.Value if notifier[0].Value is not None else 0
    machine.speaks_events = bool(isinstance(bits, int) and bits & 1)
    builder = _Builder(browser, machine, asset, gate, places)
    await builder.by_rules()
    await builder.stacklight()
    await builder.tools()


async def _walk(browser: Browser, top: Seen) -> list[Place]:
    """The machine's nodes, breadth first, each once."""
    places: list[Place] = []
    met = {top.node}
    level = [Place(top, "", None)]
    await browser.ancestors([top.type])
    for _ in range(_DEPTH):
        below = await browser.children([place.seen.node for place in level])
        nearer = []
        for owner, children in zip(level, below, strict=True):
            for child in children:
                if child.node not in met and len(places) < MOST_NODES:
                    met.add(child.node)
                    nearer.append(Place(child, f"{owner.path}/{child.name}".lstrip("/"), owner))
        await browser.ancestors([place.seen.type for place in nearer])
        places += nearer
        level = nearer
        if not level:
            break
    return places


class _Builder:
    """Makes the readers of one machine."""

    def __init__(self, browser: Browser, machine: Machine, asset: str, gate: Gate, places: Sequence[Place]) -> None:
        self._browser = browser
        self._machine = machine
        self._asset = asset
        self._gate = gate
        self._places = places
        self._by_path = {place.path: place for place in places}

    async def by_rules(self) -> None:
        taken: dict[tuple[str, str], Place] = {}
        chosen: list[tuple[Rule, Place, Place]] = []
        for rule in sorted(RULES, key=lambda rule: rule.rank):
            for owner, place in self._matches(rule):
                if (rule.metric, rule.part) in taken or self._told_otherwise(rule, chosen):
                    self._machine.left_out.append(f"{place.path} ({rule.metric})")
                    continue
                taken[rule.metric, rule.part] = place
                chosen.append((rule, owner, place))
        blends: dict[str, Blend] = {}
        for rule, owner, place in chosen:
            meaning: Callable[[Any], Any] = rule.meaning or meanings.number
            if rule.states is not None:
                holder = owner if rule.path.startswith("CurrentState") else self._by_path[place.path.rsplit("/", 2)[0]]
                meaning = await self._state_of(holder.seen.type, rule.states)
            if rule.part or rule.states is not None:
                combine = companion.COMBINE.get(rule.metric, _single)
                blend = blends.setdefault(rule.metric, Blend(self._asset, rule.metric, combine, self._gate))
                self._tell(place, rule.metric, blend.part(rule.part or "value", meaning))
            else:
                node = OpcUaNode(node=self._browser.address(place.seen.node), asset=self._asset, metric=rule.metric)
                self._tell(place, rule.metric, NodeValues(node, self._gate))

    def _told_otherwise(self, rule: Rule, chosen: list[tuple[Rule, Place, Place]]) -> bool:
        """Whether a node of another kind tells the metric already: parts may be joined, whole metrics may not."""
        same = [other for other, _, _ in chosen if other.metric == rule.metric]
        return any(other.part == "" or rule.part == "" or other.rank < rule.rank for other in same)

    def _matches(self, rule: Rule) -> Iterator[tuple[Place, Place]]:
        for owner in [Place(self._machine.seen, "", None), *self._places]:
            if owner.seen.is_object and rule.owner in self._browser.lineage(owner.seen.type):
                place = self._by_path.get(f"{owner.path}/{rule.path}".lstrip("/"))
                if place is not None:
                    yield owner, place

    async def _state_of(self, machine_type: ua.NodeId, states: Mapping[str, int]) -> Callable[[Any], int | None]:
        """What a CurrentState/Id says: states are named by nodes of the type, whose node ids differ by sub-type."""
        types = [ua.NodeId.from_string(text) for text in self._in_session(self._browser.lineage(machine_type))]
        by_node: dict[str, int] = {}
        for children in await self._browser.children(types):
            await self._browser.ancestors([child.type for child in children])
            for child in children:
                if companion.STATE_TYPE in self._browser.lineage(child.type) and child.name in states:
                    by_node.setdefault(self._browser.address(child.node), states[child.name])
        namespaces = self._browser.namespaces

        def meaning(value: Any) -> int | None:
            if not isinstance(value, ua.NodeId):
                raise DecodeError(f"a {type(value).__name__} where the id of a state stands")
            if value.is_null():
                return None
            address = str(address_of(value, namespaces))
            if address not in by_node:
                raise DecodeError(f"{address} is not a state of the companion specification")
            return by_node[address]

        return meaning

    def _in_session(self, addresses: Sequence[str]) -> list[str]:
        return [text for one in addresses if (text := parse(one).within(self._browser.namespaces)) is not None]

    async def stacklight(self) -> None:
        lamps = self._of_type(companion.STACK_ELEMENT)
        pairs = [(lamp, self._child(lamp, "SignalOn"), self._child(lamp, "SignalColor")) for lamp in lamps]
        whole = [(lamp, on, color) for lamp, on, color in pairs if on is not None and color is not None]
        if not whole:
            return
        colors = await self._browser.values([color.seen.node for _, _, color in whole])
        numbers = {
            lamp.path: color if isinstance(color, int) else 0 for (lamp, _, _), color in zip(whole, colors, strict=True)
        }
        blend = Blend(self._asset, "stacklight", meanings.stacklight(numbers), self._gate)
        for lamp, on, _ in whole:
            self._tell(on, "stacklight", blend.part(lamp.path, meanings.number))

    async def tools(self) -> None:
        """Each tool-life entry with a limit; of one that counts down, what it started from."""
        entries = [
            (tool, entry, limit, self._child(entry, "StartValue"))
            for tool in self._of_type(companion.TOOL)
            for entry in self._below(self._child(tool, companion.TOOL_LIFE))
            if (limit := self._child(entry, "LimitValue")) is not None
        ]
        if not entries:
            return
        limits: dict[str, tuple[float, float]] = {}
        names: dict[str, str] = {}
        for tool, entry, limit, start in entries:
            title = self._child(tool, "Name") or self._child(tool, "ControlIdentifier1")
            asked = [one.seen.node for one in (limit, start, title) if one is not None]
            values = iter(await self._browser.values(asked))
            worn = next(values)
            new = next(values) if start is not None else 0.0
            name = next(values, None)
            if isinstance(worn, (int, float)) and isinstance(new, (int, float)):
                limits[entry.path] = (float(new), float(worn))
                names[entry.path] = str(name if name is not None else tool.seen.name)
        blend = Blend(self._asset, "tool_life", meanings.tool_life(limits, names), self._gate)
        for _, entry, _, _ in entries:
            if entry.path in limits:
                self._tell(entry, "tool_life", blend.part(entry.path, meanings.number))

    def _of_type(self, address: str) -> list[Place]:
        return [place for place in self._places if address in self._browser.lineage(place.seen.type)]

    def _child(self, owner: Place, name: str) -> Place | None:
        return self._by_path.get(f"{owner.path}/{name}")

    def _below(self, owner: Place | None) -> list[Place]:
        return [place for place in self._places if owner is not None and place.owner is owner]

    def _tell(self, place: Place, metric: str, reader: Reader) -> None:
        self._machine.told.append(Told(place, metric, reader))


def _single(parts: Mapping[str, Any]) -> tuple[float, str] | None:
    value = parts.get("value")
    return None if value is None else (float(value), "")

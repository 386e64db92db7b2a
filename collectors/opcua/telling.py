"""Which nodes of a machine tell what: the companion specifications' rows made into readers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from asyncua import ua

from collectors.opcua import companion, meanings
from collectors.opcua.address import parse
from collectors.opcua.blend import Blend
from collectors.opcua.browse import Browser, address_of
from collectors.opcua.companion import RULES, Rule
from collectors.opcua.config import OpcUaNode
from collectors.opcua.machine import Machine, Place, Reader, Told
from collectors.opcua.values import NodeValues
from telemetry.errors import DecodeError
from telemetry.validity import Gate


class Telling:
    """Makes the readers of one machine."""

    def __init__(self, browser: Browser, machine: Machine, asset: str, gate: Gate, places: Sequence[Place]) -> None:
        self._browser = browser
        self._machine = machine
        self._asset = asset
        self._gate = gate
        self._places = places
        self._by_path = {place.path: place for place in places}

    async def tell(self) -> None:
        """Fill in `told` and `left_out` of the machine. Raises SourceError."""
        await self._by_rules()
        await self._jobs()
        await self._stacklight()
        await self._tools()

    async def _by_rules(self) -> None:
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

    async def _jobs(self) -> None:
        """What the jobs of a production plan count is told by the one that runs: a plan lists others before it."""
        jobs = self._of_type(companion.JOB)
        states = {job.path: self._by_path.get(f"{job.path}/{companion.JOB_STATE}") for job in jobs}
        for name, (metric, meaning) in companion.JOB_TELLS.items():
            pairs = [(job, node) for job in jobs if (node := self._child(job, name)) is not None]
            if metric in {told.metric for told in self._machine.told}:
                self._machine.left_out += [f"{node.path} ({metric})" for _, node in pairs]
                continue
            blend = Blend(
                self._asset, metric, meanings.of_running([job.path for job, _ in pairs]), self._gate, since=True
            )
            for job, node in pairs:
                self._tell(node, metric, blend.part(job.path, meaning))
                if (state := states[job.path]) is not None and len(pairs) > 1:
                    holder = self._by_path[f"{job.path}/State"]
                    known = await self._state_of(holder.seen.type, meanings.PROGRAM_STATE)
                    self._tell(state, metric, blend.part(f"{job.path}/State", known))

    async def _stacklight(self) -> None:
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

    async def _tools(self) -> None:
        """Each tool-life entry that says from where to where it counts: both ends are optional in the standard."""
        limits: dict[str, tuple[float, float]] = {}
        names: dict[str, str] = {}
        told: list[Place] = []
        for tool in self._of_type(companion.TOOL):
            title = self._child(tool, "Name") or self._child(tool, "ControlIdentifier1")
            for entry in self._below(self._child(tool, companion.TOOL_LIFE)):
                ends = [self._child(entry, name) for name in ("StartValue", "LimitValue", "IsCountingUp")]
                new, worn, up, name = await self._values([*ends, title])
                found = meanings.tool_ends(new, worn, up)
                if isinstance(found, str):
                    self._machine.left_out.append(f"{entry.path} (tool_life: {found})")
                    continue
                limits[entry.path] = found
                names[entry.path] = str(name if name is not None else tool.seen.name)
                told.append(entry)
        blend = Blend(self._asset, "tool_life", meanings.tool_life(limits, names), self._gate)
        for entry in told:
            self._tell(entry, "tool_life", blend.part(entry.path, meanings.number))

    async def _values(self, places: Sequence[Place | None]) -> list[Any]:
        """What each holds; None of one that is not there."""
        asked = [place.seen.node for place in places if place is not None]
        values = iter(await self._browser.values(asked))
        return [None if place is None else next(values) for place in places]

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

"""What is followed on one server: the nodes of the plant file and those that its machines are found to have.

Invariants:
- a source keeps its number, its handle, for the life of the collector;
- what is found again at its place in its machine keeps its handle, though the server gives its node another id;
- where nodes have come to tell a metric, or tell it no more, or have moved, all that tell it get new readers, which
  remember what the former ones did.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from collectors.opcua import machines
from collectors.opcua.address import NodeAddress, parse
from collectors.opcua.blend import BlendPart
from collectors.opcua.browse import Browser
from collectors.opcua.config import OpcUaConfig, OpcUaMachine
from collectors.opcua.events import EventValues, Instants
from collectors.opcua.machine import Machine, Reader
from collectors.opcua.session import Session
from collectors.opcua.values import NodeValues
from collectors.opcua.wire import Reading
from telemetry.samples import Sample
from telemetry.validity import Gate


@dataclass(frozen=True, slots=True)
class Source:
    """A node and what is read from it; `events`: not its value but what it raises."""

    address: NodeAddress
    reader: Reader
    events: bool = False

    @property
    def key(self) -> str:
        """Its name in the progress file."""
        return f"{self.address} {self.reader.asset} {self.reader.metric}"

    @property
    def label(self) -> str:
        return str(self.address)


class _Gone:
    """Reads a node that its machine does not have any more: nothing."""

    holds_state: Final = False

    def __init__(self, former: Reader) -> None:
        self.asset: Final = former.asset
        self.metric: Final = former.metric

    def samples(self, _: Reading, __: int) -> list[Sample]:
        return []


_Key = tuple[str, str, str, int]
"""An asset, a metric, a path in the machine, and which of those that share these."""


class Sources:
    """The sources by handle, `all`. `missing` says which machines were not found, and why."""

    def __init__(self, config: OpcUaConfig, gate: Gate) -> None:
        self._config: Final = config
        self._gate: Final = gate
        self.all: Final = [Source(parse(node.node), NodeValues(node, gate)) for node in config.nodes]
        self._handles: Final[dict[_Key, int]] = {}
        self._told: Final[dict[tuple[str, str, str], frozenset[_Key]]] = {}
        """By machine, asset and metric, which nodes were last found to tell it."""
        self._namespaces: list[str] = []
        self.missing: dict[str, str] = {}
        assets = [node.asset for node in config.nodes] + [machine.asset for machine in config.machines]
        self.assets: Final = tuple(dict.fromkeys(assets))

    def __len__(self) -> int:
        return len(self.all)

    def __getitem__(self, handle: int) -> Source:
        return self.all[handle]

    def __iter__(self) -> Iterator[Source]:
        return iter(self.all)

    def gone(self, handle: int) -> bool:
        """Whether its machine does not have it any more."""
        return isinstance(self.all[handle].reader, _Gone)

    @property
    def events(self) -> frozenset[int]:
        """Handles whose events are followed."""
        return frozenset(handle for handle, source in enumerate(self.all) if source.events)

    async def discover(self, session: Session, namespaces: Sequence[str]) -> None:
        """Find the machines and take up what they tell. Raises SourceError when the server does not let us."""
        self.missing = {}
        if not self._config.machines:
            return
        moved = list(namespaces) != self._namespaces
        browser = Browser(session, namespaces)
        found = await machines.find(browser)
        for wanted in self._config.machines:
            machine = self._chosen(wanted, found)
            if machine is None:
                continue
            await machines.describe(browser, machine, wanted.asset, self._gate)
            sources = [
                (told.place.path, Source(parse(browser.address(told.place.seen.node)), told.reader))
                for told in machine.told
            ]
            instants = Instants()  # an event that two of them tell is one
            for place in machine.notifiers:
                events = EventValues(wanted.asset, self._gate, instants)
                sources.append((place.path, Source(parse(browser.address(place.seen.node)), events, events=True)))
            self._take((wanted.machine, wanted.asset), sources, moved)
        # Only now: a server that is lost half-way through must be found moved again, or old readers stay.
        self._namespaces = list(namespaces)

    def _chosen(self, wanted: OpcUaMachine, found: list[Machine]) -> Machine | None:
        names = [machine.seen.name for machine in found]
        if not wanted.machine and len(found) == 1:
            return found[0]
        for machine in found:
            if wanted.machine in (machine.seen.name, machine.seen.display, machine.address):
                return machine
        why = f"the server shows {', '.join(names) or 'no machine'}"
        self.missing[wanted.machine or wanted.asset] = why + ("" if wanted.machine else ": name one as `machine`")
        return None

    def _take(self, machine: tuple[str, str], sources: Sequence[tuple[str, Source]], moved: bool) -> None:
        """What a machine (its name and asset) is found to tell, by path."""
        alike = Counter[tuple[str, str, str]]()
        told: dict[tuple[str, str, str], dict[_Key, Source]] = {one: {} for one in self._told if one[:2] == machine}
        for path, source in sources:
            name = (source.reader.asset, source.reader.metric, path)
            told.setdefault((*machine, source.reader.metric), {})[*name, alike[name]] = source
            alike[name] += 1
        placed = {key: source for some in told.values() for key, source in some.items()}
        known = {key: self.all[self._handles[key]] for key in placed if key in self._handles}
        moved = moved or any(before.address != placed[key].address for key, before in known.items())
        for series, now in told.items():
            before, self._told[series] = self._told.get(series, frozenset()), frozenset(now)
            if moved or before != self._told[series]:
                self._renew(before, now)

    def _renew(self, before: frozenset[_Key], now: Mapping[_Key, Source]) -> None:
        """Give the nodes that tell a metric `now` new readers, and those that told it `before` and do not, none."""
        for key in before - now.keys():
            handle = self._handles[key]
            self.all[handle] = replace(self.all[handle], reader=_Gone(self.all[handle].reader))
        for key, source in now.items():
            handle = self._handles.setdefault(key, len(self.all))
            if handle == len(self.all):
                self.all.append(source)
                continue
            former = self.all[handle].reader
            if isinstance(source.reader, BlendPart) and isinstance(former, BlendPart):
                source.reader.succeed(former)
            reads_on = isinstance(source.reader, EventValues) and isinstance(former, EventValues)
            self.all[handle] = replace(source, reader=former) if reads_on else source

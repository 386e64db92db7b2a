"""Simulated machines behind a real OPC UA server: the values of the wire, and a history read from the process itself.

Invariants. Every value has the source time of its event and its status code. Before the first `write` each node holds
its value in force, or says BadWaitingForInitialData. A value is written only while every client that asked for queues
has room for it, so that the server never drops one for us. Namespace `urn:km0:simulators:machine`; node ids are
strings `<asset path>/<metric>`; folders follow the path: Objects / Plant / km0 / fabrication / cell-1 / mill-1.
Machines that speak a companion specification are in Objects / Machines, see simulators.companion_space.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from asyncua import ua
from asyncua.common.node import Node
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes

from simulators.companion import TYPES, Speech, spell
from simulators.companion_space import ALERT, CompanionSpace
from simulators.opcua_alarms import Alarms
from simulators.opcua_history import ProcessHistory, Told, data_value
from simulators.opcua_manners import limit, secure
from simulators.ports import free_port
from simulators.sections import OpcUaServer
from simulators.speeches import TELLS, vendor_node
from simulators.standard_space import StandardServer
from simulators.timeline import Value
from telemetry.glossary import METRICS

NAMESPACE: Final = "urn:km0:simulators:machine"

_SMALL_QUEUE: Final = 100
"""A client that asks for a shorter queue wants the newest value, and gives up the others by its own choice."""

_MOST_WAITING: Final = 4000
"""Values that may wait in one subscription: the server encodes them in one go, and stands still meanwhile."""

_PATIENCE_S: Final = 30.0
"""A client that takes nothing for so long [s] is gone; its subscription ends by itself, later."""

_FOR_PEOPLE: Final = ("/CurrentState", "/CurrentState/Number")
"""Nodes that say again what the Id beside them says; a client need not follow them."""

_RENAMED: Final = {"state": "runState"}
_YIELD_EVERY: Final = 50
_POLL_S: Final = 0.01


class OpcUaPlant:
    """One server for some machines. `retell` gives a fresh stream of an asset's events from its birth, for HistoryRead.

    `metrics` are the variables of each asset; port 0 takes a free one. `lived`: its present is ours; else its past is
    played, and its history ends with what was played. `speeches`: assets that show themselves as a companion
    specification asks. `manners`: how strict it is; its certificate and key are kept in the folder `certificates`.
    """

    def __init__(
        self,
        port: int,
        metrics: Mapping[str, Sequence[str]],
        retell: Callable[[str], Iterator[Told]],
        *,
        lived: bool = True,
        speeches: Mapping[str, Speech] | None = None,
        manners: OpcUaServer | None = None,
        certificates: Path = Path(),
    ) -> None:
        self._manners: Final = manners or OpcUaServer()
        self._certificates: Final = certificates
        self.certificate: Path | None = None
        """The server's, where it speaks only what is signed."""
        self.renamed: Collection[str] = frozenset()
        """Machines whose nodes have other names than their owners know."""
        self.retyped: Collection[str] = frozenset()
        """Machines whose numbers are all of one type, Double."""
        self.port = port
        """0 until it is started with a free one."""
        self._metrics = metrics
        self._speeches = dict(speeches or {})
        self._index: dict[str, int] = {}
        self._retell = retell
        self._lived = lived
        self._nodes: dict[tuple[str, str], ua.NodeId] = {}
        self.alarms: Final = Alarms()
        self._written: dict[tuple[str, str], tuple[int, Value | None]] = {}
        self._reached: dict[str, int] = {}
        self._history = ProcessHistory(retell, self._present_ns, self._spelled)
        self._server = Server(iserver=StandardServer())
        self._foreign_namespaces = 0

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}/km0/simulators"

    async def start(self) -> None:
        """Build the address space and listen. Raises OSError when the port is taken."""
        server = self._server
        server.iserver.history_manager.set_storage(self._history)
        await server.init()
        self.alarms.begin(server)
        server.set_server_name("KM0 simulated machines")
        if self._manners.secure:
            self.certificate = await secure(server, self._certificates)
        else:
            server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        server.iserver.max_monitored_item_queue_size = self._manners.most_queued
        # asyncua warns of an unencrypted endpoint at every start; this one is for 127.0.0.1 and simulated values.
        logging.getLogger("asyncua.server").setLevel(logging.ERROR)
        await self._build()
        if self._manners.most_per_call:
            await limit(server, self._manners.most_per_call)
        self.port = self.port or free_port()  # only now: building takes seconds, in which somebody else might take it
        server.set_endpoint(self.url)
        await server.start()

    async def stop(self) -> None:
        await self._server.stop()

    async def restart(
        self,
        *,
        renumbered: bool = False,
        renamed: Collection[str] | None = None,
        retyped: Collection[str] | None = None,
    ) -> None:
        """Stop and start again, as after a power cut: sessions, subscriptions and what waited in them are gone; the
        history is not. `renumbered`: namespaces registered before ours move its index. `renamed`: machines whose state
        has another name, or, where a companion specification is spoken, all nodes other numbers. `retyped`: machines
        whose numbers are of type Double, unless a specification says of which they are. None: as before."""
        self.renamed = self.renamed if renamed is None else renamed
        self.retyped = self.retyped if retyped is None else retyped
        await self._server.stop()
        self._nodes.clear()
        self._history = ProcessHistory(self._retell, self._present_ns, self._spelled)
        self._server = Server(iserver=StandardServer())
        self._foreign_namespaces += renumbered
        await self.start()
        for (asset, metric), (time_ns, value) in self._written.items():
            if metric != "alarm" or asset not in self.alarms:  # these are raised once
                await self._set(asset, metric, time_ns, value)

    async def write(self, asset: str, events: Iterable[Told]) -> None:
        """Write values with their source times, in order; waits while clients' queues are full."""
        for number, (time_ns, metric, value) in enumerate(events):
            if number % _YIELD_EVERY == 0:
                await self._room()
            await self._set(asset, metric, time_ns, value)

    async def followed(self, seconds: float) -> bool:
        """Wait until a client monitors every variable, or so long [s]; whether one does."""
        deadline = time.monotonic() + seconds
        # ASYNC110 twice: asyncua tells nobody when a client subscribes or when it has sent.
        while not (everything := self._all_followed()) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        return everything

    async def delivered(self, seconds: float) -> bool:
        """Wait until all written values have left for the clients, or so long [s]; whether they have."""
        deadline = time.monotonic() + seconds
        while (waiting := any(self._waiting())) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        return not waiting

    async def _build(self) -> None:
        for number in range(self._foreign_namespaces):
            await self._server.register_namespace(f"urn:km0:simulators:other-{number}")
        index = await self._server.register_namespace(NAMESPACE)
        folders: dict[str, Node] = {
            "": await self._server.nodes.objects.add_folder(_id("", index), _name("Plant", index))
        }
        companions = CompanionSpace(self._server, self.renamed)
        for asset, speech in self._speeches.items():
            await self._add_companion(companions, asset, speech)
        for asset, metrics in self._metrics.items():
            if asset in self._speeches:
                continue
            *areas, machine = asset.split("/")
            path = ""
            for area in areas:
                parent, path = folders[path], f"{path}/{area}".lstrip("/")
                if path not in folders:
                    folders[path] = await parent.add_folder(_id(path, index), _name(area, index))
            device = await folders[path].add_object(_id(asset, index), _name(machine, index))
            for metric in metrics:
                await self._add_variable(device, asset, metric, index)

    async def _add_companion(self, companions: CompanionSpace, asset: str, speech: Speech) -> None:
        own = [metric for metric in self._metrics[asset] if metric not in TELLS[speech]]
        nodes = {metric: (vendor_node(asset, metric), TYPES[METRICS[metric].kind]) for metric in own}
        for key, node in (await companions.add(asset, speech, nodes)).items():
            self._nodes[asset, key] = node
            self._history.add(node, asset, key)
            waiting = ua.DataValue(StatusCode=ua.StatusCode(ua.UInt32(StatusCodes.BadWaitingForInitialData)))
            await self._server.write_attribute_value(node, waiting)
        self._index = companions.index
        if (top := companions.tops.get(asset)) is not None:
            kind = self._server.get_node(ua.NodeId(ua.Int32(ALERT[1]), ua.Int16(self._index[ALERT[0]])))
            self.alarms.add(asset, await self._server.get_event_generator(kind, top))

    def _spelled(self, asset: str, event: Told) -> Iterable[tuple[str, Any]]:
        """The nodes of an asset that an event writes, and the variants."""
        _, metric, value = event
        if value is None:
            return ((metric, None),)
        speech = self._speeches.get(asset)
        if speech is not None:
            return spell(speech, metric, value, self._index)
        kind = self._type(asset, metric)
        number = value if isinstance(value, str) or kind is not ua.VariantType.Double else float(value)
        return ((metric, ua.Variant(number, kind)),)

    def _type(self, asset: str, metric: str) -> ua.VariantType:
        kind = TYPES[METRICS[metric].kind]
        return ua.VariantType.Double if asset in self.retyped and kind is not ua.VariantType.String else kind

    async def _add_variable(self, device: Node, asset: str, metric: str, index: int) -> None:
        kind = self._type(asset, metric)
        empty = ua.Variant("" if kind is ua.VariantType.String else 0, kind)
        name = _RENAMED.get(metric, metric) if asset in self.renamed else metric
        variable = await device.add_variable(_id(f"{asset}/{name}", index), _name(name, index), empty)
        for attribute in (AttributeIds.AccessLevel, AttributeIds.UserAccessLevel):
            await variable.set_attr_bit(attribute, ua.AccessLevel.HistoryRead)
        await variable.write_attribute(AttributeIds.Historizing, ua.DataValue(ua.Variant(True)))
        self._nodes[asset, metric] = variable.nodeid
        self._history.add(variable.nodeid, asset, metric)
        waiting = ua.DataValue(StatusCode=ua.StatusCode(ua.UInt32(StatusCodes.BadWaitingForInitialData)))
        await self._server.write_attribute_value(variable.nodeid, waiting)

    def _present_ns(self, asset: str) -> int:
        """Until when [ns] the history of an asset goes: to now, or where its past is played, to what was played."""
        return time.time_ns() if self._lived else self._reached.get(asset, 0)

    async def _set(self, asset: str, metric: str, time_ns: int, value: Value | None) -> None:
        self._written[asset, metric] = time_ns, value
        self._reached[asset] = max(time_ns, self._reached.get(asset, 0))
        if metric == "alarm" and asset in self.alarms:
            _, cause = self._written.get((asset, "reason"), (0, ""))
            await self.alarms.say(asset, time_ns, value, str(cause))
        for key, variant in self._spelled(asset, (time_ns, metric, value)):
            written = await self._server.iserver.aspace.write_attribute_value(
                self._nodes[asset, key], AttributeIds.Value, data_value(time_ns, variant)
            )
            written.check()  # asyncua refuses without a word what is of another type

    # asyncua has no public view of the values waiting for its clients; these are its own tables, read only.

    def _subscriptions(self) -> Iterator[Any]:
        yield from list(self._server.iserver.subscription_service.subscriptions.values())

    def _waiting(self) -> Iterator[tuple[int, int]]:
        """(values waiting, size) of each queue that has any."""
        for subscription in self._subscriptions():
            items = subscription.monitored_item_srv._monitored_items
            for number, waiting in subscription._triggered_datachanges.items():
                if number in items:
                    yield len(waiting), items[number].queue_size

    async def _room(self) -> None:
        await asyncio.sleep(0)  # the server sends on this same loop
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            queues = [(length, size) for length, size in self._waiting() if size >= _SMALL_QUEUE]
            full = any(length + _YIELD_EVERY > size for length, size in queues)
            if not full and sum(length for length, _ in queues) < _MOST_WAITING:
                return
            await asyncio.sleep(_POLL_S)

    def _all_followed(self) -> bool:
        followed = {
            item.read_value_id.NodeId
            for subscription in self._subscriptions()
            for item in subscription.monitored_item_srv._monitored_items.values()
        }
        wanted = (node for (_, key), node in self._nodes.items() if not key.endswith(_FOR_PEOPLE))
        return followed.issuperset(wanted)


def fits(metric: str, value: Value) -> bool:
    """Whether a node of its usual type can show a value: a state is an Int32, a count an UInt32."""
    if isinstance(value, str) or (kind := TYPES[METRICS[metric].kind]) is ua.VariantType.Double:
        return True
    least, beyond = (0, 1 << 32) if kind is ua.VariantType.UInt32 else (-(1 << 31), 1 << 31)
    return isinstance(value, int) and least <= value < beyond


def _id(name: str, index: int) -> ua.NodeId:
    return ua.NodeId(ua.String(name or "Plant"), ua.Int16(index))


def _name(name: str, index: int) -> ua.QualifiedName:
    return ua.QualifiedName(ua.String(name), ua.UInt16(index))

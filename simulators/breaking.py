"""Faults of servers, brokers and connections: made when the plant's time has come, whoever has to make them.

Invariants. A fault that is an instant is made once. One that lasts is in force in the steps that end inside it, and
nothing is left broken by `mend`. The server restarts when what it shows has to change, as one does whose project was
changed by its programmer.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final

from simulators.faults import WIRE_FAULTS, Done, Fault
from simulators.sparkplug_edge import SparkplugEdge

if TYPE_CHECKING:
    from simulators.opcua_plant import OpcUaPlant

_LASTING: Final = ("renamed", "type-change", "uplink-lost")
_OUR_OWN: Final = ("server-restart", "renumbered")
_AT_THE_END_NS: Final = 1 << 62


class Breaking:
    """The faults of one plant, with the server and the edge nodes that they befall. `machines`: behind the server."""

    def __init__(
        self,
        faults: Sequence[Fault],
        starts_ns: int,
        opcua: "OpcUaPlant | None",
        machines: Collection[str],
        edges: Collection[SparkplugEdge],
        done: Done,
    ) -> None:
        """`done` is told of each that was made here; what `ask` was given its owner has to make and to tell."""
        self._faults: Final = faults
        self._starts_ns: Final = starts_ns
        self._opcua: Final = opcua
        self._machines: Final = machines
        self._edges: Final = edges
        self._done: Final = done
        self._begun: Final[set[int]] = set()
        self._cut: frozenset[SparkplugEdge] = frozenset()

    async def until(self, now_ns: int, ask: Callable[[int], None] | None) -> None:
        """Make what is due before an instant [ns]. `ask` is given the numbers of what only the parent can make."""
        for number, fault in enumerate(self._faults):
            due = fault.window_ns(self._starts_ns)[0] < now_ns
            if fault.kind not in WIRE_FAULTS or fault.kind in _LASTING or number in self._begun or not due:
                continue
            self._begun.add(number)
            if fault.kind not in _OUR_OWN:
                if ask is not None:
                    ask(number)
            elif self._opcua is not None:
                await self._opcua.restart(renumbered=fault.kind == "renumbered")
                self._done.note(number)
        await self._show(now_ns)

    async def mend(self) -> None:
        """End what still lasts."""
        await self._show(_AT_THE_END_NS)

    async def _show(self, now_ns: int) -> None:
        lasting = {
            number: fault
            for number, fault in enumerate(self._faults)
            if fault.kind in _LASTING and _in_force(now_ns, *fault.window_ns(self._starts_ns))
        }
        if self._opcua is not None:
            renamed, retyped = (
                frozenset(
                    path
                    for path in self._machines
                    if any(fault.kind == kind and fault.concerns(path, "opcua") for fault in lasting.values())
                )
                for kind in ("renamed", "type-change")
            )
            if (renamed, retyped) != (self._opcua.renamed, self._opcua.retyped):
                await self._opcua.restart(renamed=renamed, retyped=retyped)
        cut = frozenset(
            edge
            for edge in self._edges
            if any(fault.kind == "uplink-lost" and _at(fault, edge) for fault in lasting.values())
        )
        for edge in cut ^ self._cut:
            await (edge.cut() if edge in cut else edge.mend())
        self._cut = cut
        for number in lasting.keys() - self._begun:
            self._begun.add(number)
            self._done.note(number, self._befallen(lasting[number]))

    def _befallen(self, fault: Fault) -> int:
        """How many machines of the server, or edge nodes, it befalls."""
        if fault.kind == "uplink-lost":
            return sum(_at(fault, edge) for edge in self._edges)
        return 0 if self._opcua is None else sum(fault.concerns(path, "opcua") for path in self._machines)


def _at(fault: Fault, edge: SparkplugEdge) -> bool:
    return any(fault.concerns(asset, "sparkplug") for asset in edge.assets)


def _in_force(now_ns: int, start_ns: int, end_ns: int) -> bool:
    return start_ns < now_ns <= end_ns

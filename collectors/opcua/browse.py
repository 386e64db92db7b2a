"""Walking a server's address space: children, types and their ancestors, values. Reads, never changes anything."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from collectors.opcua.address import STANDARD, NodeAddress
from collectors.opcua.session import Session

_PER_NODE: Final = 1000
"""References of a node in one answer; continuation points bring the rest."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A node as its parent's reference shows it: `uri` is its browse name's namespace, `type` its type definition."""

    node: ua.NodeId
    name: str
    uri: str
    display: str
    is_object: bool
    type: ua.NodeId


class Browser:
    """One session's view; types are asked for once."""

    def __init__(self, session: Session, namespaces: Sequence[str]) -> None:
        self._session = session
        self.namespaces: Final = list(namespaces)
        self._ancestors: dict[ua.NodeId, tuple[str, ...]] = {}

    def address(self, node: ua.NodeId) -> str:
        """The node by namespace URI, as it is written in a plant file."""
        return str(address_of(node, self.namespaces))

    def node(self, uri: str, number: int) -> ua.NodeId | None:
        """A numbered node of a namespace; None when the server has no such namespace."""
        if uri not in self.namespaces:
            return None
        return ua.NodeId(ua.Int32(number), ua.Int16(self.namespaces.index(uri)))

    async def children(self, nodes: Sequence[ua.NodeId]) -> list[list[Seen]]:
        """The children of each node by any hierarchical reference, in the server's order. Raises SourceError."""
        return await self._browse(nodes, ObjectIds.HierarchicalReferences, ua.BrowseDirection.Forward)

    async def ancestors(self, types: Sequence[ua.NodeId]) -> None:
        """Have the super-types of these types ready for `lineage`. Raises SourceError."""
        wanted = [one for one in dict.fromkeys(types) if one not in self._ancestors and not one.is_null()]
        if not wanted:
            return
        found = await self._browse(wanted, ObjectIds.HasSubtype, ua.BrowseDirection.Inverse)
        await self.ancestors([above[0].node for above in found if above])
        for one, above in zip(wanted, found, strict=True):
            higher = self._ancestors.get(above[0].node, ()) if above else ()
            self._ancestors[one] = (self.address(one), *higher)

    def lineage(self, type_: ua.NodeId) -> tuple[str, ...]:
        """The addresses of a type and its super-types, the nearest first; () when `ancestors` was not asked."""
        return self._ancestors.get(type_, ())

    async def values(self, nodes: Sequence[ua.NodeId]) -> list[Any]:
        """The values of variables; None where the server gives none. Raises SourceError."""
        return [value.Value.Value if value.Value is not None else None for value in await self.readings(nodes)]

    async def readings(self, nodes: Sequence[ua.NodeId], attribute: AttributeIds = AttributeIds.Value) -> list[Any]:
        """An attribute of nodes, as DataValues. Raises SourceError."""

        async def ask(some: Sequence[ua.NodeId]) -> Sequence[Any]:
            request = ua.ReadRequest()
            request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            request.Parameters.NodesToRead = [ua.ReadValueId(NodeId=node, AttributeId=attribute) for node in some]
            return (await self._session.ask(request, ua.ReadResponse)).Results or ()

        return await self._session.batched("read", nodes, ask)

    async def _browse(
        self, nodes: Sequence[ua.NodeId], reference: int, direction: ua.BrowseDirection
    ) -> list[list[Seen]]:
        async def ask(some: Sequence[ua.NodeId]) -> Sequence[list[Seen]]:
            request = ua.BrowseRequest()
            request.Parameters.RequestedMaxReferencesPerNode = _PER_NODE
            request.Parameters.NodesToBrowse = [
                ua.BrowseDescription(
                    NodeId=node,
                    BrowseDirection=direction,
                    ReferenceTypeId=ua.NodeId(ua.Int32(reference)),
                    IncludeSubtypes=True,
                    NodeClassMask=0,
                    ResultMask=63,
                )
                for node in some
            ]
            answer = await self._session.ask(request, ua.BrowseResponse)
            results = list(answer.Results or ())
            found = [await self._all(result) for result in results]
            for number, result in enumerate(results):
                # It had no room to hold so many answers open; by now it has.
                if result.StatusCode.value == StatusCodes.BadNoContinuationPoints and len(some) > 1:
                    found[number] = (await ask(some[number : number + 1]))[0]
            return found

        return await self._session.batched("browse", nodes, ask)

    async def _all(self, result: Any) -> list[Seen]:
        references = list(result.References or ())
        while result.ContinuationPoint:
            request = ua.BrowseNextRequest()
            request.Parameters.ReleaseContinuationPoints = False
            request.Parameters.ContinuationPoints = [result.ContinuationPoint]
            result = (await self._session.ask(request, ua.BrowseNextResponse)).Results[0]
            references += result.References or ()
        return [self._seen(one) for one in references if _local(one)]

    def _seen(self, reference: Any) -> Seen:
        index = reference.BrowseName.NamespaceIndex
        return Seen(
            _plain(reference.NodeId),
            str(reference.BrowseName.Name),
            self.namespaces[index] if index < len(self.namespaces) else "",
            str(reference.DisplayName.Text or reference.BrowseName.Name),
            reference.NodeClass == ua.NodeClass.Object,
            _plain(reference.TypeDefinition),
        )


def address_of(node: ua.NodeId, namespaces: Sequence[str]) -> NodeAddress:
    """The address of a node of one session, by its namespace's URI."""
    index = node.NamespaceIndex
    uri = namespaces[index] if index < len(namespaces) else STANDARD
    kind = {ua.NodeIdType.String: "s", ua.NodeIdType.Guid: "g", ua.NodeIdType.ByteString: "b"}.get(node.NodeIdType, "i")
    identifier: object = node.Identifier
    if isinstance(identifier, bytes):
        identifier = base64.b64encode(identifier).decode()
    return NodeAddress(uri, kind, str(identifier))


def _local(reference: Any) -> bool:
    return not getattr(reference.NodeId, "ServerIndex", 0)


def _plain(node: Any) -> ua.NodeId:
    """The NodeId inside an ExpandedNodeId, hashable and equal to others of the same node."""
    if isinstance(node.Identifier, int):
        return ua.NodeId(ua.Int32(node.Identifier), ua.Int16(node.NamespaceIndex))
    return ua.NodeId(node.Identifier, ua.Int16(node.NamespaceIndex), node.NodeIdType)

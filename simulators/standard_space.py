"""Namespace 0 of a simulated OPC UA server, made once per process.

asyncua makes its six thousand nodes anew for every server, which takes more than a second: a server that restarts, and
a plant that is forked from a nursery, take a copy instead.

Invariant: the pristine nodes are never written. A copy shares their values, which asyncua replaces and never changes,
and nothing else: references it does change, where a node is renamed.
"""

import gc
from copy import copy as shallow
from functools import cache
from pathlib import Path

from asyncua.server.address_space import AddressSpace, AttributeValue, NodeData, NodeManagementService
from asyncua.server.internal_server import InternalServer
from asyncua.server.standard_address_space import standard_address_space


@cache
def pristine() -> AddressSpace:
    """Namespace 0 as the specification has it. Takes more than a second, once."""
    space, collecting = AddressSpace(), gc.isenabled()
    gc.disable()
    standard_address_space.fill_address_space(NodeManagementService(space))  # type: ignore[no-untyped-call]  # asyncua's
    gc.freeze()  # a hundred thousand objects that live as long as the process: the collector need not visit them
    if collecting:
        gc.enable()
    return space


class StandardServer(InternalServer):
    """The inside of a server, whose namespace 0 is a copy."""

    async def load_standard_address_space(self, shelf_file: Path | None = None) -> None:  # noqa: ARG002 - asyncua's
        self.aspace._nodes = {node: _copied(data) for node, data in pristine()._nodes.items()}


def _copied(data: NodeData) -> NodeData:
    copy = NodeData(data.nodeid)
    copy.references = [shallow(reference) for reference in data.references]
    copy.call = data.call
    for number, attribute in data.attributes.items():
        held = copy.attributes[number] = AttributeValue(attribute.value)  # type: ignore[arg-type]  # its own note is wrong
        held.value_callback, held.value_setter = attribute.value_callback, attribute.value_setter
    return copy

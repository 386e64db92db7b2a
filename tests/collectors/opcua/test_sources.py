"""What is followed on a server, from one browsing of its machines to the next."""

from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import ua

from collectors.opcua.address import parse
from collectors.opcua.config import OpcUaNode
from collectors.opcua.events import EventValues
from collectors.opcua.sources import Source, Sources
from collectors.opcua.values import NodeValues
from collectors.opcua.wire import Reading
from telemetry.samples import SECOND_NS
from telemetry.validity import Gate
from tests.collectors.opcua.peer import MILL, config

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
AT_NS = int(AT.timestamp()) * SECOND_NS
GATE = Gate({MILL}, lambda: AT_NS)


def machine(number: int) -> list[tuple[str, Source]]:
    """A machine whose power is told by the node of that number, and whose node 1 raises events."""
    power = f"nsu=urn:x;i={number}"
    values = NodeValues(OpcUaNode(node=power, asset=MILL, metric="power"), GATE)
    events = Source(parse("nsu=urn:x;i=1"), EventValues(MILL, GATE), events=True)
    return [("Power", Source(parse(power), values)), ("", events)]


def raised(words: str) -> Reading:
    """An event at AT, as the wire gives it."""
    fields: list[Any] = [ua.NodeId(2041), AT, ua.LocalizedText(words), 700, "Mill", None, None]
    return Reading([ua.Variant(one) for one in fields], 0, 0, 0)


@pytest.mark.parametrize("number", [11, 12])
def test_events_of_one_instant_stay_two_whatever_is_browsed_in_between(number: int) -> None:
    """Two doors open at once. Between the two messages the machine is browsed: its power is told as before, or by
    another node."""
    sources = Sources(config(4840, nodes=[], machines=[{"asset": MILL, "machine": "Mill"}]), GATE)
    sources._take(("Mill", MILL), machine(11), moved=False)
    (first,) = sources[1].reader.samples(raised("door one"), AT_NS)
    sources._take(("Mill", MILL), machine(number), moved=False)
    assert sources[0].label == f"nsu=urn:x;i={number}"
    (second,) = sources[1].reader.samples(raised("door two"), AT_NS)
    assert (first.time_ns, second.time_ns) == (AT_NS, AT_NS + 1)

"""Machines of a server found by their companion specification, and what each would give: no node list needed."""

from typing import Final

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from collectors.opcua import companion
from collectors.opcua.browse import Browser, Seen
from collectors.opcua.companion import MACHINERY
from collectors.opcua.machine import Machine, Place
from collectors.opcua.telling import Telling
from telemetry.validity import Gate

MOST_NODES: Final = 20_000
"""Nodes of a machine that are looked at: a server that has no end must not keep us for ever."""

_DEPTH: Final = 10
_NAMEPLATE: Final = ("Manufacturer", "Model", "SerialNumber", "ProductInstanceUri", "ProductCode", "SoftwareRevision")


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
    # A machine tool as published lets its Notification/Messages tell its alerts, and the machine itself tell none.
    objects = [Place(machine.seen, "", None), *(place for place in places if place.seen.is_object)]
    notifiers = await browser.readings([place.seen.node for place in objects], AttributeIds.EventNotifier)
    for place, notifier in zip(objects, notifiers, strict=True):
        bits = notifier.Value.Value if notifier.Value is not None else 0
        if isinstance(bits, int) and bits & 1:
            machine.notifiers.append(place)
    await Telling(browser, machine, asset, gate, places).tell()


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

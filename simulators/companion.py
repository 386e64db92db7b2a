"""What a machine tool or a PackML machine tells, and which nodes of its companion specification that writes.

Each is told by the same events as any other machine; `spell` is a pure function of one event, so that live values and
history are the same. Sources: OPC 40501-1 1.02 (MachineTool), OPC 40001-1 1.03 (Machinery), OPC 30050 1.01 (PackML).
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from asyncua import ua

from simulators.timeline import Event, Value
from telemetry.glossary import METRICS, MachineState

DI: Final = "http://opcfoundation.org/UA/DI/"
MACHINERY: Final = "http://opcfoundation.org/UA/Machinery/"
MACHINE_TOOL: Final = "http://opcfoundation.org/UA/MachineTool/"
PACKML: Final = "http://opcfoundation.org/UA/PackML/"
IA: Final = "http://opcfoundation.org/UA/IA/"
Speech = Literal["machine-tool", "packml"]
Address = tuple[str, int]
"""Namespace URI and number of a node of a specification."""

ITEM_STATES: Final = {"OutOfService": 5004, "NotAvailable": 5005, "Executing": 5006, "NotExecuting": 5007}
OPERATION_MODES: Final = {"Maintenance": 5058, "None": 5059, "Processing": 5060, "Setup": 5061}
PROGRAM_STATES: Final = {"Initializing": 135, "Running": 138, "Interrupted": 139, "Ended": 140, "Aborted": 141}
PACKML_BASE: Final = {"Aborting": 61, "Aborted": 62, "Cleared": 71}
PACKML_MACHINE: Final = {"Stopped": 53, "Stopping": 54, "Clearing": 55, "Running": 75}
PACKML_EXECUTE: Final = {
    "Resetting": 27, "Idle": 28, "Starting": 29, "Suspending": 30, "Suspended": 31, "Unsuspending": 32, "Holding": 33,
    "Held": 34, "Unholding": 35, "Execute": 36, "Completing": 37, "Complete": 38,
}  # fmt: skip
_PROGRAM_NUMBERS: Final = {"Initializing": 0, "Running": 1, "Ended": 2, "Interrupted": 3, "Aborted": 4}
_COUNT_ENCODING: Final = 69
"""PackMLCountDataType, Default Binary."""

_MODE: Final = {MachineState.SETUP: ("Setup", 2, 2), MachineState.MAINTENANCE: ("Maintenance", 1, 4)}
"""By state: MachineryOperationMode, its number, and MachineTool's enumeration OperationMode."""

_PACKML: Final = {
    MachineState.OUT_OF_SERVICE: ("Aborted", None, None, 1, 9),
    MachineState.NOT_EXECUTING: ("Cleared", "Running", "Held", 1, 11),
    MachineState.EXECUTING: ("Cleared", "Running", "Execute", 1, 6),
    MachineState.SETUP: ("Cleared", "Stopped", None, 3, 2),
    MachineState.STARVED: ("Cleared", "Running", "Suspended", 1, 5),
    MachineState.BLOCKED: ("Cleared", "Running", "Suspended", 1, 5),
    MachineState.MAINTENANCE: ("Cleared", "Stopped", None, 2, 2),
}
"""By state: base, machine and execute state, unit mode, and the number of the innermost."""


TOOL_LASTS: Final = 150
"""Parts that a tool makes before it is changed; its life counts up to that."""

_SEVERE: Final = 700
"""Severity of a breakdown's alarm, of 1000."""

_LAMP: Final = {MachineState.EXECUTING: "green", MachineState.OUT_OF_SERVICE: "red", MachineState.NOT_AVAILABLE: "off"}
"""The lamp that is lit; in other states the yellow one."""

LAMPS: Final = ("Red", "Yellow", "Green")


def events(speech: Speech, told: Iterator[Event]) -> Iterator[Event]:
    """What a machine of that specification tells beside the events of any machine."""
    return _machine_tool(told) if speech == "machine-tool" else _packml(told)


def _machine_tool(told: Iterator[Event]) -> Iterator[Event]:
    """Modes, program states and lamps with every state; with every part the tool's life; at a breakdown an alarm; at a
    new product a new program and job, whose counter begins at 0."""
    jobs = good = base = 0
    lamp, broken = "", False
    for event in told:
        time_ns, metric, value = event
        if metric == "parts_good":
            good = int(value)
            yield time_ns, metric, good - base
            continue
        yield event
        if metric == "state":
            state = MachineState(int(value))
            broken = state is MachineState.OUT_OF_SERVICE
            yield time_ns, "operation_mode", _mode(state)[1]
            yield time_ns, "program_state", 1 if state is MachineState.EXECUTING else 3
            if _LAMP.get(state, "yellow") != lamp:
                lamp = _LAMP.get(state, "yellow")
                yield time_ns, "stacklight", lamp
        elif metric == "reason" and broken:
            yield time_ns, "alarm", _SEVERE
        elif metric == "parts":
            yield time_ns, "tool_life", 100.0 * (TOOL_LASTS - int(value) % TOOL_LASTS) / TOOL_LASTS
        elif metric == "product":
            jobs += 1
            yield time_ns, "program", f"O{_number(str(value)):04d}"
            yield time_ns, "order", f"OF-{jobs:05d}"
            if jobs == 1:
                yield time_ns, "feed_override", 100
            else:
                base = good
                yield time_ns, "parts_good", 0


def _packml(told: Iterator[Event]) -> Iterator[Event]:
    for event in told:
        yield event
        if event[1] == "state":
            yield event[0], "packml_state", _PACKML[MachineState(int(event[2]))][4]


def spell(speech: Speech, metric: str, value: Value, index: Mapping[str, int]) -> list[tuple[str, Any]]:
    """The nodes that an event writes, by their path in the machine, and the variants. `index`: of the namespaces."""
    tool = index[MACHINE_TOOL] if speech == "machine-tool" else 0
    if speech == "packml" and metric == "state":
        return _packml_state(MachineState(int(value)), index[PACKML])
    if metric == "state":
        state = MachineState(int(value))
        name = _ITEM.get(state, "NotExecuting")
        return [
            *_state("Monitoring/MachineTool/MachineryItemState", name, ITEM_STATES[name], index[MACHINERY]),
            ("Monitoring/MachineTool/OperationMode", ua.Variant(_mode(state)[2], ua.VariantType.Int32)),
        ]
    if metric == "operation_mode":
        name = {1: "Maintenance", 2: "Setup", 3: "Processing"}[int(value)]
        return _state("Monitoring/MachineTool/MachineryOperationMode", name, OPERATION_MODES[name], tool)
    if metric == "program_state":
        name = next(name for name, number in _PROGRAM_NUMBERS.items() if number == value)
        path = "Production/ActiveProgram/State"
        number = ua.Variant(int(value), ua.VariantType.UInt32)
        return [*_state(path, name, PROGRAM_STATES[name], tool), (f"{path}/CurrentState/Number", number)]
    if metric in ("packml_state", "alarm"):
        return []
    if metric == "stacklight":
        light = "Monitoring/Stacklight"
        return [
            (f"{light}/{lamp}/SignalOn", ua.Variant(lamp.lower() == value, ua.VariantType.Boolean)) for lamp in LAMPS
        ]
    if metric == "tool_life":
        used = round(TOOL_LASTS * (1 - float(value) / 100))
        return [("Equipment/Tools/T1/ToolLife/Life", ua.Variant(used, ua.VariantType.UInt32))]
    if metric in ("parts", "parts_scrap") and speech == "packml":
        path = "Admin/ProdProcessedCount" if metric == "parts" else "Admin/ProdDefectiveCount"
        return [(path, _count(int(value), index[PACKML]))]
    paths = _PATHS if speech == "machine-tool" else {}
    kind = _KINDS.get(metric) or TYPES[METRICS[metric].kind]
    return [(paths.get(metric, metric), ua.Variant(value, kind))]


TYPES: Final = {
    "state": ua.VariantType.Int32,
    "counter": ua.VariantType.UInt32,
    "gauge": ua.VariantType.Double,
    "word": ua.VariantType.String,
    "event": ua.VariantType.Double,
}
"""How a node says a metric that no specification speaks of."""

_KINDS: Final = {"parts": ua.VariantType.UInt32, "parts_good": ua.VariantType.UInt32}
_PATHS: Final = {
    "parts": "Production/Statistics/PartsProducedInLifetime",
    "parts_good": "Production/ProductionPlan/Job/PartsGood",
    "order": "Production/ProductionPlan/Job/OrderIdentifier",
    "program": "Production/ActiveProgram/Name",
    "feed_override": "Monitoring/Channel1/FeedOverride",
}
_ITEM: Final = {
    MachineState.NOT_AVAILABLE: "NotAvailable",
    MachineState.OUT_OF_SERVICE: "OutOfService",
    MachineState.EXECUTING: "Executing",
}


def _mode(state: MachineState) -> tuple[str, int, int]:
    return _MODE.get(state, ("Processing", 3, 1))


def _state(path: str, name: str, number: int, index: int) -> list[tuple[str, Any]]:
    node = ua.NodeId(ua.Int32(number), ua.Int16(index))
    return [
        (f"{path}/CurrentState/Id", ua.Variant(node, ua.VariantType.NodeId)),
        (f"{path}/CurrentState", ua.Variant(ua.LocalizedText(ua.String(name)), ua.VariantType.LocalizedText)),
    ]


def _packml_state(state: MachineState, index: int) -> list[tuple[str, Any]]:
    base, machine, execute, mode, _ = _PACKML[state]
    top = "BaseStateMachine"
    told = _state(top, base, PACKML_BASE[base], index)
    if machine is not None:
        told += _state(f"{top}/MachineState", machine, PACKML_MACHINE[machine], index)
    if execute is not None:
        told += _state(f"{top}/MachineState/ExecuteState", execute, PACKML_EXECUTE[execute], index)
    return [
        *told,
        ("Status/UnitModeCurrent", ua.Variant(mode, ua.VariantType.Int32)),
        ("Status/EquipmentBlocked", ua.Variant(state is MachineState.BLOCKED, ua.VariantType.Boolean)),
        ("Status/EquipmentStarved", ua.Variant(state is MachineState.STARVED, ua.VariantType.Boolean)),
    ]


def _count(total: int, index: int) -> Any:
    """An array of one PackMLCountDataType: ID, Name, Unit (EUInformation), Count, AccCount."""
    unit = _string("http://www.opcfoundation.org/UA/units/un/cefact") + struct.pack("<iB", 4405297, 2)
    unit += _string("pce") + b"\x00"
    body = struct.pack("<i", 1) + _string("main") + unit + struct.pack("<ii", total, total)
    encoding = ua.NodeId(ua.Int32(_COUNT_ENCODING), ua.Int16(index))
    return ua.Variant([ua.ExtensionObject(encoding, ua.ByteString(body))], ua.VariantType.ExtensionObject)


def _string(text: str) -> bytes:
    return struct.pack("<i", len(text.encode())) + text.encode()


def _number(name: str) -> int:
    """A program number for a product: the same in every run."""
    return sum((place + 1) * ord(letter) for place, letter in enumerate(name)) % 9999 + 1

"""What the companion specifications tell, as a table: type of the owner, path below it → metric of the glossary.

A node is recognised by the type definition of the object it belongs to, or by a super-type of that: a vendor's own
type of machine or spindle is read like the standard's. To support another specification, add rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from collectors.opcua import meanings

DI: Final = "http://opcfoundation.org/UA/DI/"
IA: Final = "http://opcfoundation.org/UA/IA/"
MACHINERY: Final = "http://opcfoundation.org/UA/Machinery/"
MACHINE_TOOL: Final = "http://opcfoundation.org/UA/MachineTool/"
PACKML: Final = "http://opcfoundation.org/UA/PackML/"


def _type(uri: str, number: int) -> str:
    return f"nsu={uri};i={number}"


MACHINE_TYPES: Final = {_type(MACHINE_TOOL, 13): "MachineTool", _type(PACKML, 6): "PackML"}
"""Types of whole machines → the specification's name. A machine of Machinery alone has no type of its own."""

IDENTIFICATION: Final = _type(MACHINERY, 1012)
STATE_TYPE: Final = "i=2307"
"""StateType: the states of a state machine's type."""

STACK_ELEMENT: Final = _type(IA, 1006)
TOOL: Final = _type(MACHINE_TOOL, 50)
TOOL_LIFE: Final = "ToolLife"

JOB: Final = _type(MACHINE_TOOL, 29)
JOB_STATE: Final = "State/CurrentState/Id"
JOB_TELLS: Final = {
    "PartsCompleted": ("parts", meanings.number),
    "PartsGood": ("parts_good", meanings.number),
    "OrderIdentifier": ("order", meanings.word),
}
"""What each job of a production plan tells: metric, and the meaning of the node's value."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. `part` names a part of a metric that several nodes tell together; `states` are the names and numbers of
    a state machine whose CurrentState/Id is read. Of rows for one metric, that of the lowest `rank` is taken."""

    owner: str
    path: str
    metric: str
    part: str = ""
    states: Mapping[str, int] | None = None
    meaning: Callable[[Any], Any] | None = None
    rank: int = 0


_ITEM_STATE: Final = _type(MACHINERY, 1002)
_OPERATION_MODE: Final = _type(MACHINERY, 1008)
_MONITORING: Final = _type(MACHINE_TOOL, 26)
_CHANNEL: Final = _type(MACHINE_TOOL, 16)
_SPINDLE: Final = _type(MACHINE_TOOL, 22)
_PROGRAM: Final = _type(MACHINE_TOOL, 32)
_PROGRAM_STATE: Final = _type(MACHINE_TOOL, 24)
_STATISTICS: Final = _type(MACHINE_TOOL, 20)
_COUNTERS: Final = _type(MACHINERY, 1009)
_PACKML_BASE: Final = _type(PACKML, 3)
_PACKML_MACHINE: Final = _type(PACKML, 2)
_PACKML_EXECUTE: Final = _type(PACKML, 1)
_PACKML_STATUS: Final = _type(PACKML, 4)
_PACKML_ADMIN: Final = _type(PACKML, 5)

_ID: Final = "CurrentState/Id"

RULES: Final = (
    # OPC 40001-1, 10 and 11: state machines of any machine
    Rule(_ITEM_STATE, _ID, "state", "item_state", states=meanings.ITEM_STATE),
    Rule(_OPERATION_MODE, _ID, "state", "operation_mode", states=meanings.OPERATION_MODE),
    Rule(_OPERATION_MODE, _ID, "operation_mode", states=meanings.OPERATION_MODE),
    # OPC 40501-1: machine tools
    Rule(_MONITORING, "OperationMode", "state", "tool_mode", meaning=meanings.number),
    Rule(_MONITORING, "FeedOverride", "feed_override"),
    Rule(_CHANNEL, "FeedOverride", "feed_override", rank=1),
    Rule(_CHANNEL, "RapidOverride", "rapid_override"),
    Rule(_SPINDLE, "Override", "spindle_override"),
    Rule(_PROGRAM, "Name", "program"),
    Rule(_PROGRAM, f"State/{_ID}", "program_state", states=meanings.PROGRAM_STATE),
    Rule(_PROGRAM, f"State/{_ID}", "state", "program_state", states=meanings.PROGRAM_STATE),
    Rule(_STATISTICS, "PartsProducedInLifetime", "parts"),
    Rule(_COUNTERS, "PartsProducedInLifetime", "parts", rank=1),
    # OPC 30050: PackML
    Rule(_PACKML_BASE, _ID, "state", "packml_base", states=meanings.PACKML_STATE),
    Rule(_PACKML_MACHINE, _ID, "state", "packml_machine", states=meanings.PACKML_STATE),
    Rule(_PACKML_EXECUTE, _ID, "state", "packml_execute", states=meanings.PACKML_STATE),
    Rule(_PACKML_BASE, _ID, "packml_state", "packml_base", states=meanings.PACKML_STATE),
    Rule(_PACKML_MACHINE, _ID, "packml_state", "packml_machine", states=meanings.PACKML_STATE),
    Rule(_PACKML_EXECUTE, _ID, "packml_state", "packml_execute", states=meanings.PACKML_STATE),
    Rule(_PACKML_STATUS, "UnitModeCurrent", "state", "packml_mode", meaning=meanings.number),
    Rule(_PACKML_STATUS, "EquipmentBlocked", "state", "blocked", meaning=meanings.number),
    Rule(_PACKML_STATUS, "EquipmentStarved", "state", "starved", meaning=meanings.number),
    Rule(_PACKML_ADMIN, "ProdProcessedCount", "parts", "count", meaning=meanings.packml_count),
    Rule(_PACKML_ADMIN, "ProdDefectiveCount", "parts_scrap", "count", meaning=meanings.packml_count),
)

OWNERS: Final = frozenset(rule.owner for rule in RULES)


def count(parts: Mapping[str, Any]) -> tuple[float, str] | None:
    """A Combine for a single counter that only its meaning sets apart."""
    value = parts.get("count")
    return None if value is None else (float(value), "")


COMBINE: Final[dict[str, Callable[[Mapping[str, Any]], tuple[float, str] | None]]] = {
    "state": meanings.state,
    "packml_state": meanings.packml_state,
    "parts": count,
    "parts_scrap": count,
}
"""How the parts of a metric become its value."""

"""What the companion specifications have words for. Apart from their nodes, for a scenario is read without asyncua."""

from typing import Final

from telemetry.glossary import MachineState

NO_WORD: Final[dict[str, dict[MachineState, MachineState]]] = {
    "machine-tool": {
        MachineState.STARVED: MachineState.NOT_EXECUTING,
        MachineState.BLOCKED: MachineState.NOT_EXECUTING,
    },
    "packml": {MachineState.NOT_AVAILABLE: MachineState.NOT_EXECUTING},
}
"""States that the specification cannot say, and what is said instead."""

TELLS: Final[dict[str, tuple[str, ...]]] = {
    "machine-tool": (
        "state", "operation_mode", "program_state", "program", "order", "parts", "parts_good", "feed_override",
        "stacklight", "tool_life", "alarm",
    ),
    "packml": ("state", "packml_state", "parts", "parts_scrap"),
}  # fmt: skip
"""What the specification tells, by name in the glossary; cause, product and measurements are the vendor's nodes."""

VENDOR: Final = "http://acme-controls.example/OPCUA/Panel/"
"""A vendor's own namespace, with nodes for what the specifications have no place for."""

_VENDOR_NODES: Final = {
    "reason": "/Hmi/Alarm/stopCause",
    "product": "/Channel/Production/partName",
    "order": "/Channel/Production/orderName",
}


def vendor_node(path: str, metric: str) -> str:
    """The identifier of a vendor's node of a machine, in VENDOR."""
    return f"/{path.rpartition('/')[2]}{_VENDOR_NODES.get(metric) or f'/Nck/Sensor/{metric}'}"

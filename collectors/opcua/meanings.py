"""What the standards' states mean in the glossary: tables and pure functions, nothing of the wire.

OPC 40001-1 (Machinery) 1.03, OPC 40501-1 (MachineTool) 1.02, PackML (ISA-TR88.00.02-2022, OPC 30050 1.01).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from collectors.opcua.blend import UnknownError
from telemetry import dialects
from telemetry.errors import DecodeError
from telemetry.glossary import MachineState

ITEM_STATE: Final = dialects.ITEM_STATE
OPERATION_MODE: Final = dialects.OPERATION_MODE
PROGRAM_STATE: Final = dialects.PROGRAM_STATE
PACKML_STATE: Final = dialects.PACKML_STATE

_JOB_RANK: Final = {
    PROGRAM_STATE["Running"]: 0,
    PROGRAM_STATE["Interrupted"]: 1,
    PROGRAM_STATE["Ended"]: 2,
    PROGRAM_STATE["Aborted"]: 2,
}
"""Which job of a plan is meant: one that initializes has made nothing yet."""

_TOOL_MODE: Final = {2: "Setup", 4: "Maintenance"}
"""MachineOperationMode (the enumeration `OperationMode` of a machine tool): Setup, Service."""

_PACKML_MODE: Final = {2: "Maintenance", 3: "Setup"}
"""Unit modes Maintenance and Manual; 4…31 are the user's own and say nothing."""

_COLORS: Final = ("off", "red", "green", "blue", "yellow", "purple", "cyan", "white")


def number(value: Any) -> float:
    """A plain number. Raises DecodeError."""
    if isinstance(value, (bool, int, float)):
        return float(value)
    raise DecodeError(f"a {type(value).__name__} where a number stands in the companion specification")


def word(value: Any) -> str:
    """A text. Raises DecodeError."""
    if isinstance(value, str):
        return value
    raise DecodeError(f"a {type(value).__name__} where a text stands in the companion specification")


def state(parts: Mapping[str, Any]) -> tuple[float, str] | None:
    """The state of a machine from whatever of its parts is known: item state, else PackML, else its program."""
    if "item_state" in parts:
        return float(dialects.with_mode(MachineState(_certain(parts["item_state"])), _mode(parts))), ""
    if "packml_base" in parts or "packml_execute" in parts or "packml_machine" in parts:
        return float(dialects.with_mode(_packml(parts), _mode(parts))), ""
    if "program_state" in parts:
        found = dialects.PROGRAM[_certain(parts["program_state"])]
        return float(dialects.with_mode(found, _mode(parts))), ""
    return None


def _certain(value: Any) -> int:
    if value is None:
        raise UnknownError
    return int(value)


def _mode(parts: Mapping[str, Any]) -> str:
    names = {number: name for name, number in OPERATION_MODE.items()}
    found = names.get(parts.get("operation_mode") or 0, "None")
    if found == "None":
        found = _TOOL_MODE.get(int(parts.get("tool_mode") or 0), "None")
    if found == "None":
        found = _PACKML_MODE.get(int(parts.get("packml_mode") or 0), "None")
    return found


def packml_number(parts: Mapping[str, Any]) -> int:
    """The innermost PackML state in force: Execute inside Running inside Cleared. Raises UnknownError."""
    base = parts.get("packml_base", PACKML_STATE["Cleared"])
    if base is None:
        raise UnknownError
    if base != PACKML_STATE["Cleared"]:
        return int(base)
    machine = parts.get("packml_machine", PACKML_STATE["Running"])
    if machine is not None and machine != PACKML_STATE["Running"]:
        return int(machine)
    inner = parts.get("packml_execute")
    return int(inner) if inner is not None else PACKML_STATE["Undefined"]


def packml_state(parts: Mapping[str, Any]) -> tuple[float, str] | None:
    """The PackML state number as a metric."""
    return (float(packml_number(parts)), "") if parts else None


def _packml(parts: Mapping[str, Any]) -> MachineState:
    found = dialects.PACKML.get(packml_number(parts))
    if found is None:
        raise UnknownError
    if found is MachineState.STARVED and parts.get("blocked"):
        # Suspended is a cause outside the machine; without a word on which side, nothing comes in.
        return MachineState.BLOCKED
    return found


def count_of(body: bytes) -> float:
    """AccCount of a PackMLCountDataType: ID, Name, Unit (EUInformation), Count, AccCount; the last four bytes.

    AccCount grows over the life; Count falls at every job. Raises DecodeError.
    """
    if len(body) < 12:
        raise DecodeError(f"a PackML count of {len(body)} bytes: too short to be one")
    return float(int.from_bytes(body[-4:], "little", signed=True))


def packml_count(value: Any) -> float | None:
    """The first count of an array of PackMLCountDataType (the main product); None: none yet. Raises DecodeError."""
    if value is None or (isinstance(value, (list, tuple)) and not value):
        return None
    first = value[0] if isinstance(value, (list, tuple)) and value else value
    if hasattr(first, "AccCount"):
        return float(first.AccCount)
    body = getattr(first, "Body", None)
    if first is None or (not body and hasattr(first, "Body")):
        return None
    if not isinstance(body, bytes):
        raise DecodeError("no PackML count in it")
    return count_of(body)


def of_running(jobs: Sequence[str]) -> Any:
    """A Combine with `since`: what the job that runs tells, else one that is interrupted, else the one that ended last.

    Parts are the jobs, and the states of several as "JOB/State". What counts the last part may come with the end of the
    job or after it, and a plan keeps jobs that ended long ago.
    """

    def combine(parts: Mapping[str, Any]) -> tuple[float, str] | None:
        if len(jobs) == 1:
            return _told(parts.get(jobs[0], (None, 0))[0])
        ranked = []
        for place, job in enumerate(jobs):
            state, since_ns = parts.get(f"{job}/State", (None, 0))
            if state in _JOB_RANK:
                ranked.append((_JOB_RANK[state], -since_ns if _JOB_RANK[state] == 2 else 0, place, job))
        return _told(parts.get(min(ranked)[-1], (None, 0))[0]) if ranked else None

    return combine


def _told(value: Any) -> tuple[float, str] | None:
    if value is None:
        return None
    return (0.0, value) if isinstance(value, str) else (float(value), "")


def stacklight(colors: Mapping[str, int]) -> Any:
    """A Combine that names the lamps that are on, "green, red"; parts are lamps, `colors` their SignalColor."""

    def combine(parts: Mapping[str, Any]) -> tuple[float, str] | None:
        lit = [_COLORS[colors[lamp]] if 0 <= colors[lamp] < len(_COLORS) else lamp for lamp in parts if parts[lamp]]
        return 0.0, ", ".join(sorted(lit)) or "off"

    return combine


def tool_ends(new: Any, worn: Any, counts_up: Any) -> tuple[float, float] | str:
    """StartValue, LimitValue and IsCountingUp of a tool-life entry as its value when new and when worn out; or why not.

    The first two are optional (OPC 40501-1, ToolLifeType): one that counts up begins at 0, one that counts down ends
    there.
    """
    down = counts_up is False
    new = new if new is not None or down else 0.0
    worn = worn if worn is not None or not down else 0.0
    if not isinstance(new, (int, float)):
        return "it counts down, and has no StartValue that is a number"
    if not isinstance(worn, (int, float)):
        return "it has no LimitValue that is a number"
    if new == worn:
        return f"it counts from {new:g} to {worn:g}"
    return float(new), float(worn)


def tool_life(limits: Mapping[str, tuple[float, float]], names: Mapping[str, str]) -> Any:
    """A Combine: the least life left of all tools [%], and whose; `limits`: value when new and when worn out."""

    def combine(parts: Mapping[str, Any]) -> tuple[float, str] | None:
        left = {}
        for entry, value in parts.items():
            new, worn = limits[entry]
            if value is not None and new != worn:
                left[entry] = max(0.0, min(100.0, 100.0 * (worn - value) / (worn - new)))
        if not left:
            return None
        least = min(left, key=lambda entry: (left[entry], entry))
        return left[least], names[least]

    return combine

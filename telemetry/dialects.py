"""How machines name their states, as tables into the one state model of the glossary.

The one home of these tables, for collectors and event logs. PackML: ISA-TR88.00.02-2022; Machinery item state and
operation mode: OPC 40001-1 annex C; program states: OPC 40501-1; execution: MTConnect Part 3. A dialect's table may be
overridden word by word (`states` of the plant or event file).
"""

from collections.abc import Mapping
from typing import Final, Literal

from telemetry.errors import DecodeError
from telemetry.glossary import MachineState
from telemetry.plant import StateName

Dialect = Literal["words", "packml", "machinery", "machine_tool", "mtconnect"]

_OFF, _DOWN, _REST, _RUN = (
    MachineState.NOT_AVAILABLE, MachineState.OUT_OF_SERVICE, MachineState.NOT_EXECUTING, MachineState.EXECUTING
)  # fmt: skip
_SETUP, _STARVED, _BLOCKED, _CARE = (
    MachineState.SETUP, MachineState.STARVED, MachineState.BLOCKED, MachineState.MAINTENANCE
)  # fmt: skip

ITEM_STATE: Final = {"NotAvailable": 0, "OutOfService": 1, "NotExecuting": 2, "Executing": 3}
"""MachineryItemState by browse name → StateNumber, OPC 40001-1; the glossary's 0…3 are the same numbers."""

OPERATION_MODE: Final = {"None": 0, "Maintenance": 1, "Setup": 2, "Processing": 3}
"""MachineryOperationMode by browse name → StateNumber. MachineTool's own sub-type has other nodes, the same names."""

PROGRAM_STATE: Final = {"Initializing": 0, "Running": 1, "Ended": 2, "Interrupted": 3, "Aborted": 4}
"""ProductionStateMachine by browse name → StateNumber, OPC 40501-1."""

PROGRAM: Final = {number: _RUN if name == "Running" else _REST for name, number in PROGRAM_STATE.items()}
"""What a program's state says of its machine, by number. Aborted is no breakdown: an operator may have done it."""

_PACKML_NAMES: Final = (
    "Undefined", "Clearing", "Stopped", "Starting", "Idle", "Suspended", "Execute", "Stopping", "Aborting", "Aborted",
    "Holding", "Held", "Unholding", "Suspending", "Unsuspending", "Resetting", "Completing", "Complete", "Running",
    "Cleared",
)  # fmt: skip
PACKML_STATE: Final = {name: number for number, name in enumerate(_PACKML_NAMES)} | {"Completed": 17}
"""PackML states by name → number, ISA-TR88.00.02-2022; 18 and 19 are the super-states that OPC UA adds."""

_PACKML_OTHER: Final = {
    "Execute": _RUN, "Completing": _RUN,
    # an abort is a fault; suspended is a cause outside the machine, held one inside
    "Aborting": _DOWN, "Aborted": _DOWN, "Clearing": _DOWN,
    "Suspending": _STARVED, "Suspended": _STARVED, "Unsuspending": _STARVED,
}  # fmt: skip
PACKML: Final = {number: _PACKML_OTHER.get(name, _REST) for name, number in PACKML_STATE.items() if 0 < number < 18}
"""What a PackML state says of its machine, by number; 0 says nothing, 18 and 19 need the state inside them."""


def _named(numbers: Mapping[str, int], states: Mapping[int, MachineState]) -> dict[str, MachineState]:
    """Both the names, in lower case, and the numbers as words."""
    found = {name.lower(): states[number] for name, number in numbers.items() if number in states}
    return found | {str(number): state for number, state in states.items()}


_TABLES: Final[dict[Dialect, Mapping[str, MachineState]]] = {
    "words": {state.name.lower().replace("_", " "): state for state in MachineState}
    | {str(int(state)): state for state in MachineState}
    | {
        "running": _RUN, "run": _RUN, "producing": _RUN, "production": _RUN, "active": _RUN, "marche": _RUN,
        "en marche": _RUN, "en production": _RUN,
        "idle": _REST, "stopped": _REST, "stop": _REST, "paused": _REST, "ready": _REST, "waiting": _REST,
        "arrêt": _REST, "arret": _REST, "à l'arrêt": _REST, "pause": _REST, "attente": _REST,
        "error": _DOWN, "fault": _DOWN, "alarm": _DOWN, "down": _DOWN, "breakdown": _DOWN, "panne": _DOWN,
        "défaut": _DOWN, "en panne": _DOWN,
        "changeover": _SETUP, "réglage": _SETUP, "préparation": _SETUP, "changement": _SETUP,
        "manque": _STARVED, "no material": _STARVED, "saturation": _BLOCKED, "saturé": _BLOCKED,
        "entretien": _CARE, "off": _OFF, "éteint": _OFF,
    },
    "packml": _named(PACKML_STATE, PACKML),
    "machinery": _named(ITEM_STATE, {number: MachineState(number) for number in ITEM_STATE.values()}),
    "machine_tool": _named(PROGRAM_STATE, PROGRAM),
    "mtconnect": {
        "active": _RUN, "ready": _REST, "interrupted": _REST, "feed hold": _REST, "stopped": _REST,
        "program completed": _REST, "program stopped": _REST, "optional stop": _REST, "program optional stop": _REST,
        # waiting for something outside: a part, a robot, a door
        "wait": _STARVED,
    },
}  # fmt: skip

_UNKNOWN: Final = ("", "unavailable", "unknown", "undefined", "inconnu")


def state_of(word: str, dialect: Dialect = "words", own: Mapping[str, StateName] | None = None) -> MachineState | None:
    """The state a word (or number) of a dialect stands for; None when it says that the state is not known.

    `own`: words that mean something else here, or are not in the dialect. Raises DecodeError for a word that is in
    neither table: a state is never guessed.
    """
    key = _key(word)
    for one, name in (own or {}).items():
        if _key(one) == key:
            return MachineState[name]
    if key in _UNKNOWN or (dialect == "packml" and key == "0"):
        return None
    state = _TABLES[dialect].get(key)
    if state is None:
        raise DecodeError(f"state {word[:60]!r} is not a word of {dialect!r}: add it to [states]")
    return state


def with_mode(state: MachineState, mode: str) -> MachineState:
    """A Machinery item state seen with its operation mode (OPC 40001-1 annex C).

    In Setup, executing or not, a machine is being set up; in Maintenance it is being maintained, whatever it does.
    """
    if _key(mode) in ("maintenance", "1"):
        return MachineState.MAINTENANCE
    if _key(mode) in ("setup", "2") and state in (_RUN, _REST):
        return MachineState.SETUP
    return state


def _key(word: str) -> str:
    return word.strip().lower().replace("_", " ").removesuffix(".0")

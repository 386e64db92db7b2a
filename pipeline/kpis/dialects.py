"""How machines name their states, as tables into the one state model of the glossary.

PackML: ISA-TR88.00.02-2022; Machinery item state and operation mode: OPC 40001-1 annex C; program states: OPC 40501-1;
execution: MTConnect Part 3. A dialect's table may be overridden word by word (`states` of the plant or event file).
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

_PACKML_NAMES: Final = (
    "undefined", "clearing", "stopped", "starting", "idle", "suspended", "execute", "stopping", "aborting", "aborted",
    "holding", "held", "unholding", "suspending", "unsuspending", "resetting", "completing", "complete",
)  # fmt: skip
_PACKML_OTHER: Final = {
    "execute": _RUN, "completing": _RUN,
    # an abort is a fault; suspended is a cause outside the machine, held one inside
    "aborting": _DOWN, "aborted": _DOWN, "clearing": _DOWN,
    "suspending": _STARVED, "suspended": _STARVED, "unsuspending": _STARVED,
}  # fmt: skip
_PACKML: Final = {name: _PACKML_OTHER.get(name, _REST) for name in _PACKML_NAMES[1:]} | {"completed": _REST}

_TABLES: Final[dict[Dialect, Mapping[str, MachineState]]] = {
    "words": {state.name.lower(): state for state in MachineState} | {str(int(state)): state for state in MachineState}
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
    "packml": _PACKML | {str(number): _PACKML[name] for number, name in enumerate(_PACKML_NAMES) if number},
    "machinery": {
        "notavailable": _OFF, "outofservice": _DOWN, "notexecuting": _REST, "executing": _RUN,
        "0": _OFF, "1": _DOWN, "2": _REST, "3": _RUN,
    },
    "machine_tool": {
        "initializing": _REST, "running": _RUN, "ended": _REST, "interrupted": _REST, "aborted": _DOWN,
        "0": _REST, "1": _RUN, "2": _REST, "3": _REST, "4": _DOWN,
    },
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

"""States of a machine in the words of PackML (ISA-TR88.00.02), as the simulated packaging line and robot cell say them.

Acting states are passed in no time: Held to Execute goes through Unholding within one millisecond, and is not told.
PackML has one word, Suspended, for whatever comes from outside the machine.
"""

from typing import Final

from telemetry.glossary import MachineState

SUSPENDED: Final = 5
NUMBERS: Final = {
    MachineState.NOT_AVAILABLE: (0, "Undefined"),
    MachineState.OUT_OF_SERVICE: (9, "Aborted"),
    MachineState.NOT_EXECUTING: (11, "Held"),
    MachineState.EXECUTING: (6, "Execute"),
    MachineState.SETUP: (15, "Resetting"),
    MachineState.STARVED: (SUSPENDED, "Suspended"),
    MachineState.BLOCKED: (SUSPENDED, "Suspended"),
    MachineState.MAINTENANCE: (2, "Stopped"),
}
"""Number and name of the PackML state."""

STATE_CURRENT: Final = {int(state): number for state, (number, _) in NUMBERS.items()}

ONE_WORD: Final = {MachineState.BLOCKED: MachineState.STARVED}
"""What a wire with `StateCurrent` alone cannot tell apart."""

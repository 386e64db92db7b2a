"""Words of every dialect, as their standards mean them."""

import pytest

from telemetry.dialects import Dialect, state_of, with_mode
from telemetry.errors import DecodeError
from telemetry.glossary import MachineState


@pytest.mark.parametrize(
    ("dialect", "word", "state"),
    [
        ("packml", "Execute", MachineState.EXECUTING),
        ("packml", "6", MachineState.EXECUTING),
        ("packml", "9", MachineState.OUT_OF_SERVICE),  # Aborted
        ("packml", "5", MachineState.STARVED),  # Suspended: a cause outside
        ("packml", "HELD", MachineState.NOT_EXECUTING),
        ("packml", "0", None),
        ("machinery", "NotExecuting", MachineState.NOT_EXECUTING),
        ("machinery", "1", MachineState.OUT_OF_SERVICE),
        ("machine_tool", "Aborted", MachineState.NOT_EXECUTING),  # by whom, it does not say
        ("machine_tool", "1", MachineState.EXECUTING),
        ("mtconnect", "ACTIVE", MachineState.EXECUTING),
        ("mtconnect", "PROGRAM_COMPLETED", MachineState.NOT_EXECUTING),
        ("mtconnect", "UNAVAILABLE", None),
        ("words", "En marche", MachineState.EXECUTING),
        ("words", "setup", MachineState.SETUP),
        ("words", "3.0", MachineState.EXECUTING),
    ],
)
def test_a_word_is_what_its_standard_says(dialect: Dialect, word: str, state: MachineState | None) -> None:
    """PackML 2022, OPC 40001-1, OPC 40501-1, MTConnect, plain words; None is "not known"."""
    assert state_of(word, dialect) is state


@pytest.mark.parametrize("state", MachineState)
def test_the_names_of_the_glossary_are_words(state: MachineState) -> None:
    """NOT_EXECUTING, as the glossary writes it, and as people do."""
    assert state_of(state.name) is state
    assert state_of(state.name.replace("_", " ").capitalize()) is state


def test_own_words_come_first_and_strangers_are_refused() -> None:
    """On this machine READY means that it waits for parts; "flying" is nobody's word."""
    assert state_of("ready", "mtconnect", {"READY": "STARVED"}) is MachineState.STARVED
    with pytest.raises(DecodeError, match="flying"):
        state_of("flying")


def test_the_operation_mode_refines_the_item_state() -> None:
    """Executing in setup is set-up; out of service in maintenance is maintenance; processing changes nothing."""
    assert with_mode(MachineState.EXECUTING, "Setup") is MachineState.SETUP
    assert with_mode(MachineState.OUT_OF_SERVICE, "Setup") is MachineState.OUT_OF_SERVICE
    assert with_mode(MachineState.OUT_OF_SERVICE, "Maintenance") is MachineState.MAINTENANCE
    assert with_mode(MachineState.EXECUTING, "Processing") is MachineState.EXECUTING

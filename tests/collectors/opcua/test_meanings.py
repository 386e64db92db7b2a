"""What the standards' states mean, and that joining them does not depend on the order of arrival."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.opcua import meanings
from collectors.opcua.blend import Blend, UnknownError
from collectors.opcua.wire import Reading
from telemetry.errors import DecodeError
from telemetry.glossary import MachineState
from telemetry.samples import Quality
from telemetry.validity import Gate
from tests.collectors.opcua.peer import MILL, PLANT

NOW = 1_790_000_000_000_000_000
ITEM, MODE, PACKML = meanings.ITEM_STATE, meanings.OPERATION_MODE, meanings.PACKML_STATE


@pytest.mark.parametrize(
    ("item", "mode", "expected"),
    [
        ("Executing", "Processing", MachineState.EXECUTING),
        ("NotExecuting", "Processing", MachineState.NOT_EXECUTING),
        ("OutOfService", "Processing", MachineState.OUT_OF_SERVICE),
        ("NotAvailable", "Processing", MachineState.NOT_AVAILABLE),
        ("Executing", "None", MachineState.EXECUTING),
        ("Executing", "Setup", MachineState.SETUP),
        ("NotExecuting", "Setup", MachineState.SETUP),
        ("OutOfService", "Setup", MachineState.OUT_OF_SERVICE),
        ("NotExecuting", "Maintenance", MachineState.MAINTENANCE),
        ("OutOfService", "Maintenance", MachineState.MAINTENANCE),
        ("NotAvailable", "Maintenance", MachineState.MAINTENANCE),
    ],
)
def test_item_state_and_operation_mode(item: str, mode: str, expected: MachineState) -> None:
    """OPC 40001-1, annex C: maintenance and set-up are told by the mode, everything else by the item state."""
    assert meanings.state({"item_state": ITEM[item], "operation_mode": MODE[mode]}) == (expected, "")


@pytest.mark.parametrize(
    ("base", "machine", "inner", "number", "expected"),
    [
        ("Cleared", "Running", "Execute", 6, MachineState.EXECUTING),
        ("Cleared", "Running", "Held", 11, MachineState.NOT_EXECUTING),
        ("Cleared", "Running", "Suspended", 5, MachineState.STARVED),
        ("Cleared", "Running", "Complete", 17, MachineState.NOT_EXECUTING),
        ("Cleared", "Stopped", "Execute", 2, MachineState.NOT_EXECUTING),
        ("Aborted", "Running", "Execute", 9, MachineState.OUT_OF_SERVICE),
        ("Clearing", "Running", "Execute", 1, MachineState.OUT_OF_SERVICE),
    ],
)
def test_the_innermost_packml_state_counts(
    base: str, machine: str, inner: str, number: int, expected: MachineState
) -> None:
    """A stopped machine is stopped whatever its inner state machine still says."""
    parts = {"packml_base": PACKML[base], "packml_machine": PACKML[machine], "packml_execute": PACKML[inner]}
    assert meanings.packml_number(parts) == number
    assert meanings.state(parts) == (expected, "")


def test_what_is_not_known_is_not_made_up() -> None:
    """A bad item state makes the state unknown; without any part there is nothing to tell."""
    with pytest.raises(UnknownError):
        meanings.state({"item_state": None, "operation_mode": MODE["Processing"]})
    assert meanings.state({"operation_mode": MODE["Setup"]}) is None
    assert meanings.state({"program_state": 1, "tool_mode": 1.0}) == (MachineState.EXECUTING, "")
    assert meanings.state({"program_state": 3, "tool_mode": 2.0}) == (MachineState.SETUP, "")


def test_the_least_tool_life_left_and_whose() -> None:
    """One counts parts up to 200, the other minutes down from 60 to 10."""
    combine = meanings.tool_life({"a": (0.0, 200.0), "b": (60.0, 10.0)}, {"a": "T1", "b": "T2"})
    assert combine({"a": 50.0}) == (75.0, "T1")
    assert combine({"a": 50.0, "b": 20.0}) == (20.0, "T2")
    assert combine({"a": 250.0, "b": 20.0}) == (0.0, "T1")


@pytest.mark.parametrize(
    ("new", "worn", "up", "expected"),
    [
        (0, 100, True, (0.0, 100.0)),
        (90, 10, False, (90.0, 10.0)),
        (None, 100, True, (0.0, 100.0)),
        (None, 100, None, (0.0, 100.0)),
        (120, None, False, (120.0, 0.0)),
        (None, 10, False, "no StartValue"),
        (None, None, True, "no LimitValue"),
        (5, 5, True, "from 5 to 5"),
        ("new", 10, False, "no StartValue that is a number"),
    ],
)
def test_where_a_tools_life_begins_and_ends(new: Any, worn: Any, up: Any, expected: Any) -> None:
    """StartValue and LimitValue are optional, IsCountingUp is not: what counts down without a start tells nothing."""
    found = meanings.tool_ends(new, worn, up)
    if isinstance(expected, tuple):
        assert found == expected
    else:
        assert isinstance(found, str)
        assert expected in found


def test_packml_counts_from_their_bytes() -> None:
    """ID 1, Name null, Unit (null URI, id 0, two empty texts), Count 3, AccCount 1003 (OPC 10000-6, little endian)."""
    body = bytes.fromhex("01000000 ffffffff ffffffff 00000000 00 00 03000000 eb030000")
    assert meanings.count_of(body) == 1003.0
    with pytest.raises(DecodeError):
        meanings.count_of(b"\x00")


def blend() -> Blend:
    return Blend(MILL, "state", meanings.state, Gate(PLANT, lambda: NOW + 10**12))


Change = tuple[str, int, int | None]
changes = st.lists(
    st.tuples(
        st.sampled_from(("item_state", "operation_mode")), st.integers(1, 12), st.sampled_from((0, 1, 2, 3, None))
    ),
    max_size=12,
    unique_by=lambda change: change[:2],
)


def played(order: list[Change]) -> dict[int, tuple[float, int]]:
    joined, kept = blend(), {}
    parts = {name: joined.part(name, lambda value: value) for name in ("item_state", "operation_mode")}
    for name, at, value in order:
        status = 0x808B_0000 if value is None else 0
        for sample in parts[name].samples(Reading(value, status, NOW + at, 0), NOW):
            kept[sample.time_ns - NOW] = (sample.value, sample.quality)
    return kept


def batch(order: list[Change]) -> dict[int, tuple[float, int]]:
    """All changes taken in time order at once, by the plain definition."""
    expected = {}
    for instant in {at for _, at, _ in order}:
        before = sorted((change for change in order if change[1] <= instant), key=lambda change: change[1])
        parts: dict[str, Any] = {name: value for name, _, value in before}
        try:
            told = meanings.state(parts)
        except UnknownError:
            expected[instant] = (0.0, int(Quality.BAD))
            continue
        if told is not None:
            expected[instant] = (told[0], int(Quality.GOOD))
    return expected


@given(changes, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(order: list[Change], random: Any) -> None:
    """Live, late, from history, twice: what remains of each instant is what the definition says."""
    shuffled = [*order, *random.sample(order, len(order) // 2)]
    random.shuffle(shuffled)
    assert played(shuffled) == batch(order)

"""What a machine did, and when nobody knew, over whatever metrics spoke."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dashboards.web.history import states_of
from telemetry.plant import Asset
from telemetry.samples import SECOND_NS, Sample, Window
from tests.contracts.memory import MemoryStore
from tests.dashboards.seeded import MILL

STALE = 5
BEGIN, END = 100, 160
MACHINE = Asset(path=MILL, name="mill", stale_after_s=STALE)

TIMES = st.lists(st.integers(BEGIN - 30, END - 1), max_size=25, unique=True)


@settings(max_examples=150, deadline=None)
@given(TIMES, TIMES, TIMES)
def test_nobody_knows_where_nothing_was_heard_for_too_long(
    states: list[int], parts: list[int], load: list[int]
) -> None:
    """Second by second, by the definition: known when any metric spoke within the last five seconds."""
    store = MemoryStore()
    states = [BEGIN - 30, *states]
    spoken = {"state": states, "parts": parts, "spindle_load": load}
    store.write([
        Sample(at * SECOND_NS, MILL, metric, 3.0 if metric == "state" else float(at))
        for metric, times in spoken.items() for at in times
    ])  # fmt: skip
    window = Window(BEGIN * SECOND_NS, END * SECOND_NS)
    found = states_of(store, MACHINE, store.inventory(), window)
    heard = sorted({at for times in spoken.values() for at in times})
    for second in range(BEGIN, END):
        [state] = [one.state for one in found if one.start_ns <= second * SECOND_NS < one.end_ns]
        last = max(at for at in heard if at <= second)
        assert (state == "EXECUTING") == (second - last < STALE or heard_again(heard, last) <= STALE), second


def heard_again(heard: list[int], last: int) -> int:
    """After how long [s] something was heard after `last`, the end of the window counting as heard."""
    return min((at for at in [*heard, END] if at > last), default=END) - last


def test_a_machine_that_never_told_its_state_has_none() -> None:
    """However much else it says."""
    store = MemoryStore()
    store.write([Sample(BEGIN * SECOND_NS, MILL, "parts", 1.0)])
    assert states_of(store, MACHINE, store.inventory(), Window(0, END * SECOND_NS)) == []

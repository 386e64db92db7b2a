"""Retention dropped samples: what was computed from them is not computed again from what is left."""

import math

import pytest

from pipeline.recompute import Recompute
from telemetry.health import Component
from telemetry.plant import Asset, CalendarConfig, Plant, Turn
from telemetry.samples import SECOND_NS, KpiValue, Sample, Window
from tests.contracts.memory import MemoryStore

MINUTE = 60 * SECOND_NS
HOUR = 60 * MINUTE
DAY = 24 * HOUR
T0 = 1_767_222_000 * SECOND_NS  # Thursday 2026-01-01 00:00 in Paris
NOW = T0 + 5 * DAY + HOUR
LIMIT = T0 + 2 * DAY + 12 * HOUR
MILL = "km0/a/mill"


def plant(shift_starts: int = 10, cycle_s: float = 60.0) -> Plant:
    turn = Turn(name="s", start=shift_starts * 60, end=(shift_starts + 8) * 60)
    asset = Asset(path=MILL, name="mill", cycle_s={"*": cycle_s}, stale_after_s=600, calendar="c")
    return Plant(calendars=(CalendarConfig(name="c", shifts=(turn,)),), assets=(asset,))


def computed(store: MemoryStore, plant: Plant, cursor: int | None = None) -> None:
    """As a process that starts does, from a cursor if one is given, until nothing waits."""
    if cursor is not None:
        store.write_kpis([], cursor)
    recompute = Recompute(store, plant, Component("recompute"), now_ns=lambda: NOW)
    while recompute.step().waiting:
        pass


def figures(store: MemoryStore, kind: str, kpi: str = "do") -> dict[float, KpiValue]:
    """By the hours [h] after T0 at which their windows start, without those that are void."""
    values = store.read_kpis(MILL, kpi, Window(0, NOW, kind))
    return {(one.start_ns - T0) / HOUR: one for one in values if one.end_ns > one.start_ns}


@pytest.fixture
def store() -> MemoryStore:
    """Five days of a machine that makes 30 parts an hour, computed; then the first two and a half were dropped."""
    store = MemoryStore()
    store.write([Sample(T0, MILL, "state", 3.0)])
    store.write([Sample(T0 + m * MINUTE, MILL, "parts", m / 2) for m in range(0, 5 * 24 * 60, 10)])
    computed(store, plant())
    store.forget(LIMIT)
    return store


def test_a_new_cycle_time_changes_what_has_its_samples_and_nothing_before(store: MemoryStore) -> None:
    """The day in the midst of which the limit lies stays as it was computed, and so do the days before."""
    assert [figures(store, "day", "tp")[day * 24].value for day in range(4)] == pytest.approx([0.5] * 4, abs=0.01)
    before = figures(store, "day", "tp")
    computed(store, plant(cycle_s=30.0))
    after = figures(store, "day", "tp")
    assert [after[day * 24] for day in (0, 1, 2)] == [before[day * 24] for day in (0, 1, 2)]
    assert after[72].value == pytest.approx(0.25, abs=0.01)
    hours = figures(store, "hour", "tp")
    assert hours[59].value == pytest.approx(0.5)
    assert hours[60].value == pytest.approx(0.25)


def test_a_new_calendar_begins_with_the_first_whole_shift(store: MemoryStore) -> None:
    """Shifts whose samples are gone stay; none is made of what is left, though the new one was never computed."""
    assert sorted(figures(store, "shift")) == [10, 34, 58, 82, 106]
    computed(store, plant(shift_starts=11))
    assert sorted(figures(store, "shift")) == [10, 34, 58, 83, 107]
    assert all(not math.isnan(value.value) for value in figures(store, "shift").values())


def test_whoever_computes_everything_held_leaves_what_has_lost_its_samples(store: MemoryStore) -> None:
    """A cursor from before all: the journal of changes was not kept so long."""

    def told() -> list[str]:
        return [repr(figures(store, kind)) for kind in ("hour", "shift", "day")]

    before = told()
    computed(store, plant(), cursor=0)
    assert told() == before


def test_a_history_that_was_never_computed_is_computed_from_what_there_is() -> None:
    """An import of what is older than the limit, until it is dropped, too: its coverage says what is known."""
    fresh = MemoryStore()
    fresh.write([Sample(T0 + m * MINUTE, MILL, "state", 3.0) for m in range(0, 24 * 60, 5)])
    fresh.kept_since_ns = T0 + 12 * HOUR
    computed(fresh, plant())
    assert figures(fresh, "hour")[11].value == 1.0

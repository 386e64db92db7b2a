"""Recompute step by step: what is due when, what a restart takes up, what a step may cost."""

import asyncio
import math
import threading
from collections.abc import Sequence

import pytest

from pipeline.recompute import Recompute
from telemetry.errors import StoreError
from telemetry.health import Component, Condition
from telemetry.plant import Asset, CalendarConfig, Plant, Turn
from telemetry.samples import SECOND_NS, Changes, KpiValue, Sample, Window
from tests.contracts.collector import until
from tests.contracts.memory import MemoryStore

MINUTE = 60 * SECOND_NS
HOUR = 60 * MINUTE
DAY = 24 * HOUR
T0 = 1_767_222_000 * SECOND_NS  # 2026-01-01 00:00 in Paris
MILL = Asset(path="km0/a/mill", name="mill", cycle_s={"*": 60}, stale_after_s=600)
LINK = Asset(path="km0/a/link", name="link", kind="link")
PLANT = Plant(assets=(MILL, LINK))


class Clock:
    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


def state(minutes: float, value: int) -> Sample:
    return Sample(T0 + round(minutes * MINUTE), MILL.path, "state", float(value))


def ticks(*minutes: int) -> list[Sample]:
    return [Sample(T0 + minute * MINUTE, MILL.path, "power", 1.0) for minute in minutes]


def started(store: MemoryStore, clock: Clock, windows_per_step: int = 500) -> Recompute:
    return Recompute(store, PLANT, Component("recompute"), now_ns=clock, windows_per_step=windows_per_step)


def availability(store: MemoryStore, kind: str = "hour") -> list[KpiValue]:
    return store.read_kpis(MILL.path, "do", Window(0, T0 + 100 * DAY, kind))


def test_new_samples_become_kpi_values_with_numerator_denominator_and_coverage() -> None:
    """Running 30 of the first 60 min; the cursor says that the changes are done."""
    store, clock = MemoryStore(), Clock(T0 + 90 * MINUTE)
    store.write([state(0, 3), state(30, 2), *ticks(*range(0, 90, 5))])
    assert started(store, clock).step().waiting == 0
    first, second = availability(store)
    assert (first.value, first.numerator, first.denominator, first.coverage, first.final) == (0.5, 1800, 3600, 1, True)
    assert (second.value, second.final) == (0.0, False)
    assert store.cursor() == store.changes(0).cursor


def test_a_late_sample_changes_every_window_it_holds_in() -> None:
    """At 30 min it turns out that the machine had stopped; no news until 150 min: three hours change."""
    store, clock = MemoryStore(), Clock(T0 + 4 * HOUR)
    store.write([state(0, 3), state(150, 3), *ticks(*range(0, 240, 5))])
    recompute = started(store, clock)
    recompute.step()
    assert [value.value for value in availability(store)] == [1, 1, 1, 1]
    store.write([state(30, 2)])
    recompute.step()
    assert [value.value for value in availability(store)] == [0.5, 0, 0.5, 1]


def test_a_late_sample_of_a_week_ago_costs_its_own_windows_only() -> None:
    """An hour and a day, not the week between."""
    store, clock = MemoryStore(), Clock(T0 + 7 * DAY)
    store.write([state(0, 3), state(60, 3), *ticks(*range(0, 7 * 24 * 60, 5))])
    recompute = started(store, clock)
    while recompute.step().waiting:
        pass
    store.write([state(20, 2), state(25, 3)])
    progress = recompute.step()
    assert 0 < progress.evaluated <= 5
    assert availability(store)[0].numerator == 55 * 60


def test_open_windows_go_on_as_time_passes_and_become_final() -> None:
    """No sample comes, time does: the hour grows, ends, and is final once what was said about it cannot change."""
    store, clock = MemoryStore(), Clock(T0 + 50 * MINUTE)
    store.write([state(0, 3), *ticks(*range(0, 80, 5))])
    recompute = started(store, clock)
    recompute.step()
    assert [(value.numerator, value.final) for value in availability(store)] == [(3000, False)]
    clock.now_ns = T0 + 55 * MINUTE
    recompute.step()
    assert [(value.numerator, value.final) for value in availability(store)] == [(3300, False)]
    clock.now_ns = T0 + 61 * MINUTE
    recompute.step()
    assert [(value.numerator, value.final) for value in availability(store)] == [(3600, False), (60, False)]
    clock.now_ns = T0 + 71 * MINUTE
    recompute.step()
    assert [(value.numerator, value.final) for value in availability(store)] == [(3600, True), (660, False)]


def test_an_open_window_is_refreshed_when_it_has_aged_and_not_before() -> None:
    """After 2 s nothing is done; after 5 s the hour is; the day waits for its minute."""
    store, clock = MemoryStore(), Clock(T0 + 30 * MINUTE)
    store.write([state(0, 3), *ticks(*range(0, 30, 5))])
    recompute = started(store, clock)
    recompute.step()
    for seconds, evaluated in ((2, 0), (3, 1), (5, 1), (50, 2)):
        clock.now_ns += seconds * SECOND_NS
        assert recompute.step().evaluated == evaluated
    assert recompute.step(all_open=True).evaluated == 2  # week and month, of which a minute is no 1/1440
    assert recompute.step(all_open=True).evaluated == 0
    clock.now_ns += SECOND_NS
    assert recompute.step(all_open=True).evaluated == 4


def test_open_windows_go_on_after_our_clock_was_set_back() -> None:
    """By twenty minutes: what comes in these is shown as it comes, not when the clock has come round again."""
    store, clock = MemoryStore(), Clock(T0 + 50 * MINUTE)
    store.write([state(0, 3), *ticks(*range(0, 30, 5))])
    recompute = started(store, clock)
    recompute.step()
    clock.now_ns = T0 + 30 * MINUTE
    store.write([state(20, 2)])
    recompute.step()
    assert (availability(store)[0].numerator, availability(store)[0].denominator) == (20 * 60, 30 * 60)
    clock.now_ns = T0 + 40 * MINUTE
    store.write(ticks(30, 35, 40))
    recompute.step()
    assert availability(store)[0].denominator == 40 * 60


def test_a_history_poured_in_is_shown_as_it_comes() -> None:
    """Half a day arrives in ten seconds: the day is refreshed every 5 s, not once a minute; then it rests again."""
    store, clock = MemoryStore(), Clock(T0 + 12 * HOUR)
    store.write([state(0, 3)])
    recompute = started(store, clock)
    recompute.step()
    refreshed: list[float] = []
    for second in range(1, 21):
        clock.now_ns += SECOND_NS
        if second <= 10:
            store.write(ticks(*range((second - 1) * 72, second * 72, 4)))
        while recompute.step().waiting:
            pass
        [day] = availability(store, "day")
        refreshed += [] if refreshed and refreshed[-1] == day.denominator else [day.denominator]
    # at first 10 min until stale; after 5 s heard until 5:56 and known for 10 min more; after 10 s known until now
    assert refreshed == [600, 366 * 60, 12 * 3600 + 10]


def test_samples_of_a_live_plant_do_not_make_long_windows_busy() -> None:
    """A sample each second, 2 s late, is no more than time passing: the day is evaluated about once a minute."""
    store, clock = MemoryStore(), Clock(T0 + 30 * MINUTE)
    store.write([state(0, 3), *ticks(*range(0, 30, 5))])
    recompute = started(store, clock)
    recompute.step()
    days: list[float] = []
    for second in range(1, 121):
        clock.now_ns += SECOND_NS
        store.write([Sample(clock.now_ns - 2 * SECOND_NS, MILL.path, "parts", float(second))])
        recompute.step()
        [day] = availability(store, "day")
        days += [] if days and days[-1] == day.denominator else [day.denominator]
    assert days == [1800, 1859, 1918]


def test_one_late_stop_that_held_for_hours_shows_at_the_next_refresh() -> None:
    """Stopped since 6 h, and nobody knew: the open day does not wait for its minute."""
    store, clock = MemoryStore(), Clock(T0 + 8 * HOUR)
    store.write([state(0, 3), *ticks(*range(0, 480, 5))])
    recompute = started(store, clock)
    recompute.step()
    store.write([state(120, 2)])
    clock.now_ns += 5 * SECOND_NS
    recompute.step()
    assert availability(store, "day")[0].numerator == 2 * 3600


def test_a_restart_takes_up_what_was_left_open() -> None:
    """The process dies at half past, comes back after two hours without samples, and finishes the hour."""
    store, clock = MemoryStore(), Clock(T0 + 30 * MINUTE)
    store.write([state(0, 3), *ticks(*range(0, 30, 5))])
    started(store, clock).step()
    clock.now_ns = T0 + 150 * MINUTE
    started(store, clock).step()
    hours = availability(store)
    assert [value.final for value in hours] == [True, True, False]
    assert (hours[0].value, hours[0].numerator, hours[0].denominator) == (1.0, 2100, 2100)
    assert hours[0].coverage == pytest.approx(35 / 60)
    assert math.isnan(hours[1].value)
    assert hours[1].coverage == 0


def test_work_per_step_is_bounded_and_the_cursor_waits_for_the_rest() -> None:
    """Ten days of windows in steps of 40: the cursor moves with the last of them, and a crash between loses nothing."""
    store, clock = MemoryStore(), Clock(T0 + 10 * DAY)
    store.write([state(0, 3), *ticks(*range(0, 10 * 24 * 60, 5))])
    first = started(store, clock, 40)
    assert first.step().waiting > 0
    assert store.cursor() == 0
    steps, recompute = 1, started(store, clock, 40)
    while (progress := recompute.step()).waiting:
        assert progress.evaluated <= 40
        steps += 1
    assert steps > 5
    assert store.cursor() == store.changes(0).cursor
    assert [value.value for value in availability(store)] == [1.0] * 240


def test_a_clock_that_once_said_2001_does_not_cost_25_years() -> None:
    """The state of 2001 holds until 2026 by its times: windows are computed where there are samples only."""
    store, clock = MemoryStore(), Clock(T0 + HOUR)
    lost = Sample(978_307_200 * SECOND_NS, MILL.path, "state", 3.0)
    probe = Sample(978_307_200 * SECOND_NS, LINK.path, "rtt", 3.0)
    store.write([lost, probe, state(0, 3), Sample(T0, LINK.path, "rtt", 3.0)])
    recompute = started(store, clock, 100_000)
    assert recompute.step().evaluated < 2 * (3 * 1440 + 200)


def test_samples_of_the_future_count_when_their_time_has_come() -> None:
    """A clock an hour ahead, and a restart before that hour: the sample is counted once the windows get there."""
    store, clock = MemoryStore(), Clock(T0 + HOUR)
    store.write([state(90, 3)])
    started(store, clock).step()
    assert availability(store) == []
    recompute = started(store, clock)
    recompute.step()
    clock.now_ns = T0 + 95 * MINUTE
    recompute.step(all_open=True)
    assert [value.numerator for value in availability(store)] == [300]


def test_an_asset_that_enters_the_plant_file_gets_its_history() -> None:
    """Its samples were stored, and their changes consumed, before anyone knew the asset."""
    store, clock = MemoryStore(), Clock(T0 + HOUR)
    store.write([state(0, 3), *ticks(*range(0, 60, 5))])
    Recompute(store, Plant(assets=(LINK,)), Component("recompute"), now_ns=clock).step()
    assert store.cursor() == store.changes(0).cursor
    started(store, clock).step()
    assert [value.value for value in availability(store)] == [1.0]


def shifts(store: MemoryStore) -> list[tuple[float, float, float]]:
    """Start and end after T0 [h] and required time [h] of every shift that has a length."""
    values = store.read_kpis(MILL.path, "required_time", Window(0, T0 + DAY, "shift"))
    return [
        ((value.start_ns - T0) / HOUR, (value.end_ns - T0) / HOUR, value.value / 3600)
        for value in values
        if value.end_ns > value.start_ns
    ]


def test_a_change_of_calendar_or_cycle_time_recomputes_history() -> None:
    """The shift is moved from 5–13 to 6–14 h: the old one is void, the new one computed; then nothing more is done."""

    def plant(start: int, cycle_s: float, cost: float = 1.0) -> Plant:
        turn = Turn(name="s", start=start * 60, end=(start + 8) * 60)
        changed = {"calendar": "c", "cycle_s": {"*": cycle_s}, "hourly_cost": cost}
        return Plant(
            calendars=(CalendarConfig(name="c", shifts=(turn,)),), assets=(MILL.model_copy(update=changed), LINK)
        )

    def compute(plant: Plant) -> int:
        recompute = Recompute(store, plant, Component("recompute"), now_ns=clock, windows_per_step=20)
        evaluated = 0
        while (progress := recompute.step()).waiting:
            evaluated += progress.evaluated
        return evaluated + progress.evaluated

    def performance() -> float:
        return next(v.value for v in store.read_kpis(MILL.path, "tp", Window(T0, T0 + DAY, "day")))

    store, clock = MemoryStore(), Clock(T0 + 5 * DAY)
    counts = [Sample(T0 + hour * HOUR, MILL.path, "parts", 10.0 * hour) for hour in range(5 * 24)]
    store.write([state(0, 3), *counts, *ticks(*range(0, 5 * 24 * 60, 5))])
    compute(plant(5, 60))
    assert shifts(store) == [(5, 13, 8)]
    assert performance() == pytest.approx(8 * 10 / 480)
    unchanged = compute(plant(5, 60, cost=2.0))
    assert compute(plant(6, 60)) > 5 * 24 > unchanged
    assert shifts(store) == [(6, 14, 8)]
    compute(plant(6, 30))
    assert performance() == pytest.approx(8 * 10 / 960)
    assert compute(plant(6, 30)) == unchanged


def test_a_recomputation_that_was_cut_short_begins_again() -> None:
    """The process dies after a few of the windows that new settings made due."""
    store, clock = MemoryStore(), Clock(T0 + 2 * DAY)
    store.write([state(0, 2), *ticks(*range(0, 2 * 24 * 60, 5))])
    first = started(store, clock)
    while first.step().waiting:
        pass
    asset = MILL.model_copy(update={"state_categories": {"NOT_EXECUTING": "running"}})
    for _ in range(2):  # killed after one step, and again
        Recompute(store, Plant(assets=(asset, LINK)), Component("recompute"), now_ns=clock, windows_per_step=10).step()
    last = Recompute(store, Plant(assets=(asset, LINK)), Component("recompute"), now_ns=clock, windows_per_step=10)
    while last.step().waiting:
        pass
    assert [value.value for value in availability(store)] == [1.0] * 48


def test_a_store_that_fails_loses_nothing() -> None:
    """The step raises, the cursor stays, and the next step does the same work."""
    store, clock = MemoryStore(), Clock(T0 + HOUR)
    store.write([state(0, 3)])
    recompute = started(store, clock)
    store.fail_with = StoreError("disk full")
    with pytest.raises(StoreError):
        recompute.step()
    store.fail_with = None
    assert recompute.step().evaluated > 0
    assert len(availability(store)) == 1


def test_assets_and_metrics_that_no_kpi_knows_cost_nothing() -> None:
    """An asset that left the plant file, a radio metric of a link: taken note of, not computed."""
    store, clock = MemoryStore(), Clock(T0 + HOUR)
    store.write([Sample(T0, "km0/a/gone", "state", 3.0), Sample(T0, LINK.path, "rsrp", -90.0)])
    progress = started(store, clock).step()
    assert (progress.evaluated, progress.waiting) == (0, 0)
    assert store.cursor() == store.changes(0).cursor


async def test_run_steps_until_cancelled_and_survives_a_failing_store() -> None:
    """StoreError is shown in its health and tried again; cancelling ends it."""

    class Failing(MemoryStore):
        failures = 1
        written = threading.Event()

        def write_kpis(self, values: Sequence[KpiValue], cursor: int) -> None:
            super().write_kpis(values, cursor)
            self.written.set()

        def changes(self, after: int) -> Changes:
            if self.failures:
                self.failures -= 1
                raise StoreError("locked", retry_after_s=0.01)
            return super().changes(after)

    store, component = Failing(), Component("recompute")
    store.write([state(0, 3)])
    task = asyncio.create_task(Recompute(store, PLANT, component, now_ns=Clock(T0 + HOUR)).run(every_s=0.01))
    await asyncio.wait_for(asyncio.to_thread(store.written.wait), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert component.counted("store_errors") == 1
    assert component.condition is Condition.OK
    assert len(availability(store)) == 1


@pytest.mark.parametrize("moments", range(5))
async def test_hurried_and_cancelled_at_once_it_ends(moments: int) -> None:
    """A verification hurries the last step and ends: the cancellation is not lost to the hurry."""
    component = Component("recompute")
    recompute = Recompute(MemoryStore(), PLANT, component, now_ns=Clock(T0 + HOUR))
    task = asyncio.create_task(recompute.run(every_s=3600.0))
    await until(lambda: recompute._hurried._waiters)  # type: ignore[attr-defined]  # the step is done
    recompute.hurry()
    for _ in range(moments):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=20)
    assert task.cancelled()


class Held(MemoryStore):
    """Its KPI values are on their way until `go`."""

    def __init__(self) -> None:
        super().__init__()
        self.writes, self.go = 0, threading.Event()

    def write_kpis(self, values: Sequence[KpiValue], cursor: int) -> None:
        self.writes += 1
        assert self.go.wait(60)
        super().write_kpis(values, cursor)


async def test_whoever_hurries_once_has_the_next_step_now_also_while_one_is_under_way() -> None:
    """Steps are an hour apart; what was stored while one ended is computed right after it."""
    store = Held()
    store.write([state(0, 3)])
    recompute = Recompute(store, PLANT, Component("recompute"), now_ns=Clock(T0 + HOUR))
    task = asyncio.create_task(recompute.run(every_s=3600.0))
    await until(lambda: store.writes == 1)
    store.write([state(30, 2)])
    recompute.hurry()
    store.go.set()
    await until(lambda: store.writes == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

"""Lines, cells, sites, orders and weeks: always sums."""

import math

import pytest

from pipeline.kpis import iso22400, rollup
from pipeline.kpis.evaluate import evaluate, windows
from pipeline.kpis.oee import NAKAJIMA, from_totals
from pipeline.kpis.states import Category
from telemetry.plant import Asset, CalendarConfig, Plant, Turn
from telemetry.samples import SECOND_NS, Quality, Sample, Window
from tests.contracts.memory import MemoryStore

HOUR = 3600 * SECOND_NS
T0 = 1_767_567_600 * SECOND_NS  # Monday 2026-01-05 00:00 in Paris
MILL = Asset(path="km0/a/cell-1/mill", name="mill", cycle_s={"*": 60}, stale_after_s=1e6)
LATHE = Asset(path="km0/a/cell-1/lathe", name="lathe", cycle_s={"*": 30}, stale_after_s=1e6)
PRESS = Asset(path="km0/a/cell-10/press", name="press", cycle_s={"*": 60}, stale_after_s=1e6)
PLANT = Plant(assets=(MILL, LATHE, PRESS, Asset(path="km0/a/cell-1/link", name="link", kind="link")))


def at(asset: Asset, metric: str, hours: float, value: float = 0.0, text: str = "", quality: int = 0) -> Sample:
    return Sample(T0 + round(hours * HOUR), asset.path, metric, value, text, quality)


def filled() -> MemoryStore:
    """The mill runs all day, 60 good parts an hour; the lathe runs six of 24 h and makes 120 an hour, half of them bad;
    from 12:00 to 13:00 nobody knows what the lathe does."""
    store = MemoryStore()
    for hour in range(25):
        made = max(0, min(hour, 6)) * 120
        store.write(
            [
                at(MILL, "parts", hour, 60 * hour),
                at(MILL, "parts_good", hour, 60 * hour),
                at(LATHE, "parts", hour, made),
                at(LATHE, "parts_good", hour, made / 2),
            ]
        )
    store.write([at(MILL, "state", 0, 3), at(LATHE, "state", 0, 3), at(LATHE, "state", 6, 1)])
    store.write([at(LATHE, "state", 12, 0, quality=Quality.BAD), at(LATHE, "state", 13, 1)])
    return store


def test_a_cell_is_the_sum_of_its_machines() -> None:
    """Mill 23 of 24 h useful (its last part falls at midnight), lathe 3 of 23 known: not the mean of ratios."""
    oee = rollup.over(filled(), PLANT, "km0/a/cell-1", Window(T0, T0 + 24 * HOUR), T0 + 48 * HOUR)
    assert (oee.required, oee.known, oee.running) == (48 * 3600, 47 * 3600, 30 * 3600)
    assert oee.availability.value == 30 / 47
    assert oee.availability.coverage == 47 / 48
    assert oee.trs.value == pytest.approx((23 + 3) / 47)
    assert oee.stops[Category.BREAKDOWN] == 17 * 3600
    assert oee.failures == 2  # what followed the gap is another one: nobody saw it go on
    assert (oee.made_all, oee.good_all) == (23 * 60 + 720, 23 * 60 + 360)


def test_a_cell_does_not_take_in_one_whose_name_begins_alike() -> None:
    """cell-1 is not cell-10; a machine is its own roll-up; nothing is an error that says so."""
    assert [asset.name for asset in rollup.members(PLANT, "km0/a/cell-1")] == ["mill", "lathe"]
    assert [asset.name for asset in rollup.members(PLANT, MILL.path)] == ["mill"]
    assert len(rollup.members(PLANT, "km0")) == 3
    with pytest.raises(ValueError, match="no machine"):
        rollup.over(MemoryStore(), PLANT, "km0/b", Window(0, 1), 2)


def test_figures_of_different_conventions_are_not_added() -> None:
    """A TRS and an OEE that counts micro-stops as running have no sum."""
    with pytest.raises(ValueError, match="one convention"):
        rollup.summed([from_totals(required=1), from_totals(required=1, convention=NAKAJIMA)])
    with pytest.raises(ValueError, match="at least one"):
        rollup.summed([])


def test_a_machine_that_says_nothing_lowers_coverage_only() -> None:
    """Press without a sample: site coverage is two thirds of what it was."""
    window = Window(T0, T0 + 24 * HOUR)
    cell = rollup.over(filled(), PLANT, "km0/a/cell-1", window, T0 + 48 * HOUR)
    site = rollup.over(filled(), PLANT, "km0", window, T0 + 48 * HOUR)
    assert site.trs.value == cell.trs.value
    assert site.trs.coverage == pytest.approx(cell.trs.coverage * 2 / 3)


def test_days_of_a_week_add_up_to_the_week() -> None:
    """Stored weeks and months hold what their days hold, though they are computed from samples."""
    store, now = filled(), T0 + 40 * 24 * HOUR
    span = Window(T0, T0 + 7 * 24 * HOUR)
    found = windows(PLANT, LATHE, span)
    assert {window.kind for window in found} == {"hour", "day", "week", "month"}
    values = evaluate(store, PLANT, LATHE, found, now, {"state", "parts", "parts_good"})
    for kpi in ("do", "trs", "parts", "breakdown_time", "mtbf"):
        days = [value for value in values if value.kpi == kpi and value.kind == "day" and value.coverage > 0]
        [week] = [value for value in values if value.kpi == kpi and value.kind == "week"]
        assert sum(day.numerator for day in days) == pytest.approx(week.numerator), kpi
        assert sum(day.denominator for day in days) == pytest.approx(week.denominator), kpi


def test_orders_last_until_another_is_named() -> None:
    """A since 1 h, named again at 2 h; none from 3 to 4 h; B until now; unknown after a bad one."""
    store = MemoryStore()
    for hours, name, quality in ((1, "A", 0), (2, "A", 0), (3, "", 0), (4, "B", 0), (9, "C", 2), (10, "D", 0)):
        store.write([at(MILL, "order", hours, text=name, quality=quality)])
    found = rollup.orders(store, MILL.path, Window(T0 + 2 * HOUR, T0 + 24 * HOUR), T0 + 12 * HOUR)
    hours = [(name, (one.start_ns - T0) / HOUR, (one.end_ns - T0) / HOUR) for name, one in found]
    assert hours == [("A", 1, 3), ("B", 4, 9), ("D", 10, 12)]


def test_an_interval_before_the_machine_existed() -> None:
    """Known of it: nothing."""
    oee = rollup.over(filled(), PLANT, MILL.path, Window(T0 - 9 * HOUR, T0 - 8 * HOUR), T0)
    assert math.isnan(oee.trs.value)
    assert oee.trs.coverage == 0


def test_stored_values_add_up_to_the_line() -> None:
    """The day of mill and lathe from what is stored is the day from samples, coverage too; the mute press lowers it."""
    store, now, day = filled(), T0 + 48 * HOUR, Window(T0, T0 + 24 * HOUR, "day")
    for asset in (MILL, LATHE):
        metrics = {"state", "parts", "parts_good"}
        store.write_kpis(evaluate(store, PLANT, asset, windows(PLANT, asset, day), now, metrics), 1)
    oee = rollup.over(store, PLANT, "km0/a/cell-1", day, now)
    for kpi, figure in (("trs", oee.trs), ("do", oee.availability), ("mttr", iso22400.mttr(oee))):
        [found] = rollup.stored(store, PLANT, "km0/a/cell-1", kpi, day)
        assert (found.value, found.coverage) == pytest.approx((figure.value, figure.coverage)), kpi
        assert (found.asset, found.kind, found.final) == ("km0/a/cell-1", "day", True)
    [parts] = rollup.stored(store, PLANT, "km0/a/cell-1", "parts", day)
    assert (parts.value, parts.denominator) == (23 * 60 + 720, 0)
    [site] = rollup.stored(store, PLANT, "km0", "trs", day)
    assert site.value == pytest.approx(26 / 47)
    assert site.coverage == pytest.approx(47 / 72)
    hours = rollup.stored(store, PLANT, "km0", "running_time", Window(T0, T0 + 24 * HOUR, "hour"))
    assert [value.value for value in hours] == [7200] * 6 + [3600] * 18
    with pytest.raises(ValueError, match="no machine"):
        rollup.stored(store, PLANT, "km0/b", "trs", day)


def test_shifts_of_different_calendars_are_not_added() -> None:
    """05:00–13:00 of the mill and 06:00–14:00 of the lathe are two rows, each whole."""

    def calendar(name: str, start: int) -> CalendarConfig:
        return CalendarConfig(name=name, shifts=(Turn(name=name, start=start * 60, end=(start + 8) * 60),))

    assets = (MILL.model_copy(update={"calendar": "five"}), LATHE.model_copy(update={"calendar": "six"}))
    plant = Plant(assets=assets, calendars=(calendar("five", 5), calendar("six", 6)))
    store, day = filled(), Window(T0, T0 + 24 * HOUR, "shift")
    for asset in assets:
        due = [one for one in windows(plant, asset, day) if one.kind == "shift"]
        store.write_kpis(evaluate(store, plant, asset, due, T0 + 48 * HOUR, {"state", "parts", "parts_good"}), 1)
    found = rollup.stored(store, plant, "km0", "do", day)
    assert [((one.start_ns - T0) / HOUR, one.value, one.coverage) for one in found if one.start_ns > T0] == [
        (5, 1.0, 1.0), (6, 0.0, 7 / 8),
    ]  # fmt: skip

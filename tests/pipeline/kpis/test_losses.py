"""Losses of the hand-worked hour: what they are, what they cost, and how two schools see them."""

import math

import pytest

from pipeline.kpis import iso22400
from pipeline.kpis.losses import Loss, Point, losses, pareto, point_of_trs, pooled_point, six_big_losses
from pipeline.kpis.machine import MachineHistory
from pipeline.kpis.oee import NAKAJIMA, from_totals
from pipeline.kpis.states import Category
from telemetry.glossary import MachineState
from telemetry.plant import Asset
from telemetry.samples import SECOND_NS, Series, Window
from tests.pipeline.kpis.timeline import HOUR, MINUTE, PARIS, reader

RUN, IDLE, DOWN = MachineState.EXECUTING, MachineState.NOT_EXECUTING, MachineState.OUT_OF_SERVICE
MILL = Asset(
    path="km0/a/mill", name="mill", cycle_s={"gear": 60.0, "cover": 120.0}, stale_after_s=7200, hourly_cost=90.0
)
HOURFUL = {
    # gear until 30 min, then down for 5 min, set up for 7, and covers from 42 min on, stopped for one minute at 50
    "state": Series.of(
        (-HOUR, RUN), (30 * MINUTE, DOWN), (35 * MINUTE, MachineState.SETUP), (42 * MINUTE, RUN), (50 * MINUTE, IDLE),
        (51 * MINUTE, RUN),
    ),
    "reason": Series.of((-HOUR, 0, ""), (30 * MINUTE, 0, "broken belt"), (35 * MINUTE, 0, "")),
    "power": Series.of((2 * HOUR, 1.0)),  # it goes on talking
    "product": Series.of((-HOUR, 0, "gear"), (36 * MINUTE, 0, "cover")),
    "parts": Series.of((-MINUTE, 0), (29 * MINUTE, 25), (59 * MINUTE, 33)),
    "parts_good": Series.of((-MINUTE, 0), (29 * MINUTE, 24), (59 * MINUTE, 31)),
}  # fmt: skip


def history(asset: Asset = MILL) -> MachineHistory:
    return MachineHistory(asset, None, PARIS, Window(0, HOUR), 100 * HOUR, reader(HOURFUL), HOURFUL.keys())


def test_losses_add_up_to_what_is_missing_of_required_time() -> None:
    """5 min down, 7 min set-up, 1 micro-stop, 30 − 25 and 17 − 16 min too slow, a gear and a cover rejected."""
    found = losses(history(), Window(0, HOUR))
    by = {(loss.category, loss.reason, loss.product): (loss.seconds, loss.times) for loss in found}
    assert by == {
        ("breakdown", "broken belt", "gear"): (300, 1),
        ("changeover", "", "gear"): (60, 1),
        ("changeover", "", "cover"): (360, 0),
        ("micro_stop", "", "cover"): (60, 1),
        ("speed", "", "gear"): (300, 0),
        ("speed", "", "cover"): (60, 0),
        ("rejects", "", "gear"): (60, 1),
        ("rejects", "", "cover"): (120, 1),
    }
    oee = history().over(Window(0, HOUR))
    assert oee.useful == 24 * 60 + 7 * 120
    assert sum(loss.seconds for loss in found) == oee.required - oee.useful
    assert next(loss.cost for loss in found if loss.category == "breakdown") == 7.5
    assert all(math.isnan(loss.cost) for loss in losses(history(MILL.model_copy(update={"hourly_cost": None})),
                                                        Window(0, HOUR)))  # fmt: skip


def test_a_stop_counts_once_in_the_window_it_begins_in() -> None:
    """Down from 30 to 35 min: the second half of the hour's stop, cut at 32, is a part of one stop."""
    [loss] = [loss for loss in losses(history(), Window(32 * MINUTE, 34 * MINUTE)) if loss.category == "breakdown"]
    assert (loss.seconds, loss.times) == (120, 0)


def test_pareto_by_category_and_by_product() -> None:
    """Largest first, shares that add up to one."""
    found = losses(history(), Window(0, HOUR))
    bars = pareto(found, "category")
    assert [(bar.name, bar.seconds) for bar in bars] == [
        ("changeover", 420), ("speed", 360), ("breakdown", 300), ("rejects", 180), ("micro_stop", 60),
    ]  # fmt: skip
    assert bars[0].share == pytest.approx(420 / 1320)
    assert bars[-1].cumulative == pytest.approx(1)
    assert bars[0].cost == pytest.approx(420 / 3600 * 90)
    other = Loss("km0/a/lathe", "breakdown", "", "gear", 2000.0, 3, 50.0)
    assert [bar.name for bar in pareto([*found, other], "machine")] == ["km0/a/lathe", "km0/a/mill"]
    assert [bar.seconds for bar in pareto(found, "product")] == [720, 600]
    assert pareto([], "reason") == []


def test_what_a_point_of_trs_is_worth() -> None:
    """36 s of an hour; made 25 × 60 s + 8 × 120 s in 33 parts; 90 € an hour."""
    point = point_of_trs(history().over(Window(0, HOUR)), MILL)
    assert point.time == 36
    assert point.parts == pytest.approx(36 / ((25 * 60 + 8 * 120) / 33))
    assert point.cost == pytest.approx(0.9)
    nothing = point_of_trs(from_totals(required=3600), MILL)
    assert math.isnan(nothing.parts)


def test_nakajima_sees_micro_stops_in_performance() -> None:
    """The same minutes: availability 48/60 instead of 47/60, performance 41/48 instead of 41/47, one OEE."""
    oee = history().over(Window(0, HOUR))
    six = six_big_losses(oee)
    assert (six.failures, six.setup_and_adjustment, six.minor_stops) == (300, 420, 60)
    assert (six.reduced_speed, six.defects) == (360, 180)
    assert (six.availability, six.performance) == (48 / 60, 41 / 48)
    assert oee.availability.value == 47 / 60
    assert six.availability * six.performance * oee.quality.value == pytest.approx(oee.trs.value)
    by_totals = from_totals(
        required=60, stops={Category.MICRO_STOP: 1, Category.BREAKDOWN: 12}, cycle=1, made=41, convention=NAKAJIMA
    )
    assert six_big_losses(by_totals).availability == 48 / 60


def test_iso_22400_by_hand() -> None:
    """The constructed example of the standards sheet: PBT 480, ADOT 30, ADET 40, AUST 30, 700 of 0.5 made, 679 good."""
    oee = from_totals(
        required=480, cycle=0.5, made=700, good=679,
        stops={Category.INDUCED: 30, Category.BREAKDOWN: 40, Category.CHANGEOVER: 30},
    )  # fmt: skip
    found = iso22400.elements(oee)
    assert {code: found[code] for code in ("PBT", "AUBT", "AUPT", "APT", "ADET", "ADOT", "AUST")} == {
        "PBT": 480, "AUBT": 450, "AUPT": 410, "APT": 380, "ADET": 40, "ADOT": 30, "AUST": 30,
    }  # fmt: skip
    assert oee.availability.value == pytest.approx(0.79167, abs=5e-6)
    assert oee.performance.value == pytest.approx(0.92105, abs=5e-6)
    assert oee.quality_ratio.value == pytest.approx(0.97)
    assert oee.trs.value == pytest.approx(0.70729, abs=5e-6)
    assert oee.nee.value == pytest.approx(0.76313, abs=5e-6)
    assert iso22400.allocation_efficiency(oee).value == 0.9375
    assert iso22400.utilization_efficiency(oee).value == pytest.approx(0.84444, abs=5e-6)
    assert iso22400.technical_efficiency(oee).value == pytest.approx(0.90476, abs=5e-6)
    assert iso22400.setup_ratio(oee).value == pytest.approx(0.07317, abs=5e-6)
    assert iso22400.scrap_ratio(oee).value == pytest.approx(0.03)  # 14 scrap and 7 rework: neither is good


def test_mean_times_are_sums_over_failures_that_began() -> None:
    """One breakdown of 5 min in the hour; 47 min of production and 7 of set-up per failure."""
    oee = history().over(Window(0, HOUR))
    assert (oee.failures, iso22400.mtbf(oee).value, iso22400.mttr(oee).value) == (1, 54 * 60, 300)
    later = history().over(Window(31 * MINUTE, HOUR))
    assert (later.failures, later.stops[Category.BREAKDOWN]) == (0, 4 * 60)
    assert math.isnan(iso22400.mtbf(later).value)
    assert iso22400.throughput_rate(oee).value * 3600 == pytest.approx(33)
    assert iso22400.production_process_ratio(oee).value == 47 / 60
    assert oee.total == HOUR / SECOND_NS


def test_a_point_on_several_machines_is_the_sum_of_theirs() -> None:
    """4.8 min, 4 parts and 4 €, with 4.8 min, 1.6 parts and 2.40 €; a machine that was not required does not count, one
    that was and does not tell its cost leaves the cost unknown."""
    one, other, idle = Point(288, 4, 4), Point(288, 1.6, 2.4), Point(0, math.nan, math.nan)
    found = pooled_point([one, other, idle])
    assert (found.time, found.parts, found.cost) == pytest.approx((576, 5.6, 6.4))
    assert math.isnan(pooled_point([one, Point(288, 1, math.nan)]).cost)

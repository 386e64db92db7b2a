"""A machine's time model from its samples; every expected value by hand."""

import math
from collections.abc import Mapping
from typing import get_args

import numpy as np
import pytest

from pipeline.kpis.machine import MachineHistory
from pipeline.kpis.oee import Oee
from pipeline.kpis.states import Category
from telemetry.glossary import MachineState
from telemetry.plant import Asset, CalendarConfig, CategoryName, StateName, Turn
from telemetry.samples import SECOND_NS, Series, Window
from tests.pipeline.kpis.timeline import HOUR, MINUTE, PARIS, reader

RUN, IDLE, DOWN = MachineState.EXECUTING, MachineState.NOT_EXECUTING, MachineState.OUT_OF_SERVICE
MILL = Asset(path="km0/a/mill", name="mill", cycle_s={"gear": 60.0, "cover": 120.0}, stale_after_s=7200)
GEAR = Series.of((-HOUR, 0, "gear"))


def over(
    series: Mapping[str, Series],
    window: Window = Window(0, HOUR),  # noqa: B008 - a frozen value
    *,
    asset: Asset = MILL,
    calendar: CalendarConfig | None = None,
    now_ns: int = 100 * HOUR,
) -> Oee:
    return MachineHistory(asset, calendar, PARIS, window, now_ns, reader(series), series.keys()).over(window)


def bad(series: Series, *rows: int) -> Series:
    quality = series.quality.copy()
    quality[list(rows)] = 2
    return Series(series.times_ns, series.values, quality, series.texts)


HOURFUL = {
    # running 0–30 and 36–60 min; down for 5 min, a stop of one minute in between is part of the same stop
    "state": Series.of((-HOUR, RUN), (30 * MINUTE, DOWN), (35 * MINUTE, IDLE), (36 * MINUTE, RUN)),
    "product": GEAR,
    "power": Series.of(*((5 * minute * MINUTE, 1.0) for minute in range(-20, 60))),
    "parts": Series.of((-MINUTE, 100), (10 * MINUTE, 110), (29 * MINUTE, 125), (50 * MINUTE, 140)),
    "parts_good": Series.of((-MINUTE, 90), (10 * MINUTE, 99), (29 * MINUTE, 114), (50 * MINUTE, 126)),
}


def test_an_hour_by_hand() -> None:
    """54 of 60 min running, 40 parts of 60 s, 36 of them good: Do 0.9, Tp 40/54, Tq 0.9, TRS 0.6."""
    oee = over(HOURFUL)
    assert (oee.total, oee.opening, oee.required, oee.known) == (3600, 3600, 3600, 3600)
    assert (oee.running, oee.net, oee.useful, oee.made, oee.good) == (3240, 2400, 2160, 40, 36)
    assert oee.availability.value == 0.9
    assert oee.performance.value == pytest.approx(40 / 54)
    assert oee.quality.value == 0.9
    assert oee.trs.value == pytest.approx(0.6)
    product = oee.availability.value * oee.performance.value * oee.quality.value
    assert oee.trs.value == pytest.approx(product, rel=1e-12)
    assert {oee.availability.coverage, oee.performance.coverage, oee.trs.coverage} == {1.0}


def test_a_stop_is_measured_whole_before_it_is_called_short() -> None:
    """One idle minute after five of breakdown is no micro-stop; alone it is; at exactly the threshold it is not."""
    assert over(HOURFUL).stops[Category.MICRO_STOP] == 0
    alone = {"state": Series.of((-HOUR, RUN), (10 * MINUTE, IDLE), (11 * MINUTE, RUN), (59 * MINUTE, IDLE))}
    oee = over({**alone, "state": Series.of(*zip(alone["state"].times_ns.tolist(), [3, 2, 3, 2], strict=True))})
    assert oee.stops[Category.MICRO_STOP] == 60
    assert oee.stops[Category.OPERATION] == 60
    exact = {"state": Series.of((-HOUR, RUN), (10 * MINUTE, IDLE), (12 * MINUTE, RUN))}
    assert over(exact).stops[Category.OPERATION] == 120


def test_a_short_stop_over_the_edge_of_a_window_is_short_in_both() -> None:
    """From 59:30 to 60:30, half in each hour; as a stop of three minutes it is long in both."""
    short = {"state": Series.of((-HOUR, RUN), (HOUR - 30 * SECOND_NS, IDLE), (HOUR + 30 * SECOND_NS, RUN))}
    long = {"state": Series.of((-HOUR, RUN), (HOUR - 30 * SECOND_NS, IDLE), (HOUR + 150 * SECOND_NS, RUN))}
    second = Window(HOUR, 2 * HOUR)
    assert [over(short, one).stops[Category.MICRO_STOP] for one in (Window(0, HOUR), second)] == [30, 30]
    assert [over(long, one).stops[Category.MICRO_STOP] for one in (Window(0, HOUR), second)] == [0, 0]
    assert [over(long, one).stops[Category.OPERATION] for one in (Window(0, HOUR), second)] == [30, 150]


def test_states_and_reasons_split_the_stops() -> None:
    """A state says the category, a known reason refines it, and "no order" takes the time out of tR."""
    series = {
        "state": Series.of(
            (-HOUR, RUN), (0, MachineState.SETUP), (10 * MINUTE, MachineState.STARVED), (15 * MINUTE, IDLE),
            (30 * MINUTE, RUN),
        ),
        "reason": Series.of((0, 0, ""), (5 * MINUTE, 0, "Réglage"), (10 * MINUTE, 0, ""), (20 * MINUTE, 0, "no_order")),
    }  # fmt: skip
    oee = over(series)
    assert oee.stops[Category.CHANGEOVER] == 300
    assert oee.stops[Category.ADJUSTMENT] == 300
    assert oee.stops[Category.INDUCED] == 300
    assert oee.stops[Category.OPERATION] == 300
    assert (oee.planned, oee.required, oee.running) == (600, 3000, 1800)
    assert oee.functional == 600
    assert oee.required == oee.running + sum(oee.stops.values())


def test_parts_made_in_a_break_do_not_make_a_machine_fast() -> None:
    """tU is a part of tR: the five parts of the break are counted as parts, not as performance."""
    shift = Turn(name="s", start=0, end=24 * 60)
    pause = Turn(name="p", start=90, end=110)  # 00:30–00:50 UTC in January
    calendar = CalendarConfig(name="c", shifts=(shift,), breaks=(pause,))
    series = {
        **HOURFUL,
        "parts": Series.of((-MINUTE, 100), (20 * MINUTE, 110), (40 * MINUTE, 115), (55 * MINUTE, 120)),
        "parts_good": Series.of((-MINUTE, 0), (20 * MINUTE, 10), (40 * MINUTE, 15), (55 * MINUTE, 20)),
    }
    oee = over(series, calendar=calendar)
    assert (oee.opening, oee.required, oee.running) == (3600, 2400, 2400)
    assert (oee.made, oee.made_all) == (15, 20)
    assert oee.trs.value == 900 / 2400
    assert oee.trg.value == 900 / 3600


def test_several_products_each_have_their_cycle() -> None:
    """Ten gears of 60 s and ten covers of 120 s; the part at the instant of the change was made before it."""
    series = {
        **HOURFUL,
        "product": Series.of((-HOUR, 0, "gear"), (30 * MINUTE, 0, "cover")),
        "parts": Series.of((-MINUTE, 0), (20 * MINUTE, 10), (30 * MINUTE, 11), (50 * MINUTE, 20)),
    }
    assert over(series).net == 11 * 60 + 9 * 120


@pytest.mark.parametrize("products", [Series.empty(), Series.of((-HOUR, 0, "mystery")), Series.of((-HOUR, 0, ""))])
def test_an_unknown_product_leaves_performance_unknown(products: Series) -> None:
    """Not guessed: NaN with coverage 0; availability is known all the same, and so is the quality by count."""
    oee = over({**HOURFUL, "product": products})
    for figure in (oee.performance, oee.quality, oee.trs, oee.trg):
        assert math.isnan(figure.value)
        assert figure.coverage == 0
    assert oee.availability.value == 0.9
    assert oee.quality_ratio.value == 0.9


def test_a_product_unknown_for_half_the_time_leaves_the_other_half() -> None:
    """From 30 min on it is not known what is made: performance over the first half, and its coverage says so."""
    oee = over({**HOURFUL, "product": Series.of((-HOUR, 0, "gear"), (30 * MINUTE, 0, "mystery"))})
    assert (oee.performance.value, oee.performance.coverage) == (25 / 30, 0.5)


def test_one_cycle_for_everything_needs_no_product() -> None:
    """cycle_s = { "*" = 60 } and nobody says what is made."""
    asset = MILL.model_copy(update={"cycle_s": {"*": 60.0}})
    assert over({**HOURFUL, "product": Series.empty()}, asset=asset).net == 2400


def test_a_cycle_that_is_too_slow_is_a_finding_and_is_not_clipped() -> None:
    """40 parts of 120 s in 54 min: Tp 1.48."""
    oee = over({**HOURFUL, "product": Series.of((-HOUR, 0, "cover"))})
    assert oee.performance.value == pytest.approx(4800 / 3240)
    assert "reference cycle too slow for cover" in oee.findings[0].en
    assert "temps de cycle de référence trop long pour cover" in oee.findings[0].fr


def test_time_after_a_bad_state_is_neither_running_nor_stopped() -> None:
    """Bad from 30 to 36 min: availability is 1 over 90 % of the time."""
    oee = over({**HOURFUL, "state": bad(HOURFUL["state"], 1, 2)})
    assert (oee.known, oee.running, oee.unknown) == (3240, 3240, 360)
    assert (oee.availability.value, oee.availability.coverage) == (1.0, 0.9)


def test_a_counter_that_is_bad_takes_its_time_out_of_performance() -> None:
    """Bad at 10 min, baseline at 29: the first 10 and the last 31 min remain, with 15 parts in 35 of running."""
    oee = over({**HOURFUL, "parts": bad(HOURFUL["parts"], 1)})
    assert oee.net == 15 * 60
    assert oee.counted == 41 * 60
    assert oee.counted_running == 35 * 60
    assert oee.availability.coverage == 1.0


def test_silence_makes_a_running_machine_unknown_and_its_next_count_uncertain() -> None:
    """Nothing from 10 to 50 min, stale after 5: known until 15 min; parts of the silence are not put on known time."""
    asset = MILL.model_copy(update={"stale_after_s": 300.0})
    ticks = Series.of(*((minute * MINUTE, 1.0) for minute in [*range(-60, 11), *range(50, 120)]))
    series = {
        "state": Series.of((-HOUR, RUN)),
        "product": GEAR,
        "power": ticks,
        "parts": Series.of((-MINUTE, 0), (9 * MINUTE, 9), (51 * MINUTE, 45), (58 * MINUTE, 50)),
    }
    oee = over(series, asset=asset)
    assert (oee.known, oee.unknown) == (25 * 60, 35 * 60)
    assert oee.counted == 20 * 60
    assert oee.net == (9 + 5) * 60
    assert oee.made_all == 50


def test_another_metric_shows_that_a_silent_state_still_holds() -> None:
    """The state changed an hour ago, but power is reported every minute: all is known."""
    asset = MILL.model_copy(update={"stale_after_s": 300.0})
    ticks = Series.of(*((minute * MINUTE, 1.0) for minute in range(-60, 120)))
    assert over({"state": Series.of((-HOUR, RUN)), "power": ticks}, asset=asset).known == 3600


def test_before_the_first_sample_nothing_is_known() -> None:
    """The machine is born at 45 min; a window before that is NaN with coverage 0."""
    series = {"state": Series.of((45 * MINUTE, RUN))}
    assert (over(series).known, over(series).availability.coverage) == (900, 0.25)
    for nothing in (over(series, Window(-2 * HOUR, -HOUR)), over({})):
        assert math.isnan(nothing.availability.value)
        assert nothing.availability.coverage == 0
        assert math.isnan(nothing.trs.value)
        assert nothing.samples == 0


def test_a_window_without_required_time_has_no_figure_and_misses_nothing() -> None:
    """Sunday: TRS is NaN, TRE is 0, and coverage says that nothing is missing."""
    closed = CalendarConfig(name="c", shifts=())
    oee = over(HOURFUL, calendar=closed)
    assert math.isnan(oee.trs.value)
    assert oee.trs.coverage == 1.0
    assert oee.tre.value == 0.0
    assert math.isnan(oee.trg.value)


def test_an_open_window_speaks_of_its_part_so_far() -> None:
    """At 20 min past: 20 min of total time, all running, 10 parts."""
    oee = over(HOURFUL, now_ns=20 * MINUTE)
    assert (oee.total, oee.running, oee.net) == (1200, 1200, 600)


def test_a_part_at_the_edge_belongs_to_the_window_that_starts_there() -> None:
    """[start, end): the part of 01:00:00.000 is one of the second hour."""
    series = {**HOURFUL, "parts": Series.of((0, 5), (HOUR, 6), (2 * HOUR, 7))}
    assert over(series).made_all == 0
    assert over(series, Window(HOUR, 2 * HOUR)).made_all == 1


def test_good_parts_come_from_scrap_where_good_ones_are_not_counted() -> None:
    """40 made, 4 scrapped: 36 good; or 36 good and 4 scrapped: 40 made."""
    scrap = Series.of((-MINUTE, 0), (12 * MINUTE, 4))
    without_good = {name: one for name, one in HOURFUL.items() if name != "parts_good"}
    without_parts = {name: one for name, one in HOURFUL.items() if name != "parts"}
    for series in (without_good, without_parts):
        oee = over({**series, "parts_scrap": scrap})
        assert (oee.made, oee.good, oee.useful) == (40, 36, 2160)
    unknown = over(without_good)
    assert math.isnan(unknown.quality.value)
    assert unknown.performance.coverage == 1.0


def test_set_up_is_not_held_against_a_machine_by_nee() -> None:
    """30 min of set-up, 30 of production at full speed, all good: OEE 50 %, NEE 100 %."""
    series = {
        **HOURFUL,
        "state": Series.of((-HOUR, MachineState.SETUP), (30 * MINUTE, RUN), (HOUR, IDLE)),
        "parts": Series.of((-HOUR, 0), (59 * MINUTE, 30)),
        "parts_good": Series.of((-HOUR, 0), (59 * MINUTE, 30)),
    }
    oee = over(series)
    assert (oee.trs.value, oee.nee.value) == (0.5, 1.0)


def test_after_a_break_of_the_connection_nothing_is_known_until_the_next_sample() -> None:
    """Broken at 10 min while running, mended at 20: ten minutes unknown, and the count across them is not sure."""
    series = {
        **HOURFUL,
        "state": Series.of((-HOUR, RUN)),
        "online": Series.of((-HOUR, 1), (10 * MINUTE, 0), (20 * MINUTE, 1)),
        "parts": Series.of((-MINUTE, 0), (9 * MINUTE, 9), (21 * MINUTE, 20), (58 * MINUTE, 50)),
        "parts_good": Series.of((-MINUTE, 0), (9 * MINUTE, 9), (21 * MINUTE, 20), (58 * MINUTE, 50)),
    }
    oee = over(series)
    assert (oee.known, oee.unknown, oee.running) == (3000, 600, 3000)
    assert (oee.net, oee.made_all) == ((9 + 30) * 60, 50)


def test_samples_filled_in_later_end_a_break_where_they_begin() -> None:
    """The machine kept its samples: from 12 min on it is known that it had stopped, and from 15 min that it ran."""
    series = {
        "state": Series.of((-HOUR, RUN), (12 * MINUTE, IDLE), (15 * MINUTE, RUN)),
        "online": Series.of((-HOUR, 1), (10 * MINUTE, 0), (20 * MINUTE, 1)),
    }
    oee = over(series)
    assert (oee.known, oee.running, oee.stops[Category.OPERATION]) == (58 * 60, 55 * 60, 3 * 60)


def test_a_state_that_is_told_at_the_instant_of_a_break_is_known() -> None:
    """A collector that knows that it missed nothing states the value in force again at the break."""
    series = {
        "state": Series.of((-HOUR, RUN), (10 * MINUTE, RUN)),
        "online": Series.of((-HOUR, 1), (10 * MINUTE, 0), (20 * MINUTE, 1)),
    }
    assert over(series).known == 3600


def test_a_break_that_began_long_before_the_window_still_holds() -> None:
    """Broken for ten days, in power at the start of what is read; nothing came since."""
    series = {"state": Series.of((-300 * HOUR, RUN)), "online": Series.of((-240 * HOUR, 0), (30 * MINUTE, 1))}
    assert over(series).known == 1800


def test_the_plant_file_may_say_what_a_state_or_a_reason_counts_as() -> None:
    """Maintenance counts as breakdown on this machine, "Bourrage" as an induced stop; elsewhere nothing changes."""
    own = MILL.model_copy(
        update={"state_categories": {"MAINTENANCE": "breakdown"}, "reason_categories": {"Bourrage": "induced"}}
    )
    series = {
        "state": Series.of((-HOUR, MachineState.MAINTENANCE), (20 * MINUTE, IDLE), (40 * MINUTE, RUN)),
        "reason": Series.of((20 * MINUTE, 0, "bourrage"), (40 * MINUTE, 0, "")),
    }
    assert (over(series).stops[Category.UPKEEP], over(series).stops[Category.OPERATION]) == (1200, 1200)
    changed = over(series, asset=own).stops
    assert (changed[Category.BREAKDOWN], changed[Category.INDUCED]) == (1200, 1200)
    assert set(get_args(CategoryName)) == {category.value for category in Category}
    assert list(get_args(StateName)) == [state.name for state in MachineState]


def test_a_counter_of_16_bits_counts_on_through_zero() -> None:
    """65,530 → 4 are ten parts when the plant file says where it turns, four when nobody does; 65,530 → 500 → 0 too:
    a small step through zero is a turn, a long one a reset."""
    asset = MILL.model_copy(update={"counter_rollover": 65536.0})
    parts = Series.of((-MINUTE, 65530), (10 * MINUTE, 4), (20 * MINUTE, 500), (30 * MINUTE, 0), (40 * MINUTE, 2))
    series = {**HOURFUL, "parts": parts}
    assert over(series, asset=asset).made_all == 10 + 496 + 0 + 2
    assert over(series).made_all == 4 + 496 + 0 + 2


def test_a_baseline_before_the_first_product_is_harmless() -> None:
    """Counted before anybody said what is made: the first count is a baseline, and the forty after it are known."""
    oee = over({**HOURFUL, "product": Series.of((MINUTE, 0, "gear")), "parts_good": HOURFUL["parts"]})
    assert (oee.net, oee.useful) == (2400, 2400)


@pytest.mark.parametrize("together", [True, False])
def test_a_machine_with_more_reasons_than_a_byte_has_codes_for(together: bool) -> None:
    """Forty reasons, a minute each: those that say nothing of the category leave it to the state, told at the same
    instants or not."""
    words = [*(f"code {n}" for n in range(38)), "réglage", "no order"]
    times = [minute * MINUTE + (0 if together else SECOND_NS) for minute in range(40)]
    series = {
        "state": Series.of(*((minute * MINUTE, DOWN) for minute in range(40)), (40 * MINUTE, RUN)),
        "reason": Series.of(*zip(times, [0.0] * 40, words, strict=True), (40 * MINUTE, 0, "")),
    }
    oee = over(series)
    late = 0 if together else 1
    assert oee.stops[Category.BREAKDOWN] == 38 * 60 + late
    assert (oee.stops[Category.ADJUSTMENT], oee.planned, oee.running) == (60, 60 - late, 20 * 60)
    history = MachineHistory(MILL, None, PARIS, Window(0, HOUR), 100 * HOUR, reader(series), series.keys())
    lost = history.stopped(np.array([0], np.int64), np.array([HOUR], np.int64))
    assert lost.seconds.sum() == 39 * 60 + late
    assert len(lost.word) == 39 + late

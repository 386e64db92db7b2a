"""What nobody should send, and what comes of it: for each a figure that is not known, or a finding; never nonsense."""

import math

import numpy as np
import pytest

from pipeline.kpis.catalogue import CATALOGUE
from pipeline.kpis.evaluate import columns
from pipeline.kpis.machine import MachineHistory
from pipeline.kpis.oee import Oee
from pipeline.kpis.states import Category
from pipeline.said import Said
from telemetry.glossary import MachineState
from telemetry.plant import Asset, CalendarConfig, Turn
from telemetry.samples import Quality, Series, Window
from tests.pipeline.kpis.timeline import HOUR, MINUTE, PARIS, reader

RUN, IDLE = MachineState.EXECUTING, MachineState.NOT_EXECUTING
TALKS = Series.of((2 * HOUR, 1.0))
"""It goes on talking after the hour: without, it fell silent while it ran, and what it made then nobody can tell."""
MILL = Asset(path="km0/a/mill", name="mill", cycle_s={"*": 60.0}, stale_after_s=7200)
ONE = Window(0, HOUR)


def history(asset: Asset = MILL, calendar: CalendarConfig | None = None, **series: Series) -> MachineHistory:
    return MachineHistory(asset, calendar, PARIS, ONE, 100 * HOUR, reader(series), series.keys())


def over(asset: Asset = MILL, calendar: CalendarConfig | None = None, **series: Series) -> Oee:
    return history(asset, calendar, **series).over(ONE)


def nothing_known(oee: Oee) -> bool:
    figures = (oee.availability, oee.performance, oee.quality, oee.trs, oee.trg, oee.tre, oee.nee, oee.quality_ratio)
    return all(math.isnan(figure.value) and figure.coverage == 0 for figure in figures) and oee.unknown == 3600


def with_quality(series: Series, *quality: int) -> Series:
    return Series(series.times_ns, series.values, np.array(quality, np.int8), series.texts)


def test_nothing_at_all() -> None:
    """No series, and series without rows: every figure not known, of no coverage, on no samples."""
    for oee in (over(), over(state=Series.empty(), parts=Series.empty(), reason=Series.empty())):
        assert nothing_known(oee)
        assert (oee.samples, oee.findings) == (0, ())


def test_all_unknown() -> None:
    """Only BAD samples, a state that is no state, and one that is not a number: as nothing at all."""
    bad = with_quality(Series.of((-HOUR, RUN), (MINUTE, IDLE)), Quality.BAD, Quality.BAD)
    for state in (bad, Series.of((-HOUR, 99)), Series.of((-HOUR, -1)), Series.of((-HOUR, math.nan))):
        assert nothing_known(over(state=state))


def test_one_event() -> None:
    """Running since 15 min: known and available from there on; one count is a baseline of nothing."""
    oee = over(state=Series.of((15 * MINUTE, RUN)), parts=Series.of((20 * MINUTE, 500)), power=TALKS)
    assert (oee.availability.value, oee.availability.coverage) == (1.0, 0.75)
    assert (oee.made_all, oee.net) == (0, 0)
    assert oee.performance.coverage == pytest.approx(40 / 60)


def test_time_going_backwards() -> None:
    """Rows in any order are the same hour: the order of arrival is not the order of time."""
    rows = [(-HOUR, RUN), (10 * MINUTE, IDLE), (25 * MINUTE, RUN), (40 * MINUTE, IDLE)]
    expected = over(state=Series.of(*rows))
    assert expected.running == 25 * 60
    for order in ([3, 2, 1, 0], [1, 3, 0, 2]):
        mixed = {"state": Series.of(*rows).take(np.array(order))}

        def read(metric: str, _: Window, found: dict[str, Series] = mixed) -> Series:
            return found.get(metric, Series.empty())

        assert MachineHistory(MILL, None, PARIS, ONE, 100 * HOUR, read, ["state"]).over(ONE) == expected


def test_equal_timestamps() -> None:
    """Of two rows at one instant the last given is in force; a part is not counted twice."""
    state = Series.of((-HOUR, RUN), (30 * MINUTE, RUN), (30 * MINUTE, IDLE))
    parts = Series.of((-MINUTE, 0), (10 * MINUTE, 5), (10 * MINUTE, 5), (20 * MINUTE, 6), (20 * MINUTE, 7))
    oee = over(state=state, parts=parts)
    assert (oee.running, oee.made_all) == (1800, 7)


def test_counters_that_are_no_numbers() -> None:
    """NaN and infinity at 10 and 20 min: counting is not known from there to the next count, which is a baseline."""
    parts = Series.of(
        (-MINUTE, 0), (5 * MINUTE, 5), (10 * MINUTE, math.nan), (20 * MINUTE, math.inf), (30 * MINUTE, 50),
        (40 * MINUTE, 60),
    )  # fmt: skip
    oee = over(state=Series.of((-HOUR, RUN)), parts=parts, power=TALKS)
    assert (oee.made_all, oee.made_coverage) == (15, pytest.approx(40 / 60))
    assert (oee.performance.value, oee.performance.coverage) == (pytest.approx(15 / 40), pytest.approx(40 / 60))


def test_negative_increments() -> None:
    """1,000 → 995 is a correction, and nothing was made; 1,000 → 3 is a reset, and three were. Never less than none."""
    state = Series.of((-HOUR, RUN))
    assert over(state=state, parts=Series.of((-MINUTE, 990), (1, 1000), (9, 995), (99, 996))).made_all == 11
    assert over(state=state, parts=Series.of((-MINUTE, 990), (1, 1000), (9, 3), (99, 4))).made_all == 14
    below = over(state=state, parts=Series.of((-MINUTE, 0), (1, -5), (9, -20), (99, -19)))
    assert below.made_all >= 0


def test_more_good_parts_than_parts() -> None:
    """Counters that contradict each other: Tq above 1 stays as it is; nobody has clipped it to look well."""
    oee = over(
        state=Series.of((-HOUR, RUN)), parts=Series.of((-MINUTE, 0), (MINUTE, 10)),
        parts_good=Series.of((-MINUTE, 0), (MINUTE, 12)),
    )  # fmt: skip
    assert oee.quality.value == pytest.approx(1.2)


def test_a_window_before_the_machine_existed() -> None:
    """Born at three o'clock: nothing known of the first hour."""
    assert nothing_known(over(state=Series.of((3 * HOUR, RUN)), parts=Series.of((3 * HOUR, 0), (4 * HOUR, 9))))


def test_planned_time_of_zero() -> None:
    """Closed, or a break all along: ratios of tR are NaN, nothing is missing, TRE is 0 of a whole hour."""
    closed = CalendarConfig(name="c", shifts=())
    pause = CalendarConfig(
        name="c", shifts=(Turn(name="s", start=0, end=0),), breaks=(Turn(name="p", start=0, end=0),)
    )  # fmt: skip
    for calendar, opening in ((closed, 0), (pause, 3600)):
        oee = over(calendar=calendar, state=Series.of((-HOUR, RUN)), parts=Series.of((-MINUTE, 0), (MINUTE, 9)))
        assert (oee.opening, oee.required, oee.unknown) == (opening, 0, 0)
        assert math.isnan(oee.trs.value)
        assert (oee.trs.coverage, oee.tre.value, oee.made_all) == (1.0, 0.0, 9)
    reason = Series.of((-HOUR, 0, "no order"))
    oee = over(state=Series.of((-HOUR, IDLE)), reason=reason)
    assert (oee.planned, oee.required) == (3600, 0)
    assert math.isnan(oee.availability.value)


def test_a_window_of_no_length() -> None:
    """Nothing, without a warning."""
    oee = history(state=Series.of((-HOUR, RUN))).over(Window(MINUTE, MINUTE))
    assert (oee.total, oee.required) == (0, 0)
    assert math.isnan(oee.availability.value)


def test_parts_without_running_are_a_finding() -> None:
    """Ten parts from a machine that stood still."""
    oee = over(state=Series.of((-HOUR, IDLE)), parts=Series.of((-MINUTE, 0), (MINUTE, 10)))
    assert oee.findings == (
        Said(
            "Tp is above 1 (without running): reference cycle too slow",
            "Tp dépasse 1 (sans marche) : temps de cycle de référence trop long",
        ),
    )
    assert oee.stops[Category.OPERATION] == 3600


def test_every_figure_of_every_bad_input_is_a_number_or_not_known() -> None:
    """A column of windows, some before birth, some of no length: coverage between 0 and 1, no infinity."""
    windows = [Window(at * HOUR // 4, end * HOUR // 4) for at, end in ((-4, 0), (0, 4), (1, 1), (2, 3), (3, 9))]
    states = (
        Series.empty(),
        Series.of((30 * MINUTE, RUN)),
        Series.of((-HOUR, 42), (MINUTE, RUN), (2 * MINUTE, math.nan)),
    )
    for state in states:
        for parts in (Series.empty(), Series.of((0, math.nan), (1, -3), (2, 1e300), (3, 0))):
            series = {"state": state, "parts": parts, "parts_good": parts}
            found = MachineHistory(
                MILL, None, PARIS, Window(-HOUR, 3 * HOUR), 100 * HOUR, reader(series), series.keys()
            )
            figures = columns(found, windows).figures
            assert set(figures) == {kpi.name for kpi in CATALOGUE if kpi.of == "machine"}
            for name, (value, _, _, coverage, _) in figures.items():
                assert ((coverage >= 0) & (coverage <= 1)).all(), name
                assert not np.isinf(value).any(), name
                assert np.isnan(value[coverage == 0]).all(), name

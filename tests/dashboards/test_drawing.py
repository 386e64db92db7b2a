"""What charts draw: states as intervals, lines with gaps, the windows that tell most."""

import math

import numpy as np

from dashboards.web import draw, history
from dashboards.web.states import StateInterval, intervals
from telemetry.samples import KpiValue, Quality, Sample, Series, Window
from tests.contracts.memory import MemoryStore
from tests.dashboards.seeded import HOUR_NS, LINK, MINUTE_NS, NOW_NS, PLANT

DAY = Window(0, 1000)


def seen(*times_ns: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.array(times_ns, np.int64)


def test_equal_neighbours_are_one_interval_with_its_true_start() -> None:
    """EXECUTING said three times is one stretch; the one in force at the window's start keeps its own start."""
    states = Series.of((-50, 3.0), (100, 3.0), (200, 3.0), (300, 2.0))
    assert intervals(states, Series.empty(), seen(*range(0, 1000, 10)), DAY, 500) == [
        StateInterval(-50, 300, "EXECUTING"),
        StateInterval(300, 1000, "NOT_EXECUTING"),
    ]


def test_silence_is_unknown_after_the_time_the_asset_allows() -> None:
    """Heard at 100 and then at 700, with 200 allowed: unknown from 300 to 700, as the KPIs count it."""
    found = intervals(Series.of((0, 3.0)), Series.empty(), seen(0, 100, 700, 800, 900), DAY, 200)
    assert [(one.start_ns, one.end_ns, one.state) for one in found] == [
        (0, 300, "EXECUTING"),
        (300, 700, "UNKNOWN"),
        (700, 1000, "EXECUTING"),
    ]


def test_a_bad_sample_ends_knowledge_and_no_number_is_a_state() -> None:
    """After BAD, and for a value that is no state, nothing is known."""
    states = Series.of((0, 3.0), (100, 0.0), (200, 2.5))
    states.quality[1] = Quality.BAD
    found = intervals(states, Series.empty(), seen(*range(0, 1000, 10)), DAY, 500)
    assert [(one.start_ns, one.state) for one in found] == [(0, "EXECUTING"), (100, "UNKNOWN")]


def test_a_stop_has_the_last_reason_given_in_it() -> None:
    """A reason told ten seconds into the stop belongs to it; a running machine has none."""
    states, reasons = Series.of((0, 3.0), (300, 2.0), (600, 3.0)), Series.of((0, 0.0, "old"), (310, 0.0, "no_operator"))
    found = intervals(states, reasons, seen(*range(0, 1000, 10)), DAY, 500)
    assert [one.reason for one in found] == ["", "no_operator", ""]


def test_lines_break_where_nothing_is_known() -> None:
    """A NaN lifts the pen: the line never bridges a gap; values above the top stay in the picture."""
    times = seen(0, 250, 500, 750, 1000)
    values = np.array([0.0, 5.0, math.nan, 10.0, 20.0])
    assert draw.line(times, values, DAY, 10.0) == "M0 100L250 50M750 0L1000 0"


def test_missing_windows_are_gaps() -> None:
    """Two hours with one between them missing are drawn apart."""
    hour = [
        KpiValue(LINK, "rtt_p50", "hour", n * HOUR_NS, (n + 1) * HOUR_NS, 9.0, math.nan, 0.0, 1.0, 5, True)
        for n in (0, 2)
    ]
    _, values = draw.points(hour)
    assert [math.isnan(value) for value in values.tolist()] == [False, True, False]


def test_the_scale_ends_at_a_round_number() -> None:
    """The top is the next of 1, 1.5, 2, 3, 4, 5, 6, 8 × 10ⁿ; without data it is 1."""
    tops = [draw.nice_top(np.array([value])) for value in (0.2, 11.0, 15.0, 71.0, 95.0, math.nan)]
    assert tops == [1.0, 15.0, 15.0, 80.0, 100.0, 1.0]


def test_the_day_of_a_link_is_told_by_windows_that_know_enough() -> None:
    """Minutes without enough packets for p99 give way to hours; a day-long window never stands for the day's course."""
    store = MemoryStore()
    now = NOW_NS // HOUR_NS * HOUR_NS

    def value(kind: str, start: int, length: int, figure: float) -> KpiValue:
        return KpiValue(LINK, "rtt_p99", kind, start, start + length, figure, math.nan, 0.0, 1.0, 20, True)

    values = [value("minute", now - n * MINUTE_NS, MINUTE_NS, math.nan) for n in range(2, 1440)]
    values += [value("hour", now - n * HOUR_NS, HOUR_NS, 20.0 + n) for n in range(1, 24)]
    values += [value("day", now - n * 24 * HOUR_NS, 24 * HOUR_NS, 99.0) for n in (0, 1)]
    store.write_kpis(values, 1)
    day = history.link_day(store, PLANT.asset(LINK), Window(now - 24 * HOUR_NS, now))
    assert {value.kind for value in day.tail} == {"hour"}


def test_an_hour_of_probes_tells_median_slowest_and_lost() -> None:
    """In one bucket of 30 s: answers of 1, 2 and 9 ms and two lost give 2, 9 and 2; empty buckets give nothing."""
    store = MemoryStore()
    start = NOW_NS - 10 * MINUTE_NS
    store.write([Sample(start + n, LINK, "rtt", value) for n, value in enumerate((1.0, 9.0, 2.0))])
    store.write([Sample(start + 10 + n, LINK, "rtt_lost", 1.0) for n in range(2)])
    hour = history.link_hour(store, PLANT.asset(LINK), NOW_NS)
    told = np.flatnonzero(~np.isnan(hour.median))
    assert len(told) == 1
    assert (hour.median[told[0]], hour.worst[told[0]], hour.lost[told[0]], hour.lost.sum()) == (2.0, 9.0, 2, 2)

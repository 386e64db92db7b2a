"""The figures of a link's window, by hand, from packets written out."""

import math
from typing import Any

import numpy as np
import pytest

from pipeline.kpis.catalogue import CATALOGUE
from pipeline.kpis.histogram import Histogram
from pipeline.kpis.link import LinkHistory, Probes
from pipeline.kpis.link_rows import LINK_ROWS
from pipeline.kpis.use_cases import USE_CASES
from telemetry.samples import Quality, Series, Window
from tests.pipeline.kpis.timeline import HOUR, reader

MS = 1_000_000
T0 = 1_800_000_000 * 1_000_000_000 // HOUR * HOUR
SECOND = Window(T0, T0 + 1000 * MS, "hour")


def link(case: str | None = None, window: Window = SECOND, **series: Series) -> Probes:
    found = LinkHistory(window, window.end_ns, reader(series), USE_CASES[case] if case else None)
    return found.over(window)


def at(*rows: tuple[float, float] | tuple[float, float, str]) -> Series:
    """Rows of (ms since T0, value[, text])."""
    return Series.of(*((T0 + int(row[0] * MS), *row[1:]) for row in rows))  # type: ignore[arg-type]  # same rows


def figure(name: str, probes: Probes) -> Any:
    return next(row for row in LINK_ROWS if row.name == name).compute(probes)


def hundred(lost: dict[int, str]) -> dict[str, Series]:
    """100 packets, 10 ms apart, of 4 ms, those of the numbers lost on the ways that are named."""
    return {
        "rtt": at(*((10 * n, 4.0) for n in range(100) if n not in lost)),
        "rtt_lost": at(*((10 * n, 1.0, way) for n, way in sorted(lost.items()))),
    }


def test_loss_by_way() -> None:
    """Of 100 packets 3 were lost on the way up and 2 down: 3 of 100, and 2 of the 97 that arrived there."""
    probes = link(**hundred({5: "up", 6: "up", 20: "down", 21: "up", 50: "down"}))
    up, down = figure("loss_up", probes), figure("loss_down", probes)
    assert (up.numerator, up.denominator, up.coverage) == (3, 100, 1.0)
    assert (down.numerator, down.denominator, down.coverage) == (2, 97, 1.0)
    assert figure("loss", probes).value == pytest.approx(0.05)


def test_losses_whose_way_nobody_knows() -> None:
    """They are left out of both ways and lower the coverage; with nothing but them neither way is known."""
    probes = link(**hundred({5: "up", 20: "", 21: "", 22: ""}))
    up = figure("loss_up", probes)
    assert (up.numerator, up.denominator, up.coverage) == (1, 97, 0.25)
    assert math.isnan(figure("loss_up", link(**hundred({20: ""}))).value)
    assert figure("loss_up", link(**hundred({}))).value == 0.0


def test_runs_of_losses() -> None:
    """5, 6 and 7, then 20: two runs, the longest of three."""
    probes = link(**hundred({5: "", 6: "", 7: "", 20: ""}))
    assert (figure("loss_runs", probes).value, figure("loss_run_longest", probes).value) == (2, 3)
    assert figure("loss_runs", probes).numerator == 2  # runs add up over windows


def test_one_way_delays() -> None:
    """Percentiles of each way with their own packets; a packet lost on the way is infinitely late on it."""
    series = hundred({5: "up"})
    ways = {
        "delay_up": at(*((10 * n, 1.0 + n / 100) for n in range(100) if n != 5)),
        "delay_down": at(*((10 * n, 3.0) for n in range(100) if n != 5)),
        "clock_error": at((100, 0.2), (500, 0.3)),
    }
    probes = link(**series, **ways)
    assert figure("delay_up_p50", probes).value == pytest.approx(1.5)  # of 99 and one infinite: the 50th, packet 50
    assert figure("delay_down_p50", probes).value == 3.0
    assert figure("delay_up_p50", probes).coverage == 1.0
    assert figure("clock_error", probes).value == 0.3


def test_one_way_delays_that_were_kept_back() -> None:
    """With clocks that are not good enough there is no figure, and the uncertainty still says how bad they are."""
    error = at((100, 40.0))
    error = Series(error.times_ns, error.values, np.array([Quality.UNCERTAIN], np.int8), error.texts)
    probes = link(**hundred({5: "up"}), clock_error=error)
    assert math.isnan(figure("delay_up_p50", probes).value)
    assert figure("delay_up_p50", probes).coverage == 0.0
    assert figure("clock_error", probes).value == 40.0


def test_variation() -> None:
    """Delays of 5, 7, 4, 8, 4 and 6 ms, the vector of RFC 3550's formula: |IPDV| 2, 3, 4, 4, 2; PDV up to 4."""
    probes = link(rtt=at(*((10 * n, delay) for n, delay in enumerate((5.0, 7.0, 4.0, 8.0, 4.0, 6.0)))))
    assert figure("ipdv", probes).value == pytest.approx(3.0)
    assert probes.rtt.variation(0.5) == 1.0  # the 3rd of 4, 4, 5, 6, 7, 8, less 4
    assert figure("jitter", probes).value == pytest.approx(0.830156, abs=1e-6)
    assert math.isnan(figure("pdv_p99", probes).value)  # six packets are not enough


def test_a_percentile_beyond_the_losses_is_infinite() -> None:
    """4 of 100 lost: p95 is the delay of the packets, p99 of 400 likewise lost is infinite."""
    assert figure("rtt_p95", link(**hundred(dict.fromkeys(range(4), "")))).value == 4.0
    packets = {"rtt": at(*((2 * n, 4.0) for n in range(392))), "rtt_lost": at(*((2 * n, 1.0) for n in range(392, 400)))}
    assert figure("rtt_p99", link(**packets)).value == math.inf


def test_answers_that_came_again_or_late() -> None:
    """What was told in the window is added up; where nothing was told, it is not known."""
    probes = link(**hundred({}), duplicates=at((100, 2), (600, 1)), reordered=at((100, 0)))
    assert figure("duplicates", probes).value == pytest.approx(0.03)
    assert figure("reordering", probes).value == 0.0
    assert math.isnan(figure("reordering", link(**hundred({}))).value)


def test_service_of_the_links_use_case() -> None:
    """The worked example of the standards sheet: 40 and 41 lost, control-to-control (10 ms, survival 10 ms) is down
    from 420 to 424 ms, 99.6 % available: one of fifty periods of 20 ms failed, and 99.9999 % is refuted."""
    probes = link("control-to-control", **hundred({40: "up", 41: "up"}))
    assert figure("service_availability", probes).value == pytest.approx(0.996)
    assert figure("service_failures", probes).value == 1
    failed = figure("service_failed_periods", probes)
    assert (failed.numerator, failed.denominator) == (1, 50)
    assert figure("service_verdict", probes).value == -1.0
    # the lower 95 % bound of 1 in 50 is 1 − 0.95^(1/50): Clopper and Pearson in closed form
    assert figure("service_unavailability_bound", probes).value == pytest.approx(1 - 0.95 ** (1 / 50))
    assert figure("deadline_misses", probes).value == pytest.approx(0.02)


def test_a_good_second_shows_nothing_yet() -> None:
    """50 good periods of 20 ms of a million: 2,995,731 periods are needed for 99.9999 %, so 16.6 hours more."""
    probes = link("control-to-control", **hundred({}))
    assert figure("service_verdict", probes).value == 0.0
    assert figure("service_hours_to_go", probes).value == pytest.approx((2_995_731 - 50) * 0.02 / 3600, rel=1e-5)


def test_without_a_use_case() -> None:
    """Nothing is judged, and nothing is claimed."""
    probes = link(**hundred({40: ""}))
    for row in LINK_ROWS:
        if row.name.startswith(("service", "deadline")):
            found = row.compute(probes)
            assert math.isnan(found.value)
            assert found.coverage == 0


def test_histograms_add_up() -> None:
    """Those of two windows together are that of both."""
    first = figure("rtt_histogram", link(**hundred({1: ""})))
    later = Window(T0 + HOUR, T0 + 2 * HOUR, "hour")
    second = figure("rtt_histogram", link(window=later, rtt=at(*((3600_000 + 10 * n, 8.0) for n in range(99)))))
    both = Histogram.decode(first.detail) + Histogram.decode(second.detail)
    assert (both.size, both.lost, both.minimum, both.maximum) == (198, 1, 4.0, 8.0)
    assert (first.value, second.value) == (99, 99)


def test_nothing_measured() -> None:
    """A window without a packet has every figure, none of them known."""
    probes = link()
    for row in LINK_ROWS:
        assert row.compute(probes).coverage == 0, row.name


def test_every_row_is_in_the_catalogue() -> None:
    """With its windows."""
    held = {kpi.name: kpi.per for kpi in CATALOGUE if kpi.of == "link"}
    assert held == {row.name: row.per for row in LINK_ROWS}

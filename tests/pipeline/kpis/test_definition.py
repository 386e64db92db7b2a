"""The figures of a machine against a plain reading of the definitions, for samples of every kind in any mixture."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from pipeline.kpis.machine import MachineHistory
from pipeline.kpis.periods import FEW
from pipeline.kpis.states import Category
from telemetry.plant import Asset, CalendarConfig, Plant, Turn
from telemetry.samples import Sample, Series, Window
from tests.pipeline.kpis.definition import CELL, Definition
from tests.pipeline.kpis.timeline import reader
from tests.pipeline.test_recompute_order import SPAN, START, machine_samples

MILL = Asset(path="km0/a/mill", name="mill", cycle_s={"a": 60, "b": 100}, stale_after_s=600, micro_stop_s=120)
SHIFT, PAUSE = (21 * 60, 5 * 60), (60, 80)
CALENDAR = CalendarConfig(
    name="night", shifts=(Turn(name="n", start=SHIFT[0], end=SHIFT[1]),),
    breaks=(Turn(name="p", start=PAUSE[0], end=PAUSE[1]),),
)  # fmt: skip


def series_of(samples: list[Sample]) -> dict[str, Series]:
    found: dict[str, Series] = {}
    for metric in {sample.metric for sample in samples}:
        rows = sorted((one for one in samples if one.metric == metric), key=lambda one: one.time_ns)
        plain = Series.of(*((one.time_ns, one.value, one.text) for one in rows))
        quality = np.array([one.quality for one in rows], np.int8)
        found[metric] = Series(plain.times_ns, plain.values, quality, plain.texts)
    return found


def compare(samples: list[Sample]) -> None:
    """Over the whole span, over hours of it, over windows that begin and end anywhere, and over so many small ones
    that they are summed together: each as if it were computed alone."""
    series = series_of(samples)
    span = Window(START - 3600 * 10**9, START + SPAN + 3600 * 10**9)
    plain = Definition(samples, MILL.cycle_s, 20, 4, SHIFT, PAUSE)
    zone = Plant(timezone="UTC").zone
    history = MachineHistory(MILL, CALENDAR, zone, span, 2 * START, reader(series), series.keys())
    bounds = [span.start_ns // CELL + 120 * n for n in range(12)]
    windows = [*pairwise(bounds), (bounds[0], bounds[-1]), (bounds[1] + 7, bounds[4] + 33), (bounds[5] + 1, bounds[6])]
    windows += pairwise(range(bounds[0] + 5, bounds[-1], 20))
    assert len({bound for window in windows for bound in window}) > FEW
    starts, ends = (np.array([window[side] * CELL for window in windows], np.int64) for side in (0, 1))
    columns = history.columns(starts, ends)
    for row, (start, end) in enumerate(windows):
        expected, found = plain.over(start, end), columns.row(row)
        assert found == history.columns(starts[row : row + 1], ends[row : row + 1]).row(0)
        for name, value in expected.items():
            own = found.stops[Category(name)] if name in {*Category} - {"running", "planned"} else getattr(found, name)
            assert own == pytest.approx(value, rel=1e-12, abs=1e-9), (name, start, end)


SETTINGS = settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])


@SETTINGS
@given(machine_samples())
def test_every_time_and_count_is_that_of_the_definition(samples: list[Sample]) -> None:
    """States, reasons, products, counters that fall, BAD and silent sources, breaks of the connection, shifts."""
    compare(samples)


@pytest.mark.soak
@pytest.mark.timeout(900)
@settings(SETTINGS, max_examples=600, derandomize=False)
@given(machine_samples())
def test_every_time_and_count_of_hundreds_of_mixtures(samples: list[Sample]) -> None:
    """The same, six hundred times."""
    compare(samples)

"""Stop time by reason, kept with every hour: boards draw a Pareto in hours without asking for a single sample."""

import json

import numpy as np
import pytest

from pipeline.kpis.catalogue import CATALOGUE
from pipeline.kpis.evaluate import columns, history_of
from pipeline.kpis.losses import losses
from pipeline.kpis.states import STOPS
from simulators.demo import MACHINES
from simulators.timeline import machine_events
from telemetry.calendar import hours
from telemetry.samples import SECOND_NS, Sample, Window
from tests.contracts.memory import MemoryStore
from tests.dashboards.grafana.simulated_day import demonstrator
from tests.pipeline.kpis.test_losses import HOUR, MINUTE, history

DAY = Window(0, 24 * 3600 * SECOND_NS)


def test_each_window_has_the_seconds_of_its_own_reasons() -> None:
    """Down 5 minutes across the bound of two half-hours after the belt broke at minute 30, and 8 without a reason."""

    bounds = np.array([0, 33 * MINUTE, HOUR], np.int64)
    found = history().stopped(bounds[:-1], bounds[1:])
    reasons = [found.words[word] for word in found.word]
    assert [*zip(found.window.tolist(), reasons, found.seconds.tolist(), strict=True)] == [
        (0, "broken belt", 180.0), (1, "", 480.0), (1, "broken belt", 120.0),
    ]  # fmt: skip
    kpi = next(one for one in CATALOGUE if one.name == "stop_time")
    assert kpi.detail is not None
    details = kpi.detail(history(), np.append(bounds[:-1], HOUR), np.append(bounds[1:], HOUR + MINUTE))
    assert [json.loads(one) for one in details] == [{"broken belt": 180.0}, {"": 480.0, "broken belt": 120.0}, {}]


@pytest.mark.parametrize("path", MACHINES)
def test_a_day_of_hours_says_what_the_losses_say(path: str) -> None:
    """The detail of each hour is its losses by reason, category by category added; together they are the figure."""
    model, _ = MACHINES[path]
    plant, store = demonstrator(), MemoryStore()
    said = []
    for time_ns, metric, value in machine_events(model, 7, DAY.start_ns):
        if time_ns >= DAY.end_ns:
            break
        word = isinstance(value, str)
        said.append(Sample(time_ns, path, metric, 0.0 if word else float(value), str(value) if word else ""))
    store.write(said)
    timeline = history_of(store, plant, plant.asset(path), DAY, 2 * DAY.end_ns, {one.metric for one in said})
    due = [*hours(DAY), Window(DAY.start_ns, DAY.end_ns, "day")]
    values = [one for one in columns(timeline, due).values() if one.kpi == "stop_time"]
    assert [one.kind for one in values] == ["hour"] * 24
    reasons = set()
    for one in values:
        expected: dict[str, float] = {}
        for loss in losses(timeline, one.window):
            if loss.category in {stop.value for stop in STOPS}:
                expected[loss.reason] = expected.get(loss.reason, 0.0) + loss.seconds
        assert json.loads(one.detail) == pytest.approx(expected, abs=0.002)
        assert one.value == pytest.approx(sum(expected.values()))
        reasons |= expected.keys()
    assert len(reasons) > 2

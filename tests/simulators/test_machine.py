"""The simulated life of a machine: the same for the same seed, and a life that could be."""

import time
from itertools import pairwise

import pytest

from simulators.demo import LINK, MACHINES, MILL, PRESS, PRINTER
from simulators.link import link_events
from simulators.machine import Change, Made, Turn, facts
from simulators.timeline import Event, Timeline, machine_events
from telemetry.glossary import METRICS, MachineState

BORN_NS = 1_795_000_000_000_000_000  # 2026-11-18T11:06:40Z, a noon in Paris
HOUR_NS = 3600 * 10**9
DAY_NS = 24 * HOUR_NS


def day_of(path: str, seed: int = 1) -> list[Event]:
    return Timeline(machine_events(MACHINES[path][0], seed, BORN_NS)).until(BORN_NS + DAY_NS)


@pytest.mark.parametrize("path", MACHINES)
def test_same_seed_gives_same_bytes_however_time_is_cut(path: str) -> None:
    """A day in one piece, in hours and in uneven seconds is the same day, byte for byte."""
    whole = day_of(path)
    model = MACHINES[path][0]
    for step_ns in (HOUR_NS, 977_123_456_789):
        timeline = Timeline(machine_events(model, 1, BORN_NS))
        cut: list[Event] = []
        for end_ns in range(BORN_NS, BORN_NS + DAY_NS, step_ns):
            cut += timeline.until(end_ns)
        cut += timeline.until(BORN_NS + DAY_NS)
        assert repr(cut).encode() == repr(whole).encode()


@pytest.mark.parametrize("path", MACHINES)
def test_another_seed_gives_another_life(path: str) -> None:
    """Two seeds differ, so determinism is not for want of chance."""
    assert day_of(path, seed=1) != day_of(path, seed=2)


@pytest.mark.parametrize("path", MACHINES)
def test_events_are_ordered_whole_milliseconds_and_single(path: str) -> None:
    """Events come in time order, in whole milliseconds, and no metric has two at one instant."""
    events = day_of(path)
    assert all(a[0] <= b[0] for a, b in pairwise(events))
    assert all(time_ns % 1_000_000 == 0 for time_ns, _, _ in events)
    assert len({(time_ns, metric) for time_ns, metric, _ in events}) == len(events)
    assert {metric for _, metric, _ in events} <= METRICS.keys()


@pytest.mark.parametrize("path", MACHINES)
def test_every_metric_is_told_at_birth_and_then_on_change(path: str) -> None:
    """At birth each metric has a value; then all but the gauge, which measures on, only say what is new."""
    events = day_of(path)
    gauge = MACHINES[path][0].gauge.metric
    assert {m for t, m, _ in events if t == BORN_NS} == {"state", "reason", "product", "parts", "parts_good", gauge}
    for metric in {m for _, m, _ in events} - {gauge}:
        values = [value for _, m, value in events if m == metric]
        assert all(a != b for a, b in pairwise(values)), metric
    ticks = [time_ns for time_ns, m, _ in events if m == gauge]
    assert {b - a for a, b in pairwise(ticks)} == {30 * 10**9}


@pytest.mark.parametrize("path", MACHINES)
def test_counters_count_one_by_one(path: str) -> None:
    """Counters start at 0 and grow by one; good parts never outnumber parts."""
    events = day_of(path)
    made = [value for _, metric, value in events if metric == "parts"]
    good = [value for _, metric, value in events if metric == "parts_good"]
    assert made == list(range(len(made)))
    assert good == list(range(len(good)))
    assert 0 < len(good) < len(made)


@pytest.mark.parametrize("path", MACHINES)
def test_machines_stand_still_in_breaks(path: str) -> None:
    """From 17:00 to 17:20 in Paris (16:00 to 16:20 UTC) the machine is not executing, and it makes nothing."""
    start, end = 1_795_017_600_000, 1_795_018_800_000  # 2026-11-18T16:00Z, 16:20Z
    model = MACHINES[path][0]
    state = None
    for fact in facts(model, 1, BORN_NS // 10**6):
        if fact.at_ms > end:
            break
        if isinstance(fact, Turn):
            if fact.at_ms > start and state is not None and fact.at_ms < end:
                pytest.fail(f"{fact} inside a break")
            if fact.at_ms <= start:
                state = fact
        if isinstance(fact, Made):
            assert not start < fact.at_ms <= end
    assert state == Turn(start, MachineState.NOT_EXECUTING, "break")


def test_products_change_with_a_setup_between() -> None:
    """Every change of product after birth ends a setup."""
    life = facts(MILL, 3, BORN_NS // 10**6)
    state = None
    changes = 0
    for fact in life:
        if isinstance(fact, Turn) and fact.reason != "break":
            state = fact.state
        if isinstance(fact, Change) and fact.at_ms > BORN_NS // 10**6:
            assert state is MachineState.SETUP
            changes += 1
        if changes == 20:
            break


def test_the_press_has_the_worse_story() -> None:
    """The press loses more than twice as many stops under two minutes as any other machine."""
    counts = {}
    for path in MACHINES:
        turns = [(t, s) for t, m, s in day_of(path) if m == "state"]
        counts[path] = sum(
            1 for (a, s), (b, _) in pairwise(turns) if s == MachineState.NOT_EXECUTING and b - a < 120 * 10**9
        )
    worst = counts.pop(PRESS.path)
    assert worst > 2 * max(counts.values())


def test_a_printer_reports_no_state_that_its_words_cannot_say() -> None:
    """A printer is printing, idle or paused, in error, or heating; nothing else."""
    states = {value for day in range(1, 6) for _, metric, value in day_of(PRINTER.path, day) if metric == "state"}
    assert states == {1, 2, 3, 4}


def test_a_probe_is_answered_or_lost() -> None:
    """Every 5 s the link has exactly one of rtt and rtt_lost, and a worse radio makes slower round trips."""
    events = Timeline(link_events(LINK, 1, BORN_NS)).until(BORN_NS + DAY_NS)
    probes = [(t, m) for t, m, _ in events if m in ("rtt", "rtt_lost")]
    assert [t for t, _ in probes] == list(range(BORN_NS, BORN_NS + DAY_NS, 5 * 10**9))
    lost = sum(m == "rtt_lost" for _, m in probes)
    assert 0 < lost < 0.02 * len(probes)
    sinr, by_radio = 0.0, {True: [0.0], False: [0.0]}
    for _, metric, value in events:
        if metric == "sinr":
            sinr = float(value)
        elif metric == "rtt":
            by_radio[sinr > 19.0].append(float(value))
    mean = {good: sum(values) / (len(values) - 1) for good, values in by_radio.items()}
    assert mean[False] > mean[True] + 0.5


def test_the_link_is_deterministic() -> None:
    """Same seed, same link, however time is cut."""
    whole = Timeline(link_events(LINK, 4, BORN_NS)).until(BORN_NS + HOUR_NS)
    timeline = Timeline(link_events(LINK, 4, BORN_NS))
    cut = [e for n in range(1, 3601) for e in timeline.until(BORN_NS + n * 10**9)]
    assert cut == whole


def test_a_day_is_cheap() -> None:
    """A day of the busiest machine takes well under a second, so that a demo's history does not wait for it."""
    started = time.process_time()
    day_of(PRESS.path)
    assert time.process_time() - started < 1.0

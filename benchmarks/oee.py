"""A machine-year of a million events: our time model, the PyPI package `oee`, and a straightforward pandas version.

500,000 stops with a reason and 500,000 runs with their parts, the same events for all, and the same answer asserted.
`oee.from_log` takes dicts; building them is a row of its own. "in order" and "shuffled" are the same events; "reading
the arrays" is one sum over every column: what cannot be undercut. Then a hundred machines' year by one machine of
10,000 events each, whole and in hourly windows, with and without an executor.
"""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import oee as package
import pandas as pd

from benchmarks import Row
from benchmarks.measure import Cost, cost, in_turn
from pipeline.kpis import signals
from pipeline.kpis.backfill import Job, backfill
from pipeline.kpis.machine import MachineHistory
from pipeline.kpis.oee import Oee
from telemetry.calendar import hours
from telemetry.glossary import MachineState, holds
from telemetry.plant import Asset, Plant
from telemetry.samples import SECOND_NS, Series, Window
from telemetry.words import Words

YEAR = Window(1_767_225_600 * SECOND_NS, (1_767_225_600 + 365 * 86400) * SECOND_NS)
REASONS = ("", "panne", "réglage", "no material", "tool change")
MINUTE_NS = 60 * SECOND_NS
MACHINE = Asset(path="km0/a/m", name="m", cycle_s={"*": 20.0}, stale_after_s=86400.0, micro_stop_s=0.0)


def machine_year(events: int, seed: int) -> dict[str, Any]:
    """Edges of runs and stops in turn over the year, reasons of the stops, parts made and rejected in each run."""
    random = np.random.default_rng(seed)
    edges = np.sort(random.choice(365 * 86400 * 10 - 1, events, replace=False)) * (SECOND_NS // 10) + YEAR.start_ns
    edges[0] = YEAR.start_ns
    length_s = np.diff(np.append(edges, YEAR.end_ns))[::2] / SECOND_NS
    made = np.floor(length_s / 25)
    return {
        "edges": edges, "made": made, "reject": np.minimum(made, random.integers(0, 2, len(made))),
        "reason": random.integers(0, len(REASONS), events // 2),
    }  # fmt: skip


def series_of(year: dict[str, Any]) -> dict[str, Series]:
    """As samples: a state at each edge, a reason at each, and both counters at the end of each run."""
    edges = year["edges"]
    states = np.tile([float(MachineState.EXECUTING), float(MachineState.NOT_EXECUTING)], len(edges) // 2)
    words = np.zeros(len(edges), np.int32)
    words[1::2] = year["reason"]
    good_quality = np.zeros(len(edges), np.int8)
    ends = edges[1::2]
    start = np.array([YEAR.start_ns])

    def counter(parts: Any) -> Series:
        values = np.concatenate(([0.0], np.cumsum(parts)))
        return Series(np.concatenate((start, ends)), values, good_quality[: len(values)], Words.none(len(values)))

    return {
        "state": Series(edges, states, good_quality, Words.none(len(edges))),
        "reason": Series(edges, np.zeros(len(edges)), good_quality, Words(words, REASONS)),
        "parts": counter(year["made"]),
        "parts_good": counter(year["made"] - year["reject"]),
    }


def ours(series: dict[str, Series]) -> Oee:
    """Samples to every time and figure of the year."""

    def read(metric: str, window: Window) -> Series:
        return signals.cut(signals.ordered(series.get(metric, Series.empty())), window, holding=holds(metric))

    zone = Plant(timezone="UTC").zone
    return MachineHistory(MACHINE, None, zone, YEAR, YEAR.end_ns, read, series).over(YEAR)


def dicts(year: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What `oee.from_log` takes."""
    stops = np.diff(np.append(year["edges"], YEAR.end_ns))[1::2] / SECOND_NS
    runs = [
        {"count": made, "reject": reject, "ideal_cycle_time": 20.0}
        for made, reject in zip(year["made"].tolist(), year["reject"].tolist(), strict=True)
    ]
    return runs, [
        {"duration": length, "reason": REASONS[reason]}
        for length, reason in zip(stops.tolist(), year["reason"].tolist(), strict=True)
    ]


def frames(series: dict[str, Series]) -> tuple[pd.DataFrame, pd.DataFrame]:
    state, reason, parts, good = (series[name] for name in ("state", "reason", "parts", "parts_good"))
    return (
        pd.DataFrame({"time": pd.to_datetime(state.times_ns), "state": state.values, "reason": reason.texts}),
        pd.DataFrame({"time": pd.to_datetime(parts.times_ns), "parts": parts.values, "good": good.values}),
    )


def by_pandas(events: pd.DataFrame, counts: pd.DataFrame) -> tuple[float, float, float]:
    """Availability, performance and quality as one would write them, with the time lost to each reason."""
    events = events.sort_values("time")
    counts = counts.sort_values("time")
    ends = events["time"].shift(-1).fillna(pd.Timestamp(YEAR.end_ns))
    events["length"] = (ends - events["time"]).dt.total_seconds()
    lost = events[events["state"] != MachineState.EXECUTING].groupby("reason")["length"].sum()
    required = YEAR.seconds
    running = required - lost.sum()
    made = counts["parts"].diff().clip(lower=0).sum()
    good = counts["good"].diff().clip(lower=0).sum()
    return running / required, made * 20.0 / running, good / made


def shuffled(series: dict[str, Series]) -> dict[str, Series]:
    """As samples arrive from a broker that lost its order."""
    random = np.random.default_rng(1)
    found = {}
    for name, one in series.items():
        order = random.permutation(len(one))
        found[name] = Series(one.times_ns[order], one.values[order], one.quality[order], one.texts[order])
    return found


def run() -> list[Row]:
    return [*_year(), *_hundred()]


def _year(events: int = 1_000_000) -> list[Row]:
    year = machine_year(events, 7)
    series = series_of(year)
    mixed = shuffled(series)
    runs, stops = dicts(year)
    events_frame, counts_frame = frames(series)
    answer = ours(series)
    expected = package.from_log(YEAR.seconds, runs=runs, downtime_events=stops)
    three = (answer.availability.value, answer.performance.value, answer.quality.value)
    np.testing.assert_allclose(three, by_pandas(events_frame.copy(), counts_frame.copy()), rtol=1e-9)
    np.testing.assert_allclose(answer.trs.value, expected.oee, rtol=1e-9)
    assert ours(mixed).trs.value == answer.trs.value

    def with_dicts() -> object:
        runs, stops = dicts(year)
        return package.from_log(YEAR.seconds, runs=runs, downtime_events=stops)

    def reading() -> None:
        for one in series.values():
            one.times_ns.sum()
            one.values.sum()
            one.quality.sum()

    def times(work: Callable[[], object]) -> Callable[[], Cost]:
        def measured() -> float:
            work()
            return float(events)

        return lambda: cost(measured)

    return in_turn(
        {
            "oee.from_log (dicts given)": times(
                lambda: package.from_log(YEAR.seconds, runs=runs, downtime_events=stops)
            ),
            "oee.from_log with its dicts": times(with_dicts),
            "pandas (frames given)": times(lambda: by_pandas(events_frame.copy(), counts_frame.copy())),
            "km0, in order": times(lambda: ours(series)),
            "km0, shuffled": times(lambda: ours(mixed)),
            "reading the arrays": times(reading),
        },
        "events",
        rounds=3,
    )


def _hundred(machines: int = 100, events: int = 10_000) -> list[Row]:
    assets = [MACHINE.model_copy(update={"path": f"km0/a/m{number}"}) for number in range(machines)]
    plant = Plant(timezone="UTC", assets=tuple(assets))
    hourly = tuple(hours(YEAR))
    series = [series_of(machine_year(events, number)) for number in range(machines)]

    def whole() -> float:
        for one in series:
            ours(one)
        return float(machines * events)

    def windows(executor: Any, among: int) -> Callable[[], Cost]:
        jobs = [
            Job(plant, asset, one, hourly, YEAR.end_ns + 10**18)
            for asset, one in zip(assets[:among], series[:among], strict=True)
        ]

        def work() -> float:
            values = sum(found.figures["trs"].shape[1] for found in backfill(jobs, executor))
            assert values == among * len(hourly)
            return float(among * len(hourly))

        return lambda: cost(work)

    rows = in_turn({"100 machines × a year, whole": lambda: cost(whole)}, "events", rounds=3)
    few = 2
    with ThreadPoolExecutor(os.cpu_count()) as threads, ProcessPoolExecutor(os.cpu_count()) as processes:
        rows += in_turn(
            {
                f"{few} machines × a year of hours, here": windows(None, few),
                f"{few} machines × a year of hours, threads": windows(threads, few),
                f"{few} machines × a year of hours, processes": windows(processes, few),
            },
            "windows",
            rounds=1,
        )
    return rows

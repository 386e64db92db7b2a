"""Machine-years of a million events: our time model, the PyPI package `oee`, and pandas, plain and with care.

Stops with a reason and runs with their parts in turn, the same events for all, and the same answer asserted. Each is
given what it reads: `oee.from_log` dicts (building them is a row of its own), plain pandas a frame with words that it
sorts, careful pandas one whose words are categories and that is sorted only if it must be, ours series whose words are
numbers (encoding them is a row of its own). "shuffled" are the same events in another order; "reading the arrays" is
one sum over every column: what cannot be undercut. Then the same million events of a hundred machines; and a hundred
machines' year in hourly windows, all figures of the catalogue, with and without an executor.
"""

import os
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import oee as package
import pandas as pd

from benchmarks import Row
from benchmarks.measure import Cost, cost, in_turn
from pipeline.kpis.backfill import Job, backfill, compute
from pipeline.kpis.machine import MachineHistory
from pipeline.kpis.oee import Oee
from telemetry.calendar import hours
from telemetry.glossary import MachineState
from telemetry.plant import Asset, Plant
from telemetry.samples import SECOND_NS, Series, Window
from telemetry.words import Words

YEAR = Window(1_767_225_600 * SECOND_NS, (1_767_225_600 + 365 * 86400) * SECOND_NS)
REASONS = ("", "panne", "réglage", "no material", "tool change")
MINUTE_NS = 60 * SECOND_NS
ZONE = Plant(timezone="UTC").zone
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

    def read(metric: str, _: Window) -> Series:
        return series.get(metric, Series.empty())

    return MachineHistory(MACHINE, None, ZONE, YEAR, YEAR.end_ns, read, series).over(YEAR)


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


def categorical(frames: tuple[pd.DataFrame, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As careful pandas reads them."""
    events, counts = frames
    return events.assign(reason=events["reason"].astype("category")), counts


def by_careful_pandas(events: pd.DataFrame, counts: pd.DataFrame) -> tuple[float, float, float]:
    """The same with what pandas is best at: no sort of what is sorted, categories, columns as arrays."""
    if not events["time"].is_monotonic_increasing:
        events = events.sort_values("time")
    if not counts["time"].is_monotonic_increasing:
        counts = counts.sort_values("time")
    lengths = np.diff(events["time"].to_numpy().view(np.int64), append=YEAR.end_ns)
    stopped = events["state"].to_numpy() != MachineState.EXECUTING
    lost = pd.Series(lengths[stopped]).groupby(events["reason"].array[stopped], observed=True).sum()
    running = YEAR.seconds - lost.sum() / SECOND_NS
    made, good = (np.diff(counts[name].to_numpy()).clip(min=0).sum() for name in ("parts", "good"))
    return running / YEAR.seconds, made * 20.0 / running, good / made


def encoded(series: dict[str, Series]) -> dict[str, Series]:
    """As a store or file that knows no numbers for words gives them."""
    return {name: Series(one.times_ns, one.values, one.quality, one.texts) for name, one in series.items()}


def shuffled(series: dict[str, Series]) -> dict[str, Series]:
    """As samples arrive from a broker that lost its order."""
    random = np.random.default_rng(1)
    found = {}
    for name, one in series.items():
        order = random.permutation(len(one))
        found[name] = one.take(order)
    return found


def run() -> list[Row]:
    return [*_year(), *_hundred(), *_hours()]


def _year(events: int = 1_000_000) -> list[Row]:
    year = machine_year(events, 7)
    series = series_of(year)
    mixed = shuffled(series)
    runs, stops = dicts(year)
    plain = frames(series)
    careful = categorical(plain)
    spelt = encoded(series)
    answer = ours(series)
    expected = package.from_log(YEAR.seconds, runs=runs, downtime_events=stops)
    three = (answer.availability.value, answer.performance.value, answer.quality.value)
    np.testing.assert_allclose(three, by_pandas(*(one.copy() for one in plain)), rtol=1e-9)
    np.testing.assert_allclose(three, by_careful_pandas(*careful), rtol=1e-9)
    np.testing.assert_allclose(answer.trs.value, expected.oee, rtol=1e-9)
    assert ours(mixed).trs.value == answer.trs.value

    def with_dicts() -> object:
        runs, stops = dicts(year)
        return package.from_log(YEAR.seconds, runs=runs, downtime_events=stops)

    def with_words() -> object:
        return ours({name: Series(one.times_ns, one.values, one.quality, one.texts) for name, one in spelt.items()})

    return in_turn(
        {
            "oee.from_log (dicts given)": _timed(
                events, lambda: package.from_log(YEAR.seconds, runs=runs, downtime_events=stops)
            ),
            "oee.from_log with its dicts": _timed(events, with_dicts),
            "pandas, plain (frames given)": _timed(events, lambda: by_pandas(*(one.copy() for one in plain))),
            "pandas, careful (frames given)": _timed(events, lambda: by_careful_pandas(*careful)),
            "km0, in order": _timed(events, lambda: ours(series)),
            "km0, words as text": _timed(events, with_words),
            "km0, shuffled": _timed(events, lambda: ours(mixed)),
            "reading the arrays": _timed(events, lambda: _reading(series)),
        },
        "events",
        rounds=3,
    )


def _timed(units: int, work: Callable[[], object]) -> Callable[[], Cost]:
    def measured() -> float:
        work()
        return float(units)

    return lambda: cost(measured)


def _reading(series: dict[str, Series]) -> None:
    for one in series.values():
        one.times_ns.sum()
        one.values.sum()
        one.quality.sum()
        one.words.codes.sum()


def _hundred(machines: int = 100, events: int = 10_000) -> list[Row]:
    years = [machine_year(events, number) for number in range(machines)]
    series = [series_of(year) for year in years]
    logs = [dicts(year) for year in years]
    framed = [categorical(frames(one)) for one in series]

    def by_package() -> list[float]:
        return [package.from_log(YEAR.seconds, runs=runs, downtime_events=stops).oee for runs, stops in logs]

    expected = [float(np.prod(by_careful_pandas(*one))) for one in framed]
    np.testing.assert_allclose([ours(one).trs.value for one in series], expected, rtol=1e-9)
    np.testing.assert_allclose(by_package(), expected, rtol=1e-9)
    return in_turn(
        {
            "100 machines: oee.from_log (dicts given)": _timed(machines * events, by_package),
            "100 machines: pandas, careful": _timed(
                machines * events, lambda: [by_careful_pandas(*one) for one in framed]
            ),
            "100 machines: km0": _timed(machines * events, lambda: [ours(one) for one in series]),
        },
        "events",
        rounds=3,
    )


def _hours(machines: int = 100, events: int = 10_000) -> list[Row]:
    """Every figure of every hour of a year of a hundred machines."""
    from distributed import Client  # an extra: only who spreads a backfill over machines needs it

    assets = [MACHINE.model_copy(update={"path": f"km0/a/m{number}"}) for number in range(machines)]
    plant = Plant(timezone="UTC", assets=tuple(assets))
    hourly = tuple(hours(YEAR))
    jobs = [
        Job(plant, asset, series_of(machine_year(events, number)), hourly, YEAR.end_ns + 10**18)
        for number, asset in enumerate(assets)
    ]
    answer = [float(compute(job).figures["do"][1].sum()) for job in jobs[:3]]
    for job, running in zip(jobs, answer, strict=False):
        np.testing.assert_allclose(running, ours(dict(job.series)).running, rtol=1e-9)

    def spread(executor: Executor | None) -> Callable[[], Cost]:
        def work() -> object:
            found = [one.figures["do"][1].sum() for one in backfill(jobs, executor)]
            np.testing.assert_allclose(found[: len(answer)], answer, rtol=1e-12)
            return found

        return _timed(machines * len(hourly), work)

    def rows() -> object:
        return [len(one.values()) for one in backfill(jobs[:2])]

    workers = os.cpu_count()
    with (
        ThreadPoolExecutor(workers) as threads,
        ProcessPoolExecutor(workers) as processes,
        Client(n_workers=workers, threads_per_worker=1, dashboard_address=None) as dask,  # type: ignore[no-untyped-call]
    ):
        return in_turn(
            {
                "100 machines × a year of hours: here": spread(None),
                "… threads": spread(threads),
                "… processes": spread(processes),
                "… distributed": spread(dask.get_executor()),
                "… 2 machines, as rows for a store": _timed(2 * len(hourly), rows),
            },
            "windows",
            rounds=1,
        )

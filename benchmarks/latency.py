"""Figures of ten million packets: time and memory of each, beside numpy's own percentile and HdrHistogram.

HdrHistogram's Python binding takes one value a call: once, and whole microseconds with three digits, as is usual.
"""

import time
import tracemalloc
from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any, Final

import numpy as np
from hdrh.histogram import HdrHistogram

from benchmarks import Row
from pipeline.kpis import latency
from pipeline.kpis.histogram import Histogram
from pipeline.kpis.service import service

PACKETS: Final = 10_000_000
ROUNDS: Final = 3
QUANTILES: Final = (0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999)


def run() -> list[Row]:
    """A row per figure: median seconds of three rounds taken in turn, and the most memory it took beside its input."""
    random = np.random.default_rng(1)
    delay = random.lognormal(2.5, 0.7, PACKETS)
    delay[random.random(PACKETS) < 0.001] = np.nan
    sent = np.arange(PACKETS, dtype=np.int64) * 10_000_000
    arrived = ~np.isnan(delay)
    known, known_sent = delay[arrived], sent[arrived]
    hours = [Histogram.of(part) for part in np.array_split(delay, 168)]
    week = Histogram.of(delay)
    figures: dict[str, Callable[[], Any]] = {
        "numpy.percentile, 7 at once": lambda: np.percentile(known, [100 * q for q in QUANTILES]),
        "latency.percentile, one (p99.9)": lambda: latency.percentile(known, 0.999),
        "latency.percentile, 7": lambda: [latency.percentile(known, q) for q in QUANTILES],
        "Histogram.of": lambda: Histogram.of(delay),
        "7 percentiles of a histogram": lambda: [week.percentile(q) for q in QUANTILES],
        "a week's histogram from 168 hours": lambda: reduce(add, hours),
        "RFC 3550 jitter": lambda: latency.jitter_rfc3550(known_sent, known),
        "IPDV and PDV": lambda: (latency.ipdv(delay), latency.pdv(delay)),
        "loss pattern": lambda: latency.loss_pattern(~arrived),
        "service availability": lambda: service(sent, delay, 60.0, 20.0),
    }
    seconds: dict[str, list[float]] = {name: [] for name in figures}
    for _ in range(ROUNDS):
        for name, work in figures.items():
            started = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - started)
    rows: list[Row] = []
    for name, work in figures.items():
        tracemalloc.start()
        work()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        rows.append(
            {
                "what": name,
                "packets": PACKETS,
                "s": round(sorted(seconds[name])[ROUNDS // 2], 4),
                "peak MB": round(peak / 1e6, 1),
            }
        )
    rows += _hdr(known)
    worst = max(abs(week.percentile(q) / latency.percentile(known, q) - 1) for q in QUANTILES)
    rows.append({"what": "largest error of a histogram's percentile", "packets": PACKETS, "s": f"{worst:.2%}"})
    return rows


def _hdr(delay_ms: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> list[Row]:
    """What HdrHistogram takes to record the same delays and to answer the same seven percentiles, and its error."""
    whole_us = np.rint(delay_ms * 1000).astype(np.int64).tolist()
    started = time.perf_counter()
    histogram = HdrHistogram(1, 60_000_000, 3)
    for value in whole_us:
        histogram.record_value(value)
    recorded = time.perf_counter()
    found = [histogram.get_value_at_percentile(100 * q) for q in QUANTILES]
    answered = time.perf_counter()
    worst = max(abs(ms / 1000 / latency.percentile(delay_ms, q) - 1) for ms, q in zip(found, QUANTILES, strict=True))
    return [
        {"what": "HdrHistogram, recording", "packets": len(whole_us), "s": round(recorded - started, 4)},
        {"what": "HdrHistogram, 7 percentiles", "packets": len(whole_us), "s": round(answered - recorded, 4)},
        {"what": "largest error of HdrHistogram's percentile", "packets": len(whole_us), "s": f"{worst:.2%}"},
    ]

"""/api/v1/links: a network link over any stretch, from figures that add up; only radio is joined packet by packet."""

import asyncio
import math
from collections.abc import Sequence
from functools import reduce
from http import HTTPStatus
from operator import add as plus
from typing import Annotated, Final, Literal

import numpy as np
from fastapi import APIRouter, Query
from pydantic import Field

from dashboards.web import problems
from dashboards.web.context import WebContext
from dashboards.web.figures import known
from dashboards.web.models import Model
from dashboards.web.queries import Interval
from dashboards.web.times import Instant
from pipeline.kpis import radio
from pipeline.kpis.histogram import Histogram
from pipeline.kpis.latency import packets
from pipeline.kpis.link_hours import AVAILABILITY, FAILURES, PERIODS
from pipeline.kpis.link_rows import DOWN, HISTOGRAM, UP
from pipeline.kpis.service import Periods, decide
from pipeline.kpis.use_cases import USE_CASES
from telemetry.plant import AssetPath
from telemetry.protocols import Store
from telemetry.samples import KpiValue, Window

HOUR_NS: Final = 3600 * 10**9
LONGEST_JOIN_NS: Final = 6 * HOUR_NS
"""Packets are joined with radio figures over no more than this [ns]: the end of what was asked for."""

QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99_9": 0.999, "p99_99": 0.9999, "p99_999": 0.99999}
LINK: Final = "km0/network/5g/link-1"


Way = Literal["round-trip", "up", "down"]
HISTOGRAMS: Final[dict[Way, str]] = {"round-trip": HISTOGRAM, "up": UP, "down": DOWN}


class LinkQuery(Interval):
    asset: AssetPath = Field(examples=[LINK])


class LatencyQuery(LinkQuery):
    way: Way = Field("round-trip", description='"up": away from us; "down": towards us')


class Bucket(Model):
    ms: float = Field(description="middle of the bucket; any delay in it is within 0.4 %")
    packets: int


class LinkLatency(Model):
    """Delays over whole hours, added up from stored histograms: a week is not read back packet by packet."""

    asset: str
    way: Way
    start: Instant = Field(description="start of the first hour")
    end: Instant
    hours: int = Field(description="hours that have a histogram")
    answered: int
    lost: int
    min_ms: float | None
    mean_ms: float | None
    max_ms: float | None
    percentiles_ms: dict[str, float | None] = Field(
        description="lost packets are infinitely late; null: too few packets, or too many of them lost"
    )
    clock_error_ms: float | None = Field(
        description="of one way: the figures are ± this, the largest error of both clocks in these hours"
    )
    buckets: list[Bucket]


class LinkService(Model):
    """Whether the link carries its use case of 3GPP TS 22.104, by what its hours add up to."""

    asset: str
    start: Instant
    end: Instant
    use_case: str = Field(examples=["mobile-robots"])
    name: str
    name_fr: str
    verified: bool = Field(description="the figures of the use case were read in the standard itself")
    asked_availability: float
    latency_ms: float
    survival_ms: float | None
    verdict: Literal["met", "not met", "not shown yet"]
    reason: str
    unavailability_bound: float = Field(description="Clopper and Pearson, 95 %: an upper bound; a lower one if not met")
    hours_to_go: float | None = Field(description="so much longer without a failure; null: time alone will not do")
    availability: float | None
    observed_s: float
    failures: int
    mtbf_s: float | None = Field(description="null without a failure")


class Circumstance(Model):
    """The packets that were sent in one cell, or at one level of signal."""

    name: str = Field(description='"": not known at that time')
    packets: int
    loss_ratio: float
    p50_ms: float | None
    p99_ms: float | None


class Slow(Model):
    """A packet that was slow, and the radio as it was when it was sent."""

    time: Instant
    rtt_ms: float
    cell: str | None
    rsrp_dbm: float | None
    sinr_db: float | None


class LinkRadio(Model):
    """Which cell, which signal level, when it got slow."""

    asset: str
    start: Instant = Field(description="later than asked for when that was more than 6 h before the end")
    end: Instant
    by_cell: list[Circumstance] = Field(description="the slowest p99 first")
    by_handover: list[Circumstance] = Field(description='"handover": sent within 5 s of a change of cell; "steady"')
    by_rsrp: list[Circumstance]
    by_sinr: list[Circumstance]
    slowest: list[Slow] = Field(description="the ten slowest packets, the slowest first")


def add(api: APIRouter, context: WebContext) -> None:
    """The routes of links."""

    @api.get("/links/latency", tags=["links"])
    async def link_latency(query: Annotated[LatencyQuery, Query()]) -> LinkLatency:
        """Percentiles and histogram of a link over any number of hours: of round trips, or of one way."""
        window = _window(context, query, "hour")
        return await asyncio.to_thread(latency_over, context.store, query.asset, window, query.way)

    @api.get("/links/service", tags=["links"])
    async def link_service(query: Annotated[LinkQuery, Query()]) -> LinkService:
        """Met, not met, or not shown yet; with the bound that says so and the hours to go."""
        window = _window(context, query, "hour")
        if context.plant.asset(query.asset).use_case not in USE_CASES:
            raise problems.ProblemError(
                HTTPStatus.NOT_FOUND,
                "no-use-case",
                f"The link {query.asset!r} has no use_case to be judged by: set one in [[plant.assets]].",
            )
        return await asyncio.to_thread(service_over, context, query.asset, window)

    @api.get("/links/radio", tags=["links"])
    async def link_radio(query: Annotated[LinkQuery, Query()]) -> LinkRadio:
        """Packets by serving cell and signal level, and the slowest with the radio of their instant."""
        asked = _window(context, query, "interval")
        window = Window(max(asked.start_ns, asked.end_ns - LONGEST_JOIN_NS), asked.end_ns)
        return await asyncio.to_thread(radio_over, context.store, query.asset, window)


def _window(context: WebContext, query: LinkQuery, kind: str) -> Window:
    if query.asset not in context.plant or context.plant.asset(query.asset).kind != "link":
        raise problems.unknown("link", query.asset, "/api/v1/assets")
    return query.window(context.now_ns(), kind)


def _bounds(values: list[KpiValue], window: Window) -> tuple[int, int]:
    return (values[0].start_ns, values[-1].end_ns) if values else (window.start_ns, window.end_ns)


def latency_over(store: Store, asset: str, window: Window, way: Way = "round-trip") -> LinkLatency:
    """The delays of a link over the hours of a window."""
    hours = [value for value in store.read_kpis(asset, HISTOGRAMS[way], window) if value.detail]
    start, end = _bounds(hours, window)
    whole = store.read_kpis(asset, HISTOGRAMS[way], Window(start, end, "day"))
    found = reduce(plus, (Histogram.decode(value.detail) for value in _fewest(hours, whole)), Histogram.of([]))
    errors = [] if way == "round-trip" else [value.value for value in store.read_kpis(asset, "clock_error", window)]
    return LinkLatency(
        asset=asset, way=way, start=start, end=end, hours=len(hours), answered=found.size, lost=found.lost,
        clock_error_ms=max(filter(math.isfinite, errors), default=None),
        min_ms=known(found.minimum), mean_ms=known(found.mean), max_ms=known(found.maximum),
        percentiles_ms={name: known(found.percentile(q, with_lost=True)) for name, q in QUANTILES.items()},
        buckets=[Bucket(ms=ms, packets=count) for ms, count in found.buckets()],
    )  # fmt: skip


def _fewest(hours: Sequence[KpiValue], days: Sequence[KpiValue]) -> list[KpiValue]:
    """The same packets from fewer histograms: a day that is over, and all of it asked for, stands for its hours.

    Only where its hours lie inside it: they do not in zones whose days begin at half past.
    """
    if not hours:  # of a day, although it has none: its hours have been swept away, or are written later
        return []
    chosen: list[KpiValue] = []
    at = 0
    for day in days:
        before = at
        while at < len(hours) and hours[at].end_ns <= day.start_ns:
            at += 1
        first = at
        while at < len(hours) and hours[at].start_ns < day.end_ns:
            at += 1
        own = hours[first:at]
        chosen += hours[before:first]
        inside = bool(own) and day.start_ns <= own[0].start_ns and own[-1].end_ns <= day.end_ns
        asked = hours[0].start_ns <= day.start_ns and day.end_ns <= hours[-1].end_ns
        chosen += [day] if day.final and day.detail and inside and asked else own
    return [*chosen, *hours[at:]]


def service_over(context: WebContext, asset: str, window: Window) -> LinkService:
    """Whether a link that has a use case carried it over the hours of a window."""
    case = USE_CASES[context.plant.asset(asset).use_case or ""]
    read = context.store.read_many_kpis([asset], (PERIODS, AVAILABILITY, FAILURES), window)

    def total(kpi: str) -> tuple[list[KpiValue], float, float]:
        values = [value for value in read[asset, kpi] if value.coverage > 0]
        return values, math.fsum(value.numerator for value in values), math.fsum(value.denominator for value in values)

    _, failed, trials = total(PERIODS)
    values, up_s, observed_s = total(AVAILABILITY)
    _, failures, _ = total(FAILURES)
    start, end = _bounds(values, window)
    sent = sum(value.samples for value in values)
    usual_ms = 1000 * observed_s / sent if sent else math.inf
    decided = decide(case, Periods(observed_s, int(trials), int(failed), usual_ms))
    return LinkService(
        asset=asset, start=start, end=end, use_case=case.key, name=case.name, name_fr=case.name_fr,
        verified=case.verified, asked_availability=case.availability, latency_ms=case.latency_ms,
        survival_ms=case.survival_ms, verdict=decided.verdict.value, reason=decided.reason,
        unavailability_bound=decided.unavailability, hours_to_go=known(decided.hours_more),
        availability=up_s / observed_s if observed_s else None, observed_s=observed_s, failures=int(failures),
        mtbf_s=up_s / failures if failures else None,
    )  # fmt: skip


def radio_over(store: Store, asset: str, window: Window) -> LinkRadio:
    """The packets of a window, which is at most LONGEST_JOIN_NS long, by the radio of their instant."""
    times, delay = packets(store.read(asset, "rtt", window), store.read(asset, "rtt_lost", window))
    cell = store.read(asset, "cell", window)
    before = Window(max(0, window.start_ns - radio.LONGEST_NS), window.end_ns)
    rsrp, sinr = store.read(asset, "rsrp", before), store.read(asset, "sinr", before)
    answered = np.flatnonzero(~np.isnan(delay))
    slowest = answered[np.argsort(-delay[answered], kind="stable")[:10]]
    at = times[slowest]
    cells = radio.in_force(at, cell)
    levels, ratios = (radio.in_force(at, signal, radio.LONGEST_NS) for signal in (rsrp, sinr))
    return LinkRadio(
        asset=asset,
        start=window.start_ns,
        end=window.end_ns,
        by_cell=[_circumstance(group) for group in radio.by_cell(times, delay, cell)],
        by_handover=[_circumstance(group) for group in radio.by_handover(times, delay, cell)],
        by_rsrp=[_circumstance(group) for group in radio.by_band(times, delay, rsrp, "rsrp")],
        by_sinr=[_circumstance(group) for group in radio.by_band(times, delay, sinr, "sinr")],
        slowest=[
            Slow(
                time=int(times[n]),
                rtt_ms=float(delay[n]),
                cell=str(cell.texts[cells[row]]) if cells[row] >= 0 else None,
                rsrp_dbm=float(rsrp.values[levels[row]]) if levels[row] >= 0 else None,
                sinr_db=float(sinr.values[ratios[row]]) if ratios[row] >= 0 else None,
            )
            for row, n in enumerate(slowest)
        ],
    )


def _circumstance(group: radio.Group) -> Circumstance:
    return Circumstance(
        name=group.name, packets=group.packets, loss_ratio=group.loss_ratio,
        p50_ms=known(group.p50_ms), p99_ms=known(group.p99_ms),
    )  # fmt: skip

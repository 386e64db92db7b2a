"""/api/v1/losses, /rollup, /orders: where required time of a machine, line, cell or site went, always by sums."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from dashboards.web import problems
from dashboards.web.context import WebContext
from dashboards.web.figures import Catalogue, known
from dashboards.web.models import PATH, FiguresOut, Model
from dashboards.web.queries import FiguresQuery, Interval, following
from dashboards.web.times import Instant
from pipeline.kpis import iso22400, rollup
from pipeline.kpis.account import Account, OrderAccount, account, order_accounts
from pipeline.kpis.losses import Bar, By, six_big_losses
from pipeline.kpis.oee import Oee
from telemetry.plant import AssetPath
from telemetry.samples import Ratio, Window

DAY_NS: Final = 24 * 3600 * 10**9
LONGEST_NS: Final = 35 * DAY_NS
"""Losses are counted on samples, so over no more than this [ns]."""

MOST_BARS: Final = 200
BY: Final[tuple[By, ...]] = ("category", "reason", "machine", "product")

PathOf = Annotated[AssetPath | Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)], Field()]
"""A machine, or what is above it: a line, cell, area or site, whose name alone is a path too."""


class PathQuery(Interval):
    path: PathOf = Field(examples=["km0/fabrication", PATH], description="a machine, or a line, cell, area or site")


class OrdersQuery(PathQuery):
    limit: int = Field(200, ge=1, le=1000, description="most orders in one answer")
    skip: int = Field(0, ge=0, le=1_000_000, description="orders of the interval that were told before")


class RollupQuery(FiguresQuery):
    asset: PathOf = Field(alias="path", examples=["km0/fabrication"])


class Share(Model):
    """A ratio of sums."""

    value: float | None
    numerator: float
    denominator: float
    coverage: float = Field(description="share [0…1] of required time whose input is known")


class Times(Model):
    """The times of NF E60-182 [s], of all machines together. Figures speak of the part that is known."""

    total: float = Field(description="tT")
    opening: float = Field(description="tO")
    required: float = Field(description="tR")
    running: float = Field(description="tF")
    net: float = Field(description="tN")
    useful: float = Field(description="tU")
    unknown: float = Field(description="part of tR whose state nobody knows: neither running nor stopped")


class Factors(Model):
    trs: Share
    do: Share
    tp: Share
    tq: Share
    trg: Share
    tre: Share


class MachineFigures(Factors):
    asset: str = Field(examples=[PATH])
    name: str
    required_s: float


class LossBar(Model):
    """One bar of a Pareto chart."""

    name: str = Field(description='category, reason, machine or product; "" where none was told')
    seconds: float = Field(description="lost required time; negative: faster than the reference cycle")
    share: float | None
    cumulative: float | None = Field(description="share of this bar and all before it")
    times: int = Field(description="stops that began, or rejected parts")
    cost: float | None = Field(description="€; null where an hourly_cost is missing")


class PointOfTrs(Model):
    """What one point of TRS (0.01) is worth over the interval, on every machine."""

    seconds: float
    parts: float | None
    cost: float | None = Field(description="€; null where an hourly_cost is missing")


class SixLosses(Model):
    """Nakajima's six big losses [s]; start-up losses are among the defects."""

    failures: float
    setup_and_adjustment: float
    minor_stops: float
    reduced_speed: float
    defects: float
    availability: float | None
    performance: float | None


class LossesOut(Factors):
    """The losses add up to tR − tU where everything is known."""

    path: str
    start: Instant
    end: Instant
    times: Times
    by_category: list[LossBar] = Field(
        description="the largest first; stops by the codes of NF E60-182, speed, rejects"
    )
    by_reason: list[LossBar]
    by_machine: list[LossBar]
    by_product: list[LossBar]
    truncated: bool = Field(description=f"a list had more than {MOST_BARS} bars")
    cost: float | None = Field(description="of all losses [€]; null where an hourly_cost is missing")
    point_of_trs: PointOfTrs
    six_big_losses: SixLosses
    machines: list[MachineFigures]
    findings: list[str] = Field(description="what is wrong with the inputs, such as a reference cycle that is too slow")


class OrderOut(Factors):
    """A production order, from the sample that names it to the one that names another."""

    order: str
    start: Instant
    end: Instant
    open: bool = Field(description="not ended yet: its part so far")
    parts: float | None
    parts_good: float | None
    throughput_per_h: float | None = Field(description="ISO 22400-2 throughput rate PQ/AOET [part/h]")
    production_process_ratio: float | None = Field(description="ISO 22400-2 APT/AOET")
    findings: list[str]


class OrdersOut(Model):
    """In time order; `next` continues."""

    asset: str
    orders: list[OrderOut]
    truncated: bool
    next: str | None


def add(api: APIRouter, context: WebContext, catalogue: Catalogue) -> None:
    """The routes of losses and roll-ups."""

    @api.get("/losses", tags=["losses"])
    async def losses(query: Annotated[PathQuery, Query()]) -> LossesOut:
        """Pareto of losses, their cost, and what one point of TRS is worth, over any interval up to 35 days."""
        _known_path(context, query.path)
        window = _bounded(query, context)
        found = await asyncio.to_thread(account, context.store, context.plant, query.path, window, context.now_ns())
        return _losses(context, found)

    @api.get("/rollup", tags=["losses"])
    async def rolled_up(query: Annotated[RollupQuery, Query()]) -> FiguresOut:
        """Stored values of a KPI of every machine of a line, cell or site, added window by window."""
        _known_path(context, query.asset)
        if query.kpi not in catalogue:
            raise problems.unknown("kpi", query.kpi, "/api/v1/kpis")
        window = query.window(context.now_ns(), query.kind or "interval")
        found = await asyncio.to_thread(rollup.stored, context.store, context.plant, query.asset, query.kpi, window)
        cut = query.limit
        while 0 < cut < len(found) and found[cut].start_ns == found[cut - 1].start_ns:
            cut -= 1
        cut = cut or query.limit
        more = {"from": found[cut].start_ns, "to": window.end_ns} if len(found) > cut else None
        return FiguresOut(
            asset=query.asset,
            kpi=query.kpi,
            values=[catalogue.figure(value) for value in found[:cut]],
            truncated=more is not None,
            next=following("/api/v1/rollup", query, **more) if more else None,
        )

    @api.get("/orders", tags=["losses"])
    async def orders(query: Annotated[OrdersQuery, Query()]) -> OrdersOut:
        """The production orders of a machine, each with its figures, over any interval up to 35 days."""
        if query.path not in context.plant or context.plant.asset(query.path).kind != "machine":
            raise problems.unknown("machine", query.path, "/api/v1/assets")
        window = _bounded(query, context)
        asset = context.plant.asset(query.path)
        now_ns = context.now_ns()
        found = await asyncio.to_thread(order_accounts, context.store, context.plant, asset, window, now_ns)
        end = query.skip + query.limit
        more = len(found) > end
        told = {"from": window.start_ns, "to": window.end_ns, "skip": end}
        return OrdersOut(
            asset=query.path,
            orders=[_order(one) for one in found[query.skip : end]],
            truncated=more,
            next=following("/api/v1/orders", query, **told) if more else None,
        )


def _bounded(query: Interval, context: WebContext) -> Window:
    window = query.window(context.now_ns())
    if window.end_ns - window.start_ns > LONGEST_NS:
        raise problems.ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "interval-too-long",
            f"{(window.end_ns - window.start_ns) / DAY_NS:.0f} days is too long: ask for at most "
            f"{LONGEST_NS // DAY_NS} at a time, or for stored weeks and months at /api/v1/rollup.",
        )
    return window


def _known_path(context: WebContext, path: str) -> None:
    if not rollup.members(context.plant, path):
        raise problems.unknown("machine at or below", path, "/api/v1/assets")


def _losses(context: WebContext, found: Account) -> LossesOut:
    bars = {by: found.pareto(by) for by in BY}
    six = six_big_losses(found.oee)
    return LossesOut(
        path=found.path, start=found.window.start_ns, end=found.window.end_ns, times=_times(found.oee),
        truncated=any(len(one) > MOST_BARS for one in bars.values()),
        cost=known(sum(loss.cost for loss in found.losses)),
        point_of_trs=PointOfTrs(
            seconds=found.point.time, parts=known(found.point.parts), cost=known(found.point.cost)
        ),
        six_big_losses=SixLosses(
            failures=six.failures, setup_and_adjustment=six.setup_and_adjustment, minor_stops=six.minor_stops,
            reduced_speed=six.reduced_speed, defects=six.defects, availability=known(six.availability),
            performance=known(six.performance),
        ),
        machines=[
            MachineFigures(
                asset=path, name=context.plant.asset(path).name, required_s=oee.required, **_factors(oee)
            )
            for path, oee in found.machines.items()
        ],
        findings=list(map(str, found.oee.findings)),
        **{f"by_{by}": [_bar(bar) for bar in one[:MOST_BARS]] for by, one in bars.items()},
        **_factors(found.oee),
    )  # fmt: skip


def _times(oee: Oee) -> Times:
    return Times(
        total=oee.total, opening=oee.opening, required=oee.required, running=oee.running, net=oee.net,
        useful=oee.useful, unknown=oee.unknown,
    )  # fmt: skip


def _factors(oee: Oee) -> dict[str, Any]:
    figures: dict[Literal["trs", "do", "tp", "tq", "trg", "tre"], Ratio] = {
        "trs": oee.trs, "do": oee.availability, "tp": oee.performance, "tq": oee.quality, "trg": oee.trg,
        "tre": oee.tre,
    }  # fmt: skip
    return {
        name: Share(value=known(one.value), numerator=one.numerator, denominator=one.denominator, coverage=one.coverage)
        for name, one in figures.items()
    }


def _bar(bar: Bar) -> LossBar:
    return LossBar(
        name=bar.name, seconds=bar.seconds, share=known(bar.share), cumulative=known(bar.cumulative), times=bar.times,
        cost=known(bar.cost),
    )  # fmt: skip


def _order(one: OrderAccount) -> OrderOut:
    oee = one.oee
    return OrderOut(
        order=one.name, start=one.window.start_ns, end=one.window.end_ns, open=one.open,
        parts=oee.made_all if oee.made_coverage else None, parts_good=oee.good_all if oee.good_coverage else None,
        throughput_per_h=known(iso22400.throughput_rate(oee).value * 3600),
        production_process_ratio=known(iso22400.production_process_ratio(oee).value),
        findings=list(map(str, oee.findings)), **_factors(oee),
    )  # fmt: skip

"""/api/v1: what programs read. Nothing here writes; every answer is bounded and says when there is more."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query

from dashboards.web import bounded, downloads, figures, letters, links, losses, plant, problems
from dashboards.web.accounts import api as asking
from dashboards.web.accounts.identity import Told
from dashboards.web.context import WebContext
from dashboards.web.models import (
    AssetDetail,
    AssetOut,
    ComponentOut,
    FiguresOut,
    HealthOut,
    KpiOut,
    MetricOut,
    PlantNow,
    SampleOut,
    SamplesOut,
    SeriesOut,
)
from dashboards.web.now import PlantReader
from dashboards.web.queries import AssetsQuery, FiguresQuery, SamplesQuery, following
from telemetry.glossary import METRICS, Metric
from telemetry.health import Condition
from telemetry.plant import Asset
from telemetry.samples import Sample, Window


def router(context: WebContext, reader: PlantReader, told: Told) -> APIRouter:
    """The routes, over what the app was given; who takes files away is `told`."""
    api = APIRouter(prefix="/api/v1", responses=problems.RESPONSES)
    catalogue = figures.Catalogue(context.catalogue)
    _describe(api, context, catalogue)
    _values(api, context, catalogue)
    _health(api, context)
    letters.add(api, context)
    asking.add(api)
    plant.add(api, context)
    downloads.add(api, context, catalogue, told)
    links.add(api, context)
    losses.add(api, context, catalogue)

    @api.get("/plant/now", tags=["plant"])
    async def plant_now() -> PlantNow:
        """Every machine and link as it is now: the snapshot that the page shows and `events` streams."""
        return await asyncio.to_thread(reader.now)

    return api


def _describe(api: APIRouter, context: WebContext, catalogue: figures.Catalogue) -> None:
    @api.get("/assets", tags=["plant"])
    async def assets(query: Annotated[AssetsQuery, Query()]) -> list[AssetOut]:
        """Every asset of the plant file, or those of one kind."""
        return [AssetOut(**_asset(one)) for one in context.plant.assets if query.kind in (None, one.kind)]

    @api.get("/assets/{path:path}", tags=["plant"])
    async def one_asset(path: Annotated[str, Path(max_length=200)]) -> AssetDetail:
        """One asset, with the series the store holds of it."""
        asset = _known_asset(context, path)
        held = await asyncio.to_thread(context.store.inventory)
        series = [
            SeriesOut(
                metric=info.metric,
                unit=METRICS[info.metric].unit if info.metric in METRICS else "",
                samples=info.samples,
                first=info.first_ns,
                last=info.last_ns,
            )
            for info in held
            if info.asset == path
        ]
        return AssetDetail(**_asset(asset), series=series)

    @api.get("/metrics", tags=["plant"])
    async def metrics() -> list[MetricOut]:
        """The glossary: every metric with its unit and meaning."""
        return [
            MetricOut(
                name=metric.name,
                unit=metric.unit,
                kind=metric.kind,
                holds=metric.holds,
                meaning=metric.meaning,
                meaning_fr=metric.meaning_fr,
            )
            for metric in METRICS.values()
        ]

    @api.get("/kpis", tags=["plant"])
    async def kpis() -> list[KpiOut]:
        """The KPI catalogue: every figure with its unit and the standard it follows."""
        return [
            KpiOut(
                name=row.name,
                unit=row.unit,
                reference=row.reference,
                meaning=row.meaning,
                name_fr=row.name_fr,
                meaning_fr=row.meaning_fr,
                reference_fr=row.reference_fr,
            )
            for row in catalogue
        ]


def _values(api: APIRouter, context: WebContext, catalogue: figures.Catalogue) -> None:
    @api.get("/samples", tags=["values"])
    async def samples(query: Annotated[SamplesQuery, Query()]) -> SamplesOut:
        """Samples of one metric of one asset, in time order or newest first."""
        _known_asset(context, query.asset)
        metric = METRICS.get(query.metric)
        if metric is None:
            raise problems.unknown("metric", query.metric, "/api/v1/metrics")
        window = query.window(context.now_ns())
        found, held = await asyncio.to_thread(_read_samples, context, query, window)
        truncated, found = len(found) > query.limit, found[: query.limit]
        following_page = None
        if truncated and query.order == "oldest":
            following_page = following("/api/v1/samples", query, **{"from": found[-1].time_ns + 1, "to": window.end_ns})
        elif truncated:
            following_page = following("/api/v1/samples", query, **{"from": window.start_ns, "to": found[-1].time_ns})
        return SamplesOut(
            asset=query.asset,
            metric=query.metric,
            unit=metric.unit,
            start=window.start_ns,
            end=window.end_ns,
            in_force=_sample(held, metric) if held else None,
            samples=[_sample(sample, metric) for sample in found],
            truncated=truncated,
            next=following_page,
        )

    @api.get("/kpi-values", tags=["values"])
    async def kpi_values(query: Annotated[FiguresQuery, Query()]) -> FiguresOut:
        """Values of one KPI of one asset over the windows that overlap an interval, each with what it rests on."""
        _known_asset(context, query.asset)
        if query.kpi not in catalogue:
            raise problems.unknown("kpi", query.kpi, "/api/v1/kpis")
        window = query.window(context.now_ns(), query.kind or "interval")
        found = await asyncio.to_thread(context.store.read_kpis, query.asset, query.kpi, window)
        cut = query.limit
        while 0 < cut < len(found) and found[cut].start_ns == found[cut - 1].start_ns:
            cut -= 1  # windows of several kinds may start together: the next page must not begin inside them
        cut = cut or query.limit
        truncated = len(found) > cut
        return FiguresOut(
            asset=query.asset,
            kpi=query.kpi,
            values=[catalogue.figure(value) for value in found[:cut]],
            truncated=truncated,
            next=following("/api/v1/kpi-values", query, **{"from": found[cut].start_ns, "to": window.end_ns})
            if truncated
            else None,
        )


def _health(api: APIRouter, context: WebContext) -> None:
    @api.get("/health", tags=["data path"])
    async def health() -> HealthOut:
        """Every running component of this process: its condition, since when and why, its counters."""
        components = [
            ComponentOut(
                name=part["name"],
                condition=part["condition"],
                since=part["since_ns"],
                detail=part["detail"],
                lost=part["lost"],
                counts=part["counts"],
                gauges={name: figures.known(value) for name, value in part["gauges"].items()},
            )
            for part in context.health.snapshot()
        ]
        return HealthOut(
            ok=all(part.condition != Condition.FAILING.value for part in components), components=components
        )


def _known_asset(context: WebContext, path: str) -> Asset:
    if path not in context.plant:
        raise problems.unknown("asset", path, "/api/v1/assets")
    return context.plant.asset(path)


def _asset(asset: Asset) -> dict[str, object]:
    return asset.model_dump(include=set(AssetOut.model_fields))


def _read_samples(context: WebContext, query: SamplesQuery, window: Window) -> tuple[list[Sample], Sample | None]:
    """One more than asked for, to know whether there are more; and the sample in force at the start."""
    found = bounded.samples(context.store, query.asset, query.metric, window, query.order, query.limit + 1)
    return found, bounded.in_force(context.store, query.asset, query.metric, window.start_ns)


def _sample(sample: Sample, metric: Metric) -> SampleOut:
    return SampleOut(
        time=sample.time_ns,
        value=None if metric.kind == "word" else figures.known(sample.value),
        text=bounded.word(sample),
        quality=bounded.quality_name(sample.quality),
    )

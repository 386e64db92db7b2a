"""/api/v1/samples.csv, kpi-values.parquet …: whole intervals as files, for spreadsheets and data frames.

Read and sent in pieces: memory stays bounded, however long the interval.
"""

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Response
from fastapi import Path as InPath
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import Field
from starlette.background import BackgroundTask

from dashboards.web import bounded, problems, tables
from dashboards.web.accounts.identity import Told
from dashboards.web.accounts.walls import Who
from dashboards.web.context import WebContext
from dashboards.web.figures import Catalogue, known
from dashboards.web.models import PATH
from dashboards.web.queries import Interval, Name
from dashboards.web.times import iso
from telemetry.glossary import METRICS
from telemetry.plant import AssetPath
from telemetry.protocols import Store
from telemetry.samples import SECOND_NS, KpiValue, Sample, Window

LONGEST_NS: Final = 400 * 24 * 3600 * SECOND_NS
WEEK_NS: Final = 7 * 24 * 3600 * SECOND_NS
AT_ONCE: Final = 2
"""So many Parquet files are made at a time; others wait."""
PIECE: Final = 10_000

Form = Annotated[Literal["csv", "parquet"], InPath(description="CSV for spreadsheets, Parquet for data frames")]
FILES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        }
    }
}
SAMPLE_HEAD: Final = ("time", "asset", "metric", "value", "text", "quality")
KPI_HEAD: Final = (
    "asset", "kpi", "kind", "start", "end", "value", "unit", "numerator", "denominator", "coverage", "samples", "final",
)  # fmt: skip


class SamplesFileQuery(Interval):
    asset: list[AssetPath] = Field(min_length=1, max_length=50, examples=[[PATH]])
    metric: list[Name] = Field(min_length=1, max_length=20, examples=[["state"]])


class FiguresFileQuery(Interval):
    asset: list[AssetPath] = Field(min_length=1, max_length=50, examples=[[PATH]])
    kpi: list[Name] = Field(min_length=1, max_length=50, examples=[["trs", "do"]])
    kind: Name | None = Field(None, description='only windows of this kind: "hour", "shift", "day" …')


def add(api: APIRouter, context: WebContext, catalogue: Catalogue, told: Told) -> None:
    """The routes of files."""
    store, making = context.store, asyncio.Semaphore(AT_ONCE)

    @api.get("/samples.{form}", tags=["values"], response_class=Response, responses=FILES)
    async def samples_file(who: Who, form: Form, query: Annotated[SamplesFileQuery, Query()]) -> Response:
        """Every sample of some metrics of some assets over at most 400 days; in CSV, words that begin like a formula
        have a quote before them."""
        window = _window(context, query, query.asset, "interval")
        for metric in query.metric:
            if metric not in METRICS:
                raise problems.unknown("metric", metric, "/api/v1/metrics")
        await asyncio.to_thread(told, who, "downloaded", _asked(f"samples.{form}", query.asset, query.metric, window))
        pairs = [(asset, metric) for asset in dict.fromkeys(query.asset) for metric in dict.fromkeys(query.metric)]

        def chunks() -> Iterator[list[Sample]]:
            for asset, metric in pairs:
                yield from bounded.pieces(store, asset, metric, window)

        if form == "csv":
            return _csv("samples.csv", SAMPLE_HEAD, ([_sample(one) for one in found] for found in chunks()))
        async with making:
            return await asyncio.to_thread(_parquet, context, "samples.parquet", chunks)

    @api.get("/kpi-values.{form}", tags=["values"], response_class=Response, responses=FILES)
    async def figures_file(who: Who, form: Form, query: Annotated[FiguresFileQuery, Query()]) -> Response:
        """Every value of some KPIs of some assets over at most 400 days, each with what it rests on: asset by asset,
        week by week."""
        for kpi in query.kpi:
            if kpi not in catalogue:
                raise problems.unknown("kpi", kpi, "/api/v1/kpis")
        window = _window(context, query, query.asset, query.kind or "interval")
        await asyncio.to_thread(told, who, "downloaded", _asked(f"kpi-values.{form}", query.asset, query.kpi, window))
        chunks = _figures(store, list(dict.fromkeys(query.asset)), list(dict.fromkeys(query.kpi)), window)
        if form == "csv":
            rows = ([_figure(one, catalogue) for one in found] for found in chunks)
            return _csv("kpi-values.csv", KPI_HEAD, rows)
        async with making:
            return await asyncio.to_thread(_parquet, context, "kpi-values.parquet", lambda: chunks)


def _asked(file: str, assets: Sequence[str], what: Sequence[str], window: Window) -> str:
    return f"{file}: {iso(window.start_ns)[:19]} – {iso(window.end_ns)[:19]}, {' '.join(what)} of {' '.join(assets)}"


def _figures(store: Store, assets: Sequence[str], kpis: Sequence[str], window: Window) -> Iterator[list[KpiValue]]:
    """Asset by asset, week by week; a value belongs to the week in which its window begins."""
    for asset in assets:
        for start in range(window.start_ns, window.end_ns, WEEK_NS):
            week = Window(start, min(start + WEEK_NS, window.end_ns), window.kind)
            for values in store.read_many_kpis([asset], kpis, week).values():
                own = [one for one in values if one.start_ns >= start or start == window.start_ns]
                for first in range(0, len(own), PIECE):
                    yield own[first : first + PIECE]


def _window(context: WebContext, query: Interval, assets: Sequence[str], kind: str) -> Window:
    for asset in assets:
        if asset not in context.plant:
            raise problems.unknown("asset", asset, "/api/v1/assets")
    window = query.window(context.now_ns(), kind)
    if window.end_ns - window.start_ns > LONGEST_NS:
        raise problems.ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "interval-too-long",
            "Ask for at most 400 days at a time; `km0 export` writes all there is.",
        )
    return window


def _sample(sample: Sample) -> tuple[object, ...]:
    word = METRICS[sample.metric].kind == "word"
    value = "" if word else known(sample.value)
    return (
        iso(sample.time_ns), sample.asset, sample.metric, "" if value is None else value, bounded.word(sample) or "",
        bounded.quality_name(sample.quality),
    )  # fmt: skip


def _figure(value: KpiValue, catalogue: Catalogue) -> tuple[object, ...]:
    row = catalogue.row(value.kpi)
    figures = (known(value.value) if value.coverage > 0 else None, known(value.numerator), known(value.denominator))
    first, *rest = ("" if one is None else one for one in figures)
    return (
        value.asset, value.kpi, value.kind, iso(value.start_ns), iso(value.end_ns), first, row.unit if row else "",
        *rest, known(value.coverage) or 0.0, value.samples, str(value.final).lower(),
    )  # fmt: skip


def _csv(name: str, head: Sequence[str], chunks: Iterator[list[tuple[object, ...]]]) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(tables.lines(head, chunks), media_type="text/csv; charset=utf-8", headers=headers)


def _parquet(context: WebContext, name: str, chunks: Callable[[], Iterator[list[Any]]]) -> Response:
    if find_spec("duckdb") is None:
        raise problems.ProblemError(
            HTTPStatus.NOT_IMPLEMENTED, "no-parquet", "Parquet is not installed: pip install 'km0-telemetry[duckdb]'."
        )
    from pipeline.stores import parquet

    folder = tempfile.TemporaryDirectory(prefix="download-", dir=context.config.folder)
    try:
        file, write = (
            (parquet.SAMPLES, parquet.write_samples)
            if name == "samples.parquet"
            else (parquet.KPIS, parquet.write_kpis)
        )
        write(Path(folder.name), chunks())
    except BaseException:
        folder.cleanup()
        raise
    return FileResponse(
        Path(folder.name) / file,
        media_type="application/vnd.apache.parquet",
        filename=name,
        background=BackgroundTask(folder.cleanup),
    )

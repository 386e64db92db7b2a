"""The pages of diagnoses: bring a file, confirm what it says, see what came out."""

import asyncio
import math
import re
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from dashboards.web import charts
from dashboards.web.accounts.identity import Role
from dashboards.web.accounts.walls import Who
from dashboards.web.context import WebContext
from dashboards.web.definitions import LOSSES
from dashboards.web.diagnoses import confirming, plant, report
from dashboards.web.diagnoses.api import MachineNumber, MappingName, Number
from dashboards.web.diagnoses.desk import Desk
from dashboards.web.diagnoses.result import BarOut, ResultOut
from dashboards.web.diagnoses.shelf import MAPPING_NAME, Diagnosis
from dashboards.web.formats import Formats
from dashboards.web.problems import ProblemError
from dashboards.web.rendering import Page, Renderer
from dashboards.web.texts import Language, mark, translations
from pipeline.kpis.losses import REJECTS, SPEED, Bar
from pipeline.said import Said
from telemetry import calendar
from telemetry.samples import SECOND_NS, Window

LISTED: Final = 50
ChartName = Literal["waterfall", "pareto", "reasons"]


def router(desk: Desk, context: WebContext, renderer: Renderer) -> APIRouter:
    """The pages and their charts."""
    routes = APIRouter(include_in_schema=False)
    _listing(routes, desk, context, renderer)
    _one(routes, desk, renderer)
    _changes(routes, desk, renderer)
    return routes


def _listing(routes: APIRouter, desk: Desk, context: WebContext, renderer: Renderer) -> None:
    zone = context.plant.zone

    def wall(time_ns: int) -> str:
        """As a datetime-local input has it."""
        return f"{datetime.fromtimestamp(time_ns // SECOND_NS, zone):%Y-%m-%dT%H:%M}"

    def listed(
        page: Page, who: Who, before: int | None, said: FormData | None = None, fault: Said | None = None
    ) -> Response:
        now_ns = context.now_ns()
        week = calendar.local_ns(calendar.local_day(now_ns, zone) - timedelta(days=6), 0, zone)
        asked = {field: _text(said, field) if said else "" for field in ("start", "end")}
        found = desk.shelf.list(who.organisation, LISTED + 1, before)
        return renderer.page(
            page,
            "diagnoses.html",
            422 if fault else 200,
            found=found[:LISTED],
            older=found[LISTED - 1].made_ns if len(found) > LISTED else None,
            mappings=desk.shelf.mappings(who.organisation),
            most=desk.config.max_upload_mb,
            may=who.role >= Role.ENGINEER,
            states=STATES,
            assets=[one for one in context.plant.assets if one.kind != "platform"] if who.owns_plant else [],
            chosen=None if said is None else said.getlist("asset"),
            start=asked["start"] or wall(week),
            end=asked["end"] or wall(now_ns),
            fault=fault.in_(page.language) if fault else None,
        )

    @routes.get("/diagnoses")
    async def diagnoses(
        page: Page, who: Who, before: Annotated[int | None, Query(ge=0, le=2**63 - 1)] = None
    ) -> Response:
        return await asyncio.to_thread(listed, page, who, before)

    def begun(page: Page, who: Who, said: FormData) -> Response:
        chosen = [one for one in said.getlist("asset") if isinstance(one, str)]
        start_ns, end_ns = (_instant(_text(said, field), zone) for field in ("start", "end"))
        if start_ns is None or end_ns is None:
            return listed(page, who, None, said, _NO_TIME)
        try:
            found = plant.begin(desk, context, who, chosen, Window(start_ns, max(start_ns, end_ns)))
        except ProblemError as error:
            if error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise
            detail = error.detail
            return listed(page, who, None, said, detail if isinstance(detail, Said) else Said(detail, detail))
        return RedirectResponse(f"/diagnoses/{found.id}", HTTPStatus.SEE_OTHER)

    @routes.post("/diagnoses/plant")
    async def of_plant(request: Request, page: Page, who: Who) -> Response:
        """From and to on the plant's clock; a form that cannot be comes back as it was filled in."""
        said = await request.form(max_fields=200, max_files=0)
        return await asyncio.to_thread(begun, page, who, said)

    @routes.post("/mappings/{name}/drop")
    async def drop(who: Who, name: MappingName) -> Response:
        await asyncio.to_thread(desk.shelf.drop_mapping, who.organisation, name)
        return RedirectResponse("/diagnoses", HTTPStatus.SEE_OTHER)


_NO_TIME: Final = Said(
    "From and to are a date and a time of day: 2026-11-22T05:00.",
    "« De » et « À » sont une date et une heure : 2026-11-22T05:00.",
)


def _text(said: FormData, field: str) -> str:
    value = said.get(field)
    return value if isinstance(value, str) else ""


def _instant(text: str, zone: ZoneInfo) -> int | None:
    """A time on the wall clock of the plant [ns]; None for anything else."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:00)?", text, re.ASCII):
        return None
    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        return None
    return calendar.local_ns(wall.date(), wall.hour * 60 + wall.minute, zone) if 1970 < wall.year < 2262 else None


STATES: Final = {
    "mapping": mark("to be confirmed"),
    "running": mark("running"),
    "done": mark("done"),
    "failed": mark("failed"),
}


def _one(routes: APIRouter, desk: Desk, renderer: Renderer) -> None:
    def opened(page: Page, who: Who, number: str, again: bool, saved: str | None, machine: int) -> Response:
        found = desk.find(who, number)
        if found.kind == "plant" and found.state != "running":
            shown = report.shown(desk.shelf.folder(found.id), page.language)
            return renderer.page(page, "plant_result.html", found=found, report=shown, may=who.role >= Role.ENGINEER)
        if found.state == "done" and not again:
            return result_page(page, who, found, machine)
        if found.state == "running":
            share = desk.work.share(found.id)
            return renderer.page(page, "running.html", found=found, share=share)
        return confirming.page_of(desk, renderer, page, who, found, saved)

    def result_page(page: Page, who: Who, found: Diagnosis, machine: int) -> Response:
        result = desk.result(found, machine)
        figures = {figure.kpi: figure for figure in result.figures}
        return renderer.page(
            page,
            "result.html",
            found=found,
            result=result,
            machine=machine,
            figures=figures,
            names=LOSSES,
            when=Formats(page.language, ZoneInfo(result.timezone)),
            report=report.shown(desk.shelf.folder(found.id), page.language),
            charted=charts.AVAILABLE,
            may=who.role >= Role.ENGINEER,
            nan=math.nan,
        )

    @routes.get("/diagnoses/{number}")
    async def diagnosis(
        page: Page, who: Who, number: Number, again: bool = False,
        saved: Annotated[str | None, Query(max_length=100)] = None, machine: MachineNumber = 0,
    ) -> Response:  # fmt: skip
        return await asyncio.to_thread(opened, page, who, number, again, saved, machine)

    @routes.get("/charts/diagnoses/{number}/{name}")
    async def chart(
        page: Page, who: Who, number: Number, name: ChartName, dark: charts.Dark = False, machine: MachineNumber = 0,
    ) -> dict[str, Any]:  # fmt: skip
        charts.require()
        return await asyncio.to_thread(
            lambda: _spec(desk.result(desk.find(who, number), machine), name, page.language, dark)
        )


def _changes(routes: APIRouter, desk: Desk, renderer: Renderer) -> None:
    def confirmed(page: Page, who: Who, number: str, fields: FormData) -> Response:
        found = desk.find(who, number)
        said = {key: value for key, value in fields.multi_items() if isinstance(value, str)}
        days = [value for value in fields.getlist("day") if isinstance(value, str)]
        filled = confirming.filled_in(desk, found, said, days)
        shown = partial(confirming.form_page, desk, renderer, page, who, found, filled)
        if said.get("preview"):
            return shown(preview=confirming.previewed(desk, found, filled, page.language))
        name = said.get("save_as", "").strip()
        fault = filled.fault
        if fault is None and name and not _is_name(name):
            fault = Said("a mapping's name has no / \\ < > in it", "le nom ne contient ni / \\ < >")
        if fault is not None:
            return shown(fault=fault, code=422)
        if name:
            desk.shelf.keep_mapping(who.organisation, name, filled.mapping.model_dump_json(exclude_unset=True))
        desk.run(found, filled.mapping)
        return RedirectResponse(f"/diagnoses/{found.id}", HTTPStatus.SEE_OTHER)

    @routes.post("/diagnoses/{number}")
    async def run(request: Request, page: Page, who: Who, number: Number) -> Response:
        fields = await request.form(max_fields=2000, max_files=0)
        return await asyncio.to_thread(confirmed, page, who, number, fields)

    @routes.post("/diagnoses/{number}/link")
    async def link(
        who: Who,
        number: Number,
        use_case: Annotated[str, Form(max_length=100)] = "",
        drop: Annotated[str, Form(max_length=1)] = "",
    ) -> Response:
        """What the network measurement is judged by; or take it away. The file itself comes by the API."""

        def changed() -> None:
            found = desk.find(who, number)
            if drop:
                desk.part(who, found)
            else:
                desk.judge_by(found, use_case)

        await asyncio.to_thread(changed)
        return RedirectResponse(f"/diagnoses/{number}?again=true#recording", HTTPStatus.SEE_OTHER)

    @routes.post("/diagnoses/{number}/remove")
    async def remove(who: Who, number: Number) -> Response:
        await asyncio.to_thread(lambda: desk.remove(who, desk.find(who, number)))
        return RedirectResponse("/diagnoses", HTTPStatus.SEE_OTHER)


def _is_name(name: str) -> bool:
    return len(name) <= 100 and re.fullmatch(MAPPING_NAME, name) is not None


def _spec(result: ResultOut, name: str, language: Language, dark: bool) -> dict[str, Any]:
    from dashboards.charts import DARK, LIGHT, Step, locale, pareto, waterfall

    words, look = translations(language).gettext, DARK if dark else LIGHT
    names = {key: words(word) for key, (_, word) in LOSSES.items()} | {"": words("no reason given")}
    if name == "waterfall":
        steps = [Step(code, words(word), seconds, lost) for code, word, seconds, lost in _steps(result)]
        spec = waterfall(steps, language, look=look, width="container")
    else:
        bars = result.by_category if name == "pareto" else result.by_reason
        spec = pareto([_bar(bar) for bar in bars], language, names=names, look=look, width="container")
    return {"spec": spec, "locale": locale(language)}


def _steps(result: ResultOut) -> list[tuple[str, str, float, bool]]:
    times = result.times
    lost = {bar.name: bar.seconds for bar in result.by_category}
    rows: list[tuple[str, str, float, bool]] = [
        ("tO", mark("Opening time"), times["tO"], False),
        ("", mark("Planned stops"), times["planned"], True),
        ("tR", mark("Required time"), times["tR"], False),
    ]
    if times["unknown"]:
        rows.append(("", mark("State not known"), times["unknown"], True))
    rows += [(LOSSES[name][0], LOSSES[name][1], lost[name], True) for name in LOSSES
             if name in lost and name not in (SPEED, REJECTS)]  # fmt: skip
    rows.append(("tF", mark("Running time"), times["tF"], False))
    if math.isfinite(result.seconds("tN")) and math.isfinite(result.seconds("tU")):  # as the table beside it
        rows += [
            (LOSSES[SPEED][0], LOSSES[SPEED][1], lost.get(SPEED, 0.0), True),
            ("tN", mark("Net time"), times["tF"] - lost.get(SPEED, 0.0), False),
            (LOSSES[REJECTS][0], LOSSES[REJECTS][1], lost.get(REJECTS, 0.0), True),
            ("tU", mark("Useful time"), times["tF"] - lost.get(SPEED, 0.0) - lost.get(REJECTS, 0.0), False),
        ]
    return rows


def _bar(bar: BarOut) -> Bar:
    share, cumulative, cost = (math.nan if one is None else one for one in (bar.share, bar.cumulative, bar.cost))
    return Bar(bar.name, bar.seconds, share, cumulative, bar.times, cost)

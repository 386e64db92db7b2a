"""The web app, put together. Of the plant it only reads; what it writes are accounts and diagnoses."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import RedirectResponse
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from dashboards.web import (
    api,
    charts,
    page_data,
    page_losses,
    page_network,
    page_settings,
    pages,
    problems,
    prometheus,
    streams,
)
from dashboards.web.accounts import oidc, walls
from dashboards.web.accounts import pages as accounts
from dashboards.web.accounts.book import Book
from dashboards.web.accounts.identity import Told
from dashboards.web.accounts.passwords import Passwords
from dashboards.web.accounts.provider import Provider
from dashboards.web.context import WebContext
from dashboards.web.diagnoses import api as diagnoses_api
from dashboards.web.diagnoses import pages as diagnoses_pages
from dashboards.web.diagnoses.desk import Desk
from dashboards.web.diagnoses.shelf import Shelf
from dashboards.web.diagnoses.work import Work
from dashboards.web.live import Live
from dashboards.web.now import PlantReader
from dashboards.web.problems import Problem
from dashboards.web.rendering import HERE, Renderer
from dashboards.web.security import HEADERS, Guard
from dashboards.web.texts import LANGUAGES
from dashboards.web.warm import Warmth

DESCRIPTION = """
OEE (TRS) of machines and latency of network links, on one time axis, each figure with what it rests on.

- Times are ISO 8601 in UTC with nine decimals: exact to the nanosecond. Queries take any offset, or epoch seconds.
- What is not known is `null`, never 0.
- Ratios come with numerator and denominator: add those over windows and assets, never average ratios.
- Answers are bounded: `truncated` says that there is more, `next` is its address.
- Errors are problem details (RFC 9457, `application/problem+json`).
"""


def create_app(context: WebContext) -> FastAPI:
    """The app over what it is given. `app.state.close()` ends its event streams and lets go of its files, and
    `app.state.warm()` does beforehand what the first requests need (`server.serve` calls both); `app.state.welcome`:
    the path of the first administrator's link, while there is nobody.

    Raises ConfigError when accounts or diagnoses cannot be kept.
    """
    reader = PlantReader(context)
    renderer = Renderer(context.plant)
    rendered = pages.Pages(context, reader, renderer)
    live = Live(rendered.view, context.config.refresh_s, context.config.max_streams)
    book = _book(context)
    told: Told = book.ledger.log if book is not None else lambda *_: None
    desk = _desk(context, told)
    app = FastAPI(
        title="KM0 Telemetry",
        description=DESCRIPTION,
        version="1",
        docs_url=None,  # FastAPI's documentation pages load their scripts from another host
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        middleware=[Middleware(Guard, config=context.config)],
        dependencies=[Depends(walls.Walls(book))],
    )
    app.state.renderer = renderer
    link = book.people.first_link() if book is not None else None
    app.state.welcome = None if link is None else f"welcome/{link}"
    problems.install(app, HEADERS)
    app.add_exception_handler(walls.LoginNeeded, _to_login)
    lost, network = page_losses.Reader(context), page_network.Reader(context)
    routers = [
        streams.router(live),
        api.router(context, reader, told),
        pages.router(rendered),
        page_losses.router(context, lost, renderer),
        page_network.router(context, network, renderer),
        page_data.router(context, lost, reader, renderer),
        page_settings.router(context, renderer),
        diagnoses_api.router(desk, context),
        diagnoses_pages.router(desk, context, renderer),
        _programs(context),
    ]
    first = [renderer.compile, charts.load, *_first(rendered, lost, network)]
    if book is not None and context.config.accounts is not None:
        hashes = Passwords(context.config.accounts.password_mb)
        first.append(hashes.warm)
        routers.append(accounts.router(book, context.config.accounts, hashes, renderer))
        if context.config.accounts.oidc is not None:
            provider = Provider(context.config.accounts.oidc, context.now_ns)
            routers.append(oidc.router(book, context.config.accounts, provider, renderer))
    walls.check(routers)
    for routes in routers:
        app.include_router(routes)
    app.mount("/static", _Static(directory=HERE / "static"))
    _describe(app)

    warmth = Warmth(first)

    def close() -> None:
        warmth.close()
        live.close()
        desk.work.close()
        desk.shelf.close()
        if book is not None:
            book.close()

    app.state.close = close
    app.state.warm = warmth.run
    app.state.routers = routers
    app.state.book = book
    app.state.desk = desk
    return app


def _first(
    rendered: pages.Pages, lost: page_losses.Reader, network: page_network.Reader
) -> Iterator[Callable[[], object]]:
    """What the pages show when first opened."""
    for language in LANGUAGES:
        yield lambda language=language: rendered.view().parts(language)  # type: ignore[misc]  # the language of this turn
    yield lambda: lost.all("", lost.period("week"))
    yield lambda: lost.causes("", lost.period("week"))
    yield network.warm


def _book(context: WebContext) -> Book | None:
    settings = context.config.accounts
    if settings is None:
        return None
    path = context.config.folder / "accounts.sqlite"
    return Book(path, settings.organisation, session_s=settings.session_hours * 3600, now_ns=context.now_ns)


def _desk(context: WebContext, told: Told) -> Desk:
    config = context.config
    shelf = Shelf(config.folder, context.now_ns)
    return Desk(shelf, Work(shelf, largest=config.max_upload_mb * 1_000_000), config, told)


def _programs(context: WebContext) -> APIRouter:
    """What programs fetch besides the API."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/metrics")
    async def metrics() -> Response:
        return Response(prometheus.exposition(context.health), media_type=prometheus.CONTENT_TYPE)

    routes.get("/static/vega.js")(charts.answer)
    return routes


async def _to_login(request: Request, _: Exception) -> Response:
    return RedirectResponse(walls.login_address(request), HTTPStatus.SEE_OTHER)


class _Static(StaticFiles):
    """Our own files: asked for again by their ETag, so that an upgrade shows at once."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def revalidated(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Cache-Control"] = "no-cache"
            await send(message)

        await super().__call__(scope, receive, revalidated)


def _describe(app: FastAPI) -> None:
    """OpenAPI with our error shape in place of FastAPI's."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            schemas = schema["components"]["schemas"]
            schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend its OpenAPI

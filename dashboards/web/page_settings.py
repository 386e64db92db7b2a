"""What the plant file says, as it runs, and what every figure is: to be read, and changed in the file."""

from fastapi import APIRouter, Response

from dashboards.web.context import WebContext
from dashboards.web.definitions import TIMES
from dashboards.web.plant import running
from dashboards.web.rendering import Page, Renderer
from pipeline.kpis.use_cases import USE_CASES
from telemetry.glossary import METRICS
from telemetry.plant import DAYS


def router(context: WebContext, renderer: Renderer) -> APIRouter:
    """Settings and definitions."""
    routes = APIRouter(include_in_schema=False)
    version = running()

    @routes.get("/settings")
    async def settings_page(page: Page) -> Response:
        return renderer.page(
            page, "settings.html", plant=context.plant, web=context.config, version=version, cases=USE_CASES, days=DAYS
        )

    @routes.get("/definitions")
    async def definitions_page(page: Page) -> Response:
        return renderer.page(
            page, "definitions.html", rows=context.catalogue, times=TIMES, glossary=METRICS.values(), cases=USE_CASES
        )

    return routes

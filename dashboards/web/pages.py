"""The pages: rendered whole by the server, so that they read without a script; the same parts then come by the stream.

A part is a piece of the page with an id. There is one renderer, here: the script in the browser only puts parts in
place, so the first picture and every later one are drawn by the same templates.
"""

import asyncio
import threading

from fastapi import APIRouter, Response

from dashboards.web.context import WebContext
from dashboards.web.models import PlantNow
from dashboards.web.now import PlantDay, PlantReader
from dashboards.web.rendering import Page, Renderer
from dashboards.web.texts import Language
from telemetry.glossary import METRICS


class View:
    """One moment of the plant, and its parts in each language, rendered when first asked for."""

    def __init__(self, pages: "Pages", now: PlantNow, day: PlantDay) -> None:
        self.now = now
        self.day = day
        self._pages = pages
        self._lock = threading.Lock()
        self._parts: dict[Language, dict[str, str]] = {}

    def parts(self, language: Language) -> dict[str, str]:
        """HTML of each part by its id."""
        with self._lock:
            if language not in self._parts:
                self._parts[language] = self._pages.parts(self, language)
            return self._parts[language]


class Pages:
    """Renders. Thread-safe; synchronous."""

    def __init__(self, context: WebContext, reader: PlantReader, renderer: Renderer) -> None:
        self._context = context
        self._reader = reader
        self._renderer = renderer
        self._charts: dict[Language, tuple[PlantDay, dict[str, str]]] = {}
        self._view: View | None = None

    def view(self) -> View:
        """The plant now: one and the same for all who ask at one moment, so that its parts are rendered once."""
        now, day, kept = self._reader.now(), self._reader.day(), self._view
        if kept is None or kept.now is not now or kept.day is not day:
            kept = self._view = View(self, now, day)
        return kept

    def plant(self, page: Page) -> Response:
        view = self.view()
        return self._renderer.page(
            page, "plant.html", parts=view.parts(page.language), now=view.now, stream=f"/live?lang={page.language}"
        )

    def asset(self, page: Page, path: str) -> Response:
        """The page of a machine, or that there is no such machine."""
        view = self.view()
        machine = next((machine for machine in view.now.machines if machine.asset == path), None)
        if machine is None:
            return self._renderer.page(page, "refused.html", 404, status=404, detail="")
        latest = sorted(self._context.store.latest(path), key=lambda sample: list(METRICS).index(sample.metric))
        stops = [one for one in reversed(view.day.machines[path].states) if one.state != "EXECUTING"]
        return self._renderer.page(
            page,
            "asset.html",
            machine=machine,
            now=view.now,
            day=view.day,
            latest=latest,
            stops=stops[:50],
            parts=view.parts(page.language),
            stream=f"/live?lang={page.language}",
        )

    def parts(self, view: View, language: Language) -> dict[str, str]:
        """The parts of one moment; the charts among them are drawn once per reading of the day."""
        render = self._renderer.render
        day, charts = self._charts.get(language, (None, {}))
        if day is not view.day:
            charts = self._drawn(view, language)
            self._charts[language] = view.day, charts
        found = {name: render(language, f"parts/{name}.html", now=view.now) for name in ("clock", "summary", "path")}
        for machine in view.now.machines:
            found[f"m:{machine.asset}"] = render(language, "parts/machine.html", machine=machine, now=view.now)
        for link in view.now.links:
            found[f"l:{link.asset}"] = render(language, "parts/link.html", link=link, now=view.now)
        return found | charts

    def _drawn(self, view: View, language: Language) -> dict[str, str]:
        render = self._renderer.render
        found = {"together": render(language, "parts/together.html", now=view.now, day=view.day)}
        for machine in view.now.machines:
            found[f"d:{machine.asset}"] = render(language, "parts/day.html", machine=machine, day=view.day)
        for link in view.now.links:
            found[f"h:{link.asset}"] = render(language, "parts/hour.html", link=link, day=view.day)
        return found


def router(pages: Pages) -> APIRouter:
    """The live pages, outside the API's description."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def plant(page: Page) -> Response:
        return await asyncio.to_thread(pages.plant, page)

    @routes.get("/assets/{path:path}")
    async def asset(page: Page, path: str) -> Response:
        return await asyncio.to_thread(pages.asset, page, path)

    return routes

"""The pages: rendered whole by the server, so that they read without a script; the same parts then come by the stream.

A part is a piece of the page with an id. There is one renderer, here: the script in the browser only puts parts in
place, so the first picture and every later one are drawn by the same templates.
"""

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import jinja2
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from dashboards.web import draw, figures
from dashboards.web.context import WebContext
from dashboards.web.formats import Formats
from dashboards.web.looks import DEFINITIONS, LOOKS
from dashboards.web.models import PlantNow
from dashboards.web.now import PlantDay, PlantReader
from dashboards.web.texts import LANGUAGES, Language, preferred, translations
from telemetry.glossary import METRICS
from telemetry.samples import SECOND_NS

HERE: Final = Path(__file__).parent
COOKIE: Final = "km0_lang"
YEAR_S: Final = 365 * 24 * 3600


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

    def __init__(self, context: WebContext, reader: PlantReader) -> None:
        self._context = context
        self._reader = reader
        self._charts: dict[Language, tuple[PlantDay, dict[str, str]]] = {}
        self._environments = {language: self._environment(language) for language in LANGUAGES}

    def view(self) -> View:
        """The plant now."""
        return View(self, self._reader.now(), self._reader.day())

    def plant(self, language: Language) -> str:
        view = self.view()
        return self._render(
            language, "plant.html", parts=view.parts(language), now=view.now, path="/", stream=f"/live?lang={language}"
        )

    def asset(self, language: Language, path: str) -> str | None:
        """The page of a machine; None when there is no such machine."""
        view = self.view()
        machine = next((machine for machine in view.now.machines if machine.asset == path), None)
        if machine is None:
            return None
        latest = sorted(self._context.store.latest(path), key=lambda sample: list(METRICS).index(sample.metric))
        stops = [one for one in reversed(view.day.machines[path].states) if one.state != "EXECUTING"]
        return self._render(
            language,
            "asset.html",
            machine=machine,
            now=view.now,
            day=view.day,
            latest=latest,
            stops=stops[:50],
            path=f"/assets/{path}",
            parts=view.parts(language),
            stream=f"/live?lang={language}",
        )

    def missing(self, language: Language, path: str) -> str:
        return self._render(language, "missing.html", path=path, stream=None, now=None)

    def parts(self, view: View, language: Language) -> dict[str, str]:
        """The parts of one moment; the charts among them are drawn once per reading of the day."""
        day, charts = self._charts.get(language, (None, {}))
        if day is not view.day:
            charts = self._drawn(view, language)
            self._charts[language] = view.day, charts
        found = {
            name: self._render(language, f"parts/{name}.html", now=view.now) for name in ("clock", "summary", "path")
        }
        for machine in view.now.machines:
            found[f"m:{machine.asset}"] = self._render(language, "parts/machine.html", machine=machine, now=view.now)
        for link in view.now.links:
            found[f"l:{link.asset}"] = self._render(language, "parts/link.html", link=link, now=view.now)
        return found | charts

    def _drawn(self, view: View, language: Language) -> dict[str, str]:
        found = {"together": self._render(language, "parts/together.html", now=view.now, day=view.day)}
        for machine in view.now.machines:
            found[f"d:{machine.asset}"] = self._render(language, "parts/day.html", machine=machine, day=view.day)
        for link in view.now.links:
            found[f"h:{link.asset}"] = self._render(language, "parts/hour.html", link=link, day=view.day)
        return found

    def _render(self, language: Language, template: str, **values: Any) -> str:
        return self._environments[language].get_template(template).render(values)

    def _environment(self, language: Language) -> jinja2.Environment:
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
            auto_reload=False,
        )
        environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]  # added by the extension
        environment.globals.update(
            f=Formats(language, self._context.plant.zone),
            language=language,
            looks=LOOKS,
            definitions=DEFINITIONS,
            factors=figures.FACTORS,
            metrics=METRICS,
            draw=draw,
            SECOND_NS=SECOND_NS,
        )
        return environment


def language_of(request: Request, asked: str | None) -> Language:
    return preferred(asked, request.cookies.get(COOKIE), request.headers.get("accept-language", ""))


def _answer(html: str, language: Language, asked: str | None, status: int = 200) -> Response:
    headers: Mapping[str, str] = {"Content-Language": language, "Vary": "Accept-Language, Cookie"}
    response = HTMLResponse(html, status, dict(headers))
    if asked in LANGUAGES:
        response.set_cookie(COOKIE, language, max_age=YEAR_S, httponly=True, samesite="lax")
    return response


Lang = Annotated[str | None, Query(max_length=8, description='"fr" or "en"; remembered')]


def router(pages: Pages) -> APIRouter:
    """The pages, outside the API's description."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def plant(request: Request, lang: Lang = None) -> Response:
        language = language_of(request, lang)
        return _answer(await asyncio.to_thread(pages.plant, language), language, lang)

    @routes.get("/assets/{path:path}")
    async def asset(request: Request, path: str, lang: Lang = None) -> Response:
        language = language_of(request, lang)
        html = await asyncio.to_thread(pages.asset, language, path)
        if html is None:
            return _answer(pages.missing(language, "/"), language, lang, 404)
        return _answer(html, language, lang)

    return routes

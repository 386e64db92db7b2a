"""Templates to HTML, in the language that was asked for. Thread-safe."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

import jinja2
from fastapi import Depends, Query, Request, Response
from fastapi.responses import HTMLResponse

from dashboards.web import draw, figures, states
from dashboards.web.accounts.identity import OPEN, Identity
from dashboards.web.formats import Formats
from dashboards.web.looks import DEFINITIONS, LOOKS, SYMBOLS
from dashboards.web.texts import LANGUAGES, Language, mark, preferred, translations
from telemetry.glossary import METRICS
from telemetry.plant import Plant
from telemetry.samples import SECOND_NS

HERE: Final = Path(__file__).parent
COOKIE: Final = "km0_lang"
ROOMS: Final = (
    ("/", mark("Plant now"), True),
    ("/losses", mark("Losses"), True),
    ("/network", mark("5G network"), True),
    ("/data", mark("Data quality"), True),
    ("/diagnoses", mark("Diagnoses"), False),
    ("/deadletters", mark("Dead letters"), True),
    ("/definitions", mark("Definitions"), False),
    ("/settings", mark("Settings"), True),
)
"""The pages of the navigation: address, name, whether it shows the plant."""
YEAR_S: Final = 365 * 24 * 3600


@dataclass(frozen=True)
class Asked:
    """A page that somebody asked for: in which language, and at which address it is asked for again."""

    language: Language
    path: str
    query: tuple[tuple[str, str], ...] = ()
    chosen: bool = False
    who: Identity | None = OPEN

    @property
    def rooms(self) -> list[tuple[str, str]]:
        """The pages that are open to whoever asks: address and name."""
        if self.who is None:
            return []
        return [room[:2] for room in ROOMS if self.who.owns_plant or not room[2]]

    def address(self, **changed: str) -> str:
        """This page again, with some of its parameters changed; "" takes one out."""
        asked = {key: value for key, value in {**dict(self.query), **changed}.items() if value}
        return f"{quote(self.path)}?{urlencode(asked)}" if asked else quote(self.path)

    def chart(self, name: str) -> str:
        """The address of a chart of this page, asked for as the page was."""
        return f"/charts/{name}?{urlencode({**dict(self.query), 'lang': self.language})}"


def asked(request: Request, lang: str | None) -> Asked:
    """What a route of a page needs to know of its request."""
    kept = tuple((key, value) for key, value in request.query_params.multi_items() if key != "lang")
    language = preferred(lang, request.cookies.get(COOKIE), request.headers.get("accept-language", ""))
    return Asked(language, request.url.path, kept, lang in LANGUAGES, getattr(request.state, "identity", None))


async def _asked(
    request: Request, lang: Annotated[str | None, Query(max_length=8, description='"fr" or "en"; remembered')] = None
) -> Asked:
    return asked(request, lang)  # async: FastAPI runs a plain function in a thread, which costs more than this does


Page = Annotated[Asked, Depends(_asked)]


class _Compiled(jinja2.BytecodeCache):
    """What templates were compiled to, in memory: the languages of an app, and the apps of a process, share it."""

    def __init__(self) -> None:
        self._code: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        if bucket.code is not None:
            self._code[bucket.key, bucket.checksum] = bucket.code


_COMPILED: Final = _Compiled()
"""Translations are looked up when a page is rendered, so that nothing compiled depends on the language."""


class Renderer:
    """One environment per language."""

    def __init__(self, plant: Plant) -> None:
        self.formats: Mapping[Language, Formats] = {one: Formats(one, plant.zone) for one in LANGUAGES}
        self._environments = {language: self._environment(language) for language in LANGUAGES}

    def compile(self) -> None:
        """Every template, so that no request waits for it."""
        for environment in self._environments.values():
            for name in environment.list_templates():
                environment.get_template(name)

    def render(self, language: Language, template: str, **values: Any) -> str:
        return self._environments[language].get_template(template).render(values)

    def page(self, page: Asked, template: str, code: int = 200, /, **values: Any) -> Response:
        """A whole page as the answer; the language that was chosen on it is remembered."""
        values = {"stream": None, "now": None, "parts": None} | values
        html = self.render(page.language, template, page=page, **values)
        answer = HTMLResponse(html, code, {"Content-Language": page.language, "Vary": "Accept-Language, Cookie"})
        if page.chosen:
            answer.set_cookie(COOKIE, page.language, max_age=YEAR_S, httponly=True, samesite="lax")
        return answer

    def _environment(self, language: Language) -> jinja2.Environment:
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
            auto_reload=False,
            bytecode_cache=_COMPILED,
        )
        environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]  # added by the extension
        environment.globals.update(
            f=self.formats[language],
            language=language,
            looks=LOOKS,
            definitions=DEFINITIONS,
            symbols=SYMBOLS,
            state_of=states.name_of,
            factors=figures.FACTORS,
            metrics=METRICS,
            draw=draw,
            SECOND_NS=SECOND_NS,
        )
        return environment

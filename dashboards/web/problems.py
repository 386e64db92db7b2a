"""Errors as problem details (RFC 9457): one shape for every refusal, with a sentence that says how to put it right."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from dashboards.web import validation
from dashboards.web.rendering import asked
from dashboards.web.texts import Language, preferred
from pipeline.said import Said
from telemetry.errors import StoreError

MEDIA_TYPE: Final = "application/problem+json"
log = logging.getLogger(__name__)


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(examples=["urn:km0:problem:unknown-asset"])
    title: str = Field(examples=["Unknown asset"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no asset 'km0/x/mill-9'; /api/v1/assets lists them."])
    instance: str = Field(examples=["/api/v1/samples"])
    errors: list[dict[str, str]] = Field([], description="each wrong parameter: `where` it is and `what` to change")


class ProblemError(Exception):
    """Raised by a route: answered as problem details."""

    def __init__(
        self, status: HTTPStatus, kind: str, detail: str | Said, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(str(detail))
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = headers


class RefusedBodyError(HTTPException):
    """Raised while a body is read, where FastAPI lets an HTTPException through and nothing else."""

    def __init__(self, status: HTTPStatus, said: Said) -> None:
        super().__init__(status, said.en)
        self.said = said


def unknown(what: str, name: str, where: str) -> ProblemError:
    """404 for an asset, metric or KPI that is not there; `where` lists those that are."""
    said = Said(
        f"There is no {what} {name[:200]!r}; {where} lists them.",
        f"Il n'y a pas ici « {name[:200]} » ; {where} donne la liste.",
    )
    return ProblemError(HTTPStatus.NOT_FOUND, f"unknown-{what}", said)


def spoken(request: Request) -> Language:
    """The language of an answer: of a page that of its page, of the API the one asked for by `lang`, else by
    Accept-Language, else English."""
    lang = request.query_params.get("lang")
    if for_people(request):
        return asked(request, lang).language
    return preferred(lang, None, request.headers.get("accept-language", ""), "en")


def answer(
    request: Request,
    status: int,
    kind: str,
    detail: str | Said,
    errors: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """The response for one problem: a page for people who asked for a page, problem details for everybody else."""
    detail = detail.in_(spoken(request)) if isinstance(detail, Said) else detail
    renderer = getattr(getattr(request.scope.get("app"), "state", None), "renderer", None)
    if renderer is not None and for_people(request):
        page = asked(request, request.query_params.get("lang"))
        shown: Response = renderer.page(page, "refused.html", status, status=status, detail=detail)
        shown.headers.update(headers or {})
        return shown
    problem = Problem(
        type=f"urn:km0:problem:{kind}",
        title=kind.replace("-", " ").capitalize(),
        status=status,
        detail=detail,
        instance=request.url.path,
        errors=errors or [],
    )
    return JSONResponse(problem.model_dump(), status, media_type=MEDIA_TYPE, headers=headers)


def for_people(request: Request) -> bool:
    """Whether the request is a browser's for a page."""
    path = request.url.path
    programs = path.startswith(("/api/", "/charts/", "/static/", "/live", "/metrics"))
    return not programs and "text/html" in request.headers.get("accept", "")


RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": text, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for status, text in (
        (404, "No such asset, metric or KPI"),
        (414, "The address is too long: ask for fewer assets at a time"),
        (422, "A parameter is wrong; the detail says which and how to write it"),
        (503, "The store does not answer now; try again after Retry-After seconds"),
    )
}
"""What every route of the API may answer, for OpenAPI."""


def install(app: FastAPI, headers: Mapping[str, str]) -> None:
    """Answer every error of the app as problem details.

    A bug is answered outside of every middleware, so the `headers` that each answer carries are given here for it.
    """

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)
        return answer(request, error.status, error.kind, error.detail, headers=error.headers)

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        language = spoken(request)
        faults = [
            {"where": ".".join(map(str, fault["loc"][1:])), "what": validation.sentence(fault).in_(language)}
            for fault in error.errors()[:20]
        ]
        colon = " : " if language == "fr" else ": "
        detail = "; ".join(f"{fault['where']}{colon}{fault['what']}" for fault in faults[:3])
        return answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-parameters", detail, faults)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = HTTPStatus(error.status_code)
        kind = status.phrase.lower().replace(" ", "-")
        detail: str | Said = error.detail if error.detail != status.phrase else _of_status(status)
        detail = error.said if isinstance(error, RefusedBodyError) else detail
        return answer(request, status, kind, detail, headers=dict(error.headers or {}))

    async def on_store(request: Request, error: Exception) -> Response:
        assert isinstance(error, StoreError)
        wait = max(1, round(error.retry_after_s or 5))
        detail = Said(
            f"The store does not answer: {error}. Try again in {wait} s.",
            f"La base de données ne répond pas. Réessayez dans {wait} s.",
        )
        return answer(
            request, HTTPStatus.SERVICE_UNAVAILABLE, "store-unavailable", detail, headers={"Retry-After": str(wait)}
        )

    async def on_bug(request: Request, error: Exception) -> Response:
        # the route, not the address: that of a link is its secret
        asked_for = getattr(request.scope.get("route"), "path", request.url.path)
        log.error("bug while answering %s", asked_for, exc_info=error)
        return answer(
            request,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "bug",
            Said(
                "This is a fault of ours; the log of the server has it.",
                "C'est une erreur de notre part ; le journal du serveur la contient.",
            ),
            headers=dict(headers),
        )

    app.add_exception_handler(ProblemError, on_problem)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(StoreError, on_store)
    app.add_exception_handler(Exception, on_bug)


def _of_status(status: HTTPStatus) -> Said:
    """What the status itself says; in French the page's heading says it, so that only what is left is how to go on."""
    return Said(
        f"{status.description or status.phrase}.",
        "Vérifiez l'adresse, ou revenez à la page d'accueil."
        if status == HTTPStatus.NOT_FOUND
        else "Cette adresse n'est pas faite pour être demandée ainsi.",
    )

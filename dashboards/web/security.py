"""What every answer carries, and which requests are refused before any route sees them."""

import asyncio
import math
import re
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.web import problems
from dashboards.web.config import WebConfig
from pipeline.said import Said

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with "no-referrer" browsers send forms of our own pages from "null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

MAX_TARGET: Final = 8192
"""Longest path and query accepted, in bytes."""

MAX_BODY: Final = 1 << 20
"""Largest form or JSON accepted, in bytes. FastAPI reads a body whole before it asks who sent it."""

BODY_S: Final = 60.0
"""How long [s] such a body may take to come."""

SLOWEST: Final = 10_000
"""How fast [bytes/s] a file comes on the whole, after so long: it holds room that others of its company may need."""

_STREAMED: Final = re.compile(r"POST /api/v1/diagnoses|PUT /api/v1/diagnoses/[0-9a-f]{32}/link")


def streamed(method: str, path: str) -> bool:
    """Whether the body goes to disk as it comes, behind its wall, and has a limit of its own."""
    return _STREAMED.fullmatch(f"{method} {path}") is not None


_TOO_LARGE: Final = Said(
    f"The body has more than {MAX_BODY >> 20} MB: a file is sent by POST /api/v1/diagnoses.",
    f"Plus de {MAX_BODY >> 20} Mo ont été envoyés : un fichier s'envoie depuis la page Diagnostics.",
)

_TOO_SLOW: Final = Said(
    f"The body did not come within {BODY_S:.0f} s (a file: {SLOWEST // 1000} kB a second): send it over a faster line.",
    f"L'envoi a duré plus de {BODY_S:.0f} s (un fichier : moins de {SLOWEST // 1000} ko par seconde) : "
    "utilisez une ligne plus rapide.",
)


class Guard:
    """ASGI middleware: refuses foreign Host headers (DNS rebinding) and absurd targets, adds the security headers.

    Plain ASGI, not BaseHTTPMiddleware: that one buffers and would hold up event streams.
    """

    def __init__(self, app: ASGIApp, config: WebConfig) -> None:
        self._app = app
        self._config = config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        host = Headers(scope=scope).get("host", "")
        if not self._config.answers_to(host):
            refusal = problems.answer(
                Request(scope),
                421,
                "unknown-host",
                Said(
                    f"Not served under {host[:100]!r}: add it to `hosts` of [web].",
                    f"Ce site ne répond pas sous le nom « {host[:100]} » : demandez à son administrateur de l'ajouter.",
                ),
            )
            await refusal(scope, receive, send_with_headers)
        elif scope["method"] not in ("GET", "HEAD", "OPTIONS") and from_elsewhere(Headers(scope=scope), self._config):
            refusal = problems.answer(
                Request(scope),
                403,
                "other-site",
                Said(
                    "This was sent from a page of another site: it changes nothing here.",
                    "Ceci vient d'une page d'un autre site : rien n'est changé ici.",
                ),
            )
            await refusal(scope, receive, send_with_headers)
        elif len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_TARGET:
            refusal = problems.answer(
                Request(scope),
                414,
                "address-too-long",
                Said(f"More than {MAX_TARGET} bytes.", f"L'adresse a plus de {MAX_TARGET} octets."),
            )
            await refusal(scope, receive, send_with_headers)
        elif streamed(scope["method"], scope["path"]):
            await self._app(scope, _bounded(receive, most=math.inf, slowest=SLOWEST), send_with_headers)
        elif _said_length(Headers(scope=scope)) > MAX_BODY:
            refusal = problems.answer(Request(scope), 413, "body-too-large", _TOO_LARGE)
            await refusal(scope, receive, send_with_headers)
        else:
            reading = scope["method"] in ("GET", "HEAD", "OPTIONS")
            await self._app(scope, receive if reading else _bounded(receive), send_with_headers)


def _said_length(headers: Headers) -> int:
    said = headers.get("content-length", "")
    return int(said) if said.isdecimal() and len(said) < 20 else 0


def _bounded(receive: Receive, *, most: float = MAX_BODY, slowest: float = math.inf) -> Receive:
    """A body counted [bytes] and timed [bytes/s] as it comes. Raises HTTPException beyond `most`, and after BODY_S when
    it is slower than `slowest`: a chunked one says no length, and FastAPI would wait for the rest of it for ever."""
    came, whole = 0, False
    since = asyncio.get_running_loop().time()

    async def counted() -> Message:
        nonlocal came, whole
        if whole:  # what comes now is that the client went away
            return await receive()
        try:
            async with asyncio.timeout_at(since + BODY_S + came / slowest):
                message = await receive()
        except TimeoutError:
            raise problems.RefusedBodyError(HTTPStatus.REQUEST_TIMEOUT, _TOO_SLOW) from None
        whole = not message.get("more_body", False)
        came += len(message.get("body", b""))
        if came > most:
            raise problems.RefusedBodyError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
        return message

    return counted


def from_elsewhere(headers: Headers, config: WebConfig | None) -> bool:
    """Whether a browser says that a page of another site sent this (CSRF). Programs say nothing of the kind."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and (config is None or not config.answers_to(urlsplit(origin).netloc))

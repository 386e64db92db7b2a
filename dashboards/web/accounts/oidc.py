"""Logging in by a login service: out to it, and back. Also joining such a login to the account one is in."""

import asyncio
import logging
import secrets
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from dashboards.web.accounts.book import Book
from dashboards.web.accounts.identity import Identity
from dashboards.web.accounts.ledger import RefusedError
from dashboards.web.accounts.logins import NotInvitedError
from dashboards.web.accounts.provider import LATE, Attempt, Provider
from dashboards.web.accounts.session import came_in
from dashboards.web.accounts.walls import Who, own_address
from dashboards.web.config import AccountsConfig
from dashboards.web.problems import ProblemError
from dashboards.web.rendering import Page, Renderer
from dashboards.web.security import from_elsewhere
from dashboards.web.texts import mark, translations

log = logging.getLogger(__name__)

AT_ONCE: Final = 4
"""So many wait for the login service at a time: a slow one must not take the threads that all pages share."""
ATTEMPT_S: Final = 600
"""How long the way to the login service and back may take [s]."""
FAILED: Final = mark("%(service)s did not let you in: %(why)s.")
STRANGER: Final = mark(
    "%(service)s knows you, but nobody invited you here: ask an administrator to invite %(email)s by that name."
)
NAMELESS: Final = mark("%(service)s knows you, but vouches for no e-mail address by which you could be invited here.")


ENDED: Final = mark("the session that began this has ended: log in, and begin again")


class Way:
    """Out to the login service, and back."""

    def __init__(self, book: Book, config: AccountsConfig, provider: Provider, renderer: Renderer) -> None:
        assert config.oidc is not None
        self._book = book
        self._config = config
        self._provider = provider
        self._renderer = renderer
        self._service = config.oidc.name
        self._cookie = "__Host-km0_oidc" if config.secure_cookies else "km0_oidc"

    def out(self, page: Page, attempt: Attempt) -> Response:
        """To the login service, with a cookie that has to come back."""
        try:
            answer = RedirectResponse(self._provider.address(attempt), HTTPStatus.SEE_OTHER)
        except RefusedError as error:
            return self._refused(page, FAILED, HTTPStatus.BAD_GATEWAY, why=str(error))
        answer.set_cookie(
            self._cookie, attempt.encode(), max_age=ATTEMPT_S, httponly=True, secure=self._config.secure_cookies,
            samesite="lax",
        )  # fmt: skip
        return answer

    def back(self, request: Request, page: Page) -> Response:
        """From the login service: in, or with what it was begun for; or the login page, that says why not."""
        source = request.client.host if request.client else ""
        try:
            answer = self._entered(request)
        except NotInvitedError as error:
            email = str(error)
            if email:
                self._book.entrance.stranger(email, source)
            log.warning("no login by %s from %s: nobody here has the address it tells", self._service, source)
            return self._refused(page, STRANGER if email else NAMELESS, HTTPStatus.FORBIDDEN, email=email)
        except RefusedError as error:
            log.warning("no login by %s from %s: %r", self._service, source, str(error))
            return self._refused(page, FAILED, HTTPStatus.BAD_REQUEST, why=str(error))
        self._forget(answer)
        return answer

    def _entered(self, request: Request) -> Response:
        attempt = Attempt.decode(request.cookies.get(self._cookie, ""))
        if attempt is None:
            raise RefusedError(LATE)
        known = self._provider.who(attempt, request.query_params)
        if not attempt.word:
            return came_in(self._book, self._config, self._book.logins.person(known), own_address(attempt.following))
        who: Identity | None = request.state.identity
        if who is None or not secrets.compare_digest(attempt.word.encode(), who.csrf.encode()):
            raise RefusedError(ENDED)
        self._book.logins.join(who, known)
        return RedirectResponse("/account", HTTPStatus.SEE_OTHER)

    def _refused(self, page: Page, fault: str, code: HTTPStatus, *, why: str = "", email: str = "") -> Response:
        why = translations(page.language).gettext(why) if why else ""
        told = {"service": self._service, "why": why.removesuffix("."), "email": email}
        answer = self._renderer.page(
            page, "login.html", code, fault=fault, told=told, name="", next="/", service=self._service
        )
        self._forget(answer)
        return answer

    def _forget(self, answer: Response) -> None:
        answer.delete_cookie(self._cookie, secure=self._config.secure_cookies, httponly=True, samesite="lax")


def router(book: Book, config: AccountsConfig, provider: Provider, renderer: Renderer) -> APIRouter:
    """The routes, where a login service is set."""
    way, asking = Way(book, config, provider, renderer), asyncio.Semaphore(AT_ONCE)
    routes = APIRouter(include_in_schema=False)

    @routes.get("/login/oidc")
    async def login(page: Page, next: str = "/") -> Response:  # noqa: A002  # the word in the address
        async with asking:
            return await asyncio.to_thread(way.out, page, Attempt.new(own_address(next)))

    @routes.get("/account/oidc")
    async def join(request: Request, page: Page, who: Who) -> Response:
        if from_elsewhere(request.headers, None):
            raise ProblemError(HTTPStatus.FORBIDDEN, "other-site", "Begin this on your account's own page.")
        async with asking:
            return await asyncio.to_thread(way.out, page, Attempt.new("/account", who.csrf))

    @routes.get("/login/oidc/done")
    async def done(request: Request, page: Page) -> Response:
        async with asking:
            return await asyncio.to_thread(way.back, request, page)

    @routes.post("/account/oidc/end")
    async def part(who: Who) -> Response:
        try:
            await asyncio.to_thread(book.logins.part, who)
        except RefusedError as error:
            raise ProblemError(HTTPStatus.CONFLICT, "refused", f"{error}.") from None
        return RedirectResponse("/account", HTTPStatus.SEE_OTHER)

    return routes

"""Logging in and out, setting a password by a link, one's own tokens, and the people of an organisation."""

import asyncio
import math
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from fastapi import APIRouter, Form, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import AfterValidator

from dashboards.web.accounts import passwords, session
from dashboards.web.accounts.book import Book
from dashboards.web.accounts.identity import SCOPES, Role, Scope
from dashboards.web.accounts.ledger import LOG_PAGE, RefusedError
from dashboards.web.accounts.walls import COOKIE, Who, own_address
from dashboards.web.config import AccountsConfig
from dashboards.web.problems import ProblemError
from dashboards.web.rendering import Page, Renderer
from dashboards.web.texts import mark

ROLES: Final = {Role.VIEWER: mark("viewer"), Role.ENGINEER: mark("engineer"), Role.ADMINISTRATOR: mark("administrator")}
RoleName = Literal["viewer", "engineer", "administrator"]


def _seen(name: str) -> str:
    if not name.isprintable():
        raise ValueError("a name has no signs that nobody sees")
    return name


Name = Annotated[
    str,
    Form(min_length=1, max_length=100, pattern=r"^[^\s<>\x00-\x1f](?:[^<>\x00-\x1f]*[^\s<>\x00-\x1f])?$"),
    AfterValidator(_seen),
]
Number = Annotated[int, Path(ge=0, le=2**63 - 1)]
Password = Annotated[str, Form(max_length=passwords.MOST_LENGTH)]

WRONG: Final = mark("Name or password is wrong.")
TOO_SHORT: Final = mark("A password has at least 12 characters: a few words are easy to keep in mind.")
TOO_OFTEN: Final = mark("Too many attempts. Try again in %(minutes)s minutes.")
DONE: Final = (
    mark("first link"), mark("invited"), mark("organisation made"), mark("removed"), mark("made viewer"),
    mark("made engineer"), mark("made administrator"), mark("link made"), mark("password set"), mark("came in"),
    mark("could not come in"), mark("token made"), mark("token ended"),
    mark("login joined"), mark("login parted"), mark("not invited"), mark("file brought"), mark("diagnosis deleted"),
    mark("downloaded"),
)  # fmt: skip
"""What the log says of what people did."""
USED: Final = mark("This link was used already, or is too old: ask an administrator for another.")


def _refused(error: RefusedError) -> ProblemError:
    return ProblemError(HTTPStatus.CONFLICT, "refused", f"{error}.")


def _go(address: str) -> Response:
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)


def router(book: Book, config: AccountsConfig, hashes: passwords.Passwords, renderer: Renderer) -> APIRouter:
    """The routes of accounts."""
    routes = APIRouter(include_in_schema=False)
    _entering(routes, book, hashes, config, renderer)
    _linked(routes, book, hashes, config, renderer)
    _own(routes, book, config, renderer)
    _people(routes, book, renderer)
    return routes


def _entering(
    routes: APIRouter, book: Book, hashes: passwords.Passwords, config: AccountsConfig, renderer: Renderer
) -> None:
    patience = passwords.Patience()
    service = config.oidc.name if config.oidc is not None else None

    def shown(page: Page, code: int = 200, **values: Any) -> Response:
        return renderer.page(
            page, "login.html", code, **{"fault": None, "told": {}, "name": "", "next": "/"} | values, service=service
        )

    @routes.get("/login")
    async def login_page(page: Page, next: str = "/") -> Response:  # noqa: A002  # the word in the address
        return shown(page, next=own_address(next))

    def enter(page: Page, source: str, name: str, password: str, following: str) -> Response:
        wait = patience.wait_s(name, source)
        if wait:
            minutes = math.ceil(wait / 60)
            answer = shown(page, 429, fault=TOO_OFTEN, told={"minutes": minutes}, name=name, next=following)
            answer.headers["Retry-After"] = str(math.ceil(wait))
            return answer
        found = book.entrance.password(name)
        good, renewed = hashes.right(password, found[1] if found else None)
        if not good or found is None:
            patience.failed(name, source)
            book.entrance.failed(name, source)
            return shown(page, 403, fault=WRONG, name=name, next=following)
        patience.succeeded(name, source)
        if renewed is not None:
            book.entrance.rehash(found[0], renewed)
        try:
            return session.came_in(book, config, found[0], following)
        except RefusedError as error:
            raise _refused(error) from None

    @routes.post("/login")
    async def login(
        request: Request,
        page: Page,
        name: Name,
        password: Password,
        next: Annotated[str, Form()] = "/",  # noqa: A002
    ) -> Response:
        source = request.client.host if request.client else ""
        return await asyncio.to_thread(enter, page, source, name, password, own_address(next))


def _linked(
    routes: APIRouter, book: Book, hashes: passwords.Passwords, config: AccountsConfig, renderer: Renderer
) -> None:
    @routes.get("/welcome/{secret}")
    async def welcome_page(page: Page, secret: str) -> Response:
        name = await asyncio.to_thread(book.people.linked, secret)
        fault = USED if name is None else None
        return renderer.page(page, "welcome.html", 200 if name else 404, name=name, fault=fault)

    def welcome(page: Page, secret: str, name: str, password: str) -> Response:
        if len(password) < passwords.LEAST:
            return renderer.page(page, "welcome.html", 422, name=name, fault=TOO_SHORT)
        if book.people.linked(secret) is None:  # a hash costs memory and time, which strangers do not get
            return renderer.page(page, "welcome.html", 404, name=None, fault=USED)
        try:
            user = book.people.use_link(secret, name, hashes.hashed(password))
            return session.came_in(book, config, user, "/account")
        except RefusedError as error:
            raise _refused(error) from None

    @routes.post("/welcome/{secret}")
    async def use_link(page: Page, secret: str, name: Name, password: Password) -> Response:
        return await asyncio.to_thread(welcome, page, secret, name, password)


def _own(routes: APIRouter, book: Book, config: AccountsConfig, renderer: Renderer) -> None:
    def account(page: Page, who: Who, made: str | None = None) -> Response:
        return renderer.page(
            page,
            "account.html",
            who=who,
            roles=ROLES,
            scopes=SCOPES,
            tokens=book.tokens.of(who),
            organisations=book.entrance.organisations_of(who.user),
            service=config.oidc.name if config.oidc is not None else None,
            joined=config.oidc is not None and book.logins.joined(who, config.oidc.issuer),
            made=made,
        )

    @routes.get("/account")
    async def account_page(page: Page, who: Who) -> Response:
        return await asyncio.to_thread(account, page, who)

    @routes.post("/logout")
    async def logout(request: Request) -> Response:
        await asyncio.to_thread(book.entrance.leave, request.cookies.get(COOKIE, ""))
        answer = _go("/login")
        answer.delete_cookie(COOKIE, secure=config.secure_cookies, httponly=True, samesite="lax")
        return answer

    @routes.post("/account/organisation")
    async def other_organisation(
        request: Request, who: Who, organisation: Annotated[int, Form(ge=0, le=2**63 - 1)]
    ) -> Response:
        try:
            entered = await asyncio.to_thread(book.entrance.enter, who.user, organisation)
        except RefusedError as error:
            raise _refused(error) from None
        await asyncio.to_thread(book.entrance.leave, request.cookies.get(COOKIE, ""))
        answer = _go("/account")
        session.keep(answer, entered, config)
        return answer

    @routes.post("/account/tokens")
    async def make_token(
        page: Page, who: Who, name: Name, scope: Annotated[list[Scope], Form(min_length=1)]
    ) -> Response:
        made = await asyncio.to_thread(book.tokens.make, who, name, frozenset(scope))
        return await asyncio.to_thread(account, page, who, made)

    @routes.post("/account/tokens/{number}/end")
    async def end_token(who: Who, number: Number) -> Response:
        try:
            await asyncio.to_thread(book.tokens.end, who, number)
        except RefusedError as error:
            raise _refused(error) from None
        return _go("/account")


def _people(routes: APIRouter, book: Book, renderer: Renderer) -> None:
    def people(page: Page, who: Who, link: str | None = None, name: str = "", before: int = 2**63 - 1) -> Response:
        entries = book.ledger.entries(who.organisation, before)
        return renderer.page(
            page,
            "people.html",
            who=who,
            roles=ROLES,
            members=book.people.members(who.organisation),
            entries=entries,
            older=entries[-1].id if len(entries) == LOG_PAGE else None,
            link=None if link is None else f"/welcome/{quote(link)}",
            name=name,
        )

    @routes.get("/people")
    async def people_page(
        page: Page, who: Who, before: Annotated[int, Query(ge=0, le=2**63 - 1)] = 2**63 - 1
    ) -> Response:
        return await asyncio.to_thread(people, page, who, before=before)

    async def changed(page: Page, who: Who, name: str, change: Any, *values: Any) -> Response:
        try:
            link = await asyncio.to_thread(change, who, *values)
        except RefusedError as error:
            raise _refused(error) from None
        return await asyncio.to_thread(people, page, who, link, name)

    @routes.post("/people")
    async def invite(page: Page, who: Who, name: Name, role: Annotated[RoleName, Form()]) -> Response:
        return await changed(page, who, name, book.people.invite, name, Role[role.upper()])

    @routes.post("/people/{user}/role")
    async def change_role(
        page: Page, who: Who, user: Number, role: Annotated[RoleName | Literal["none"], Form()]
    ) -> Response:
        return await changed(
            page, who, "", book.people.change_role, user, None if role == "none" else Role[role.upper()]
        )

    @routes.post("/people/{user}/link")
    async def renew(page: Page, who: Who, user: Number) -> Response:
        return await changed(page, who, "", book.people.renew, user)

    @routes.post("/people/organisations")
    async def make_organisation(page: Page, who: Who, name: Name, administrator: Name) -> Response:
        return await changed(page, who, administrator, book.people.organisation, name, administrator)

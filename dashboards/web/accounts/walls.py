"""The walls: one table of who may ask for what, and the one place that holds every request against it.

A route that is not in the table stops the start. What another organisation has is answered as if it were not there.
"""

import asyncio
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute

from dashboards.web.accounts.book import Book
from dashboards.web.accounts.identity import OPEN, Identity, Role, Scope
from dashboards.web.problems import ProblemError, for_people
from dashboards.web.security import streamed
from pipeline.said import Said

COOKIE: Final = "km0_session"
CSRF: Final = "csrf"
CSRF_HEADER: Final = "X-CSRF-Token"


@dataclass(frozen=True, slots=True)
class Need:
    """`role`: the least; None: everybody, logged in or not. `plant`: only of the organisation that owns the plant.
    `scope`: what a program's token must allow; None: people with a session only."""

    role: Role | None
    plant: bool = False
    scope: Scope | None = None


EVERYBODY: Final = Need(None)
SEE_PLANT: Final = Need(Role.VIEWER, plant=True, scope="read")
SEE_OWN: Final = Need(Role.VIEWER, scope="read")
MAKE_OWN: Final = Need(Role.ENGINEER, scope="write")
MAKE_OF_PLANT: Final = Need(Role.ENGINEER, plant=True, scope="write")
MYSELF: Final = Need(Role.VIEWER)
ADMINISTER: Final = Need(Role.ADMINISTRATOR)
ADMINISTER_HOST: Final = Need(Role.ADMINISTRATOR, plant=True)

WALLS: Final[dict[tuple[str, str], Need]] = {
    **{("GET", path): SEE_PLANT for path in (
        "/", "/assets/{path:path}", "/losses", "/network", "/data", "/deadletters", "/deadletters/{number}",
        "/settings",
        "/live", "/charts/losses/{name}", "/charts/network/delays", "/metrics",
        "/api/v1/events", "/api/v1/assets", "/api/v1/assets/{path:path}", "/api/v1/samples", "/api/v1/kpi-values",
        "/api/v1/health", "/api/v1/deadletters", "/api/v1/plant/now", "/api/v1/links/latency", "/api/v1/links/service",
        "/api/v1/plant", "/api/v1/states", "/api/v1/samples.{form}", "/api/v1/kpi-values.{form}",
        "/api/v1/deadletters/{number}", "/api/v1/links/radio", "/api/v1/losses", "/api/v1/rollup", "/api/v1/orders",
    )},
    **{("GET", path): SEE_OWN for path in (
        "/definitions", "/api/v1/metrics", "/api/v1/kpis", "/api/v1/use-cases", "/api/v1/me",
    )},
    **{("GET", path): SEE_OWN for path in (
        "/diagnoses", "/diagnoses/{number}", "/charts/diagnoses/{number}/{name}",
        "/api/v1/diagnoses", "/api/v1/diagnoses/{number}", "/api/v1/diagnoses/{number}/proposal",
        "/api/v1/diagnoses/{number}/report.{form}", "/api/v1/diagnoses/{number}/result",
        "/api/v1/diagnoses/{number}/losses.csv",
        "/api/v1/diagnoses/{number}/bad-rows.csv", "/api/v1/mappings",
    )},
    ("POST", "/diagnoses/plant"): MAKE_OF_PLANT,
    ("POST", "/api/v1/diagnoses/plant"): MAKE_OF_PLANT,
    ("POST", "/diagnoses/{number}"): MAKE_OWN,
    ("POST", "/diagnoses/{number}/remove"): MAKE_OWN,
    ("POST", "/diagnoses/{number}/link"): MAKE_OWN,
    ("POST", "/mappings/{name}/drop"): MAKE_OWN,
    ("POST", "/api/v1/diagnoses"): MAKE_OWN,
    ("DELETE", "/api/v1/diagnoses/{number}"): MAKE_OWN,
    ("POST", "/api/v1/diagnoses/{number}/run"): MAKE_OWN,
    ("PUT", "/api/v1/diagnoses/{number}/link"): MAKE_OWN,
    ("DELETE", "/api/v1/diagnoses/{number}/link"): MAKE_OWN,
    ("PUT", "/api/v1/mappings/{name}"): MAKE_OWN,
    ("DELETE", "/api/v1/mappings/{name}"): MAKE_OWN,
    ("GET", "/static/vega.js"): EVERYBODY,
    ("GET", "/login"): EVERYBODY,
    ("POST", "/login"): EVERYBODY,
    ("GET", "/welcome/{secret}"): EVERYBODY,
    ("POST", "/welcome/{secret}"): EVERYBODY,
    ("GET", "/login/oidc"): EVERYBODY,
    ("GET", "/login/oidc/done"): EVERYBODY,
    ("POST", "/logout"): MYSELF,
    ("GET", "/account/oidc"): MYSELF,
    ("POST", "/account/oidc/end"): MYSELF,
    ("GET", "/account"): MYSELF,
    ("POST", "/account/organisation"): MYSELF,
    ("POST", "/account/tokens"): MYSELF,
    ("POST", "/account/tokens/{number}/end"): MYSELF,
    ("GET", "/people"): ADMINISTER,
    ("POST", "/people"): ADMINISTER,
    ("POST", "/people/{user}/role"): ADMINISTER,
    ("POST", "/people/{user}/link"): ADMINISTER,
    ("POST", "/people/organisations"): ADMINISTER_HOST,
}  # fmt: skip
"""Method and path of every route, and what it needs."""


_ROLES: Final = {Role.VIEWER: "lecteur", Role.ENGINEER: "ingénieur", Role.ADMINISTRATOR: "administrateur"}
_ANOTHERS: Final = Said("This plant is another organisation's.", "Cet atelier est celui d'une autre organisation.")
_TOO_OLD: Final = Said(
    "This form is from another session: load the page again.",
    "Ce formulaire vient d'une autre session : rechargez la page.",
)


class LoginNeeded(Exception):  # noqa: N818  # no error: it leads to the login page
    """A page was asked for by nobody in particular."""


class Walls:
    """Holds requests against the table. Without a book everybody is OPEN."""

    def __init__(self, book: Book | None) -> None:
        self._book = book

    async def identity(self, request: Request) -> Identity | None:
        """Who asks; None for nobody. A token that is wrong is nobody, whatever cookie comes with it."""
        if self._book is None:
            return OPEN
        kind, _, secret = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return await asyncio.to_thread(self._book.tokens.identity, secret.strip())
        cookie = request.cookies.get(COOKIE)
        return None if cookie is None else await asyncio.to_thread(self._book.entrance.session, cookie)

    async def __call__(self, request: Request) -> None:
        """The dependency of every route: raises ProblemError or LoginNeeded unless the request may pass."""
        route = request.scope["route"]
        need = WALLS[request.method if request.method != "HEAD" else "GET", route.path]
        who = await self.identity(request)
        request.state.identity = who
        if need.role is None:
            return
        if who is None:
            if request.method == "GET" and for_people(request):
                raise LoginNeeded
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "login-needed",
                Said(
                    "Log in, or send a token: Authorization: Bearer km0_…",
                    "Connectez-vous, ou envoyez un jeton : Authorization: Bearer km0_…",
                ),
                {"WWW-Authenticate": "Bearer"},
            )
        if who.scopes is not None and need.scope not in who.scopes:
            said = Said("This token may not: it takes a person's session.", "Un jeton n'y suffit pas : connectez-vous.")
            if need.scope is not None:
                said = Said(
                    f"This token may not: it takes the scope {need.scope!r}.",
                    f"Ce jeton n'y suffit pas : il faut la portée « {need.scope} ».",
                )
            raise ProblemError(HTTPStatus.FORBIDDEN, "scope-needed", said)
        if who.role < need.role:
            raise ProblemError(
                HTTPStatus.FORBIDDEN,
                "role-needed",
                Said(
                    f"This takes the role {need.role.name.lower()}; yours is {who.role.name.lower()}.",
                    f"Il faut le rôle « {_ROLES[need.role]} » ; le vôtre est « {_ROLES[who.role]} ».",
                ),
            )
        if need.plant and not who.owns_plant:
            raise ProblemError(HTTPStatus.FORBIDDEN, "other-organisation", _ANOTHERS)
        if request.method not in ("GET", "HEAD") and who.scopes is None and self._book is not None:
            await _check_csrf(request, who)


async def _check_csrf(request: Request, who: Identity) -> None:
    sent = request.headers.get(CSRF_HEADER)
    form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    if sent is None and form and not streamed(request.method, request.url.path):
        field = (await request.form()).get(CSRF)
        sent = field if isinstance(field, str) else None
    if sent is None or not secrets.compare_digest(sent.encode(), who.csrf.encode()):
        raise ProblemError(HTTPStatus.FORBIDDEN, "form-too-old", _TOO_OLD)


def login_address(request: Request) -> str:
    """Where to log in, and to come back from."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return "/login" if wanted == "/" else f"/login?next={quote(wanted, safe='')}"


def own_address(wanted: str | None) -> str:
    """An address of ours to go on to; anything else leads home (no open redirect)."""
    plain = wanted is not None and wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    return wanted if plain and wanted is not None and wanted.isprintable() and "\\" not in wanted else "/"


async def identity_of(request: Request) -> Identity:
    """Who asks, for a route behind a wall."""
    who = request.state.identity
    assert isinstance(who, Identity)
    return who


Who = Annotated[Identity, Depends(identity_of)]


def routes_of(routers: Iterable[APIRouter]) -> Iterator[tuple[str, str]]:
    """Method and path of every route."""
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute):
                for method in route.methods or ():
                    yield method, route.path


def check(routers: Iterable[APIRouter]) -> None:
    """Every route is in the table. Raises LookupError: a bug, found at the start and not by a stranger."""
    missing = sorted(set(routes_of(routers)) - WALLS.keys())
    if missing:
        raise LookupError(f"routes without a row in WALLS: {missing}")

"""Two companies behind one app: the host, whose plant it is, and a guest."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from fastapi import FastAPI
from httpx2 import Client
from starlette.testclient import TestClient

from dashboards.web.accounts.book import Book
from dashboards.web.accounts.identity import Identity, Role
from dashboards.web.accounts.passwords import Passwords
from dashboards.web.accounts.walls import COOKIE
from dashboards.web.app import create_app
from dashboards.web.config import AccountsConfig, OidcConfig, WebConfig
from tests.dashboards.seeded import Seeded, empty

PASSWORD = "correct horse battery"
LEAST_MB = 19
"""The cheapest passwords that the settings allow: these tests are of other things."""
ORIGIN = "https://localhost"


@dataclass
class Companies:
    """`sessions` and `tokens` by who they are of: "viewer", "engineer", "administrator", "guest" (an administrator)."""

    seeded: Seeded
    app: FastAPI
    book: Book
    sessions: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def who(self, name: str) -> Identity:
        found = self.book.entrance.session(self.sessions[name])
        assert found is not None
        return found

    def client(self, name: str | None = None) -> Client:
        """A browser with the session of somebody, or a program with a token ("token read"), or nobody."""
        headers, cookies = {}, {}
        if name is not None and name.startswith("token"):
            headers["Authorization"] = f"Bearer {self.tokens[name]}"
        elif name is not None:
            cookies[COOKIE] = self.sessions[name]
            headers["X-CSRF-Token"] = self.who(name).csrf
        return TestClient(self.app, base_url=ORIGIN, headers=headers, cookies=cookies, follow_redirects=False)


@cache
def _hash() -> str:
    return Passwords(LEAST_MB).hashed(PASSWORD)


def login_service(port: int) -> OidcConfig:
    """A login service on a port of this machine."""
    return OidcConfig(issuer=f"http://127.0.0.1:{port}", client="km0", address=ORIGIN, name="Keycloak")


NOBODY = login_service(9)
"""Nothing listens there."""


def companies(folder: Path, oidc: OidcConfig = NOBODY, **changed: object) -> Companies:
    """The host has a viewer, an engineer and an administrator, and two tokens of the engineer; the guest has one.
    `changed`: settings of [web] that are not the usual ones."""
    accounts = AccountsConfig(organisation="Hôte", password_mb=LEAST_MB, oidc=oidc)
    config = WebConfig.model_validate({"port": 0, "folder": folder, "accounts": accounts, **changed})
    seeded = empty(config=config)
    app = create_app(seeded.context)
    book: Book = app.state.book
    password = _hash()
    found = Companies(seeded, app, book)
    first = app.state.welcome.removeprefix("welcome/")
    found.sessions["administrator"] = book.entrance.enter(book.people.use_link(first, "administrator", password))
    boss = found.who("administrator")
    for role in (Role.VIEWER, Role.ENGINEER):
        name = role.name.lower()
        found.sessions[name] = book.entrance.enter(
            book.people.use_link(book.people.invite(boss, name, role) or "", name, password)
        )
    link = book.people.organisation(boss, "Invité", "guest") or ""
    found.sessions["guest"] = book.entrance.enter(book.people.use_link(link, "guest", password))
    for scope in ("read", "write"):
        found.tokens[f"token {scope}"] = book.tokens.make(found.who("engineer"), scope, frozenset({scope}))
    return found

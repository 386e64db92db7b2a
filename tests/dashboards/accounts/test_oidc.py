"""Coming in by a login service: a certified one, one that lies, and people whom nobody invited."""

import hmac
import json
import socket
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from httpx2 import Client
from joserfc import jwt
from joserfc.jwk import RSAKey

from dashboards.web.accounts import service as asking_it
from dashboards.web.accounts.identity import Identity, Role
from dashboards.web.accounts.ledger import RefusedError
from dashboards.web.accounts.logins import NotInvitedError
from dashboards.web.accounts.provider import Attempt, Known, Provider
from dashboards.web.accounts.walls import COOKIE
from dashboards.web.config import OidcConfig
from telemetry.config import Secret, parse
from telemetry.errors import ConfigError
from tests.dashboards.accounts.companies import ORIGIN, PASSWORD, Companies, companies, login_service
from tests.dashboards.accounts.loginservice import SECRET, Hostile, at_the_service, certified, dripping, hostile, walk

ADA = "ada@example.org"
WAY = "__Host-km0_oidc"


@pytest.fixture(scope="module")
def service() -> Iterator[int]:
    with certified() as port:
        yield port


@pytest.fixture(scope="module")
def built(service: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Companies]:
    """Companies whose people may log in at the certified service; every test has people of its own."""
    tmp_path = tmp_path_factory.mktemp("oidc")
    (tmp_path / "secret").write_text(f"{SECRET}\n", encoding="utf-8")
    config = login_service(service).model_copy(update={"secret": Secret(file=tmp_path / "secret")})
    found = companies(tmp_path / "web", config)
    for person in ("viewer", "engineer", "administrator", "guest"):
        user = found.book.entrance.password(person)
        assert user is not None
        found.sessions[person] = found.book.entrance.enter(user[0])
    yield found
    found.app.state.close()


@pytest.fixture
def house(built: Companies) -> Companies:
    """By the clock of the service, which stamps its word."""
    built.seeded.clock.now_ns = time.time_ns()
    return built


def inside(house: Companies, browser: Client) -> Identity | None:
    return house.book.entrance.session(browser.cookies.get(COOKIE, domain="localhost.local") or "")


def test_whoever_is_invited_by_an_address_comes_in_by_it(house: Companies) -> None:
    """The service has verified the address; the invitation's link is over then, and the way stays open."""
    link = house.book.people.invite(house.who("administrator"), "Ada@Example.org", Role.ENGINEER)
    browser = house.client()
    assert 'href="/login/oidc?next=/"' in browser.get("/login").text
    answer = walk(browser, ADA, "/login/oidc?next=/losses")
    assert (answer.status_code, answer.headers["location"]) == (303, "/losses")
    assert browser.cookies.get(WAY) is None
    who = inside(house, browser)
    assert who is not None
    assert (who.name, who.role, who.organisation_name) == ("Ada@Example.org", Role.ENGINEER, "Hôte")
    assert house.book.people.linked(link or "") is None
    again = house.client()
    assert walk(again, ADA).status_code == 303
    assert (inside(house, again) or who).user == who.user
    [ada] = [one for one in house.book.people.members(who.organisation) if one.user == who.user]
    assert not ada.waiting
    house.book.people.change_role(house.who("administrator"), who.user, None)
    assert inside(house, again) is None
    assert walk(house.client(), ADA).status_code == 400  # known, and in no organisation any more


@pytest.mark.parametrize(
    ("person", "says"),
    [
        ("stranger@example.org", "ask an administrator to invite stranger@example.org by that name"),
        ("unverified:wanted@example.org", "vouches for no e-mail address"),
        ("nameless", "vouches for no e-mail address"),
    ],
)
def test_whom_nobody_invited_stays_outside(house: Companies, person: str, says: str) -> None:
    """Also whoever only says to have an address that somebody else was invited by; the log keeps who tried."""
    if "wanted" in person:
        house.book.people.invite(house.who("administrator"), "wanted@example.org", Role.ADMINISTRATOR)
    browser = house.client()
    browser.get("/login?lang=en")
    answer = walk(browser, person)
    assert answer.status_code == 403
    assert says in answer.text
    assert inside(house, browser) is None


def test_an_address_taken_as_a_name_waits_for_nobody(house: Companies) -> None:
    """A guest who calls itself by the engineer's address, with a password, does not get the engineer's login."""
    link = house.book.people.invite(house.who("guest"), "somebody", Role.VIEWER) or ""
    taken = house.book.people.use_link(link, "taken@example.org", "hash")
    browser = house.client()
    assert walk(browser, "taken@example.org").status_code == 403
    assert inside(house, browser) is None
    assert house.book.ledger.one("SELECT 1 FROM logins WHERE user = ?", taken) is None


def test_a_login_is_joined_from_inside_and_parted(house: Companies) -> None:
    """Afterwards the service lets the same person in; nobody else can join that login; a password stays a way in."""
    browser = house.client("engineer")
    out = browser.get("/account/oidc")
    assert "prompt=login" in out.headers["location"]
    assert walk(browser, "eng@example.org", "/account/oidc").headers["location"] == "/account"
    assert "End that" in browser.get("/account?lang=en").text
    outside = house.client()
    assert walk(outside, "eng@example.org").status_code == 303
    who = inside(house, outside)
    assert who is not None
    assert who.user == house.who("engineer").user
    other = house.client("viewer")
    answer = walk(other, "eng@example.org", "/account/oidc")
    assert (answer.status_code, "another person" in answer.text) == (400, True)
    assert browser.post("/account/oidc/end").status_code == 303
    assert walk(house.client(), "eng@example.org").status_code == 403


def test_a_new_password_ends_the_logins_that_a_thief_joined(own: Companies) -> None:
    """Whoever was in by the old password may have joined one; its owner joins it again."""
    viewer, people = own.who("viewer"), own.book.people
    known = Known("https://login.example.org", "thief", None)
    own.book.logins.join(viewer, known)
    assert own.book.logins.person(known) == viewer.user
    people.use_link(people.renew(own.who("administrator"), viewer.user), "viewer", "hash")
    with pytest.raises(NotInvitedError):
        own.book.logins.person(known)


def test_the_only_way_in_is_not_ended(house: Companies) -> None:
    """Somebody without a password keeps the login."""
    house.book.people.invite(house.who("administrator"), "only@example.org", Role.VIEWER)
    browser = house.client()
    walk(browser, "only@example.org")
    who = inside(house, browser)
    assert who is not None
    answer = browser.post("/account/oidc/end", headers={"X-CSRF-Token": who.csrf})
    assert (answer.status_code, "only way in" in answer.json()["detail"]) == (409, True)


def test_an_answer_counts_once_and_only_in_the_browser_that_asked(house: Companies) -> None:
    """Neither in another's (login CSRF), nor twice, nor without its cookie, nor from another service."""
    house.book.people.invite(house.who("administrator"), "once@example.org", Role.VIEWER)
    browser, victim = house.client(), house.client()
    out = browser.get("/login/oidc").headers["location"]
    victim.get("/login/oidc")
    with httpx2.Client(timeout=30) as elsewhere:
        back = at_the_service(elsewhere, out, "once@example.org")
    for client in (victim, house.client()):
        assert client.get(back).status_code == 400
        assert inside(house, client) is None
    kept = browser.cookies.get(WAY, domain="localhost.local") or ""
    mixed = browser.get(back.replace("iss=http%3A%2F%2F127.0.0.1", "iss=http%3A%2F%2F127.0.0.2"))
    assert (mixed.status_code, "another login service" in mixed.text) == (400, True)
    browser.cookies.set(WAY, kept, domain="localhost.local")
    assert browser.get(back).status_code == 303
    browser.cookies.set(WAY, kept, domain="localhost.local")
    assert browser.get(back).status_code == 400


@pytest.mark.parametrize("part", ["nonce", "verifier"])
def test_the_service_and_we_both_check_that_it_is_the_same_attempt(house: Companies, part: str) -> None:
    """A code with another verifier is refused there (PKCE), a token with another nonce here."""
    house.book.people.invite(house.who("administrator"), f"{part}@example.org", Role.VIEWER)
    browser = house.client()
    out = browser.get("/login/oidc").headers["location"]
    attempt = Attempt.decode(browser.cookies.get(WAY, domain="localhost.local") or "")
    assert attempt is not None
    changed = {name: getattr(attempt, name) for name in ("state", "nonce", "verifier", "following", "word")}
    changed[part] = "x" * 43
    browser.cookies.set(WAY, Attempt(**changed).encode(), domain="localhost.local")
    with httpx2.Client(timeout=30) as elsewhere:
        assert browser.get(at_the_service(elsewhere, out, f"{part}@example.org")).status_code == 400
    assert inside(house, browser) is None


def test_the_way_is_kept_where_no_other_site_can_put_it(house: Companies) -> None:
    """A cookie of this host alone, over HTTPS, out of reach of scripts; the address asks for PKCE, state and nonce."""
    out = house.client().get("/login/oidc?next=//evil.example")
    cookie = out.headers["set-cookie"]
    assert cookie.startswith(f"{WAY}=")
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/", "Max-Age=600"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    asked = parse_qs(urlsplit(out.headers["location"]).query)
    assert asked["redirect_uri"] == [f"{ORIGIN}/login/oidc/done"]
    assert asked["code_challenge_method"] == ["S256"]
    assert min(len(asked[name][0]) for name in ("state", "nonce", "code_challenge")) == 43
    attempt = Attempt.decode(cookie.split("=", 1)[1].split(";")[0])
    assert attempt is not None
    assert attempt.following == "/"
    elsewhere = house.client("engineer").get("/account/oidc", headers={"Sec-Fetch-Site": "cross-site"})
    assert elsewhere.status_code == 403


def test_a_service_that_is_away_is_said_and_passwords_work(own: Companies) -> None:
    """Nothing listens where these companies' login service should be."""
    browser = own.client()
    answer = browser.get("/login/oidc?lang=en")
    assert (answer.status_code, "Keycloak did not let you in" in answer.text) == (502, True)
    assert browser.post("/login", data={"name": "viewer", "password": PASSWORD}).status_code == 303


@pytest.fixture
def liar() -> Iterator[Hostile]:
    with hostile() as service:
        yield service


KEY = RSAKey.generate_key(2048, {"kid": "one"})
NOW_S = 1_795_343_400
ATTEMPT = Attempt("state", "nonce", "verifier", "/")


def asked(service: Hostile) -> Any:
    """What is believed of what the service says."""
    config = OidcConfig(issuer=service.issuer, client="km0", address=ORIGIN)
    return Provider(config, lambda: NOW_S * 10**9).who(ATTEMPT, {"state": "state", "code": "c"})


def coded(part: bytes) -> str:
    return urlsafe_b64encode(part).decode().rstrip("=")


def token(service: Hostile, key: Any = KEY, alg: str = "RS256", **changed: Any) -> dict[str, str]:
    claims = {"iss": service.issuer, "aud": "km0", "sub": "7", "nonce": "nonce", "iat": NOW_S, "exp": NOW_S + 60}
    claims |= {"email": ADA, "email_verified": True} | changed
    kept = {name: value for name, value in claims.items() if value is not None}
    if alg in ("HS256", "none"):  # joserfc makes neither: by hand, as an attacker would
        said = ".".join(coded(json.dumps(part).encode()) for part in ({"alg": alg, "kid": "one"}, kept))
        seal = hmac.digest(KEY.as_pem(private=False), said.encode(), "sha256") if alg == "HS256" else b""
        return {"id_token": f"{said}.{coded(seal)}"}
    return {"id_token": jwt.encode({"alg": alg, "kid": "one"}, kept, key, algorithms=[alg])}


def test_the_honest_word_of_a_service_is_believed(liar: Hostile) -> None:
    """So that the refusals below are for what is changed there; a new key is fetched when the word has one."""
    liar.say("/jwks_uri", {"keys": [KEY.as_dict(private=False)]})
    liar.say("/token_endpoint", token(liar))
    assert (asked(liar).subject, asked(liar).email) == ("7", ADA)
    liar.say("/token_endpoint", token(liar, email_verified="true"))
    assert asked(liar).email is None


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "http://127.0.0.1:1"}, {"aud": "another"}, {"aud": ["km0", "another"]}, {"azp": "another"},
        {"exp": NOW_S - 120}, {"exp": None}, {"iat": None}, {"nonce": "another"}, {"nonce": None}, {"sub": None},
        {"key": RSAKey.generate_key(2048, {"kid": "one"})},
        {"alg": "HS256"}, {"alg": "none"},
    ],
    ids="-".join,
)  # fmt: skip
def test_a_forged_or_misdirected_word_is_not_believed(liar: Hostile, changed: dict[str, Any]) -> None:
    """Another issuer, audience, time or nonce, another key, or the public key taken for a shared secret."""
    liar.say("/jwks_uri", {"keys": [KEY.as_dict(private=False)]})
    liar.say("/token_endpoint", token(liar, **changed))
    with pytest.raises(RefusedError, match=r"cannot be checked|another program"):
        asked(liar)


@pytest.mark.parametrize(
    ("path", "found", "status", "says"),
    [
        ("/.well-known/openid-configuration", b"[" * 100_000, 200, "answers 200"),
        ("/.well-known/openid-configuration", {"issuer": "https://evil.example"}, 200, "calls itself"),
        ("/token_endpoint", {"id_token": "e30.e30."}, 200, "cannot be checked"),
        ("/token_endpoint", {"error": "invalid_grant"}, 400, "invalid_grant"),
        ("/token_endpoint", b"<html>", 200, "answers 200"),
        ("/token_endpoint", b"[]", 200, "answers 200"),
        ("/token_endpoint", b" " * 1_100_000, 200, "more than it should"),
        ("/token_endpoint", b"", 302, "answers 302"),
        ("/jwks_uri", {"keys": "none"}, 200, "keys cannot be read"),
        ("/jwks_uri", {}, 500, "answers 500"),
    ],
)
def test_a_service_that_answers_nonsense_is_refused_in_a_sentence(
    liar: Hostile, path: str, found: Any, status: int, says: str
) -> None:
    """No trace, no redirect followed, no more read than is good."""
    liar.say("/jwks_uri", {"keys": [KEY.as_dict(private=False)]})
    liar.say("/token_endpoint", token(liar))
    liar.say(path, found, status)
    with pytest.raises(RefusedError, match=says):
        asked(liar)


def test_an_answer_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then for ever, in the head or in the body: it is over when its time is, and whoever comes next is
    told at once, without asking."""
    monkeypatch.setattr(asking_it, "WAIT_S", 3.0)
    asked_for: list[str] = []
    heads = (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
    for times, head in enumerate(heads, 1):
        with dripping(head, asked_for) as port, ThreadPoolExecutor(1) as pool:
            config = OidcConfig(issuer=f"http://127.0.0.1:{port}", client="km0", address=ORIGIN)
            provider = Provider(config, lambda: 0)
            with pytest.raises(RefusedError, match="does not answer"):
                pool.submit(provider.address, ATTEMPT).result(60)
            assert len(asked_for) == times
            with pytest.raises(RefusedError, match="does not answer"):
                provider.address(ATTEMPT)
            assert len(asked_for) == times


def test_a_name_that_nobody_resolves_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is over for names, too: nobody waits for a resolver that is silent."""
    monkeypatch.setattr(asking_it, "WAIT_S", 0.5)
    resolved = threading.Event()

    def silent(*_: object, **__: object) -> list[object]:
        assert resolved.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    provider = Provider(OidcConfig(issuer="https://login.example", client="km0", address=ORIGIN), lambda: 0)
    try:
        with pytest.raises(RefusedError, match="does not answer"):
            provider.address(ATTEMPT)
        assert not resolved.is_set()
    finally:
        resolved.set()


def test_strangers_do_not_grow_the_log(house: Companies, caplog: pytest.LogCaptureFixture) -> None:
    """A way back without an attempt is a line of the server's log; one whom the service knows and nobody invited is one
    line a day in the log of the plant's owner, who may want to invite them."""
    before = house.book.ledger.one("SELECT count(*) FROM log")
    for _ in range(3):
        assert house.client().get("/login/oidc/done?state=x&code=y").status_code == 400
    assert house.book.ledger.one("SELECT count(*) FROM log") == before
    assert caplog.text.count("no login by") == 3
    for _ in range(2):
        assert walk(house.client(), "stranger@example.org").status_code == 403
    assert caplog.text.count("no login by") == 5
    told = house.book.ledger.entries(house.who("administrator").organisation)
    assert [(one.who, one.what) for one in told if one.what == "not invited"].count(
        ("stranger@example.org", "not invited")
    ) == 1


def test_addresses_beyond_this_machine_take_https(liar: Hostile) -> None:
    """A discovery document cannot lead passwords over an open line."""
    named = dict.fromkeys(("authorization_endpoint", "token_endpoint", "jwks_uri"), "http://evil.example/x")
    liar.say("/.well-known/openid-configuration", {"issuer": liar.issuer} | named)
    with pytest.raises(RefusedError, match="over HTTPS"):
        asked(liar)


@pytest.mark.parametrize("text", ["", "e30=", "W10=", "é", "WyJhIl0=", "W251bGwsMSwyLDMsNF0=", "W1tb" * 2000])
def test_a_cookie_that_is_no_attempt_is_none(text: str) -> None:
    """Whatever a browser sends."""
    assert Attempt.decode(text) is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('issuer = "http://login.example.org"', "must begin with https"),
        ('address = "https://plant.example.org/km0"', "has a path"),
        ('secret = "written"', "secret"),
    ],
)
def test_a_section_that_would_leak_is_refused(line: str, says: str) -> None:
    """No plain HTTP, no address that the service cannot send back to, no secret in the file."""
    good = {"issuer": 'issuer = "https://login.example.org"', "address": 'address = "https://plant.example.org"'}
    lines = {**good, line.split(" ")[0]: line, "client": 'client = "km0"'}
    with pytest.raises(ConfigError, match=says):
        parse("\n".join(lines.values()), OidcConfig)

"""Coming in, going out, links, tokens, roles; and those who try to without being asked."""

import re
from pathlib import Path

import pytest

from dashboards.web.accounts.identity import Role
from dashboards.web.accounts.ledger import RefusedError
from dashboards.web.accounts.passwords import MOST, MOST_OF_NAME, WITHIN_S, Passwords, Patience
from dashboards.web.accounts.people import LINK_S
from dashboards.web.accounts.walls import COOKIE, own_address
from dashboards.web.app import create_app
from dashboards.web.config import AccountsConfig, WebConfig
from telemetry.config import parse
from telemetry.errors import ConfigError
from telemetry.samples import SECOND_NS
from tests.dashboards.accounts.companies import LEAST_MB, PASSWORD, Companies
from tests.dashboards.seeded import MILL, empty


def test_the_first_start_makes_an_administrator_with_a_link_that_works_once(tmp_path: Path) -> None:
    """The link sets name and password and is over; a start before that ends the earlier link, one after makes none."""
    config = WebConfig(port=0, folder=tmp_path, accounts=AccountsConfig())
    one = create_app(empty(config=config).context)
    two = create_app(empty(config=config).context)
    book = two.state.book
    early, link = (app.state.welcome.removeprefix("welcome/") for app in (one, two))
    assert (book.people.linked(early), book.people.linked(link)) == (None, "administrator")
    book.people.use_link(link, "Ada", "hash")
    with pytest.raises(RefusedError, match="used already"):
        book.people.use_link(link, "Eve", "hash")
    three = create_app(empty(config=config).context)
    assert three.state.welcome is None
    for app in (one, two, three):
        app.state.close()


def test_a_link_is_over_after_two_days(own: Companies) -> None:
    """Too old is as good as used."""
    link = own.book.people.invite(own.who("administrator"), "late", Role.VIEWER) or ""
    own.seeded.clock.now_ns += LINK_S * SECOND_NS
    assert own.book.people.linked(link) is None


def test_a_person_comes_in_and_goes_out_by_the_pages(own: Companies) -> None:
    """Link, password, session, logout: a browser's walk, after which the cookie opens nothing."""
    link = own.book.people.invite(own.who("administrator"), "Zoé", Role.VIEWER)
    browser = own.client()
    assert "Zoé" in browser.get(f"/welcome/{link}").text
    short = browser.post(f"/welcome/{link}", data={"name": "Zoé", "password": "court"})
    assert short.status_code == 422
    assert browser.post(f"/welcome/{link}", data={"name": "Zoé", "password": PASSWORD}).status_code == 303
    browser.cookies.clear()
    answer = browser.post("/login", data={"name": "Zoé", "password": PASSWORD, "next": "/losses"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/losses")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    session = browser.cookies[COOKIE]
    page = browser.get("/account").text
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    assert browser.post("/logout", data={"csrf": found[1]}).status_code == 303
    assert own.book.entrance.session(session) is None
    browser.cookies.set(COOKIE, session)
    assert browser.get("/account", headers={"Accept": "text/html"}).status_code == 303


@pytest.mark.parametrize(("name", "password"), [("viewer", "wrong"), ("nobody", PASSWORD), ("viewer", "")])
def test_a_wrong_password_and_an_unknown_name_are_answered_alike(own: Companies, name: str, password: str) -> None:
    """Nobody learns from the login which names there are."""
    answer = own.client().post("/login?lang=en", data={"name": name, "password": password or "x"})
    assert answer.status_code == 403
    assert "Name or password is wrong." in answer.text
    assert "set-cookie" not in answer.headers or COOKIE not in answer.headers["set-cookie"]


def test_guessing_is_stopped_even_with_the_right_password(own: Companies) -> None:
    """After five failures of a name the sixth attempt is not tried at all, whatever its password."""
    browser = own.client()
    for _ in range(MOST):
        assert browser.post("/login", data={"name": "viewer", "password": "wrong"}).status_code == 403
    answer = browser.post("/login", data={"name": "VIEWER", "password": PASSWORD})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= WITHIN_S


def test_patience_comes_back_with_time() -> None:
    """Fifteen minutes after the first of five failures one more may be tried; a success forgives the name there."""
    now = [0.0]
    patience = Patience(lambda: now[0])
    for _ in range(MOST):
        patience.failed("ada", "192.0.2.1")
    assert patience.wait_s("Ada", "192.0.2.1") == WITHIN_S
    now[0] = WITHIN_S
    assert patience.wait_s("ada", "192.0.2.1") == 0
    for _ in range(MOST):
        patience.failed("ada", "192.0.2.1")
    patience.succeeded("ada", "192.0.2.1")
    assert patience.wait_s("ada", "192.0.2.1") == 0


def test_a_stranger_does_not_lock_the_owner_out() -> None:
    """Five failures elsewhere stop nobody here; a hundred from many addresses stop new addresses, which bounds the
    guesses of strangers together, and not the one from which the owner has come in."""
    patience = Patience(lambda: 0.0)
    for _ in range(MOST):
        patience.failed("ada", "192.0.2.66")
    assert patience.wait_s("ada", "192.0.2.66") > 0
    assert patience.wait_s("ada", "192.0.2.1") == 0
    patience.succeeded("ada", "192.0.2.1")
    for number in range(MOST_OF_NAME):
        patience.failed("ada", f"198.51.100.{number % 50}")
    assert patience.wait_s("ada", "203.0.113.9") > 0
    assert patience.wait_s("ada", "192.0.2.1") == 0
    for _ in range(MOST):
        patience.failed("ada", "192.0.2.1")
    assert patience.wait_s("ada", "192.0.2.1") > 0, "but where the owner is, nobody guesses for ever either"


def test_a_name_that_nobody_has_writes_no_line(own: Companies, caplog: pytest.LogCaptureFixture) -> None:
    """Strangers do not grow the book; the server's log has the address, and not the name, which may be a password."""
    before = own.book.ledger.one("SELECT count(*) FROM log")
    own.client().post("/login", data={"name": "my secret pass phrase", "password": "x"})
    assert own.book.ledger.one("SELECT count(*) FROM log") == before
    assert "a name that nobody has here" in caplog.text
    assert "pass phrase" not in caplog.text


def test_figures_that_are_downloaded_are_in_the_log(own: Companies) -> None:
    """Which, of what, of when, by whom: a person or the token of one."""
    figures = {"asset": MILL, "kpi": "trs", "from": "2026-11-01T00:00:00Z", "to": "2026-11-02T00:00:00Z"}
    assert own.client("token read").get("/api/v1/kpi-values.csv", params=figures).status_code == 200
    [newest, *_] = own.book.ledger.entries(own.who("engineer").organisation)
    asked = f"kpi-values.csv: 2026-11-01T00:00:00 – 2026-11-02T00:00:00, trs of {MILL}"
    assert (newest.who, newest.what, newest.detail) == ("engineer", "downloaded", asked)


def test_a_session_ends_after_its_hours(own: Companies) -> None:
    """Twelve hours, by the settings of this test's app."""
    assert own.book.entrance.session(own.sessions["viewer"]) is not None
    own.seeded.clock.now_ns += 12 * 3600 * SECOND_NS
    assert own.book.entrance.session(own.sessions["viewer"]) is None


@pytest.mark.parametrize("csrf", [None, "", "wrong", "é"])
def test_a_form_without_the_sessions_own_word_changes_nothing(own: Companies, csrf: str | None) -> None:
    """Another site can send our cookie, not what only our pages know."""
    browser = own.client("viewer")
    del browser.headers["X-CSRF-Token"]
    data = {"name": "mine", "scope": "read"} | ({} if csrf is None else {"csrf": csrf})
    assert browser.post("/account/tokens", data=data).status_code == 403
    assert own.book.tokens.of(own.who("viewer")) == []


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
def test_a_page_of_another_site_cannot_even_log_in(own: Companies, headers: dict[str, str]) -> None:
    """What a browser sends from elsewhere is refused before any route sees it."""
    data = {"name": "viewer", "password": PASSWORD}
    assert own.client().post("/login", data=data, headers=headers).status_code == 403


def test_a_token_is_shown_once_acts_within_its_scopes_and_can_be_ended(own: Companies) -> None:
    """What is kept of it is no use to whoever reads the file."""
    browser = own.client("engineer")
    page = browser.post("/account/tokens", data={"name": "plc <b>", "scope": "read"})
    assert page.status_code == 422  # a name is no markup
    page = browser.post("/account/tokens", data={"name": "plc", "scope": ["read", "write"]})
    secret = re.search(r"km0_[\w-]{43}", page.text)
    assert secret is not None
    assert secret[0] not in browser.get("/account").text
    program = own.client()
    program.headers["Authorization"] = f"Bearer {secret[0]}"
    assert program.get("/api/v1/assets").status_code == 200
    number = max(token.id for token in own.book.tokens.of(own.who("engineer")))
    assert browser.post(f"/account/tokens/{number}/end").status_code == 303
    assert program.get("/api/v1/assets").status_code == 401


def test_nobody_ends_the_token_of_another(own: Companies) -> None:
    """An administrator neither: they take away the role."""
    number = own.book.tokens.of(own.who("engineer"))[0].id
    for person in ("viewer", "administrator", "guest"):
        assert own.client(person).post(f"/account/tokens/{number}/end").status_code == 409
    assert len(own.book.tokens.of(own.who("engineer"))) == 2


def test_a_wrong_token_is_nobody_whatever_cookie_comes_with_it(own: Companies) -> None:
    """A program that lost its rights does not borrow a browser's."""
    browser = own.client("administrator")
    assert browser.get("/api/v1/assets", headers={"Authorization": "Bearer km0_wrong"}).status_code == 401


def test_losing_a_role_ends_sessions_and_tokens(own: Companies) -> None:
    """Whoever is removed is out at once, programs too."""
    boss, engineer = own.who("administrator"), own.who("engineer")
    own.book.people.change_role(boss, engineer.user, Role.VIEWER)
    assert own.who("engineer").role is Role.VIEWER
    own.book.people.change_role(boss, engineer.user, None)
    assert own.book.entrance.session(own.sessions["engineer"]) is None
    assert own.book.tokens.identity(own.tokens["token read"]) is None


def test_the_last_administrator_stays(own: Companies) -> None:
    """Nobody locks everybody out."""
    boss = own.who("administrator")
    for role in (None, Role.VIEWER):
        with pytest.raises(RefusedError, match="last administrator"):
            own.book.people.change_role(boss, boss.user, role)


def test_an_administrator_reaches_only_the_own_company(own: Companies) -> None:
    """Of another company's people nothing can be changed, and nothing of its log is read."""
    guest, viewer = own.who("guest"), own.who("viewer")
    for change in (
        lambda: own.book.people.change_role(guest, viewer.user, None),
        lambda: own.book.people.renew(guest, viewer.user),
    ):
        with pytest.raises(RefusedError, match="no such person"):
            change()
    assert f"/people/{viewer.user}/role" not in own.client("guest").get("/people").text
    assert {entry.who for entry in own.book.ledger.entries(guest.organisation)} == {"guest"}


def test_no_second_link_for_somebody_another_company_invited(own: Companies) -> None:
    """Else its administrator could enter the first company in that person's name; nor a renewed one later."""
    boss, guest = own.who("administrator"), own.who("guest")
    link = own.book.people.invite(boss, "shared", Role.ADMINISTRATOR) or ""
    with pytest.raises(RefusedError, match="invited already"):
        own.book.people.invite(guest, "shared", Role.VIEWER)
    user = own.book.people.use_link(link, "shared", "hash")
    assert own.book.people.invite(guest, "shared", Role.VIEWER) is None
    with pytest.raises(RefusedError, match="another organisation too"):
        own.book.people.renew(guest, user)


def test_an_engineer_of_the_host_sees_where_invited_and_only_as_invited(own: Companies) -> None:
    """In the guest's company as a viewer: no plant there, and the engineer's role stays at home."""
    own.book.people.invite(own.who("guest"), "engineer", Role.VIEWER)
    engineer = own.who("engineer")
    [_, (there, name)] = own.book.entrance.organisations_of(engineer.user)
    assert name == "Invité"
    browser = own.client("engineer")
    assert browser.post("/account/organisation", data={"organisation": there}).status_code == 303
    visiting = own.book.entrance.session(browser.cookies.get(COOKIE, domain="localhost.local") or "")
    assert visiting is not None
    assert (visiting.organisation_name, visiting.role, visiting.owns_plant) == ("Invité", Role.VIEWER, False)
    assert own.client("viewer").post("/account/organisation", data={"organisation": there}).status_code == 409


def test_what_people_do_is_in_the_log(own: Companies) -> None:
    """Who came in, who could not, who was invited, as what."""
    own.client().post("/login", data={"name": "viewer", "password": "wrong"})
    said = {(entry.who, entry.what) for entry in own.book.ledger.entries(own.who("administrator").organisation)}
    assert {
        ("administrator", "invited"),
        ("viewer", "came in"),
        ("viewer", "could not come in"),
        ("engineer", "token made"),
    } <= said
    assert "connexion refusée" in own.client("administrator").get("/people?lang=fr").text


def test_no_secret_is_in_the_file(own: Companies) -> None:
    """Neither sessions, nor tokens, nor passwords can be read from a copy of it."""
    folder = own.seeded.context.config.folder
    kept = b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())
    for secret in (*own.sessions.values(), *own.tokens.values(), PASSWORD):
        assert secret.encode() not in kept
    assert b"$argon2id$" in kept
    assert (folder / "accounts.sqlite").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "wanted", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "", "/a\nb"]
)
def test_the_login_goes_on_to_our_own_pages_only(wanted: str) -> None:
    """No open redirect."""
    assert own_address(wanted) == "/"
    assert own_address("/losses?asset=a") == "/losses?asset=a"


def test_names_are_no_sql(own: Companies) -> None:
    """A name that is SQL is somebody unknown."""
    answer = own.client().post("/login", data={"name": "' OR 1=1 --", "password": PASSWORD})
    assert answer.status_code == 403


def test_without_accounts_only_this_machine_is_served() -> None:
    """An address in reach of others takes a section [web.accounts]."""
    with pytest.raises(ConfigError, match=r"add a section \[web.accounts\]"):
        parse('host = "0.0.0.0"', WebConfig)
    assert parse('host = "0.0.0.0"\naccounts = {}', WebConfig).accounts is not None


def test_passwords_are_hashed_as_rfc_9106_recommends_unless_told_otherwise() -> None:
    """64 MiB, three passes, four lanes by default; a kept hash of other settings is renewed when its owner comes in."""
    usual = Passwords(AccountsConfig().password_mb)
    strong = usual.hashed(PASSWORD)
    assert strong.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert usual.right(PASSWORD, strong) == (True, None)
    weak = Passwords(LEAST_MB).hashed(PASSWORD)
    assert weak.startswith("$argon2id$v=19$m=19456,")
    good, renewed = usual.right(PASSWORD, weak)
    assert good
    assert (renewed or "").startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert usual.right("wrong", strong) == (False, None)
    with pytest.raises(ConfigError, match="password_mb"):
        parse("password_mb = 8", AccountsConfig)

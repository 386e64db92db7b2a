"""What somebody with an account somewhere might try, to be somebody else, or elsewhere, or unseen."""

import logging
import sqlite3

import pytest
from starlette.testclient import TestClient

from dashboards.web.accounts.identity import Role
from dashboards.web.accounts.ledger import LOG_PAGE, RefusedError
from dashboards.web.accounts.walls import COOKIE
from tests.dashboards.accounts.companies import ORIGIN, PASSWORD, Companies


def test_a_name_that_a_guest_made_is_not_invited_by_others(own: Companies) -> None:
    """A guest's administrator makes "alice" and keeps the password; when the host invites its own Alice, nobody comes
    in by that name, neither as a member nor as the administrator of a new organisation."""
    people, boss, guest = own.book.people, own.who("administrator"), own.who("guest")
    alice = people.use_link(people.invite(guest, "alice", Role.VIEWER) or "", "alice", "known to the guest")
    with pytest.raises(RefusedError, match="of another organisation"):
        people.invite(boss, "alice", Role.ENGINEER)
    with pytest.raises(RefusedError, match="of another organisation"):
        people.organisation(boss, "Third", "alice")
    assert [name for _, name in own.book.entrance.organisations_of(alice)] == ["Invité"]


def test_who_is_nowhere_comes_in_anew(own: Companies) -> None:
    """A name that its organisation let go is invited by a link: the old password, which others may know, is over."""
    people, boss, guest = own.book.people, own.who("administrator"), own.who("guest")
    alice = people.use_link(people.invite(guest, "alice", Role.VIEWER) or "", "alice", "known to the guest")
    people.change_role(guest, alice, None)
    assert people.invite(boss, "alice", Role.ENGINEER)
    assert own.book.entrance.password("alice") is None


def test_a_guest_does_not_keep_the_host_from_its_own_people(own: Companies) -> None:
    """Invited by a guest, somebody of the host is still given a new password by the host."""
    people, boss, guest = own.book.people, own.who("administrator"), own.who("guest")
    people.invite(guest, "engineer", Role.VIEWER)
    assert people.renew(boss, own.who("engineer").user)


def test_a_new_password_ends_the_tokens_that_a_thief_made(own: Companies) -> None:
    """Whoever knew the old one may have made some; nobody else sees them."""
    people = own.book.people
    link = people.renew(own.who("administrator"), own.who("engineer").user)
    with own.client("token read") as program:
        assert program.get("/api/v1/assets").status_code == 200
        people.use_link(link, "engineer", "hash")
        assert program.get("/api/v1/assets").status_code == 401


@pytest.mark.parametrize("name", ["engineer\u200b", "\u202eengineer", "Engineer", "ｅngineer", "engineer\u2028b"])
def test_nobody_has_the_name_of_somebody_else_in_disguise(own: Companies, name: str) -> None:
    """The log says who did what by name: another's in other case, width or with unseen signs is refused."""
    with own.client("administrator") as boss:
        assert boss.post("/people", data={"name": name, "role": "viewer"}).status_code in (409, 422)


@pytest.mark.parametrize("name", ["viewer\u200b", "Engineer", "ｅngineer", "engineer"])
def test_nobody_takes_such_a_name_by_a_link(own: Companies, name: str) -> None:
    """Whoever was invited as "new" chooses a name: refused, and the link still is for "new"."""
    link = own.book.people.invite(own.who("administrator"), "new", Role.VIEWER) or ""
    with own.client() as browser:
        answer = browser.post(f"/welcome/{link}", data={"name": name, "password": PASSWORD})
    assert answer.status_code in (409, 422)
    assert own.book.people.linked(link) == "new"


def test_a_new_name_is_in_the_log_with_the_old_one(own: Companies) -> None:
    """Else what was done before seems to be somebody else's."""
    people, boss = own.book.people, own.who("administrator")
    people.use_link(people.renew(boss, own.who("viewer").user), "jean", "hash")
    newest = own.book.ledger.entries(boss.organisation)[0]
    assert (newest.who, newest.what, newest.detail) == ("jean", "password set", "viewer")


def test_nothing_in_the_log_is_pushed_out_of_sight(own: Companies) -> None:
    """A hundred and more lines later, what was done is on the next page."""
    own.book.people.change_role(own.who("administrator"), own.who("viewer").user, Role.ENGINEER)
    for _ in range(LOG_PAGE):
        own.book.entrance.enter(own.who("engineer").user)
    with own.client("administrator") as boss:
        first = boss.get("/people?lang=en").text
        assert "made engineer" not in first
        older = first.partition('href="/people?before=')[2].partition('"')[0]
        assert "made engineer" in boss.get(f"/people?before={older}").text


def test_a_new_book_does_not_open_the_files_of_the_old(own: Companies) -> None:
    """Organisations have numbers by chance: after the book of accounts is lost, the first guest is not the first."""
    assert own.who("guest").organisation > 2**20


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/people/99999999999999999999/link", {}),
        ("/people/99999999999999999999/role", {"role": "viewer"}),
        ("/account/tokens/99999999999999999999/end", {}),
        ("/account/organisation", {"organisation": "99999999999999999999"}),
    ],
)
def test_numbers_that_no_table_has(own: Companies, path: str, fields: dict[str, str]) -> None:
    """Larger than SQLite counts: refused, no fault of ours."""
    with own.client("administrator") as boss:
        assert boss.post(path, data=fields).status_code == 422


def test_a_session_is_no_other_after_a_new_password(own: Companies) -> None:
    """The link ends the sessions there were."""
    people = own.book.people
    people.use_link(people.renew(own.who("administrator"), own.who("viewer").user), "viewer", PASSWORD)
    with own.client() as browser:
        browser.cookies.set(COOKIE, own.sessions["viewer"])
        assert browser.get("/api/v1/assets").status_code == 401


def test_a_fault_does_not_write_a_link_into_the_log(own: Companies, caplog: pytest.LogCaptureFixture) -> None:
    """The book cannot be written while somebody uses a link: the fault is in the log, the link that still works not."""
    link = own.book.people.invite(own.who("administrator"), "new", Role.VIEWER) or ""
    with sqlite3.connect(own.seeded.context.config.folder / "accounts.sqlite") as other:
        other.execute("CREATE TRIGGER broken BEFORE DELETE ON links BEGIN SELECT RAISE(FAIL, 'full'); END")
    browser = TestClient(own.app, base_url=ORIGIN, raise_server_exceptions=False)
    with caplog.at_level(logging.DEBUG, "dashboards"):
        assert browser.post(f"/welcome/{link}", data={"name": "new", "password": PASSWORD}).status_code == 500
    told = [record.getMessage() for record in caplog.records if record.name.startswith("dashboards")]
    assert told == ["bug while answering /welcome/{secret}"]
    assert own.book.people.linked(link) == "new"

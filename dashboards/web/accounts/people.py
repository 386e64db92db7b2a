"""People and organisations: inviting, roles, and the links with which a password is set.

Invariants
- A link works once and for LINK_S.
- Somebody always is an administrator of the organisation that owns the plant: the last one cannot be taken away.
- Who is in several organisations is one of the host's people: an organisation that made a name knows its password, so
  that whoever invited a name of another guest would invite that guest's administrator.
"""

import secrets
import sqlite3
import unicodedata
from dataclasses import dataclass
from typing import Final

from dashboards.web.accounts.identity import Identity, Role
from dashboards.web.accounts.ledger import Ledger, RefusedError, digest, home
from dashboards.web.accounts.ledger import secret as fresh
from dashboards.web.accounts.schema import READY
from telemetry.samples import SECOND_NS

LINK_S: Final = 48 * 3600


@dataclass(frozen=True, slots=True)
class Member:
    """A person in an organisation. `waiting`: cannot come in yet, by password or otherwise."""

    user: int
    name: str
    role: Role
    waiting: bool


class People:
    """Over the ledger. Synchronous and thread-safe."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def first_link(self) -> str | None:
        """A one-time link for the first administrator; None once somebody can come in. Earlier ones end."""
        if self._ledger.one(f"SELECT 1 FROM users WHERE {READY}") is not None:  # noqa: S608  # a constant
            return None
        with self._ledger.change() as db:
            db.execute("DELETE FROM links")
            db.execute("INSERT OR IGNORE INTO users (name) VALUES ('administrator')")
            [user] = db.execute("SELECT id FROM users WHERE name = 'administrator'").fetchone()
            [owner] = db.execute("SELECT id FROM organisations WHERE owns_plant").fetchone()
            db.execute("INSERT OR REPLACE INTO members VALUES (?, ?, ?)", (user, owner, Role.ADMINISTRATOR))
            self._ledger.write(db, owner, "installation", "first link")
            return self._link(db, user)

    def invite(self, by: Identity, name: str, role: Role) -> str | None:
        """Add a person to the asker's organisation. A link for somebody new; None for one who has a password already.

        Raises RefusedError when that name is in the organisation already, or another guest's.
        """
        with self._ledger.change() as db:
            user, new = self._person(db, by, name)
            if db.execute(
                "SELECT 1 FROM members WHERE user = ? AND organisation = ?", (user, by.organisation)
            ).fetchone():
                raise RefusedError(f"{name} is in {by.organisation_name} already")
            db.execute("INSERT INTO members VALUES (?, ?, ?)", (user, by.organisation, role))
            self._ledger.write(db, by.organisation, by.name, "invited", f"{name}, {role.name.lower()}")
            return self._link(db, user) if new else None

    def organisation(self, by: Identity, name: str, administrator: str) -> str | None:
        """A new organisation, with its first administrator. Raises RefusedError when there is one of that name."""
        with self._ledger.change() as db:
            if db.execute("SELECT 1 FROM organisations WHERE name = ?", (name,)).fetchone():
                raise RefusedError(f"there is an organisation {name} already")
            made = db.execute(
                # a number by chance: files of a guest of an earlier book, one that was lost say, are nobody's
                "INSERT INTO organisations (id, name, owns_plant) VALUES (?, ?, 0)",
                (secrets.randbits(62), name),
            ).lastrowid
            user, new = self._person(db, by, administrator)
            db.execute("INSERT INTO members VALUES (?, ?, ?)", (user, made, Role.ADMINISTRATOR))
            self._ledger.write(db, by.organisation, by.name, "organisation made", name)
            return self._link(db, user) if new else None

    def _person(self, db: sqlite3.Connection, by: Identity, name: str) -> tuple[int, bool]:
        """The person of that name, and whether it is new. Raises RefusedError for one whose link is still out.

        A link is as good as a password: whoever could have a second one made for somebody that another company
        invited would enter there.
        """
        found = db.execute(f"SELECT id, {READY} FROM users WHERE name = ?", (name,)).fetchone()  # noqa: S608  # a constant
        if found is None:
            _refuse_alike(db, name)
            return int(db.execute("INSERT INTO users (name) VALUES (?)", (name,)).lastrowid or 0), True
        if not db.execute("SELECT 1 FROM members WHERE user = ?", (found[0],)).fetchone():
            # whoever it was comes in anew: by the link of those who invite, not by what was known before
            db.execute("UPDATE users SET password = NULL WHERE id = ?", (found[0],))
            db.execute("DELETE FROM logins WHERE user = ?", (found[0],))
            return int(found[0]), True
        if not found[1]:
            raise RefusedError(f"{name} was invited already, and has not set a password yet")
        if not db.execute(
            "SELECT 1 FROM members JOIN organisations ON id = organisation WHERE user = ? AND (owns_plant OR id = ?)",
            (found[0], by.organisation),
        ).fetchone():
            raise RefusedError(f"the name {name} is of another organisation, which answers for it: take another name")
        return int(found[0]), False

    def members(self, organisation: int) -> list[Member]:
        rows = self._ledger.rows(
            f"SELECT id, name, role, NOT {READY} FROM users JOIN members ON user = id "  # noqa: S608  # a constant
            "WHERE organisation = ? ORDER BY name",
            organisation,
        )
        return [Member(user, name, Role(role), bool(waiting)) for user, name, role, waiting in rows]  # type: ignore[arg-type]  # the columns of the schema

    def change_role(self, by: Identity, user: int, role: Role | None) -> None:
        """Give a member of the asker's organisation another role, or none: then its sessions and tokens end.

        Raises RefusedError when there is no such member, or it is the last administrator.
        """
        with self._ledger.change() as db:
            found = db.execute(
                "SELECT name, role FROM users JOIN members ON user = id WHERE user = ? AND organisation = ?",
                (user, by.organisation),
            ).fetchone()
            if found is None:
                raise RefusedError("there is no such person in this organisation")
            [others] = db.execute(
                "SELECT count(*) FROM members WHERE organisation = ? AND role = ? AND user != ?",
                (by.organisation, Role.ADMINISTRATOR, user),
            ).fetchone()
            if role is not Role.ADMINISTRATOR and not others:
                raise RefusedError("the last administrator stays one: make somebody else an administrator first")
            if role is None:
                db.execute("DELETE FROM members WHERE user = ? AND organisation = ?", (user, by.organisation))
            else:
                db.execute(
                    "UPDATE members SET role = ? WHERE user = ? AND organisation = ?", (role, user, by.organisation)
                )
            what = "removed" if role is None else f"made {role.name.lower()}"
            self._ledger.write(db, by.organisation, by.name, what, found[0])

    def renew(self, by: Identity, user: int) -> str:
        """A link with which a member sets a new password. Raises RefusedError when there is no such member."""
        with self._ledger.change() as db:
            found = db.execute(
                "SELECT name FROM users JOIN members ON user = id WHERE user = ? AND organisation = ?",
                (user, by.organisation),
            ).fetchone()
            [elsewhere] = db.execute(
                "SELECT count(*) FROM members WHERE user = ? AND organisation != ?", (user, by.organisation)
            ).fetchone()
            if found is None:
                raise RefusedError("there is no such person in this organisation")
            if elsewhere and not by.owns_plant:  # else a guest's administrator could enter the host as that person
                raise RefusedError(
                    "this person is in another organisation too: an administrator of the host renews the password"
                )
            self._ledger.write(db, by.organisation, by.name, "link made", found[0])
            return self._link(db, user)

    def _link(self, db: sqlite3.Connection, user: int) -> str:
        secret = fresh()
        until_ns = self._ledger.now_ns() + LINK_S * SECOND_NS
        db.execute("DELETE FROM links WHERE user = ? OR until_ns < ?", (user, self._ledger.now_ns()))
        db.execute("INSERT INTO links VALUES (?, ?, ?)", (digest(secret), user, until_ns))
        return secret

    def linked(self, secret: str) -> str | None:
        """The name of the person a link is for; None when it was used, is too old or never was."""
        found = self._ledger.one(
            "SELECT name FROM users JOIN links ON user = id WHERE sum = ? AND until_ns > ?",
            digest(secret),
            self._ledger.now_ns(),
        )
        return None if found is None else str(found[0])

    def use_link(self, secret: str, name: str, password_hash: str) -> int:
        """Set name and password by a link, which ends, as do sessions, tokens and logins. Raises RefusedError."""
        with self._ledger.change() as db:
            found = db.execute(
                "DELETE FROM links WHERE sum = ? AND until_ns > ? RETURNING user",
                (digest(secret), self._ledger.now_ns()),
            ).fetchone()
            if found is None:
                raise RefusedError("this link was used already, or is too old: ask for another")
            [user] = found
            _refuse_alike(db, name, user)
            [before] = db.execute("SELECT name FROM users WHERE id = ?", (user,)).fetchone()
            db.execute("UPDATE users SET name = ?, password = ? WHERE id = ?", (name, password_hash, user))
            db.execute("DELETE FROM sessions WHERE user = ?", (user,))
            for table in ("tokens", "logins"):  # a thief's, who was let in by the old password
                db.execute(f"DELETE FROM {table} WHERE user = ?", (user,))  # noqa: S608  # constants
            self._ledger.write(db, home(db, user), name, "password set", "" if before == name else before)
            return int(user)


def _refuse_alike(db: sqlite3.Connection, name: str, but: int | None = None) -> None:
    """Raises RefusedError for a name that reads like somebody else's, as the log shows who did what by name."""
    told = _told(name)
    for user, other in db.execute("SELECT id, name FROM users").fetchall():
        if user != but and _told(other) == told:
            raise RefusedError(f"the name {name} is taken")


def _told(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())

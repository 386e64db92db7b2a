"""The book of accounts, one SQLite file.

Invariants
- No secret is in it: passwords are Argon2 hashes; of sessions, tokens and links only SHA-256 sums are kept, of 256 bits
  of chance each.
- A link works once and for LINK_S; a session ends after the hours of the settings, or when its owner, a new password or
  an administrator ends it.
- Every change is in the log, written in the transaction of the change.
- Somebody always is an administrator of the organisation that owns the plant: the last one cannot be taken away.
"""

import hashlib
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time_ns
from typing import Final

from dashboards.web.accounts.identity import Identity, Role
from dashboards.web.accounts.schema import SCHEMA
from telemetry.errors import ConfigError
from telemetry.samples import SECOND_NS

LINK_S: Final = 48 * 3600
LOG_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Member:
    """A person in an organisation. `waiting`: has not set a password yet."""

    user: int
    name: str
    role: Role
    waiting: bool


@dataclass(frozen=True, slots=True)
class Token:
    id: int
    name: str
    scopes: frozenset[str]
    made_ns: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log."""

    at_ns: int
    who: str
    what: str
    detail: str


class RefusedError(ValueError):
    """What was asked of the book cannot be; the text says why, for people."""


class Book:
    """Synchronous and thread-safe: call it from threads."""

    def __init__(self, path: Path, owner: str, *, session_s: float, now_ns: Callable[[], int] = time_ns) -> None:
        """`owner`: the organisation that owns the plant. Raises ConfigError when the file cannot be had."""
        self._now_ns = now_ns
        self._session_ns = round(session_s * SECOND_NS)
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._db.executescript(SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"the accounts cannot be kept in {path}: {error}; see `folder` of [web]") from error
        with self._change() as db:
            db.execute(
                "INSERT INTO organisations (name, owns_plant) SELECT ?, 1 WHERE NOT EXISTS "
                "(SELECT 1 FROM organisations WHERE owns_plant)",
                (owner,),
            )

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _one(self, sql: str, *values: object) -> tuple[object, ...] | None:
        with self._lock:
            found: tuple[object, ...] | None = self._db.execute(sql, values).fetchone()
            return found

    def _write(self, db: sqlite3.Connection, organisation: int | None, who: str, what: str, detail: str = "") -> None:
        db.execute(
            "INSERT INTO log (at_ns, organisation, who, what, detail) VALUES (?, ?, ?, ?, ?)",
            (self._now_ns(), organisation, who, what, detail[:500]),
        )

    # people

    def first_link(self) -> str | None:
        """A one-time link for the first administrator; None once somebody has a password. Earlier ones end."""
        if self._one("SELECT 1 FROM users WHERE password IS NOT NULL") is not None:
            return None
        with self._change() as db:
            db.execute("DELETE FROM links")
            db.execute("INSERT OR IGNORE INTO users (name) VALUES ('administrator')")
            [user] = db.execute("SELECT id FROM users WHERE name = 'administrator'").fetchone()
            [owner] = db.execute("SELECT id FROM organisations WHERE owns_plant").fetchone()
            db.execute("INSERT OR REPLACE INTO members VALUES (?, ?, ?)", (user, owner, Role.ADMINISTRATOR))
            self._write(db, owner, "installation", "first link")
            return self._link(db, user)

    def invite(self, by: Identity, name: str, role: Role) -> str | None:
        """Add a person to the asker's organisation. A link for somebody new; None for one who has a password already.

        Raises RefusedError when that name is in the organisation already.
        """
        with self._change() as db:
            user, new = self._person(db, name)
            if db.execute(
                "SELECT 1 FROM members WHERE user = ? AND organisation = ?", (user, by.organisation)
            ).fetchone():
                raise RefusedError(f"{name} is in {by.organisation_name} already")
            db.execute("INSERT INTO members VALUES (?, ?, ?)", (user, by.organisation, role))
            self._write(db, by.organisation, by.name, "invited", f"{name}, {role.name.lower()}")
            return self._link(db, user) if new else None

    def organisation(self, by: Identity, name: str, administrator: str) -> str | None:
        """A new organisation, with its first administrator. Raises RefusedError when there is one of that name."""
        with self._change() as db:
            if db.execute("SELECT 1 FROM organisations WHERE name = ?", (name,)).fetchone():
                raise RefusedError(f"there is an organisation {name} already")
            made = db.execute("INSERT INTO organisations (name, owns_plant) VALUES (?, 0)", (name,)).lastrowid
            user, new = self._person(db, administrator)
            db.execute("INSERT INTO members VALUES (?, ?, ?)", (user, made, Role.ADMINISTRATOR))
            self._write(db, by.organisation, by.name, "organisation made", name)
            return self._link(db, user) if new else None

    def _person(self, db: sqlite3.Connection, name: str) -> tuple[int, bool]:
        """The person of that name, and whether it is new. Raises RefusedError for one whose link is still out.

        A link is as good as a password: whoever could have a second one made for somebody that another company
        invited would enter there.
        """
        found = db.execute("SELECT id, password FROM users WHERE name = ?", (name,)).fetchone()
        if found is None:
            return int(db.execute("INSERT INTO users (name) VALUES (?)", (name,)).lastrowid or 0), True
        if found[1] is None:
            raise RefusedError(f"{name} was invited already, and has not set a password yet")
        return int(found[0]), False

    def members(self, organisation: int) -> list[Member]:
        with self._lock:
            rows = self._db.execute(
                "SELECT id, name, role, password IS NULL FROM users JOIN members ON user = id "
                "WHERE organisation = ? ORDER BY name",
                (organisation,),
            ).fetchall()
        return [Member(user, name, Role(role), bool(waiting)) for user, name, role, waiting in rows]

    def change_role(self, by: Identity, user: int, role: Role | None) -> None:
        """Give a member of the asker's organisation another role, or none: then its sessions and tokens end.

        Raises RefusedError when there is no such member, or it is the last administrator.
        """
        with self._change() as db:
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
            self._write(db, by.organisation, by.name, what, found[0])

    def renew(self, by: Identity, user: int) -> str:
        """A link with which a member sets a new password. Raises RefusedError when there is no such member."""
        with self._change() as db:
            found = db.execute(
                "SELECT name FROM users JOIN members ON user = id WHERE user = ? AND organisation = ?",
                (user, by.organisation),
            ).fetchone()
            [elsewhere] = db.execute(
                "SELECT count(*) FROM members WHERE user = ? AND organisation != ?", (user, by.organisation)
            ).fetchone()
            if found is None:
                raise RefusedError("there is no such person in this organisation")
            if elsewhere:  # else an administrator of one company could enter another by way of a shared person
                raise RefusedError("this person is in another organisation too, and renews the password alone")
            self._write(db, by.organisation, by.name, "link made", found[0])
            return self._link(db, user)

    def _link(self, db: sqlite3.Connection, user: int) -> str:
        secret = secrets.token_urlsafe(32)
        until_ns = self._now_ns() + LINK_S * SECOND_NS
        db.execute("DELETE FROM links WHERE user = ? OR until_ns < ?", (user, self._now_ns()))
        db.execute("INSERT INTO links VALUES (?, ?, ?)", (_sum(secret), user, until_ns))
        return secret

    def linked(self, secret: str) -> str | None:
        """The name of the person a link is for; None when it was used, is too old or never was."""
        found = self._one(
            "SELECT name FROM users JOIN links ON user = id WHERE sum = ? AND until_ns > ?",
            _sum(secret),
            self._now_ns(),
        )
        return None if found is None else str(found[0])

    def use_link(self, secret: str, name: str, password_hash: str) -> int:
        """Set name and password by a link, which ends, as do the person's sessions. Raises RefusedError."""
        with self._change() as db:
            found = db.execute(
                "DELETE FROM links WHERE sum = ? AND until_ns > ? RETURNING user", (_sum(secret), self._now_ns())
            ).fetchone()
            if found is None:
                raise RefusedError("this link was used already, or is too old: ask for another")
            [user] = found
            if db.execute("SELECT 1 FROM users WHERE name = ? AND id != ?", (name, user)).fetchone():
                raise RefusedError(f"the name {name} is taken")
            db.execute("UPDATE users SET name = ?, password = ? WHERE id = ?", (name, password_hash, user))
            db.execute("DELETE FROM sessions WHERE user = ?", (user,))
            self._write(db, self._home(db, user), name, "password set")
            return int(user)

    def _home(self, db: sqlite3.Connection, user: int) -> int | None:
        found = db.execute("SELECT min(organisation) FROM members WHERE user = ?", (user,)).fetchone()
        return None if found is None else found[0]

    # coming in

    def password(self, name: str) -> tuple[int, str] | None:
        """The person of that name and the hash of the password; None when there is none."""
        found = self._one("SELECT id, password FROM users WHERE name = ? AND password IS NOT NULL", name)
        return None if found is None else (int(str(found[0])), str(found[1]))

    def rehash(self, user: int, password_hash: str) -> None:
        """Keep a password's stronger hash."""
        with self._change() as db:
            db.execute("UPDATE users SET password = ? WHERE id = ?", (password_hash, user))

    def enter(self, user: int, organisation: int | None = None) -> str:
        """A new session; in the first organisation of the person unless told. Raises RefusedError when in none."""
        with self._change() as db:
            found = db.execute(
                "SELECT organisation, name FROM members JOIN users ON id = user WHERE user = ? "
                "AND (organisation = ? OR ? IS NULL) ORDER BY organisation LIMIT 1",
                (user, organisation, organisation),
            ).fetchone()
            if found is None:
                raise RefusedError("this person is in no such organisation")
            secret = secrets.token_urlsafe(32)
            until_ns = self._now_ns() + self._session_ns
            db.execute("DELETE FROM sessions WHERE until_ns < ?", (self._now_ns(),))
            db.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?)",
                (_sum(secret), user, found[0], secrets.token_urlsafe(32), until_ns),
            )
            self._write(db, found[0], found[1], "came in")
            return secret

    def failed(self, name: str, source: str) -> None:
        """Log that somebody could not come in."""
        with self._change() as db:
            found = db.execute("SELECT id FROM users WHERE name = ?", (name,)).fetchone()
            organisation = self._home(db, found[0]) if found else None
            self._write(db, organisation, name[:100], "could not come in", source)

    def leave(self, secret: str) -> None:
        with self._change() as db:
            db.execute("DELETE FROM sessions WHERE sum = ?", (_sum(secret),))

    def session(self, secret: str) -> Identity | None:
        """Who has this session; None when it has ended."""
        found = self._one(
            "SELECT u.id, u.name, o.id, o.name, m.role, o.owns_plant, s.csrf FROM sessions s "
            "JOIN users u ON u.id = s.user JOIN organisations o ON o.id = s.organisation "
            "JOIN members m ON m.user = u.id AND m.organisation = o.id WHERE s.sum = ? AND s.until_ns > ?",
            _sum(secret),
            self._now_ns(),
        )
        return None if found is None else _identity(found, csrf=str(found[6]))

    def organisations_of(self, user: int) -> list[tuple[int, str]]:
        """Where a person is a member: id and name."""
        with self._lock:
            return self._db.execute(
                "SELECT id, name FROM organisations JOIN members ON organisation = id WHERE user = ? ORDER BY id",
                (user,),
            ).fetchall()

    # programs

    def make_token(self, by: Identity, name: str, scopes: frozenset[str]) -> str:
        """A token for programs that act as the asker, within `scopes`. It is shown this once."""
        secret = f"km0_{secrets.token_urlsafe(32)}"
        with self._change() as db:
            db.execute(
                "INSERT INTO tokens (sum, user, organisation, name, scopes, made_ns) VALUES (?, ?, ?, ?, ?, ?)",
                (_sum(secret), by.user, by.organisation, name, " ".join(sorted(scopes)), self._now_ns()),
            )
            self._write(db, by.organisation, by.name, "token made", f"{name}: {' '.join(sorted(scopes))}")
        return secret

    def tokens(self, by: Identity) -> list[Token]:
        """The asker's own."""
        with self._lock:
            rows = self._db.execute(
                "SELECT id, name, scopes, made_ns FROM tokens WHERE user = ? AND organisation = ? ORDER BY id",
                (by.user, by.organisation),
            ).fetchall()
        return [Token(number, name, frozenset(scopes.split()), made) for number, name, scopes, made in rows]

    def end_token(self, by: Identity, number: int) -> None:
        """Raises RefusedError when the asker has no such token."""
        with self._change() as db:
            found = db.execute(
                "DELETE FROM tokens WHERE id = ? AND user = ? AND organisation = ? RETURNING name",
                (number, by.user, by.organisation),
            ).fetchone()
            if found is None:
                raise RefusedError("there is no such token")
            self._write(db, by.organisation, by.name, "token ended", found[0])

    def token(self, secret: str) -> Identity | None:
        """Who a token acts as."""
        found = self._one(
            "SELECT u.id, u.name, o.id, o.name, m.role, o.owns_plant, t.scopes FROM tokens t "
            "JOIN users u ON u.id = t.user JOIN organisations o ON o.id = t.organisation "
            "JOIN members m ON m.user = u.id AND m.organisation = o.id WHERE t.sum = ?",
            _sum(secret),
        )
        return None if found is None else _identity(found, scopes=frozenset(str(found[6]).split()))

    # the log

    def entries(self, organisation: int) -> list[Entry]:
        """The newest LOG_PAGE lines of an organisation's log."""
        with self._lock:
            rows = self._db.execute(
                "SELECT at_ns, who, what, detail FROM log WHERE organisation = ? ORDER BY id DESC LIMIT ?",
                (organisation, LOG_PAGE),
            ).fetchall()
        return [Entry(*row) for row in rows]

    def log(self, by: Identity, what: str, detail: str = "") -> None:
        """Write down what somebody did."""
        with self._change() as db:
            self._write(db, by.organisation, by.name, what, detail)


def _sum(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _identity(row: tuple[object, ...], *, csrf: str = "", scopes: frozenset[str] | None = None) -> Identity:
    user, name, organisation, organisation_name, role, owns = row[:6]
    return Identity(
        int(str(user)), str(name), int(str(organisation)), str(organisation_name), Role(int(str(role))), bool(owns),
        csrf, scopes,
    )  # fmt: skip

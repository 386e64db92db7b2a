"""Coming in and going out: passwords, sessions.

Invariant: a session ends after the hours of the settings, or when its owner, a new password or an administrator
ends it.
"""

import logging
from typing import Final

from dashboards.web.accounts.identity import Identity, identity
from dashboards.web.accounts.ledger import Ledger, RefusedError, digest, home
from dashboards.web.accounts.ledger import secret as fresh
from telemetry.samples import SECOND_NS

DAY_NS: Final = 24 * 3600 * SECOND_NS
log = logging.getLogger(__name__)


class Entrance:
    """Over the ledger. Synchronous and thread-safe."""

    def __init__(self, ledger: Ledger, session_s: float) -> None:
        self._ledger = ledger
        self._session_ns: Final = round(session_s * SECOND_NS)

    def password(self, name: str) -> tuple[int, str] | None:
        """The person of that name and the hash of the password; None when there is none."""
        found = self._ledger.one("SELECT id, password FROM users WHERE name = ? AND password IS NOT NULL", name)
        return None if found is None else (int(str(found[0])), str(found[1]))

    def rehash(self, user: int, password_hash: str) -> None:
        """Keep a password's stronger hash."""
        with self._ledger.change() as db:
            db.execute("UPDATE users SET password = ? WHERE id = ?", (password_hash, user))

    def enter(self, user: int, organisation: int | None = None) -> str:
        """A new session; in the first organisation of the person unless told. Raises RefusedError when in none."""
        with self._ledger.change() as db:
            found = db.execute(
                "SELECT organisation, name FROM members JOIN users ON id = user WHERE user = ? "
                "AND (organisation = ? OR ? IS NULL) ORDER BY organisation LIMIT 1",
                (user, organisation, organisation),
            ).fetchone()
            if found is None:
                raise RefusedError("this person is in no such organisation")
            secret = fresh()
            until_ns = self._ledger.now_ns() + self._session_ns
            db.execute("DELETE FROM sessions WHERE until_ns < ?", (self._ledger.now_ns(),))
            db.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?)",
                (digest(secret), user, found[0], fresh(), until_ns),
            )
            self._ledger.write(db, found[0], found[1], "came in")
            return secret

    def failed(self, name: str, source: str) -> None:
        """Log that somebody could not come in: where there is such a person in the log of their organisation, else only
        in the server's, without the name, which may be a password in the wrong field."""
        with self._ledger.change() as db:
            found = db.execute("SELECT id FROM users WHERE name = ?", (name,)).fetchone()
            organisation = home(db, found[0]) if found else None
            if organisation is not None:
                self._ledger.write(db, organisation, name, "could not come in", source)
        if organisation is None:
            log.warning("a login from %s with a name that nobody has here", source)

    def stranger(self, email: str, source: str) -> None:
        """Tell the owner of the plant whom a login service knows and nobody invited: once a day each."""
        with self._ledger.change() as db:
            [owner] = db.execute("SELECT id FROM organisations WHERE owns_plant").fetchone()
            if not db.execute(
                "SELECT 1 FROM (SELECT * FROM log WHERE organisation = ? ORDER BY id DESC LIMIT 1000) "
                "WHERE who = ? AND what = 'not invited' AND at_ns > ?",
                (owner, email[:100], self._ledger.now_ns() - DAY_NS),
            ).fetchone():
                self._ledger.write(db, owner, email, "not invited", source)

    def leave(self, secret: str) -> None:
        with self._ledger.change() as db:
            db.execute("DELETE FROM sessions WHERE sum = ?", (digest(secret),))

    def session(self, secret: str) -> Identity | None:
        """Who has this session; None when it has ended."""
        found = self._ledger.one(
            "SELECT u.id, u.name, o.id, o.name, m.role, o.owns_plant, s.csrf FROM sessions s "
            "JOIN users u ON u.id = s.user JOIN organisations o ON o.id = s.organisation "
            "JOIN members m ON m.user = u.id AND m.organisation = o.id WHERE s.sum = ? AND s.until_ns > ?",
            digest(secret),
            self._ledger.now_ns(),
        )
        return None if found is None else identity(found, csrf=str(found[6]))

    def organisations_of(self, user: int) -> list[tuple[int, str]]:
        """Where a person is a member: id and name."""
        return self._ledger.rows(  # type: ignore[return-value]  # the columns of the schema
            "SELECT id, name FROM organisations JOIN members ON organisation = id WHERE user = ? ORDER BY id", user
        )

"""Who a login service's people are here.

Invariants
- Nobody comes in by a login service who was not invited: by name, which is then the e-mail address that the service
  has verified, or by joining the login to an account from inside it.
- A login is joined by e-mail only to a person who never came in: else whoever had taken an address as a name, with a
  password of their own, would wait there for its owner.
"""

from dashboards.web.accounts.identity import Identity
from dashboards.web.accounts.ledger import Ledger, RefusedError, home
from dashboards.web.accounts.provider import Known
from dashboards.web.accounts.schema import READY


class NotInvitedError(RefusedError):
    """The login service knows this person, and nobody here does."""


class Logins:
    """Over the ledger. Synchronous and thread-safe."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def person(self, known: Known) -> int:
        """The person of a login; the first time the one invited by its e-mail address. Raises NotInvitedError."""
        with self._ledger.change() as db:
            found = db.execute(
                "SELECT user FROM logins WHERE issuer = ? AND subject = ?", (known.issuer, known.subject)
            ).fetchone()
            if found is not None:
                return int(found[0])
            waiting = db.execute(f"SELECT id, name FROM users WHERE NOT {READY}").fetchall()  # noqa: S608  # a constant
            mail = (known.email or "").casefold()
            invited = next((user for user, name in waiting if mail and name.casefold() == mail), None)
            if invited is None or home(db, invited) is None:
                raise NotInvitedError(known.email or "")
            db.execute("INSERT INTO logins VALUES (?, ?, ?)", (known.issuer, known.subject, invited))
            db.execute("DELETE FROM links WHERE user = ?", (invited,))
            self._ledger.write(db, home(db, invited), known.email or "", "login joined", known.issuer)
            return int(invited)

    def join(self, by: Identity, known: Known) -> None:
        """Let the asker come in by a login too. Raises RefusedError when it is somebody else's."""
        with self._ledger.change() as db:
            found = db.execute(
                "SELECT user FROM logins WHERE issuer = ? AND subject = ?", (known.issuer, known.subject)
            ).fetchone()
            if found is not None and found[0] != by.user:
                raise RefusedError("this login is another person's here")
            if found is None:
                db.execute("INSERT INTO logins VALUES (?, ?, ?)", (known.issuer, known.subject, by.user))
                self._ledger.write(db, by.organisation, by.name, "login joined", known.issuer)

    def joined(self, by: Identity, issuer: str) -> bool:
        return self._ledger.one("SELECT 1 FROM logins WHERE user = ? AND issuer = ?", by.user, issuer) is not None

    def part(self, by: Identity) -> None:
        """End the asker's logins. Raises RefusedError when there is no password to come in with instead."""
        with self._ledger.change() as db:
            if db.execute("SELECT 1 FROM users WHERE id = ? AND password IS NULL", (by.user,)).fetchone():
                raise RefusedError(
                    "without a password this is the only way in: have an administrator make a link first"
                )
            if db.execute("DELETE FROM logins WHERE user = ?", (by.user,)).rowcount:
                self._ledger.write(db, by.organisation, by.name, "login parted")

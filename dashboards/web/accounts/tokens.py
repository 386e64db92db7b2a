"""Tokens: what programs show, to act as their maker within scopes."""

from dataclasses import dataclass
from typing import Any

from dashboards.web.accounts.identity import Identity, identity
from dashboards.web.accounts.ledger import Ledger, RefusedError, digest
from dashboards.web.accounts.ledger import secret as fresh


@dataclass(frozen=True, slots=True)
class Token:
    id: int
    name: str
    scopes: frozenset[str]
    made_ns: int


class Tokens:
    """Over the ledger. Synchronous and thread-safe."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def make(self, by: Identity, name: str, scopes: frozenset[str]) -> str:
        """A token for programs that act as the asker, within `scopes`. It is shown this once."""
        secret = f"km0_{fresh()}"
        with self._ledger.change() as db:
            db.execute(
                "INSERT INTO tokens (sum, user, organisation, name, scopes, made_ns) VALUES (?, ?, ?, ?, ?, ?)",
                (digest(secret), by.user, by.organisation, name, " ".join(sorted(scopes)), self._ledger.now_ns()),
            )
            self._ledger.write(db, by.organisation, by.name, "token made", f"{name}: {' '.join(sorted(scopes))}")
        return secret

    def of(self, by: Identity) -> list[Token]:
        """The asker's own."""
        rows: list[Any] = self._ledger.rows(
            "SELECT id, name, scopes, made_ns FROM tokens WHERE user = ? AND organisation = ? ORDER BY id",
            by.user,
            by.organisation,
        )
        return [Token(number, name, frozenset(scopes.split()), made) for number, name, scopes, made in rows]

    def end(self, by: Identity, number: int) -> None:
        """Raises RefusedError when the asker has no such token."""
        with self._ledger.change() as db:
            found = db.execute(
                "DELETE FROM tokens WHERE id = ? AND user = ? AND organisation = ? RETURNING name",
                (number, by.user, by.organisation),
            ).fetchone()
            if found is None:
                raise RefusedError("there is no such token")
            self._ledger.write(db, by.organisation, by.name, "token ended", found[0])

    def identity(self, secret: str) -> Identity | None:
        """Who a token acts as."""
        found = self._ledger.one(
            "SELECT u.id, u.name, o.id, o.name, m.role, o.owns_plant, t.scopes FROM tokens t "
            "JOIN users u ON u.id = t.user JOIN organisations o ON o.id = t.organisation "
            "JOIN members m ON m.user = u.id AND m.organisation = o.id WHERE t.sum = ?",
            digest(secret),
        )
        return None if found is None else identity(found, scopes=frozenset(str(found[6]).split()))

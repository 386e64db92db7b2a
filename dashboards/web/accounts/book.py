"""The book of accounts: people, how they come in, their programs' tokens, and the log, over one ledger."""

from collections.abc import Callable
from pathlib import Path
from time import time_ns
from typing import Final

from dashboards.web.accounts.entrance import Entrance
from dashboards.web.accounts.ledger import Ledger
from dashboards.web.accounts.logins import Logins
from dashboards.web.accounts.people import People
from dashboards.web.accounts.tokens import Tokens


class Book:
    """Synchronous and thread-safe: call it from threads."""

    def __init__(self, path: Path, owner: str, *, session_s: float, now_ns: Callable[[], int] = time_ns) -> None:
        """`owner`: the organisation that owns the plant. Raises ConfigError when the file cannot be had."""
        self.ledger: Final = Ledger(path, owner, now_ns)
        self.people: Final = People(self.ledger)
        self.entrance: Final = Entrance(self.ledger, session_s)
        self.logins: Final = Logins(self.ledger)
        self.tokens: Final = Tokens(self.ledger)

    def close(self) -> None:
        self.ledger.close()

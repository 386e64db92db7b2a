"""Who asks: a person of an organisation with a role, or a program with a token's scopes."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

Scope = Literal["read", "write"]
SCOPES: Final[tuple[Scope, ...]] = ("read", "write")


class Role(IntEnum):
    """Each may do what the one before may."""

    VIEWER = 1
    ENGINEER = 2
    ADMINISTRATOR = 3


@dataclass(frozen=True, slots=True)
class Identity:
    """`scopes` None: a person with a session, whose `csrf` every form must carry. `owns_plant`: the plant of this
    installation is the organisation's own; other organisations see their own diagnoses only."""

    user: int
    name: str
    organisation: int
    organisation_name: str
    role: Role
    owns_plant: bool
    csrf: str = ""
    scopes: frozenset[str] | None = None


def identity(row: tuple[object, ...], *, csrf: str = "", scopes: frozenset[str] | None = None) -> Identity:
    """From a row of user, name, organisation, its name, role and whether it owns the plant."""
    user, name, organisation, organisation_name, role, owns = row[:6]
    return Identity(
        int(str(user)), str(name), int(str(organisation)), str(organisation_name), Role(int(str(role))), bool(owns),
        csrf, scopes,
    )  # fmt: skip


OPEN: Final = Identity(0, "", 0, "", Role.ADMINISTRATOR, owns_plant=True)
"""Everybody, where there are no accounts: on this machine only (see WebConfig)."""

Told = Callable[[Identity, str, str], None]
"""Takes down who did what, with what: in the log of the accounts, or nowhere without accounts. Call it from threads."""

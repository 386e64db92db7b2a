"""/api/v1/me: who asks."""

from fastapi import APIRouter

from dashboards.web.accounts.walls import Who
from dashboards.web.models import MeOut


def add(api: APIRouter) -> None:
    """The route."""

    @api.get("/me", tags=["plant"])
    async def me(who: Who) -> MeOut:
        """Who asks, by session or token, and what they may."""
        return MeOut(
            name=who.name, organisation=who.organisation_name, role=who.role.name.lower(), owns_plant=who.owns_plant,
            scopes=None if who.scopes is None else sorted(who.scopes),
        )  # fmt: skip

"""Can the data be trusted: what is known of each machine, where nothing was heard, and what was set aside."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from dashboards.web import letters, page_losses
from dashboards.web.context import DeadLetter, WebContext
from dashboards.web.now import PlantReader
from dashboards.web.periods import PERIODS, Asked
from dashboards.web.queries import MAX_LETTERS
from dashboards.web.rendering import Page, Renderer
from dashboards.web.states import UNKNOWN, StateInterval

LETTERS: Final = 50
SHOWN_BYTES: Final = 2000
NUMBER: Final = Query(ge=0, le=2**63 - 1, description="only letters with a number below this one")


@dataclass(frozen=True)
class Held:
    """What the store holds of one asset: how many series and samples, from when to when [ns]."""

    path: str
    name: str
    series: int
    samples: int
    first_ns: int | None
    last_ns: int | None


def router(context: WebContext, losses: page_losses.Reader, plant: PlantReader, renderer: Renderer) -> APIRouter:
    """The pages of data quality and of dead letters."""
    routes = APIRouter(include_in_schema=False)

    def held() -> list[Held]:
        found = plant.held()
        rows = []
        for asset in context.plant.assets:
            own = [info for info in found if info.asset == asset.path and info.samples]
            rows.append(
                Held(
                    asset.path,
                    asset.name,
                    len(own),
                    sum(info.samples for info in own),
                    min((info.first_ns for info in own), default=None),
                    max((info.last_ns for info in own), default=None),
                )
            )
        return rows

    def rendered(page: Page, name: Asked) -> Response:
        asked = losses.period(name)
        _, each = losses.all("", asked)
        day = plant.day()
        return renderer.page(
            page,
            "data.html",
            asked=asked,
            periods=PERIODS,
            machines=losses.machines,
            each=each,
            held=held(),
            unknown={path: _unknown(found.states) for path, found in day.machines.items()},
            at=plant.now(),
            components=context.health.snapshot(),
        )

    @routes.get("/data")
    async def data_page(page: Page, period: Asked = "week") -> Response:
        return await asyncio.to_thread(rendered, page, period)

    def listed(page: Page, before: int | None) -> Response:
        found = context.dead_letters.list(LETTERS + 1, before)
        return renderer.page(
            page,
            "letters.html",
            count=context.dead_letters.count(),
            letters=[(letter, _readable(letter)) for letter in found[:LETTERS]],
            older=found[LETTERS - 1].id if len(found) > LETTERS else None,
            before=before,
        )

    @routes.get("/deadletters")
    async def letters_page(page: Page, before: Annotated[int | None, NUMBER] = None) -> Response:
        return await asyncio.to_thread(listed, page, before)

    @routes.get("/deadletters/{number}")
    async def letter(number: letters.Number) -> Response:
        return await asyncio.to_thread(letters.whole, context, number)

    return routes


assert LETTERS <= MAX_LETTERS


def _unknown(states: list[StateInterval]) -> list[StateInterval]:
    """The newest first."""
    return [one for one in reversed(states) if one.state == UNKNOWN][:20]


def _readable(letter: DeadLetter) -> str:
    return letter.raw[:SHOWN_BYTES].decode("utf-8", "backslashreplace")

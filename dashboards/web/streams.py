"""Server-sent events: the snapshot for programs, the parts that changed for pages."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from http import HTTPStatus

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from dashboards.web.live import KEEP_ALIVE, OPENING, Live, frame
from dashboards.web.pages import View
from dashboards.web.problems import ProblemError
from dashboards.web.rendering import Page
from dashboards.web.texts import Language

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventStream(StreamingResponse):
    media_type = "text/event-stream"


def router(live: Live[View]) -> APIRouter:
    """`/api/v1/events` and the page's `/live`."""
    routes = APIRouter()

    def refuse_when_full() -> None:
        if live.full:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "too-many-streams",
                "Too many live pages are open: close one, or raise `max_streams` of [web].",
                {"Retry-After": "10"},
            )

    @routes.get(
        "/api/v1/events",
        tags=["plant"],
        response_class=EventStream,
        responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    )
    async def events() -> EventStream:
        """A stream of `plant` events: the snapshot of /plant/now, each time that something in it changed."""
        refuse_when_full()
        return EventStream(_snapshots(live), headers=HEADERS)

    @routes.get("/live", include_in_schema=False)
    async def parts(page: Page) -> EventStream:
        refuse_when_full()
        return EventStream(_parts(live, page.language), headers=HEADERS)

    return routes


async def _snapshots(live: Live[View]) -> AsyncIterator[bytes]:
    yield OPENING
    sent = None
    async with aclosing(live.snapshots()) as snapshots:
        async for view in snapshots:
            if view is None:
                yield KEEP_ALIVE
            elif (content := view.now.model_dump(exclude={"time"})) != sent:
                sent = content
                yield frame("plant", view.now.model_dump_json())


async def _parts(live: Live[View], language: Language) -> AsyncIterator[bytes]:
    """First every part, then those that changed. The clock changes each second: the page knows by it."""
    yield OPENING
    sent: dict[str, str] = {}
    async with aclosing(live.snapshots()) as snapshots:
        async for view in snapshots:
            if view is None:
                yield KEEP_ALIVE
                continue
            parts = await asyncio.to_thread(view.parts, language)
            changed = {name: html for name, html in parts.items() if sent.get(name) != html}
            sent = parts
            if changed:
                yield frame("parts", changed)

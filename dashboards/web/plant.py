"""/api/v1/plant, /use-cases, /states: what the plant file says, and what machines did."""

import asyncio
from dataclasses import asdict
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Final

from fastapi import APIRouter, Query

from dashboards.web import history, problems
from dashboards.web.context import WebContext
from dashboards.web.models import CalendarOut, PlantOut, StateOut, StatesOut, TurnOut, UseCaseOut
from dashboards.web.queries import StatesQuery, following
from dashboards.web.states import StateInterval
from pipeline.kpis.use_cases import USE_CASES
from telemetry.plant import CalendarConfig, Turn
from telemetry.samples import SECOND_NS, Window

LONGEST_NS: Final = 7 * 24 * 3600 * SECOND_NS
"""States are told from samples of every metric, so over no more than this [ns]."""


def add(api: APIRouter, context: WebContext) -> None:
    """The routes."""

    @api.get("/plant", tags=["plant"])
    async def plant() -> PlantOut:
        """Name, time zone and calendars."""
        calendars = [_calendar(one) for one in context.plant.calendars]
        return PlantOut(
            name=context.plant.name, timezone=context.plant.timezone, calendars=calendars, version=running()
        )

    @api.get("/use-cases", tags=["links"])
    async def use_cases() -> list[UseCaseOut]:
        """What a link can be judged by."""
        return [UseCaseOut(**asdict(case)) for case in USE_CASES.values()]

    @api.get("/states", tags=["values"])
    async def states(query: Annotated[StatesQuery, Query()]) -> StatesOut:
        """What a machine did, stretch by stretch, over at most 7 days, and when nobody knew."""
        if query.asset not in context.plant or context.plant.asset(query.asset).kind != "machine":
            raise problems.unknown("machine", query.asset, "/api/v1/assets")
        window = query.window(context.now_ns())
        if window.end_ns - window.start_ns > LONGEST_NS:
            raise problems.ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY, "interval-too-long", "Ask for at most 7 days at a time."
            )
        found = await asyncio.to_thread(_states, context, query.asset, window)
        shown = found[: query.limit]
        more = {"from": found[query.limit].start_ns, "to": window.end_ns} if len(found) > query.limit else None
        return StatesOut(
            asset=query.asset,
            states=[StateOut(state=one.state, start=one.start_ns, end=one.end_ns, reason=one.reason) for one in shown],
            truncated=more is not None,
            next=following("/api/v1/states", query, **more) if more else None,
        )


def _states(context: WebContext, path: str, window: Window) -> list[StateInterval]:
    held = [info for info in context.store.inventory() if info.asset == path]
    window = Window(window.start_ns, max(window.start_ns, min(window.end_ns, context.now_ns())))
    return history.states_of(context.store, context.plant.asset(path), held, window)


def running() -> str:
    """The version of the app."""
    try:
        return version("km0-telemetry")
    except PackageNotFoundError:
        return "?"


def _calendar(one: CalendarConfig) -> CalendarOut:
    return CalendarOut(
        name=one.name, shifts=[_turn(turn) for turn in one.shifts], breaks=[_turn(turn) for turn in one.breaks],
        holidays=[day.isoformat() for day in one.holidays],
    )  # fmt: skip


def _turn(turn: Turn) -> TurnOut:
    start, end = (f"{minutes // 60:02}:{minutes % 60:02}" for minutes in (turn.start, turn.end))
    return TurnOut(name=turn.name, start=start, end=end, days=list(turn.days))

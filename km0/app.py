"""The composition root: wires what the plant file names, and nothing else does.

Invariants:
- Sources (collectors) end before keepers (drain, recompute, web): the nesting of the task groups is the shutdown order.
- A collector that fails is run again; a keeper that fails is a bug and ends the process, which a supervisor restarts.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog

from collectors.retry import keep_running
from km0.plantfile import PlantFile
from km0.self_report import report
from pipeline.ingest.data_path import DataPath
from pipeline.ingest.drain import Drain
from pipeline.ingest.spool import Spool
from pipeline.recompute import Recompute
from telemetry.errors import SourceError
from telemetry.health import Component, Condition, Health
from telemetry.protocols import Store
from telemetry.samples import Sample

log = structlog.get_logger("km0")

CONNECT_S: Final = 30.0
"""How long [s] whoever starts the platform waits for its sources before giving up."""


@dataclass(frozen=True)
class Platform:
    """What runs: its parts, for those who start it and want to look inside."""

    health: Health
    spool: Spool
    store: Store
    collectors: Sequence[Component]
    """The health of each collector."""
    held_at_start: int
    """Identities that the store held before anything ran; 0 unless they were to be counted."""
    address: str | None
    """Where the web app is reached; None without a [web] section."""
    welcome: str | None = None
    """Where the first administrator sets a password; None without [web.accounts], or once somebody has one."""

    async def connected(self) -> None:
        """Return once every collector has its source. Raises SourceError with what they say when they do not."""
        deadline = time.monotonic() + CONNECT_S
        while waiting := [one for one in self.collectors if one.condition is not Condition.OK]:
            if time.monotonic() > deadline:
                raise SourceError(
                    "; ".join(f"{one.name}: {one.snapshot()['detail'] or 'no answer'}" for one in waiting)
                )
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running(
    file: PlantFile,
    *,
    on_stored: Callable[[Sequence[Sample], int], None] | None = None,
    count_held: bool = False,
) -> AsyncIterator[Platform]:
    """Run the platform while the context is open. Raises ConfigError when a file, port or folder cannot be had.

    `count_held`: count first what the store holds; else nothing is asked of it, for it may be down, and samples wait.
    """
    health = Health()
    store = await asyncio.to_thread(file.store.open)
    try:
        held = sum(series.samples for series in await asyncio.to_thread(store.inventory)) if count_held else 0
        async with (
            Spool(
                file.spool.path,
                component=health.component("spool"),
                max_bytes=file.spool.max_bytes,
                max_dead_bytes=file.spool.max_dead_bytes,
            ) as spool,
            asyncio.TaskGroup() as keepers,
        ):
            path = DataPath(file.plant.assets, [section.name for section in file.collectors])

            def stored(samples: Sequence[Sample], stored_ns: int) -> None:
                if path.measures:
                    path.stored(samples, stored_ns)
                if on_stored is not None:
                    on_stored(samples, stored_ns)

            drain = Drain(spool, store, health.component("drain"), on_stored=stored)
            recompute = Recompute(store, file.plant, health.component("recompute"))
            kept = [
                keepers.create_task(drain.run(), name="drain"),
                keepers.create_task(recompute.run(), name="recompute"),
            ]
            if path.measures:
                kept.append(keepers.create_task(path.run(spool), name="data path"))
            named = {section.name for section in file.collectors}  # an asset called as a collector is that collector's
            platforms = [one.path for one in file.plant.assets
                         if one.kind == "platform" and one.path.rpartition("/")[2] not in named]  # fmt: skip
            if platforms:
                told = report(platforms, health, spool, file.spool.max_bytes)
                kept.append(keepers.create_task(told, name="self report"))
            address = welcome = None
            if file.web is not None:
                serving, address, welcome = await _serve(keepers, file, store, health, spool)
                kept.append(serving)
            async with asyncio.TaskGroup() as sources:
                collecting = [
                    sources.create_task(
                        keep_running(collector, path.sink(collector.name, spool), health.component(collector.name)),
                        name=collector.name,
                    )
                    for collector in (section.build(file.plant, health) for section in file.collectors)
                ]
                components = [health.component(section.name) for section in file.collectors]
                yield Platform(health, spool, store, components, held, address, welcome)
                for task in collecting:
                    task.cancel()
            for task in kept:
                task.cancel()
    finally:
        await asyncio.to_thread(store.close)


async def _serve(
    keepers: asyncio.TaskGroup, file: PlantFile, store: Store, health: Health, spool: Spool
) -> tuple[asyncio.Task[None], str, str | None]:
    from dashboards.web.app import create_app
    from dashboards.web.context import WebContext
    from dashboards.web.server import serve
    from pipeline.kpis.catalogue import CATALOGUE

    assert file.web is not None
    app = create_app(WebContext(file.plant, store, health, spool.dead_letters, CATALOGUE, file.web))
    reached: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = keepers.create_task(serve(app, file.web, ready=reached.set_result), name="web")
    first: set[asyncio.Future[Any]] = {task, reached}
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    if not reached.done():
        await task  # it could not be served: raises why
    address = reached.result()
    return task, address, address + app.state.welcome if app.state.welcome else None

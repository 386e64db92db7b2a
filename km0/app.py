"""The composition root: wires what the plant file names, and nothing else does.

Invariants:
- Sources (collectors) end before keepers (drain, recompute, web): the nesting of the contexts is the shutdown order.
- A collector that fails is run again; a keeper that fails is a bug and ends the process, which a supervisor restarts.
- The parts meet in the store and nowhere else, so each may run in a process of its own (`km0 run --only`).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from collectors.retry import keep_running
from km0.parts import Part, SaidElsewhere, say
from km0.plantfile import PlantFile
from km0.self_report import report
from pipeline.ingest.data_path import DataPath
from pipeline.ingest.dead_letters import DeadLetters
from pipeline.ingest.drain import Drain
from pipeline.ingest.spool import Spool
from pipeline.recompute import Recompute
from pipeline.stores.duckdb_config import DuckDbConfig
from telemetry.errors import ConfigError, SourceError
from telemetry.health import Component, Condition, Health
from telemetry.protocols import Store
from telemetry.samples import Sample

OnStored = Callable[[Sequence[Sample], int], None]

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
    hurry: Callable[[], None] = lambda: None
    """Has the next step of recomputation taken now."""

    async def connected(self, within_s: float = CONNECT_S) -> None:
        """Return once every collector has its source. Raises SourceError with what they say when one has not within so
        long [s]."""
        deadline = time.monotonic() + within_s
        while waiting := [one for one in self.collectors if one.condition is not Condition.OK]:
            if time.monotonic() > deadline:
                raise SourceError(
                    "; ".join(f"{one.name}: {one.snapshot()['detail'] or 'no answer'}" for one in waiting)
                )
            await asyncio.sleep(0.02)

    async def computed(self, *, long_windows: bool = False) -> None:
        """Return once every window that what is stored now touches was computed. `long_windows`: those too that are
        longer than one read, which are done now and then only."""
        # A step that ends now may have begun before the last sample was stored; the one after it has seen everything.
        unfinished = ["waiting_windows"] + ["resting_windows"] * long_windows
        recompute, seen, steps = self.health.component("recompute"), -1.0, 0
        while steps < 3:  # the first is the one that is shown when we begin to look
            gauges = recompute.snapshot()["gauges"]
            if (took := gauges.get("step_ms", -1.0)) != seen:
                seen = took
                steps = steps + 1 if not any(gauges.get(name) for name in unfinished) else 0
                self.hurry()
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running(
    file: PlantFile, *, on_stored: OnStored | None = None, count_held: bool = False
) -> AsyncIterator[Platform]:
    """Run the platform while the context is open. Raises ConfigError when a file, port or folder cannot be had.

    `count_held`: count first what the store holds; else nothing is asked of it, for it may be down, and samples wait.
    """
    health = Health()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(_opened(file))
        held = sum(series.samples for series in await asyncio.to_thread(store.inventory)) if count_held else 0
        spool = await stack.enter_async_context(_spool(file, health))
        computing = await stack.enter_async_context(_computing(file, store, health))
        address = welcome = None
        if file.web is not None:
            address, welcome = await stack.enter_async_context(_showing(file, store, health, spool.dead_letters))
        components = await stack.enter_async_context(_collecting(file, store, health, spool, on_stored))
        yield Platform(health, spool, store, components, held, address, welcome, computing.hurry)


@asynccontextmanager
async def running_only(file: PlantFile, part: Part) -> AsyncIterator[tuple[str | None, str | None]]:
    """Run one part while the context is open; gives `address` and `welcome` of the web app, if that is the part.

    Raises ConfigError, as `running`, and when the store or the plant file is not one for parts.
    """
    if isinstance(file.store, DuckDbConfig):
        raise ConfigError(
            f"--only {part}: the parts meet in the store, and a DuckDB file belongs to one process. Give [store] "
            'kind = "influxdb", or run without --only'
        )
    health = Health() if file.health is None else SaidElsewhere(file.health.folder, part)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(_opened(file))
        if file.health is not None:
            await stack.enter_async_context(_kept(say(file.health.folder, part, health), "health"))
        match part:
            case Part.COLLECTORS:
                spool = await stack.enter_async_context(_spool(file, health))
                await stack.enter_async_context(_collecting(file, store, health, spool, None))
                yield None, None
            case Part.PIPELINE:
                await stack.enter_async_context(_computing(file, store, health))
                yield None, None
            case Part.WEB:
                if file.web is None:
                    raise ConfigError("--only web: the plant file has no [web] section; add one")
                yield await stack.enter_async_context(_showing(file, store, health, DeadLetters(file.spool.path)))


@asynccontextmanager
async def _opened(file: PlantFile) -> AsyncIterator[Store]:
    store = await asyncio.to_thread(file.store.open)
    try:
        yield store
    finally:
        await asyncio.to_thread(store.close)


def _spool(file: PlantFile, health: Health) -> Spool:
    section = file.spool
    return Spool(
        section.path,
        component=health.component("spool"),
        max_bytes=section.max_bytes,
        max_dead_bytes=section.max_dead_bytes,
    )


@asynccontextmanager
async def _kept(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """A keeper that runs while the context is open."""
    async with asyncio.TaskGroup() as keepers:
        task = keepers.create_task(work, name=name)
        yield
        task.cancel()


@asynccontextmanager
async def _computing(file: PlantFile, store: Store, health: Health) -> AsyncIterator[Recompute]:
    recompute = Recompute(store, file.plant, health.component("recompute"))
    async with _kept(recompute.run(), "recompute"):
        yield recompute


@asynccontextmanager
async def _collecting(
    file: PlantFile, store: Store, health: Health, spool: Spool, on_stored: OnStored | None
) -> AsyncIterator[Sequence[Component]]:
    """Collectors, and the drain of what they put."""
    named = [section.name for section in file.collectors]
    path = DataPath(file.plant.assets, named)

    def stored(samples: Sequence[Sample], stored_ns: int) -> None:
        if path.measures:
            path.stored(samples, stored_ns)
        if on_stored is not None:
            on_stored(samples, stored_ns)

    async with asyncio.TaskGroup() as keepers:
        drain = Drain(spool, store, health.component("drain"), on_stored=stored)
        kept = [keepers.create_task(drain.run(), name="drain")]
        if path.measures:
            kept.append(keepers.create_task(path.run(spool), name="data path"))
        # an asset called as a collector is that collector's
        platforms = [one.path for one in file.plant.assets
                     if one.kind == "platform" and one.path.rpartition("/")[2] not in named]  # fmt: skip
        if platforms:
            told = report(platforms, health, spool, file.spool.max_bytes)
            kept.append(keepers.create_task(told, name="self report"))
        async with asyncio.TaskGroup() as sources:
            collecting = [
                sources.create_task(
                    keep_running(collector, path.sink(collector.name, spool), health.component(collector.name)),
                    name=collector.name,
                )
                for collector in (section.build(file.plant, health) for section in file.collectors)
            ]
            yield [health.component(name) for name in named]
            for task in collecting:
                task.cancel()
        for task in kept:
            task.cancel()


@asynccontextmanager
async def _showing(
    file: PlantFile, store: Store, health: Health, dead_letters: DeadLetters
) -> AsyncIterator[tuple[str, str | None]]:
    """The web app; gives its address, and that of the welcome, see `Platform`."""
    from dashboards.web.app import create_app
    from dashboards.web.context import WebContext
    from dashboards.web.server import serve
    from pipeline.kpis.catalogue import CATALOGUE

    assert file.web is not None
    app = create_app(WebContext(file.plant, store, health, dead_letters, CATALOGUE, file.web))
    reached: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as keepers:
        task = keepers.create_task(serve(app, file.web, ready=reached.set_result, warm=True), name="web")
        first: set[asyncio.Future[Any]] = {task, reached}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if not reached.done():
            await task  # it could not be served: raises why
        address = reached.result()
        yield address, address + app.state.welcome if app.state.welcome else None
        task.cancel()

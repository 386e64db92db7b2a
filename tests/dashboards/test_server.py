"""The app served for real: event streams over uvicorn, the end of it, and ports that cannot be had."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from dashboards.web.app import create_app
from dashboards.web.config import AccountsConfig, WebConfig
from dashboards.web.server import serve
from telemetry.errors import ConfigError
from telemetry.samples import SECOND_NS, Sample
from tests.dashboards.seeded import LINK, MILL, NOW_NS, Seeded, empty

CONFIG = WebConfig(port=0, refresh_s=0.1)


@asynccontextmanager
async def served(seeded: Seeded, app: FastAPI | None = None) -> AsyncIterator[tuple[str, asyncio.Task[None]]]:
    """The address of the app, and the task that serves it."""
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    app = app or create_app(seeded.context)
    serving = asyncio.create_task(serve(app, seeded.context.config, ready=address.set_result))
    try:
        yield await asyncio.wait_for(address, 10), serving
    finally:
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving


@asynccontextmanager
async def served_warm(seeded: Seeded) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who asks the app once it is warm, as `km0 run` serves it."""
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    app, warm = create_app(seeded.context), asyncio.Event()
    real, loop = app.state.warm, asyncio.get_running_loop()

    def told() -> None:
        real()
        loop.call_soon_threadsafe(warm.set)

    app.state.warm = told
    serving = asyncio.create_task(serve(app, seeded.context.config, ready=address.set_result, warm=True))
    try:
        async with httpx2.AsyncClient(base_url=await asyncio.wait_for(address, 20), timeout=60) as client:
            await asyncio.wait_for(warm.wait(), 60)
            yield client
    finally:
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving


async def events(client: httpx2.AsyncClient, address: str) -> AsyncIterator[tuple[str, object]]:
    """The events of a stream as (name, data)."""
    async with client.stream("GET", address) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        name = ""
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


async def test_a_change_reaches_every_open_stream() -> None:
    """Two programs that listen both get the snapshot, and then the new state within a few refreshes."""
    seeded = empty(config=CONFIG)
    async with served(seeded) as (address, _), httpx2.AsyncClient(timeout=10) as client:
        streams = [events(client, f"{address}api/v1/events") for _ in range(2)]
        for stream in streams:
            name, snapshot = await anext(stream)
            assert name == "plant"
            assert isinstance(snapshot, dict)
            assert snapshot["machines"][0]["state"]["name"] == "UNKNOWN"
        seeded.store.write([Sample(NOW_NS - SECOND_NS, MILL, "state", 3.0)])
        seeded.clock.now_ns += SECOND_NS
        for stream in streams:
            _, snapshot = await anext(stream)
            assert isinstance(snapshot, dict)
            assert snapshot["machines"][0]["state"]["name"] == "EXECUTING"
            await stream.aclose()  # type: ignore[attr-defined]  # an async generator, seen as an iterator


async def test_snapshots_are_computed_once_for_all_and_not_at_all_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty streams cost as many readings of the store as one; after the last closed there are none."""
    seeded = empty(config=CONFIG)
    readings = 0
    latest = seeded.store.latest

    def counted(asset: str | None = None) -> list[Sample]:
        nonlocal readings
        readings += 1
        return latest(asset)

    monkeypatch.setattr(seeded.store, "latest", counted)
    async with served(seeded) as (address, _):
        async with httpx2.AsyncClient(timeout=10, limits=httpx2.Limits(max_connections=50)) as client:
            streams = [events(client, f"{address}api/v1/events") for _ in range(20)]
            for stream in streams:
                await anext(stream)
            assert readings <= 3
            for stream in streams:
                await stream.aclose()  # type: ignore[attr-defined]  # as above
        await asyncio.sleep(0.3)  # nothing to wait for: the absence of readings is what is tested
        before = readings
        await asyncio.sleep(0.3)
        assert readings == before


async def test_the_page_stream_sends_all_parts_then_only_what_changed() -> None:
    """A new round trip redraws the link and the clock, not the machines."""
    seeded = empty(config=CONFIG)
    async with served(seeded) as (address, _), httpx2.AsyncClient(timeout=10) as client:
        stream = events(client, f"{address}live?lang=en")
        name, parts = await anext(stream)
        assert name == "parts"
        assert isinstance(parts, dict)
        assert {"clock", "summary", "together", "path", f"m:{MILL}", f"l:{LINK}"} <= set(parts)
        seeded.clock.now_ns += SECOND_NS
        seeded.store.write([Sample(seeded.clock.now_ns - 1, LINK, "rtt", 12.5)])
        changed: dict[str, str] = {}
        while f"l:{LINK}" not in changed:
            _, parts = await anext(stream)
            assert isinstance(parts, dict)
            changed |= parts
        assert "12.5" in changed[f"l:{LINK}"]
        assert f"m:{MILL}" not in changed
        await stream.aclose()  # type: ignore[attr-defined]  # as above


async def test_open_streams_do_not_hold_up_the_end() -> None:
    """With ten streams open, serving ends within a second of being cancelled, and the streams end properly."""
    seeded = empty(config=CONFIG)
    async with served(seeded) as (address, serving), httpx2.AsyncClient(timeout=10) as client:
        streams = [events(client, f"{address}live") for _ in range(10)]
        for stream in streams:
            await anext(stream)
        started = time.monotonic()
        serving.cancel()
        await asyncio.wait([serving])
        assert time.monotonic() - started < 1
        for stream in streams:
            async for _ in stream:
                pass  # ends by itself: no broken connection


async def test_more_streams_than_allowed_are_refused() -> None:
    """The stream too many gets 503 with a reason; it is served once another has closed."""
    seeded = empty(config=WebConfig(port=0, refresh_s=0.1, max_streams=1))
    async with served(seeded) as (address, _), httpx2.AsyncClient(timeout=10) as client:
        stream = events(client, f"{address}live")
        await anext(stream)
        refused = await client.get(f"{address}live")
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:km0:problem:too-many-streams")
        await stream.aclose()  # type: ignore[attr-defined]  # as above
        async with asyncio.timeout(5):
            while True:
                async with client.stream("GET", f"{address}live") as answer:
                    if answer.status_code == 200:
                        break
                await asyncio.sleep(0.02)


async def test_a_port_in_use_is_said_before_anything_runs() -> None:
    """Another program on the port: a ConfigError that says what to change, and the process lives on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}: another program uses this port"):
            await serve(create_app(empty().context), WebConfig(port=port))


async def test_an_address_of_another_machine_is_said(tmp_path: Path) -> None:
    """An address that is not ours is a ConfigError, not a crash."""
    config = WebConfig(host="192.0.2.1", port=0, folder=tmp_path, accounts=AccountsConfig())
    with pytest.raises(ConfigError, match="is `host` of"):
        await serve(create_app(empty().context), config)

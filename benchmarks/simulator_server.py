"""What one process with a simulated OPC UA server carries: values a second that leave it for a client and arrive.

The server is the one of `python -m simulators` in a process of its own; the reader is our collector in this one, which
spends a fraction of what the server does on a value (its share of a core stands in the row). First the server gives as
much as its client takes, then 80 % of that at a steady pace: how late was the last round, when it had left?
"""

import asyncio
import logging
import multiprocessing
import resource
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any, Final

from benchmarks import Row
from collectors.opcua.collector import OpcUaCollector
from collectors.opcua.config import OpcUaConfig
from telemetry.health import Component
from telemetry.plant import Asset, Plant
from telemetry.samples import Sample

ITEMS: Final = (10, 100, 1000, 3000)
SECONDS: Final = 4.0
SHARE: Final = 0.8
_BORN_NS: Final = 1_795_000_000 * 10**9
_ROUND_NS: Final = 10**6


class _Count:
    """A sink that counts the values of different times."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, int]] = set()
        self.arrived_s = 0.0

    @property
    def count(self) -> int:
        return len(self._seen)

    async def put(self, samples: Sequence[Sample]) -> None:
        self._seen.update((one.asset, one.time_ns) for one in samples)
        self.arrived_s = time.monotonic()

    async def set_aside(self, source: str, reason: str, raw: bytes) -> None:
        raise AssertionError(f"{source}: {reason}: {raw!r}")


def _paths(items: int) -> list[str]:
    return [f"km0/bench/cell/machine-{number}" for number in range(items)]


def _serve(items: int, pipe: Connection) -> None:
    asyncio.run(_server(items, pipe))


async def _server(items: int, pipe: Connection) -> None:
    """Say the address; for each rate [values/s, 0: all that goes] received say (values, seconds, CPU seconds, how late
    the last round was [s])."""
    from simulators.opcua_plant import OpcUaPlant

    logging.disable()
    plant = OpcUaPlant(0, {path: ["power"] for path in _paths(items)}, lambda _path: iter(()), lived=False)
    await plant.start()
    at_ns = _BORN_NS
    for path in _paths(items):
        await plant.write(path, [(at_ns, "power", 0.5)])
    pipe.send((plant.url, at_ns))
    while (rate := await asyncio.to_thread(pipe.recv)) is not None:
        if not await plant.followed(120.0):
            raise RuntimeError("nobody follows")
        usage, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
        values, behind = 0, 0.0
        while time.monotonic() - began < SECONDS:
            at_ns += _ROUND_NS
            due = began + values / rate if rate else began
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            for path in _paths(items):
                await plant.write(path, [(at_ns, "power", 100.0 + at_ns // _ROUND_NS % 7000)])
            if rate:
                behind = time.monotonic() - due
            values += items
        await plant.delivered(60.0)
        wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime
        pipe.send((values, wall, cpu, behind))
    await plant.stop()


async def _row(items: int) -> Row:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(items, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        url, _ = await asyncio.to_thread(ours.recv)
        sink = _Count()
        collector = OpcUaCollector(_config(url, items), _plant(items), Component("load"))
        task = asyncio.create_task(collector.run(sink))
        full = await _given(ours, sink, items, 0.0, task)
        steady = await _given(ours, sink, items, SHARE * full["rate"], task)
        ours.send(None)
        if task.done():
            task.result()
        task.cancel()
        await asyncio.wait({task})
    finally:
        await asyncio.to_thread(process.join, 10)
        process.kill()
    return {
        "what": f"OPC UA server process, {items} nodes followed by one client",
        "values/s": round(full["rate"]),
        "values/s and core": round(full["values"] / full["cpu"]),
        "server CPU [µs/value]": round(full["cpu"] / full["values"] * 1e6, 1),
        "reader [share of a core]": round(full["reader"], 2),
        "never arrived": full["missing"] + steady["missing"],
        f"behind at {SHARE:.0%} of it [s]": round(steady["behind"], 3),
    }


async def _given(pipe: Connection, sink: _Count, items: int, rate: float, task: "asyncio.Task[None]") -> dict[str, Any]:
    while sink.count < items:  # the values in force come first
        if task.done():
            task.result()
        await asyncio.sleep(0.05)
    before, usage, began = sink.count, resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    pipe.send(rate)
    values, _, cpu, behind = await asyncio.to_thread(pipe.recv)
    deadline = time.monotonic() + 10
    while sink.count - before < values and time.monotonic() < deadline:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.02)
    after, wall = resource.getrusage(resource.RUSAGE_SELF), sink.arrived_s - began
    arrived = sink.count - before
    own = after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime
    return {"rate": arrived / wall, "values": values, "cpu": cpu, "behind": behind, "missing": values - arrived,
            "reader": own / wall}  # fmt: skip


def _config(url: str, items: int) -> OpcUaConfig:
    nodes = [
        {"node": f"nsu=urn:km0:simulators:machine;s={p}/power", "asset": p, "metric": "power"} for p in _paths(items)
    ]
    settings = {"publishing_ms": 100, "sampling_ms": 0, "online_s": 0, "history_s": 0, "nodes": nodes}
    return OpcUaConfig.model_validate(
        {"kind": "opcua", "name": "load", "url": url, "security": "None", **settings}, strict=False
    )


def _plant(items: int) -> Plant:
    return Plant(assets=tuple(Asset(path=path, name=path) for path in _paths(items)))


def run() -> list[Row]:
    """A row for each number of nodes."""
    logging.getLogger("asyncua").setLevel(logging.ERROR)
    return [asyncio.run(_row(items)) for items in ITEMS]

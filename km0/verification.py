"""A scenario played through the whole platform, and the account of it: the work behind `km0 verify`.

Invariants. Broker, server, collectors, spool, store and KPIs are the ones of production; only the machines are not
real. The comparison begins when everything published is stored and every KPI that is due is computed, or when nothing
moves any more.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from km0.comparison import Line, link_lines, machine_lines
from km0.excuses import excuses
from km0.rig import SPARKPLUG_HOST, file_of
from km0.samples_account import Latest, Samples, account, held, latest, stored
from pipeline.reads import LONGEST_READ_NS
from simulators.broker import Broker, broker
from simulators.faults import EFFECTS, Done, Fault
from simulators.journal import read_journal
from simulators.nursery import Nursery
from simulators.outages import Outages
from simulators.proxy import TcpProxy
from simulators.scenario import Scenario
from simulators.spec import MqttSpec, OpcUaSpec, Spec
from simulators.truth import Truth
from telemetry.protocols import Store
from telemetry.samples import SECOND_NS, Window

if TYPE_CHECKING:
    from km0.app import Platform

TAIL_NS: Final = 20 * 60 * SECOND_NS
"""The plant goes on so long [ns] after the scenario: how its last stop ends decides what kind of stop it was."""

PATIENCE_S: Final = 30.0
"""When nothing more arrives for so long [s], what is missing is lost."""

CONNECT_S: Final = 120.0
"""A busy machine takes its time [s] to make keys and to browse a server that answers little at a time."""


@dataclass(frozen=True)
class Verification:
    """What `km0 verify` found."""

    scenario: str
    seed: int
    hours: float
    store: str
    faults: tuple[Fault, ...]
    samples: Samples
    lines: tuple[Line, ...]
    seconds: float
    stages: dict[str, float]
    """How long each stage took [s]: start, play, settle, compare."""
    made: tuple[int, ...] = ()
    """How often each of the faults was really made: messages, machines, connections that it befell, or restarts."""

    @property
    def ok(self) -> bool:
        return self.samples.ok and all(not line.wrong for line in self.lines)

    def as_json(self) -> dict[str, Any]:
        return {
            "scenario": self.scenario,
            "seed": self.seed,
            "hours": self.hours,
            "store": self.store,
            "ok": self.ok,
            "seconds": round(self.seconds, 2),
            "stages": {stage: round(seconds, 2) for stage, seconds in self.stages.items()},
            "faults": [
                fault.model_dump() | {"effect": EFFECTS[fault.kind], "made": made}
                for fault, made in zip(self.faults, self.made, strict=True)
            ],
            "samples": asdict(self.samples) | {"ok": self.samples.ok},
            "kpis": [line.as_json() for line in self.lines],
        }


async def verified(
    scenario: Scenario, name: str, folder: Path, store: dict[str, Any], progress: Callable[[float], None],
    nursery: Nursery | None = None,
) -> Verification:  # fmt: skip
    """Play a scenario through the platform and compare; a `nursery` saves whoever does it often the plant's start.

    Raises SourceError or ConfigError when it cannot be run.
    """
    from km0.app import running
    from km0.simulated import SimulatedPlant

    began = time.monotonic()
    stages: dict[str, float] = {}

    def reached(stage: str) -> None:
        stages[stage] = time.monotonic() - began - sum(stages.values())

    starts_ns = scenario.starts_ns(time.time_ns() - TAIL_NS)
    ends_ns = starts_ns + scenario.length_ns
    kinds = {asset.kind for asset in scenario.assets}
    half_open = any(fault.kind == "half-open" for fault in scenario.faults)
    async with AsyncExitStack() as stack:
        mqtt: Broker | None = None
        if kinds - {"opcua"}:
            mqtt = await asyncio.to_thread(broker, folder / "broker")
            await asyncio.to_thread(mqtt.start)
            stack.callback(mqtt.stop)
        spec = Spec(
            scenario=scenario,
            seed=scenario.seed,
            epoch_ns=starts_ns,
            until_ns=ends_ns + TAIL_NS,
            speed=scenario.speed,
            mqtt=None if mqtt is None else MqttSpec(port=mqtt.port, sparkplug_host=SPARKPLUG_HOST),
            opcua=OpcUaSpec(await_client_s=CONNECT_S, certificates=folder / "server") if "opcua" in kinds else None,
            journal=folder / "journal.jsonl",
            truth=folder / "truth.json",
            disturbances=folder / "disturbances.json",
        )
        plant = await stack.enter_async_context(SimulatedPlant(spec, folder, nursery))
        ready = await plant.ready()
        proxies: list[TcpProxy] = []

        async def through_proxy(port: int) -> int:
            if not half_open:
                return port
            proxies.append(await stack.enter_async_context(TcpProxy(port)))
            return proxies[-1].port

        url: str | None = ready.get("opcua_url")
        if url is not None:
            port = await through_proxy(ready["opcua_port"])
            url = url.replace(f":{ready['opcua_port']}/", f":{port}/")
        mqtt_port = None if mqtt is None else await through_proxy(mqtt.port)
        certificate: str | None = ready.get("opcua_certificate")
        file = file_of(scenario, folder, mqtt_port=mqtt_port, opcua_url=url, store=store, opcua_certificate=certificate)
        platform = await stack.enter_async_context(running(file))
        await platform.connected(CONNECT_S)
        reached("start")
        breaking: list[asyncio.Task[None]] = []

        outages = Outages(scenario.faults, plant.pid, mqtt)

        def on_fault(number: int) -> None:
            if scenario.faults[number].kind == "half-open":
                outages.done.note(number, sum(proxy.half_open() for proxy in proxies))
            else:
                breaking.append(asyncio.create_task(asyncio.to_thread(outages.make, number)))

        await plant.play(progress, on_fault)
        await asyncio.gather(*breaking)
        reached("play")
        published = read_journal(folder / "journal.jsonl").published
        done = Done.read(folder / "disturbances.json")
        done.made |= outages.done.made
        by_identity = latest(published)
        await _settled(platform, by_identity, longest_ns=scenario.length_ns)
        reached("settle")
        written = platform.health.component("drain").counted("samples")
        letters = platform.spool.dead_letters
        samples = await asyncio.to_thread(
            account, platform.store, letters, written, published, by_identity, done, scenario
        )
        truth = Truth(scenario.models.values(), scenario.seed, starts_ns, scenario.link_models.values())
        span = Window(starts_ns, ends_ns)
        lines = await asyncio.to_thread(_lines, platform.store, truth, scenario, span, by_identity, done)
        reached("compare")
        return Verification(
            name, scenario.seed, scenario.hours, store["kind"], scenario.faults, samples, lines,
            time.monotonic() - began, stages, _made(scenario, done),
        )  # fmt: skip


def _made(scenario: Scenario, done: Done) -> tuple[int, ...]:
    """How often each fault was made; what the plant has after the end of the scenario is judged by nobody."""
    ends = 60 * scenario.hours
    return tuple(done.made.get(n, 0) if fault.at_min < ends else 0 for n, fault in enumerate(scenario.faults))


async def _settled(platform: "Platform", published: Latest, longest_ns: int) -> None:
    """Return once everything is stored and computed, or nothing moves any more. `longest_ns`: the longest window [ns]
    that will be judged."""
    wanted = sum(map(len, published.values()))
    before, moved = -1, time.monotonic()
    while True:
        there = await asyncio.to_thread(held, platform.store)
        if there >= wanted:  # only then is it worth looking which they are
            there = await asyncio.to_thread(stored, platform.store, published)
        if there >= wanted or time.monotonic() - moved > PATIENCE_S:
            break
        if there != before:
            before, moved = there, time.monotonic()
        await asyncio.sleep(0.2)
    await platform.computed(long_windows=longest_ns > LONGEST_READ_NS)


def _lines(
    store: Store, truth: Truth, scenario: Scenario, span: Window, published: Latest, done: Done
) -> tuple[Line, ...]:
    figures = cache(truth.machine)
    lines: list[Line] = []
    for asset in scenario.assets:
        mine = excuses(asset.path, asset.kind, scenario, span, published, done)
        if asset.kind == "link":
            lines += link_lines(store, truth, asset.path, span, mine)
        elif asset.path in scenario.models:
            lines += machine_lines(store, figures, asset.path, span, mine)
    return tuple(lines)

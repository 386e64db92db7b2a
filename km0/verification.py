"""A scenario played through the whole platform, and the account of it: the work behind `km0 verify`.

Invariants. Broker, server, collectors, spool, store and KPIs are the ones of production; only the machines are not
real. The comparison begins when everything published is stored and every KPI that is due is computed, or when nothing
moves any more.
"""

import asyncio
import json
import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from km0.comparison import Excuses, Line, link_lines, machine_lines
from km0.rig import SPARKPLUG_HOST, file_of
from pipeline.reads import LONGEST_READ_NS
from simulators.broker import Broker, broker
from simulators.faults import EFFECTS, WIRE_FAULTS, Done, Fault
from simulators.journal import Published, read_journal
from simulators.proxy import TcpProxy
from simulators.scenario import Scenario
from simulators.spec import MqttSpec, OpcUaSpec, Spec
from simulators.truth import Truth
from telemetry.glossary import holds
from telemetry.protocols import Store
from telemetry.samples import SECOND_NS, Window

if TYPE_CHECKING:
    from km0.app import Platform
    from km0.simulated import SimulatedPlant

TAIL_NS: Final = 20 * 60 * SECOND_NS
"""The plant goes on so long [ns] after the scenario: how its last stop ends decides what kind of stop it was."""

PATIENCE_S: Final = 30.0
"""When nothing more arrives for so long [s], what is missing is lost."""

FROZEN_S: Final = 5.0
AWAY_S: Final = 1.0
_ALL: Final = Window(0, 2**62)
MS_NS: Final = 1_000_000


@dataclass(frozen=True)
class Samples:
    """What became of the samples: by identity (asset, metric, source time)."""

    sent: int
    """Published by the devices, lost on the way included."""
    stored: int
    lost: int
    lost_on_the_way: int
    """Of these, withheld by a fault: the platform cannot have them."""
    duplicated: int
    """Written to the store again, and harmless."""
    duplicated_by_devices: int
    """Of these, published more than once; the others were delivered again when a wire broke."""
    invented: int
    """Stored, but published by nobody."""
    wrong: int
    """Stored with another value than the one published last."""
    set_aside: int
    """Dead letters."""
    set_aside_expected: int
    whole_wires: bool = True
    """No wire was broken and no state is told by several nodes, so nothing had to be written again."""

    @property
    def ok(self) -> bool:
        again = self.duplicated - self.duplicated_by_devices
        return (
            self.lost == self.lost_on_the_way
            and not self.wrong
            and not self.invented
            and self.set_aside == self.set_aside_expected
            and (again == 0 if self.whole_wires else again >= 0)
        )


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
            "faults": [fault.model_dump() | {"effect": EFFECTS[fault.kind]} for fault in self.faults],
            "samples": asdict(self.samples) | {"ok": self.samples.ok},
            "kpis": [line.as_json() for line in self.lines],
        }


async def verified(
    scenario: Scenario, name: str, folder: Path, store: dict[str, Any], progress: Callable[[float], None]
) -> Verification:
    """Play a scenario through the platform and compare. Raises SourceError or ConfigError when it cannot be run."""
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
            opcua=OpcUaSpec(await_client_s=30.0) if "opcua" in kinds else None,
            journal=folder / "journal.jsonl",
            truth=folder / "truth.json",
            disturbances=folder / "disturbances.json",
        )
        plant = await stack.enter_async_context(SimulatedPlant(spec, folder))
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
        file = file_of(scenario, folder, mqtt_port=mqtt_port, opcua_url=url, store=store)
        platform = await stack.enter_async_context(running(file))
        await platform.connected()
        reached("start")
        breaking: list[asyncio.Task[None]] = []

        def on_fault(kind: str) -> None:
            breaking.append(asyncio.create_task(_break(kind, mqtt, plant, proxies), name=kind))

        await plant.play(progress, on_fault)
        await asyncio.gather(*breaking)
        reached("play")
        published = read_journal(folder / "journal.jsonl").published
        done = Done(**json.loads((folder / "disturbances.json").read_text(encoding="utf-8")))
        latest = _latest(published)
        await _settled(platform, latest, longest_ns=scenario.length_ns)
        reached("settle")
        samples = await asyncio.to_thread(_samples, platform, latest, done, scenario)
        dead = await asyncio.to_thread(platform.spool.dead_letters.count)
        expected = done.garbage + done.leftovers
        samples = replace(
            samples,
            set_aside=dead,
            set_aside_expected=expected,
            duplicated_by_devices=len(published) - sum(map(len, latest.values())),
            whole_wires=not any(fault.kind in WIRE_FAULTS for fault in scenario.faults) and not _blended(scenario),
        )
        truth = Truth(scenario.models.values(), scenario.seed, starts_ns, scenario.link_models.values())
        span = Window(starts_ns, ends_ns)
        lines = await asyncio.to_thread(_lines, platform.store, truth, scenario, span, latest, done)
        reached("compare")
        return Verification(
            name, scenario.seed, scenario.hours, store["kind"], scenario.faults, samples, lines,
            time.monotonic() - began, stages,
        )  # fmt: skip


async def _break(kind: str, mqtt: Broker | None, plant: "SimulatedPlant", proxies: Sequence[TcpProxy]) -> None:
    """Make a fault that is not the devices' own."""
    if kind == "broker-restart" and mqtt is not None:
        await asyncio.to_thread(mqtt.stop)
        await asyncio.sleep(AWAY_S)
        await asyncio.to_thread(mqtt.start)
    elif kind == "frozen":
        os.kill(plant.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(FROZEN_S)
        finally:
            os.kill(plant.pid, signal.SIGCONT)
    elif kind == "half-open":
        for proxy in proxies:
            proxy.half_open()


Latest = dict[tuple[str, str], dict[int, Published]]
"""(asset, metric) → source time [ns] → what was published last with it."""


def _latest(published: Sequence[Published]) -> Latest:
    latest: Latest = defaultdict(dict)
    for one in published:
        latest[one.asset, one.metric][one.time_ns] = one
    return latest


async def _settled(platform: "Platform", latest: Latest, longest_ns: int) -> None:
    """Return once everything is stored and computed, or nothing moves any more. `longest_ns`: the longest window [ns]
    that will be judged."""
    wanted = sum(map(len, latest.values()))
    before, moved = -1, time.monotonic()
    while True:
        stored = await asyncio.to_thread(_held, platform.store)
        if stored >= wanted:  # only then is it worth looking which they are
            stored = await asyncio.to_thread(_stored, platform.store, latest)
        if stored >= wanted or time.monotonic() - moved > PATIENCE_S:
            break
        if stored != before:
            before, moved = stored, time.monotonic()
        await asyncio.sleep(0.2)
    # A step that ends now may have begun before the last sample was stored; the one after it has seen everything.
    # Windows longer than one read are done now and then only, and are worth waiting for when the scenario holds one.
    unfinished = ["waiting_windows"] + ["resting_windows"] * (longest_ns > LONGEST_READ_NS)
    recompute, seen, steps = platform.health.component("recompute"), -1.0, 0
    while steps < 3:  # the first is the one that is shown when we begin to look
        gauges = recompute.snapshot()["gauges"]
        if (took := gauges.get("step_ms", -1.0)) != seen:
            seen = took
            steps = steps + 1 if not any(gauges.get(name) for name in unfinished) else 0
        await asyncio.sleep(0.02)


def _blended(scenario: Scenario) -> bool:
    """Whether there are machines whose state is joined from several nodes: a late part has others told again."""
    return any(asset.kind == "opcua" and asset.speaks != "plain" for asset in scenario.assets)


def _held(store: Store) -> int:
    return sum(series.samples for series in store.inventory())


def _stored(store: Store, latest: Latest) -> int:
    found = 0
    for (asset, metric), by_time in latest.items():
        times = np.fromiter(by_time, np.int64, len(by_time))
        found += int(np.isin(times, store.read(asset, metric, _ALL).times_ns, assume_unique=True).sum())
    return found


def _samples(platform: "Platform", latest: Latest, done: Done, scenario: Scenario) -> Samples:
    wrong = 0
    for (asset, metric), by_time in latest.items():
        held = platform.store.read(asset, metric, _ALL)
        for time_ns, value, text in zip(held.times_ns.tolist(), held.values.tolist(), held.texts.tolist(), strict=True):
            said = by_time.get(time_ns)
            if said is not None and (text if isinstance(said.value, str) else value) != said.value:
                wrong += 1
    sent, stored = sum(map(len, latest.values())), _stored(platform.store, latest)
    withheld = len({tuple(one) for one in done.withheld} - {(a, m, t) for (a, m), by in latest.items() for t in by})
    again = max(0, platform.health.component("drain").counted("samples") - _held(platform.store))
    # A Sparkplug host says again, at the time of a birth, what the birth says is in force: no device said that.
    restated = {asset.path for asset in scenario.assets if asset.kind == "sparkplug"}
    invented = sum(
        max(0, series.samples - len(latest.get((series.asset, series.metric), ())))
        for series in platform.store.inventory()
        if series.asset not in restated
    )
    return Samples(sent + withheld, stored, sent + withheld - stored, withheld, again, 0, invented, wrong, 0, 0)


def _lines(
    store: Store, truth: Truth, scenario: Scenario, span: Window, latest: Latest, done: Done
) -> tuple[Line, ...]:
    figures = cache(truth.machine)
    lines: list[Line] = []
    for asset in scenario.assets:
        excuses = _excuses(asset.path, asset.kind, scenario, span, latest, done)
        if asset.kind == "link":
            lines += link_lines(store, truth, asset.path, span, excuses)
        elif asset.path in scenario.models:
            lines += machine_lines(store, figures, asset.path, span, excuses)
    return tuple(lines)


def _excuses(path: str, kind: str, scenario: Scenario, span: Window, latest: Latest, done: Done) -> Excuses:
    """What the faults of this run may have done to one asset."""
    mine = [fault for fault in scenario.faults if fault.asset in (None, path) and kind not in ("opcua", "sparkplug")]
    skews = [fault for fault in mine if fault.kind == "skew"]
    skew_ns = sum(round(abs(fault.by_s) * SECOND_NS) for fault in skews)
    silent = () if kind == "printer" else tuple(f.window_ns(span.start_ns) for f in mine if f.kind == "silence")
    skewed = tuple((start - skew_ns, end + skew_ns) for start, end in (f.window_ns(span.start_ns) for f in skews))
    hidden = _hidden(path, scenario, latest, done) + _turned_round(path, skews, span.start_ns, latest)
    edges: tuple[int, ...] = ()
    if skews and path in scenario.models:
        stretches = scenario.models[path].calendar.working(span.start_ns // MS_NS, span.end_ns // MS_NS)
        edges = tuple(MS_NS * edge for stretch in stretches for edge in stretch)
    return Excuses(tuple(hidden), silent, skewed, skew_ns, edges)


def _turned_round(path: str, skews: Sequence[Fault], start_ns: int, latest: Latest) -> list[tuple[int, int]]:
    """Where a clock jumps back over what its device has just told, nobody can tell the order; till the next value."""
    found = []
    for fault in skews:
        first, last = fault.window_ns(start_ns)
        by_ns = round(fault.by_s * SECOND_NS)
        jump = (last, last + by_ns) if by_ns > 0 else (first + by_ns, first)
        for metric in ("state", "reason"):
            times = sorted(latest.get((path, metric), ()))
            if any(jump[0] <= time_ns < jump[1] for time_ns in times):
                found.append((jump[0], next((time_ns for time_ns in times if time_ns >= jump[1]), 2**62)))
    return found


def _hidden(path: str, scenario: Scenario, latest: Latest, done: Done) -> list[tuple[int, int]]:
    """From the last value before a lost one to the next after it: in between nobody can know better."""
    limit_ns = {m.path: round(m.micro_stop_s * SECOND_NS) for m in scenario.machines}.get(path, 0)
    lost: dict[str, list[int]] = defaultdict(list)
    for asset, metric, time_ns in done.withheld:
        if asset == path:
            lost[metric].append(time_ns)
    found: list[tuple[int, int]] = []
    for metric, times in lost.items():
        if not holds(metric):
            found += [(time_ns, time_ns) for time_ns in times]
            continue
        known = np.array(sorted(latest.get((path, metric), ())), np.int64)
        for time_ns in times:
            place = int(np.searchsorted(known, time_ns))
            before = int(known[place - 1]) if place else time_ns
            after = int(known[place]) if place < len(known) else 2**62
            found.append((before - limit_ns, after + limit_ns))
    return found

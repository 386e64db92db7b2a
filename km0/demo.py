"""`km0 demo`: a simulated plant on real wires, collected, stored, computed and shown; one command, no server.

One process tree: a broker and the simulated plant as child processes, the platform in this one. All of it stays on
127.0.0.1 and in one folder. Started again on the same folder, the same machines have gone on living meanwhile.
"""

import asyncio
import contextlib
import fcntl
import json
import re
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from km0.console import configure_logs, err, out
from km0.plantfile import PlantFile, sample_file
from km0.run import stop_event
from pipeline.stores.duckdb_config import DuckDbConfig
from telemetry.config import load
from telemetry.errors import ConfigError, SourceError
from telemetry.plant import Asset
from telemetry.samples import SECOND_NS

if TYPE_CHECKING:
    from km0.account import Account, Lags
    from km0.app import Platform
    from km0.simulated import SimulatedPlant
    from simulators.spec import Spec

REPLAYED: Final = "km0/replay/recorded/machine-1"
BEGUN: Final = "demo.json"
"""This file in the folder says when the lives of its machines began, and their seed."""
HISTORY_READ_S: Final = 7 * 24 * 3600.0
"""How far back [s] the OPC UA server's own history is read when a folder is used again: what waited in its queues when
a run was killed died with them, and only its history still has it."""
SETTLE_S: Final = 15.0
HURRY_S: Final = 1.2
"""How long [s] what is under way may take to arrive when the user pressed Ctrl-C: the whole must end within 3 s."""
COMPUTED_S: Final = 60.0
"""How long [s] a run that ends by itself waits for its figures, so that they are of all it stored; of an hour or shift
that ended in its last seconds they may be those of before."""


def duration_s(text: str) -> float:
    """ "90", "90s", "5m" or "2h" as seconds [s]."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h)?", text.strip())
    if not found:
        raise typer.BadParameter(f'{text!r} is no duration; write "90s", "5m" or "2h"')
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600, None: 1}[found[2]]


def demo(
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Keep nothing: data in a temporary folder.")] = False,
    data: Annotated[Path, typer.Option(help="Folder of the data.")] = Path(".km0"),
    ends_after: Annotated[str | None, typer.Option("--for", help="End by itself when live for 60s, 5m, 2h.")] = None,
    past: Annotated[str, typer.Option(help="How much of the plant's past is played first, in a new folder.")] = "24h",
    summary: Annotated[bool, typer.Option("--json", help="Print one JSON summary line at the end.")] = False,
    replay: Annotated[
        Path | None, typer.Option(help="Add a recorded machine: an MTConnect SHDR file, played over MQTT.")
    ] = None,
    shift: Annotated[
        bool, typer.Option("--shift/--own-times", help="Move the recording so that it ends now, or keep its times.")
    ] = True,
    seed: Annotated[int, typer.Option(help="All chance comes from it: the same seed, the same machines.")] = 68100,
    port: Annotated[int, typer.Option(help="Port of the page; 0: any free one.")] = 0,
) -> None:
    """Show the whole platform on simulated machines and a simulated 5G link: prints the page's address; Ctrl-C ends."""
    configure_logs("warning")
    for_s = None if ends_after is None else duration_s(ends_after)
    wanted = Wanted(replay, shift, seed, port, for_s, duration_s(past), summary)
    if replay is not None and not replay.is_file():
        raise ConfigError(f"{replay}: no such file; --replay takes an MTConnect SHDR recording")
    with _folder(data, ephemeral) as folder:
        account = asyncio.run(_demonstrate(folder, wanted))
    if account is not None:
        out.print(json.dumps(account.as_json()), markup=False)


@dataclass(frozen=True)
class Wanted:
    """What the user asked for."""

    replay: Path | None
    shift: bool
    seed: int
    port: int
    for_s: float | None
    past_s: float
    summary: bool


@contextmanager
def _folder(data: Path, ephemeral: bool) -> Iterator[Path]:
    if ephemeral:
        with tempfile.TemporaryDirectory(prefix="km0-demo-") as name:
            yield Path(name)
        return
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{data}: {error.strerror}; choose another folder with --data, or --ephemeral") from error
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel lets go of it however this process ends
        except OSError:
            raise ConfigError(
                f"another km0 demo is running on {data}; stop it first, or give this one --data OTHER or --ephemeral"
            ) from None
        yield data.resolve()


async def _demonstrate(folder: Path, wanted: Wanted) -> "Account | None":
    from km0.simulated import SimulatedPlant
    from simulators.broker import broker

    started = time.monotonic()
    async with AsyncExitStack() as stack:
        mqtt = await asyncio.to_thread(broker, folder / "broker")
        await asyncio.to_thread(mqtt.start)
        stack.callback(mqtt.stop)
        used_before = (folder / BEGUN).exists()
        spec = _spec(folder, wanted, mqtt.port)
        plant = await stack.enter_async_context(SimulatedPlant(spec, folder))
        await asyncio.to_thread(_load)  # while the plant starts in its own process
        from km0.account import Lags
        from km0.app import running

        file = _plant_file(folder, wanted, mqtt.port, await plant.ready(), used_before=used_before)
        lags = Lags(file.plant.assets)
        platform = await stack.enter_async_context(running(file, on_stored=lags.on_stored, count_held=True))
        stop = stop_event()  # until here Ctrl-C interrupts, as there is nothing to account for
        err.print(f"the plant is shown at [bold cyan]{platform.address}[/]  (Ctrl-C ends)")
        first_kpi = asyncio.create_task(_first_kpi(platform, started), name="first KPI")
        hurry = await _until_stopped(plant, platform, lags, spec, stop, wanted.for_s)
        first_kpi.cancel()
        if hurry and not wanted.summary:
            plant.tell("stop")  # it ends while the platform does; what is under way is in its server's history
            return None
        with contextlib.suppress(SourceError, TimeoutError):
            await asyncio.wait_for(plant.stop(), HURRY_S if hurry else SETTLE_S)
        if not wanted.summary:
            return None
        account = await _account(folder, platform, lags, first_kpi, HURRY_S if hurry else SETTLE_S)
        if hurry:
            return account
        await _computed(platform, stop)
        return replace(account, kpi_values=platform.health.component("recompute").counted("kpis"))


def _load() -> None:
    """Load the libraries that the platform will ask for."""
    for module in ("km0.account", "km0.app", "dashboards.web.app", "pipeline.stores.duckdb", "asyncua"):
        import_module(module)


def _spec(folder: Path, wanted: Wanted, mqtt_port: int) -> "Spec":
    """The simulated plant of this folder: the lives begun there go on, and what was published is not again."""
    from simulators.journal import read_journal
    from simulators.spec import MqttSpec, OpcUaSpec, ReplaySpec, Spec, UdpSpec

    now_ns = time.time_ns()
    begun = folder / BEGUN
    if begun.exists():
        life: dict[str, int] = json.loads(begun.read_text(encoding="utf-8"))
    else:
        epoch_ns = now_ns - round(wanted.past_s * SECOND_NS)
        life = {"seed": wanted.seed, "epoch_ns": epoch_ns // 10**6 * 10**6}
        begun.write_text(json.dumps(life), encoding="utf-8")
    reached_ns = read_journal(folder / "journal.jsonl").reached_ns or life["epoch_ns"]
    replay = None
    if wanted.replay is not None:
        replay = ReplaySpec(path=wanted.replay.resolve(), asset=REPLAYED, ends_at_ns=now_ns if wanted.shift else None)
    return Spec(
        seed=life["seed"],
        epoch_ns=life["epoch_ns"],
        resume_from_ns=reached_ns,
        mqtt=MqttSpec(port=mqtt_port),
        opcua=OpcUaSpec(port=_free_port(4840), await_client_s=30.0),
        link=UdpSpec(),
        replay=replay,
        journal=folder / "journal.jsonl",
        truth=folder / "truth.json",
    )


def _plant_file(folder: Path, wanted: Wanted, mqtt_port: int, ready: dict[str, Any], *, used_before: bool) -> PlantFile:
    """The demonstrator's plant file, with the addresses of this run and all files in the folder."""
    file = load(sample_file(), PlantFile)
    addresses: dict[str, dict[str, Any]] = {
        "mqtt": {"port": mqtt_port},
        "opcua": {
            "url": ready["opcua_url"],
            "certificates": folder / "certificates",
            "history_s": HISTORY_READ_S if used_before else 0.0,
        },
        "probe": {"port": ready["link_port"]},
    }
    plant = file.plant
    if wanted.replay is not None:
        recorded = Asset(path=REPLAYED, name=wanted.replay.name)
        plant = plant.model_copy(update={"assets": (*plant.assets, recorded)})
    assert file.web is not None
    return file.model_copy(
        update={
            "plant": plant,
            "collectors": tuple(c.model_copy(update=addresses[c.kind]) for c in file.collectors),
            "spool": file.spool.model_copy(update={"path": folder / file.spool.path}),
            "store": DuckDbConfig(kind="duckdb", path=folder / "km0.duckdb"),
            "web": file.web.model_copy(
                update={"port": wanted.port or _free_port(file.web.port), "folder": folder / "web"}
            ),
        }
    )


def _free_port(preferred: int) -> int:
    """The preferred port of 127.0.0.1 when nobody has it, else one that is free at this moment."""
    for port in (preferred, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            taken: int = probe.getsockname()[1]
            return taken
    raise ConfigError("no TCP port of 127.0.0.1 is free")


async def _until_stopped(
    plant: "SimulatedPlant",
    platform: "Platform",
    lags: "Lags",
    spec: "Spec",
    stop: asyncio.Event,
    for_s: float | None,
) -> bool:
    """Play the past, then be live until told to stop or for so long [s]. True when somebody is waiting for the end."""
    work = asyncio.create_task(_play(plant, platform, lags, spec), name="play")
    stopped = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
            died = asyncio.create_task(plant.ended(), name="simulated plant")
            await asyncio.wait({stopped, died}, return_when=asyncio.FIRST_COMPLETED, timeout=for_s)
            if died.done():
                died.result()
            died.cancel()
        return stopped.done()
    finally:
        work.cancel()
        stopped.cancel()


async def _computed(platform: "Platform", stop: asyncio.Event) -> None:
    """Wait until the figures are of all it stored, for a time, or until told to stop."""
    work = [asyncio.create_task(one) for one in (platform.computed(), stop.wait())]
    try:
        await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED, timeout=COMPUTED_S)
    finally:
        for one in work:
            one.cancel()


async def _play(plant: "SimulatedPlant", platform: "Platform", lags: "Lags", spec: "Spec") -> None:
    await platform.connected()
    hours = (time.time_ns() - (spec.resume_from_ns or spec.epoch_ns)) / 3600 / SECOND_NS
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        bar = progress.add_task(f"playing the last {hours:.1f} h of the plant", total=1.0)
        lags.live_from_ns = await plant.play(lambda done: progress.update(bar, completed=done))
    err.print("live: machines, link and figures are now as of this second")


async def _first_kpi(platform: "Platform", started: float) -> float:
    while not platform.health.component("recompute").counted("kpis"):  # noqa: ASYNC110  # set from a thread
        await asyncio.sleep(0.02)
    return time.monotonic() - started


async def _account(
    folder: Path, platform: "Platform", lags: "Lags", first_kpi: "asyncio.Task[float]", patience_s: float
) -> "Account":
    """Compare published with stored, until all has arrived or patience ends."""
    from km0.account import Account, published_and_stored

    deadline = time.monotonic() + patience_s
    while True:
        published, stored = await asyncio.to_thread(published_and_stored, folder / "journal.jsonl", platform.store)
        if stored == published or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.1)
    drain = platform.health.component("drain")
    held = sum(series.samples for series in await asyncio.to_thread(platform.store.inventory))
    return Account(
        published=published,
        stored=stored,
        lost=published - stored,
        duplicates=max(0, drain.counted("samples") + platform.held_at_start - held),
        dead_letters=await asyncio.to_thread(platform.spool.dead_letters.count),
        measured=held - stored,
        kpi_values=platform.health.component("recompute").counted("kpis"),
        seconds_to_first_kpi=round(first_kpi.result(), 2) if first_kpi.done() and not first_kpi.cancelled() else None,
        publish_to_stored_p50_ms=lags.percentile(50),
        publish_to_stored_p99_ms=lags.percentile(99),
    )

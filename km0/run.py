"""`km0 run`: the platform on real equipment, until told to stop."""

import asyncio
import contextlib
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from km0.console import configure_logs, err
from km0.parts import Part
from km0.plantfile import PlantFile
from telemetry.config import load


def run(
    file: Annotated[Path, typer.Argument(help="The plant file.")] = Path("plant.toml"),
    only: Annotated[
        Part | None,
        typer.Option(help="Run this part alone, others being elsewhere: they meet in the store, an InfluxDB."),
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Collect, keep, compute and show what the plant file names, until Ctrl-C or SIGTERM."""
    plant_file = load(file, PlantFile)
    configure_logs(log_level)
    asyncio.run(_run(plant_file, only))


async def _run(file: PlantFile, only: Part | None) -> None:
    from km0.app import running, running_only

    stop = stop_event()
    async with AsyncExitStack() as stack:
        if only is None:
            platform = await stack.enter_async_context(running(file))
            address, welcome = platform.address, platform.welcome
        else:
            address, welcome = await stack.enter_async_context(running_only(file, only))
        if address:
            err.print(f"the plant is shown at [bold]{address}[/]  (Ctrl-C ends)")
        if welcome:
            err.print(f"the first administrator sets a password at {welcome}  (once, for two days)", markup=False)
        await stop.wait()
        err.print("ending: what was acknowledged is on disk")


def stop_event() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set, for the running loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows has no handlers in loops; Ctrl-C then interrupts
            loop.add_signal_handler(number, stop.set)
    return stop

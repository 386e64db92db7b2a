"""`km0 run`: the platform on real equipment, until told to stop."""

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Annotated

import typer

from km0.console import configure_logs, err
from km0.plantfile import PlantFile
from telemetry.config import load


def run(
    file: Annotated[Path, typer.Argument(help="The plant file.")] = Path("plant.toml"),
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Collect, keep, compute and show what the plant file names, until Ctrl-C or SIGTERM."""
    plant_file = load(file, PlantFile)
    configure_logs(log_level)
    asyncio.run(_run(plant_file))


async def _run(file: PlantFile) -> None:
    from km0.app import running

    stop = stop_event()
    async with running(file) as platform:
        if platform.address:
            err.print(f"the plant is shown at [bold]{platform.address}[/]  (Ctrl-C ends)")
        if platform.welcome:
            err.print(
                f"the first administrator sets a password at {platform.welcome}  (once, for two days)", markup=False
            )
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

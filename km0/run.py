"""`km0 run`: the platform on real equipment, until told to stop."""

import asyncio
import contextlib
import os
import signal
import threading
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from km0.console import configure_logs, err
from km0.parts import Part
from km0.plantfile import PlantFile
from telemetry.config import load

LONGEST_END_S: Final = 5.0
"""How long [s] ending may take: a container is given ten seconds before it is killed, and everybody asks why."""


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
    before = set(threading.enumerate())
    watch = asyncio.run(_run(plant_file, only))
    # A thread that still asks the store would hold up the interpreter's own end, which nobody else watches over.
    if all(thread.daemon for thread in set(threading.enumerate()) - before):
        watch.cancel()


async def _run(file: PlantFile, only: Part | None) -> threading.Timer:
    """Returns what watches over the end."""
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
        return end_at_last()


def end_at_last() -> threading.Timer:
    """Let the process end within LONGEST_END_S, whoever is still waited for, unless what is returned is cancelled.

    A question to a store that hangs holds its thread for as long as the store may take to answer, ten minutes if the
    plant file says so, and the end would wait for it. Ended like this nothing is lost: a kill is survived too.
    """

    def leave() -> None:
        err.print(
            f"not everything ended within {LONGEST_END_S:g} s: ended without it; what was acknowledged is on disk"
        )
        os._exit(0)

    watch = threading.Timer(LONGEST_END_S, leave)
    watch.daemon = True
    watch.start()
    return watch


def stop_event() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set, for the running loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows has no handlers in loops; Ctrl-C then interrupts
            loop.add_signal_handler(number, stop.set)
    return stop

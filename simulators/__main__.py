"""`python -m simulators SPEC.json`: the simulated plant as a child process.

It writes one JSON object per line on standard output: {"event": "ready", "link_port"?, "reflector_port"?,
"opcua_url"?, "opcua_port"?, "opcua_certificate"?} once its wires are open; {"event": "progress", "done", "published"}
while it plays the past, ten times a second at most; {"event": "live", "at_ns", "published"}; {"event": "fault",
"number"} when the parent is to make that one of the scenario's faults; {"event": "stopped", "published",
"unacknowledged"}; {"event": "error", "message"} and a code other than 0 when it cannot go on (2: the spec is wrong).
It reads commands from standard input, one a line: `play`, `stop`. The end of its input, SIGTERM and SIGINT stop it too.
"""

import asyncio
import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from simulators.journal import Journal
from simulators.plant import Plant
from simulators.spec import Spec, load_spec
from telemetry.errors import ConfigError, SourceError

_PROGRESS_S: Final = 0.1


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        say("error", message="usage: python -m simulators SPEC.json")
        return 2
    try:
        spec = load_spec(Path(arguments[0]))
        asyncio.run(run(spec))
    except ConfigError as error:
        say("error", message=str(error))
        return 2
    except (SourceError, OSError) as error:
        say("error", message=str(error))
        return 1
    except BaseExceptionGroup as group:
        failures, others = group.split((SourceError, OSError))
        if others is not None or failures is None:
            raise
        say("error", message="; ".join(str(error) for error in failures.exceptions))
        return 1
    return 0


async def run(spec: Spec) -> None:
    """One run of the plant, from `ready` to `stopped`."""
    asked_to_play, asked_to_stop = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    commands = {"play": asked_to_play.set, "stop": asked_to_stop.set}
    started = threading.Event()
    threading.Thread(target=listen, args=(loop, commands, asked_to_stop.set, started), daemon=True).start()
    with Journal(spec.journal) as journal:
        plant = Plant(spec, journal)
        wires = await plant.start()
        started.set()
        say("ready", **wires)
        work = asyncio.create_task(play_and_live(plant, asked_to_play, spec.until_ns), name="plant")
        stop = asyncio.create_task(asked_to_stop.wait(), name="stop")
        await asyncio.wait((work, stop), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        work.cancel()
        try:
            with suppress(asyncio.CancelledError):
                await work
        finally:
            left = await plant.stop()
            plant.write_truth()
        say("stopped", published=plant.published, unacknowledged=left)


async def play_and_live(plant: Plant, asked_to_play: asyncio.Event, until_ns: int | None) -> None:
    """The past once it is asked for, then the present."""
    await asked_to_play.wait()
    told_at = 0.0

    def progress(done: float) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= _PROGRESS_S:
            told_at = time.monotonic()
            say("progress", done=round(done, 4), published=plant.published)

    await plant.play(progress, lambda number: say("fault", number=number))
    say("live", at_ns=until_ns or time.time_ns(), published=plant.published)
    plant.write_truth()
    if until_ns is None:
        await plant.live()
    await asyncio.Event().wait()  # the wires stay open: what was missed is still asked for


def listen(
    loop: asyncio.AbstractEventLoop, commands: dict[str, Any], ended: Callable[[], None], started: threading.Event
) -> None:
    """Read commands from standard input on a thread of its own: it may be a pipe, a terminal, a file or nothing."""
    waiting = b""
    # os.read and not sys.stdin: a daemon thread in the buffered reader would hold its lock when the process ends.
    while data := os.read(0, 4096):
        *lines, waiting = (waiting + data).split(b"\n")
        for line in lines:
            word = line.decode(errors="replace").strip()
            if word in commands:
                loop.call_soon_threadsafe(commands[word])
            elif word:
                say("error", message=f"unknown command {word!r}; there are: {', '.join(commands)}")
    if not started.is_set():
        # An OPC UA server takes seconds to start and hears nothing meanwhile; nothing is published that could be lost.
        os._exit(1)
    with suppress(RuntimeError):  # the loop may be closed already
        loop.call_soon_threadsafe(ended)


def say(event: str, **details: Any) -> None:
    """One line for the parent. A parent that is gone hears nothing; its end of our input tells us so."""
    with suppress(BrokenPipeError):
        sys.stdout.write(json.dumps({"event": event, **details}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    gc.freeze()  # or the collector goes through the address space of the OPC UA server for a second before we are gone
    sys.exit(code)

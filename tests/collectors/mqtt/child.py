"""`python -m tests.collectors.mqtt.child PORT FILE CHANGES`: a real collector process, to be killed at any moment.

Its sink appends the samples of every put to FILE, one JSON line each, and returns when they are on disk.
CHANGES is JSON: what its configuration has beside the defaults.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from collectors.retry import keep_running
from telemetry.health import Condition, Health
from telemetry.samples import Sample
from tests.collectors.mqtt.bench import PLANT, config
from tests.contracts.collector import Known, until


class FileSink:
    """Appends and fsyncs. A line that a kill cut short is taken off when it opens."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        content = path.read_bytes()
        os.ftruncate(self._file, content.rfind(b"\n") + 1)

    async def put(self, samples: Sequence[Sample]) -> None:
        await asyncio.to_thread(self._append, b"".join(msgspec.json.encode(one) + b"\n" for one in samples))

    async def set_aside(self, source: str, reason: str, raw: bytes) -> None:
        raise AssertionError((source, reason, raw))

    def _append(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._file, data) :]
        os.fsync(self._file)


def kept(path: Path) -> Known:
    """What whole lines of the file say."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    samples = [msgspec.json.decode(line, type=Sample) for line in lines]
    return {(one.asset, one.metric, one.time_ns): one.value for one in samples}


async def main(port: int, path: Path, changes: dict[str, Any]) -> None:
    health = Health()
    collector = config(port, **changes).build(PLANT, health)
    component = health.component(collector.name)
    async with asyncio.TaskGroup() as group:
        group.create_task(keep_running(collector, FileSink(path), component))
        await until(lambda: component.condition is Condition.OK, 60)
        print("subscribed", flush=True)  # noqa: T201  # what the parent waits for


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])))

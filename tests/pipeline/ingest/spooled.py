"""What a spool has on disk, and how it says that it is: looked at from outside; and a disk that is full."""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from telemetry.health import Component
from telemetry.samples import Sample


def on_disk(path: Path) -> list[Sample]:
    """What lies in the file, read without the spool's own code but for the encoding."""
    with sqlite3.connect(path) as db:
        bodies = [body for (body,) in db.execute("SELECT body FROM batches ORDER BY id")]
    db.close()
    return [sample for body in bodies for sample in msgspec.msgpack.decode(body, type=list[Sample])]


def condition(component: Component) -> str:
    return str(component.snapshot()["condition"])


@contextmanager
def disk_full_at(size: int) -> Iterator[None]:
    """No file may grow beyond `size` [bytes]: to SQLite, what a full disk is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

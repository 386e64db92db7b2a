"""Runs `km0 demo` as its user does and reads what it left behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.stores.duckdb import DuckDbStore
from simulators.demo import LINK, MACHINES
from simulators.journal import read_journal
from simulators.truth import Truth
from telemetry.protocols import Store


@dataclass(frozen=True)
class Outcome:
    """What one run of `km0 demo` left: its summary line and exit code, and the folder."""

    folder: Path
    summary: dict[str, Any]
    stderr: str


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "km0.cli", "demo", "--data", str(folder), *options]


def demonstrate(folder: Path, *options: str, timeout_s: float = 110) -> Outcome:
    """Run it to its end; fails with its own words when it does not end well."""
    answer = subprocess.run(
        command(folder, "--json", *options), capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return Outcome(folder, json.loads(answer.stdout.splitlines()[-1]), answer.stderr)


@contextmanager
def demonstrating(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A run that the test ends itself; killed with its children if it does not."""
    process = subprocess.Popen(
        command(folder, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    store = DuckDbStore(folder / "km0.duckdb")
    try:
        yield store
    finally:
        store.close()


def truth_of(folder: Path) -> Truth:
    """The simulators' truth of the lives begun in the folder, from the processes themselves."""
    life = json.loads((folder / "demo.json").read_text())
    return Truth([model for model, _ in MACHINES.values()], life["seed"], life["epoch_ns"], [LINK])


def reached_ns(folder: Path) -> int:
    """The instant [ns] before which everything was published."""
    reached = read_journal(folder / "journal.jsonl").reached_ns
    assert reached is not None
    return reached

"""What tests of every room share: real peers on 127.0.0.1, on free ports; recorded data; what to do without them."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.foreign.install import installed

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
"""Recorded data of third parties, beside the checkout on some machines; never part of the repository."""


def missing(what: str) -> None:
    """In CI a missing peer fails the test; elsewhere it is a skip that says what to install."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}, and CI must not skip")
    pytest.skip(what)


def require_program(name: str, package: str | None = None) -> str:
    """The path of a system program that a test needs as its peer."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        missing(f"{name} is not installed: apt-get install {package or name}")
    assert path is not None
    return path


def npm_installed(folder: Path) -> Path:
    """The `node_modules` of a peer whose package.json names exact versions, installed by npm unless they are there."""
    if reason := installed(folder):
        missing(reason)
    return folder / "node_modules"


def shared_data(name: str) -> Path:
    """A file or folder of recorded data. It is not in the repository, so its absence is a skip even in CI."""
    path = SHARED_DATA / name
    if not path.exists():
        pytest.skip(f"no recorded data {name} beside this checkout")
    return path


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size, mounted at a folder that is made for it."""
    if os.geteuid() != 0:
        pytest.skip("file systems are mounted by root")
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        missing(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, seconds: float = 10.0) -> None:
    """Return once something accepts connections on 127.0.0.1:port."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
            return
        except OSError:
            time.sleep(0.02)
    raise TimeoutError(f"nothing listens on 127.0.0.1:{port} after {seconds} s")


@dataclass
class Mosquitto:
    """A real mosquitto with persistence, that a test may stop, kill and start again on the same port."""

    port: int
    folder: Path
    autosave_s: int = 1
    """How often [s] it writes all that it keeps: what a kill may cost."""
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = require_program("mosquitto")
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {self.folder}/\nautosave_interval {self.autosave_s}\nmax_queued_messages 0\n"
            f"{'user root' if os.geteuid() == 0 else ''}\n"
        )
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([program, "-c", str(config)], stdout=log, stderr=log)
        wait_for_port(self.port)

    def stop(self) -> None:
        self._end(kill=False)

    def kill(self) -> None:
        self._end(kill=True)

    def _end(self, *, kill: bool) -> None:
        if self.process is None:
            return
        while True:
            (self.process.kill if kill else self.process.terminate)()
            with suppress(subprocess.TimeoutExpired):
                # It answers connections a moment before it would act on a signal: that one is lost, the next is not.
                self.process.wait(2)
                break
        self.process = None

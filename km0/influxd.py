"""A real influxd 1.x on 127.0.0.1, in a folder of its own: for a verification, with empty databases, and for tests."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from simulators.ports import free_port
from telemetry.errors import ConfigError, SourceError

DATABASES: Final = ("km0", "km0_kpi", "km0_journal")
START_S: Final = 30.0


def launched(folder: Path, port: int, **settings: str) -> tuple[list[str], dict[str, str]]:
    """The command and the environment of an influxd whose data lie in `folder` and that listens on 127.0.0.1:`port`.

    `settings` are INFLUXDB_… variables without that beginning. Raises ConfigError when it is not installed.
    """
    program = shutil.which("influxd") or shutil.which("influxd", path="/usr/sbin:/sbin")
    if program is None:
        raise ConfigError("influxd is not installed: apt-get install influxdb, or verify with --store duckdb")
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "influxdb.conf"
    config.write_text("", encoding="utf-8")
    variables = {
        "META_DIR": str(folder / "meta"),
        "DATA_DIR": str(folder / "data"),
        "DATA_WAL_DIR": str(folder / "wal"),
        "HTTP_BIND_ADDRESS": f"127.0.0.1:{port}",
        "BIND_ADDRESS": f"127.0.0.1:{free_port()}",
        "REPORTING_DISABLED": "true",
        "HTTP_LOG_ENABLED": "false",
        "MONITOR_STORE_ENABLED": "false",
        "LOGGING_LEVEL": "warn",
    } | settings
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return [program, "-config", str(config)], environment | {f"INFLUXDB_{n}": value for n, value in variables.items()}


@contextmanager
def influxd(folder: Path) -> Iterator[dict[str, Any]]:
    """The [store] section of an influxd 1.x that runs while the context is open.

    Raises ConfigError when it is not installed, SourceError when it does not answer.
    """
    port = free_port()
    url, log = f"http://127.0.0.1:{port}", folder / "influxd.log"
    command, environment = launched(folder, port)
    with log.open("ab") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        answers(url, log)
        for name in DATABASES:
            statement = urlencode({"q": f'CREATE DATABASE "{name}"'}).encode()
            urlopen(f"{url}/query", statement, timeout=10).close()  # noqa: S310  # http, to our own child
        yield {"kind": "influxdb", "url": url}
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str, log: Path, seconds: float = START_S) -> None:
    """Return once it does. Raises SourceError when it does not within so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            urlopen(f"{url}/ping", timeout=1).close()  # noqa: S310  # http, to our own child
        except (URLError, OSError):
            time.sleep(0.02)
        else:
            return
    raise SourceError(f"influxd does not answer at {url} after {seconds:g} s: see {log}")

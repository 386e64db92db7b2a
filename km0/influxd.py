"""A real influxd for a verification, in the run's own folder, on 127.0.0.1, with empty databases."""

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


@contextmanager
def influxd(folder: Path) -> Iterator[dict[str, Any]]:
    """The [store] section of an influxd 1.x that runs while the context is open.

    Raises ConfigError when it is not installed, SourceError when it does not answer.
    """
    program = shutil.which("influxd") or shutil.which("influxd", path="/usr/sbin:/sbin")
    if program is None:
        raise ConfigError("influxd is not installed: apt-get install influxdb, or verify with --store duckdb")
    folder.mkdir(parents=True)
    url = f"http://127.0.0.1:{free_port()}"
    settings = {
        "META_DIR": str(folder / "meta"),
        "DATA_DIR": str(folder / "data"),
        "DATA_WAL_DIR": str(folder / "wal"),
        "HTTP_BIND_ADDRESS": url.removeprefix("http://"),
        "BIND_ADDRESS": f"127.0.0.1:{free_port()}",
        "REPORTING_DISABLED": "true",
        "HTTP_LOG_ENABLED": "false",
        "MONITOR_STORE_ENABLED": "false",
    }
    (folder / "influxdb.conf").write_text("", encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with (folder / "influxd.log").open("ab") as log:
        process = subprocess.Popen(
            [program, "-config", str(folder / "influxdb.conf")],
            env=environment | {f"INFLUXDB_{name}": value for name, value in settings.items()},
            stdout=log,
            stderr=log,
        )
    try:
        _answers(url, folder / "influxd.log")
        for name in DATABASES:
            statement = urlencode({"q": f'CREATE DATABASE "{name}"'}).encode()
            urlopen(f"{url}/query", statement, timeout=10).close()  # noqa: S310  # http, to our own child
        yield {"kind": "influxdb", "url": url}
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            urlopen(f"{url}/ping", timeout=1).close()  # noqa: S310  # http, to our own child
        except (URLError, OSError):
            time.sleep(0.05)
        else:
            return
    raise SourceError(f"influxd does not answer at {url} after {START_S:g} s: see {log}")

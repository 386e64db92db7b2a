"""A real influxd on 127.0.0.1, that a test may stop, kill, limit and start again on the same data."""

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

from km0.influxd import DATABASES, answers, launched
from pipeline.stores import InfluxDbConfig
from tests.support import free_port, require_program


@dataclass
class Influxd:
    """Debian's influxd (1.6.7). `settings` are INFLUXDB_… variables without that beginning."""

    folder: Path
    port: int = field(default_factory=free_port)
    settings: dict[str, str] = field(default_factory=dict)
    unprivileged: bool = False
    """Run it as nobody, when we are root: for tests of what it may not do."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        require_program("influxd", "influxdb")
        command, environment = launched(self.folder, self.port, **self.settings)
        user = "nobody" if self.unprivileged and os.geteuid() == 0 else None
        if user is not None:
            self._give_to(user)
        with (self.folder / "influxd.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, user=user)
        answers(self.url, self.folder / "influxd.log", 60)

    def _give_to(self, user: str) -> None:
        for path in [self.folder, *self.folder.rglob("*")]:
            shutil.chown(path, user)
        for parent in self.folder.parents:
            if parent.stat().st_uid == 0 and str(parent).startswith(tempfile.gettempdir() + "/pytest-of-"):
                parent.chmod(0o755)

    def stop(self) -> None:
        self._end(kill=False)

    def kill(self) -> None:
        self._end(kill=True)

    def _end(self, *, kill: bool) -> None:
        if self.process is not None:
            (self.process.kill if kill else self.process.terminate)()
            self.process.wait(30)
            self.process = None

    def run(self, *statements: str, database: str = "", user: str = "") -> list[dict[str, object]]:
        """Results of InfluxQL statements."""
        asked = {"q": "; ".join(statements), "db": database, "epoch": "ns"}
        name, _, password = user.partition(":")
        rights = f"?{urlencode({'u': name, 'p': password})}" if user else ""
        with urlopen(f"{self.url}/query{rights}", urlencode(asked).encode(), timeout=30) as answer:  # noqa: S310  # http, to ourselves
            results: list[dict[str, object]] = json.loads(answer.read())["results"]
        assert not [result for result in results if "error" in result], results
        return results

    def databases(self, prefix: str = "") -> InfluxDbConfig:
        """A section whose three databases have just been made, empty."""
        names = [f"{prefix}{name}" for name in DATABASES]
        self.run(*(f'DROP DATABASE "{name}"; CREATE DATABASE "{name}"' for name in names))
        return InfluxDbConfig(
            url=self.url, bucket=names[0], kpi_bucket=names[1], journal_bucket=names[2], writer="test"
        )

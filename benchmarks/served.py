"""The web app in a process of its own, as `km0 run` serves it, on a store in a folder; the app's clock stands still.

`python -m benchmarks.served FOLDER` is that process: its address is its first line.
"""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from km0.plantfile import PlantFile, sample_file
from pipeline.stores.duckdb import DuckDbStore
from telemetry.config import load
from telemetry.samples import SECOND_NS

END_S = 1_795_343_400
"""2026-11-22T10:30:00Z: the app's now."""
EXPIRED_S = 120


@dataclass(frozen=True)
class Served:
    """An app that answers. `later` moves its clock by EXPIRED_S."""

    base: str
    pid: int
    later: Callable[[], None]

    def peak_mb(self) -> float:
        """The most memory [MB] it ever had (VmHWM), libraries and all."""
        told = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(told.partition("VmHWM:")[2].split()[0]) / 1024


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Raises ChildProcessError when the server does not start; why is on its stderr."""
    command = [sys.executable, "-m", "benchmarks.served", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        stdin, stdout = server.stdin, server.stdout

        def later() -> None:
            stdin.write("later\n")
            stdin.flush()
            stdout.readline()

        try:
            base = stdout.readline().strip()
            if not base:
                raise ChildProcessError(f"the web app did not start: {' '.join(command)}")
            yield Served(base, server.pid, later)
        finally:
            server.terminate()


async def _serve(folder: Path) -> None:
    from dashboards.web.app import create_app
    from dashboards.web.config import WebConfig
    from dashboards.web.context import WebContext
    from dashboards.web.server import serve
    from pipeline.ingest.spool import Spool
    from pipeline.kpis.catalogue import CATALOGUE
    from telemetry.health import Health

    file = load(sample_file(), PlantFile)
    store = DuckDbStore(folder / "year.duckdb")
    config = WebConfig(port=0, folder=folder / "web")
    health = Health()
    now_s = [END_S]

    def later() -> None:
        for _ in sys.stdin:
            now_s[0] += EXPIRED_S
            print("later", flush=True)

    threading.Thread(target=later, daemon=True).start()
    async with Spool(folder / "spool.sqlite", component=health.component("spool")) as spool:
        context = WebContext(
            file.plant, store, health, spool.dead_letters, CATALOGUE, config, lambda: now_s[0] * SECOND_NS
        )
        await serve(
            create_app(context), config, ready=lambda address: print(address.rstrip("/"), flush=True), warm=True
        )


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))

"""What the first request of each kind would wait for, done once the app is served: nobody has to be first.

Invariants: one step at a time, each short; after `close()` none begins, and the process that packs the charts' script
is ended. A store that does not answer now is asked again by the first who wants to know.
"""

import logging
import subprocess
import threading
from collections.abc import Callable, Sequence

from dashboards.web import charts
from telemetry.errors import StoreError

log = logging.getLogger(__name__)


class Warmth:
    """Synchronous; `run` in a thread."""

    def __init__(self, steps: Sequence[Callable[[], object]]) -> None:
        self._steps = steps
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._maker: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Every step, in order."""
        with self._lock:
            if not self._closing.is_set():
                self._maker = charts.maker()
        for step in self._steps:
            if self._closing.is_set():
                return
            try:
                step()
            except StoreError as error:
                log.info("not read beforehand: %s", error)
        if self._maker is not None:
            charts.take(self._maker)

    def close(self) -> None:
        self._closing.set()
        with self._lock:
            if self._maker is not None:
                self._maker.terminate()

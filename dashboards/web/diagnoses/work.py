"""Diagnoses at work: a few at once, each in its thread, told how far they are; the result lies in the folder as JSON.

Invariants: at most AT_ONCE run, others wait in line, where organisations take turns however much one asks for; what is
asked for twice runs once; a fault of the file is a sentence for its owner, a bug of ours is one in the log, and neither
leaves a diagnosis running.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from dashboards.web.diagnoses import report, result
from dashboards.web.diagnoses.shelf import Diagnosis, Shelf
from dashboards.web.diagnoses.upload import LARGEST_LINK
from pipeline.diagnosis.diagnosis import Diagnosis as Found
from pipeline.diagnosis.diagnosis import link_of, of_logs
from pipeline.files import eventlog, guard
from pipeline.files.mapping import EventLogConfig
from pipeline.said import Said
from telemetry.errors import DecodeError, StoreError

AT_ONCE: Final = 2
log = logging.getLogger(__name__)

_OURS: Final = Said(
    "a fault of ours: the log of the server has it", "une erreur de notre part : le journal du serveur la contient"
)


def result_name(machine: int) -> str:
    """The file of the figures of a machine, of those in the file counted from 0."""
    return "result.json" if machine == 0 else f"result-{machine}.json"


class Work:
    """Call `close` at the end: what runs is given up and said to be interrupted at the next start."""

    def __init__(self, shelf: Shelf, *, largest: int) -> None:
        self._shelf = shelf
        self._largest = largest
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="diagnosis")
        self._lock = threading.Lock()
        self._shares: dict[str, float] = {}
        self._waiting: dict[int, deque[tuple[Diagnosis, Callable[[], None]]]] = {}
        self._closing = False

    def close(self) -> None:
        self._closing = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def share(self, number: str) -> float:
        """How much [0…1] of a running diagnosis is read."""
        with self._lock:
            return self._shares.get(number, 0.0)

    def start(self, diagnosis: Diagnosis, mapping: EventLogConfig) -> bool:
        """Run it; False when it runs already."""
        if not self._shelf.begin(diagnosis, mapping.model_dump_json(exclude_unset=True)):
            return False
        diagnosis = self._shelf.get(diagnosis.organisation, diagnosis.id) or diagnosis  # as it is while it runs
        self._line_up(diagnosis, lambda: self._of_file(diagnosis, mapping))
        return True

    def start_plant(self, diagnosis: Diagnosis, asked: str, find: Callable[[], Found]) -> bool:
        """Run one of the plant, whatever `find` finds; `asked` is what was asked for, as JSON."""
        if not self._shelf.begin(diagnosis, asked):
            return False
        self._line_up(diagnosis, lambda: self._report(diagnosis, find()))
        return True

    def _line_up(self, diagnosis: Diagnosis, make: Callable[[], None]) -> None:
        with self._lock:
            self._waiting.setdefault(diagnosis.organisation, deque()).append((diagnosis, make))
        self._pool.submit(self._next)

    def _next(self) -> None:
        """The first in line of the organisation that waits longest for its turn; then it is the others' turn."""
        with self._lock:
            organisation = next(iter(self._waiting))
            line = self._waiting.pop(organisation)
            diagnosis, make = line.popleft()
            if line:
                self._waiting[organisation] = line
        self._run(diagnosis, make)

    def _of_file(self, diagnosis: Diagnosis, mapping: EventLogConfig) -> None:
        for earlier in self._shelf.folder(diagnosis.id).glob("result*.json"):  # of another mapping: more machines, say
            earlier.unlink()
        found = eventlog.load_each(
            self._shelf.file(diagnosis), mapping, largest=self._largest,
            progress=lambda share: self._told(diagnosis.id, share),
        )  # fmt: skip
        path = self._shelf.link(diagnosis)
        links = [] if path is None else [link_of(path, diagnosis.use_case or None, largest=LARGEST_LINK)]
        self._report(diagnosis, of_logs(found, self._shelf.file(diagnosis), links=links))
        names = [log.config.machine.name for log in found]
        for number, log in enumerate(found):
            made = result.of(log, diagnosis.name, names)
            path = self._shelf.folder(diagnosis.id) / result_name(number)
            path.write_text(made.model_dump_json(), encoding="utf-8")

    def _report(self, diagnosis: Diagnosis, found: Found) -> None:
        report.write(found, self._shelf.folder(diagnosis.id))

    def _run(self, diagnosis: Diagnosis, make: Callable[[], None]) -> None:
        fault: Said | None = _OURS
        try:
            make()
            fault = None
        except DecodeError as error:
            fault = guard.why(error)
        except StoreError as error:
            fault = Said(
                f"the store did not answer: {error}",
                "la base de données n'a pas répondu : relancez le calcul dans un moment",
            )
        except _Interrupted:
            return  # the next start says so
        finally:
            with self._lock:
                self._shares.pop(diagnosis.id, None)
            if not self._closing:
                if fault is _OURS:
                    log.exception("diagnosis %s failed", diagnosis.id)
                self._shelf.end(diagnosis, fault)

    def _told(self, number: str, share: float) -> None:
        if self._closing:
            raise _Interrupted
        with self._lock:
            self._shares[number] = share


class _Interrupted(Exception):  # noqa: N818  # no error: the process ends
    pass

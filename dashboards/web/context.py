"""What the web app is given. It reads all of it and writes none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import time_ns
from typing import Protocol

from dashboards.web.config import WebConfig
from telemetry.health import Health
from telemetry.plant import Plant
from telemetry.protocols import Store


class DeadLetter(Protocol):
    """A message that will never be a sample, and why. `id` grows with time."""

    @property
    def id(self) -> int: ...
    @property
    def at_ns(self) -> int: ...
    @property
    def source(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def raw(self) -> bytes: ...


class DeadLetters(Protocol):
    """Where dead letters are kept. Synchronous: called from threads."""

    def count(self) -> int:
        """How many there are."""

    def list(self, limit: int, before: int | None = None) -> Sequence[DeadLetter]:
        """At most `limit`, newest first, only those with an id below `before`."""


class CatalogueRow(Protocol):
    """What people need to know of a KPI."""

    @property
    def name(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def reference(self) -> str: ...
    @property
    def meaning(self) -> str: ...
    @property
    def name_fr(self) -> str: ...
    @property
    def meaning_fr(self) -> str: ...
    @property
    def reference_fr(self) -> str: ...


@dataclass(frozen=True)
class WebContext:
    """Everything the app reads. `now_ns` is the clock [ns since the epoch, UTC] that "today" and "late" are told by."""

    plant: Plant
    store: Store
    health: Health
    dead_letters: DeadLetters
    catalogue: Sequence[CatalogueRow] = ()
    config: WebConfig = field(default_factory=WebConfig)
    now_ns: Callable[[], int] = time_ns

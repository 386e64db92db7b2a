"""The parts of a platform that may run in processes of their own, and what each says of itself: a file per part.

Invariants:
- A file is replaced whole, so a reader sees one instant of its part. Its age is the part's heartbeat.
- A part that has said nothing for SILENT_S is shown as failing, whatever it said last.
"""

import asyncio
import json
import os
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from time import time_ns
from typing import Any, Final

import structlog
from pydantic import Field

from telemetry.config import Section
from telemetry.health import Condition, Health
from telemetry.samples import SECOND_NS

EVERY_S: Final = 2.0
SILENT_S: Final = 15.0

_log: Final = structlog.get_logger(__name__)


class Part(StrEnum):
    """What may run in a process of its own."""

    COLLECTORS = "collectors"
    """Collectors, spool and drain: writes samples."""
    PIPELINE = "pipeline"
    """Recompute: reads samples, writes KPI values."""
    WEB = "web"
    """The web app: reads."""


class HealthConfig(Section):
    """[health]: where the parts of a platform that runs in several processes (`km0 run --only`) tell how they are."""

    folder: Path = Field(
        Path("health"),
        description="a file for each part, written every two seconds; the web app shows what all of them say",
    )


class SaidElsewhere(Health):
    """The health of this part, and of the others as their files tell."""

    def __init__(self, folder: Path, own: Part, now_ns: Callable[[], int] = time_ns) -> None:
        super().__init__(now_ns)
        self._folder = folder
        self._others = [part for part in Part if part is not own]
        self._clock_ns = now_ns

    def own(self) -> list[dict[str, Any]]:
        """What this part alone has to say."""
        return super().snapshot()

    def snapshot(self) -> list[dict[str, Any]]:
        return self.own() + [component for part in self._others for component in self._said(part)]

    def _said(self, part: Part) -> list[dict[str, Any]]:
        try:
            told = json.loads(_file(self._folder, part).read_bytes())
            at_ns, components = int(told["at_ns"]), list(told["components"])
        except (OSError, ValueError, LookupError, TypeError):
            return [_silent(part, "has said nothing yet: is it running?", 0)]
        silent_s = (self._clock_ns() - at_ns) / SECOND_NS
        if silent_s > SILENT_S:
            return [_silent(part, f"has said nothing for {silent_s:.0f} s: is it running?", at_ns), *components]
        return components


def _silent(part: Part, words: str, since_ns: int) -> dict[str, Any]:
    detail = f"the part {part.value!r} {words}"
    counts: dict[str, int] = {}
    return {
        "name": part.value, "condition": Condition.FAILING.value, "since_ns": since_ns, "detail": detail,
        "lost": 0, "counts": counts, "gauges": {},
    }  # fmt: skip


async def say(folder: Path, part: Part, health: Health, now_ns: Callable[[], int] = time_ns) -> None:
    """Write what this part says of itself until cancelled; then take the file away. A full disk is logged, no more."""
    snapshot = health.own if isinstance(health, SaidElsewhere) else health.snapshot
    trouble = ""
    try:
        while True:
            told = json.dumps({"at_ns": now_ns(), "components": snapshot()})
            before, trouble = trouble, await asyncio.to_thread(_replace, _file(folder, part), told)
            if trouble and trouble != before:
                _log.error("the health of this part cannot be told", folder=str(folder), reason=trouble)
            await asyncio.sleep(EVERY_S)
    finally:
        with suppress(OSError):
            _file(folder, part).unlink(missing_ok=True)


def _file(folder: Path, part: Part) -> Path:
    return folder / f"{part}.json"


def _replace(path: Path, text: str) -> str:
    """Replace the file; why it could not be, or ""."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        os.replace(fresh, path)
    except OSError as error:
        return error.strerror or str(error)
    return ""

"""What a mapping makes of the first rows of a file, before it is computed: by the functions that compute it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from dashboards.web.diagnoses import result
from dashboards.web.formats import Formats
from dashboards.web.states import StateInterval, intervals
from dashboards.web.texts import Language
from pipeline.diagnosis.diagnosis import lasting
from pipeline.files import eventlog
from pipeline.files.eventlog import EventLog
from pipeline.files.mapping import EventLogConfig
from telemetry.samples import SECOND_NS, Window

ROWS: Final = 20_000
"""Rows of a file that a preview reads at most: an answer in well under a second."""

_SHOWN: Final = 8
_LOOKED_AT: Final = 200


@dataclass(frozen=True)
class Preview:
    """The figures of the (first) machine; its first states; `whole`: the file has no more rows than were read. `when`
    shows instants in the file's own zone; `rows` and `bad_rows` are of all machines."""

    figures: result.ResultOut
    states: list[StateInterval]
    whole: bool
    when: Formats
    rows: int
    bad_rows: int


def of(path: Path, mapping: EventLogConfig, language: Language, *, largest: int) -> Preview:
    """Raises DecodeError as computing it does."""
    found = eventlog.load_each(path, mapping, largest=largest, most_rows=ROWS)
    log = lasting(found)[0]
    return Preview(
        result.of(log, path.name, [one.config.machine.name for one in found]),
        _first_states(log),
        all(one.whole for one in found),
        Formats(language, ZoneInfo(mapping.timezone or "UTC")),
        sum(one.faults.rows for one in found),
        sum(one.faults.count for one in found),
    )


def _first_states(log: EventLog) -> list[StateInterval]:
    """The first stretches as they were understood, each in one state for one reason."""
    states, reasons = log.read("state", log.span), log.read("reason", log.span)
    end_ns = log.span.end_ns
    if len(states) > _LOOKED_AT:  # the rest is not shown
        end_ns = int(states.times_ns[_LOOKED_AT])
    window = Window(log.span.start_ns, end_ns)
    stale_ns = int(log.machine.stale_after_s * SECOND_NS)
    seen = np.unique(np.concatenate([one.times_ns for one in log.series.values()]))
    return intervals(states, reasons, seen[seen < end_ns], window, stale_ns)[:_SHOWN]

"""A diagnosis of a part of an event log, and of more than it tells."""

from pathlib import Path

import pytest

from pipeline.diagnosis.diagnosis import of_log
from pipeline.files import eventlog
from pipeline.files.eventlog import EventLog
from pipeline.files.guard import RefusedFileError
from pipeline.files.mapping import EventLogConfig
from telemetry.samples import SECOND_NS, Window


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    """Running from eight, stopped from half past nine to ten, in Paris."""
    path = tmp_path / "a.csv"
    path.write_text("time,state\n2026-01-15T08:00,running\n2026-01-15T09:30,idle\n2026-01-15T10:00,running\n")
    return eventlog.load(path, EventLogConfig(timezone="Europe/Paris"))


def test_of_more_than_the_log_tells_nothing_is_said(log: EventLog, tmp_path: Path) -> None:
    """From seven to noon of the next day: an hour unknown, an hour and a half running, half an hour stopped."""
    window = Window(log.span.start_ns - 3600 * SECOND_NS, log.span.end_ns + 26 * 3600 * SECOND_NS)
    found = of_log(log, tmp_path / "a.csv", window)
    [machine] = found.subject.machines
    assert (machine.oee.total, machine.oee.unknown, machine.oee.running) == pytest.approx((3 * 3600, 3600, 5400))
    assert sum(int(end - start) for start, end in machine.unknown) == pytest.approx(3600 * SECOND_NS)
    [note] = found.notes
    assert note.en == "the log ends at 2026-01-15T10:00:00+01:00; nothing is said of what follows"
    assert note.fr == "le journal finit à 2026-01-15T10:00:00+01:00 ; rien n'est dit de ce qui suit"


def test_of_a_part_there_is_no_note(log: EventLog, tmp_path: Path) -> None:
    """From nine to ten: half an hour running, half an hour stopped."""
    nine = log.span.start_ns + 3600 * SECOND_NS
    found = of_log(log, tmp_path / "a.csv", Window(nine, nine + 3600 * SECOND_NS))
    [machine] = found.subject.machines
    assert (machine.oee.running, machine.oee.required, found.notes) == (1800, 3600, ())


def test_an_interval_after_the_log_is_empty(log: EventLog, tmp_path: Path) -> None:
    """Of the day after, the file says nothing at all."""
    day = 24 * 3600 * SECOND_NS
    with pytest.raises(RefusedFileError, match="the interval is empty"):
        of_log(log, tmp_path / "a.csv", Window(log.span.end_ns + day, log.span.end_ns + 2 * day))

"""Strange files, as workshops have them: what is recognised, what is proposed, what is read, what is listed as bad."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from pipeline.diagnosis.diagnosis import of_log, of_logs
from pipeline.files import eventlog, text
from pipeline.files.eventlog import EventLog
from pipeline.files.mapping import EventLogConfig
from pipeline.files.propose import Proposal, propose
from telemetry.config import parse
from telemetry.errors import DecodeError
from telemetry.glossary import MachineState as S
from telemetry.samples import SECOND_NS

# two header rows, titles above, Windows' letters, semicolons, decimal commas, a total below, a cell with a line break
FRENCH = (
    "Relevé presse 3;;;;;\nPériode;02/03/2026;au;13/03/2026;;\n\nHorodatage;Production;;Machine;;Article\n"
    ";Bonnes;Rebuts;État;Cause;\n13/03/2026 06:00;0;0;Marche;;A1\n"
    '13/03/2026 06:30;1 012,0;3;Panne hydraulique;"vérin\nbloqué";A1\n\n13/03/2026 07:00;0;0;Marche;;A1\n'
    "13/03/2026 08:00;500;x;Chgt de série;;A1\nTotal;1512;3;;;\n"
)


def at(*moment: int) -> int:
    """An instant of UTC [ns]."""
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * SECOND_NS  # type: ignore[misc, arg-type]


def wrote(path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def read(path: Path, **more: Any) -> tuple[Proposal, EventLog]:
    found = propose(path)
    return found, eventlog.load(path, found.mapping.model_copy(update=more))


def states(log: EventLog) -> list[tuple[int, int]]:
    one = log.series["state"]
    return list(zip(one.times_ns.tolist(), one.values.astype(int).tolist(), strict=True))


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig", "utf-16", "cp850", "mac_roman", "utf-16-be"])
def test_a_french_spreadsheet_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    """Titles, two header rows, groups, words, times and numbers are recognised; the two bad rows are listed."""
    found, log = read(wrote(tmp_path / "presse.csv", FRENCH, encoding))
    assert found.layout.separator == ";"
    assert found.layout.header_lines == (4, 5)
    assert found.mapping.columns == {
        "state": "Machine / État", "parts_good": "Production / Bonnes", "parts_scrap": "Production / Rebuts",
        "product": "Article", "reason": "Machine / Cause",
    }  # fmt: skip
    assert found.mapping.states == {"Panne hydraulique": "OUT_OF_SERVICE", "Chgt de série": "SETUP"}
    assert (found.mapping.counts, found.mapping.decimal) == ("since_last", ",")
    # Paris in March is one hour ahead of UTC
    assert states(log) == [
        (at(2026, 3, 13, 5), S.EXECUTING), (at(2026, 3, 13, 5, 30), S.OUT_OF_SERVICE),
        (at(2026, 3, 13, 6), S.EXECUTING), (at(2026, 3, 13, 7), S.SETUP),
    ]  # fmt: skip
    assert log.series["parts_good"].values.tolist() == [0, 1012, 1512]
    assert "vérin\nbloqué" in log.series["reason"].texts.tolist()
    assert [(bad.line, bad.column) for bad in log.faults.listed] == [(11, "Production / Rebuts"), (12, "Horodatage")]
    assert log.faults.rows == 5


def test_a_mapping_is_saved_and_read_back(tmp_path: Path) -> None:
    """What was proposed survives TOML, hostile words included."""
    mapping = propose(wrote(tmp_path / "presse.csv", FRENCH)).mapping
    nasty = mapping.model_copy(update={"states": {'a"]\n[x': "SETUP", "é\\\x7f": "STARVED"}})
    assert parse(nasty.toml(), EventLogConfig) == nasty


@pytest.mark.parametrize(
    ("separator", "row"),
    [(",", '2026-03-02 06:00:00,"1,5",Marche'), (";", "2026-03-02 06:00:00;1,5;Marche"),
     ("\t", "2026-03-02 06:00:00\t1,5\tMarche"), ("|", "2026-03-02 06:00:00|1,5|Marche")],
)  # fmt: skip
def test_separators(tmp_path: Path, separator: str, row: str) -> None:
    """The sign between cells is told from the decimal comma; Excel's own `sep=` line is believed."""
    header = separator.join(("Date", "Rebuts", "Etat"))
    for first in ("", f"sep={separator}\n"):
        log = read(wrote(tmp_path / "f.csv", f"{first}{header}\n{row}\n{row.replace('06:', '07:')}\n"))[1]
        assert log.series["parts_scrap"].values[-1] == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("cell", "answer"),
    [
        ("13/03/2026 05:30", (2026, 3, 13, 4, 30)), ("13.03.2026, 05:30:15", (2026, 3, 13, 4, 30, 15)),
        ("13-03-26 05:30", None), ("vendredi 13 mars 2026 à 5h30", (2026, 3, 13, 4, 30)),
        ("1er août 2026 17h", (2026, 8, 1, 15)), ("13 févr. 2026 05:30:00,5", (2026, 2, 13, 4, 30, 0, 500_000)),
        ("3/13/2026 5:30:00 PM", (2026, 3, 13, 16, 30)), ("2026-03-13T05:30:00+01:00", (2026, 3, 13, 4, 30)),
        ("2026-03-13T04:30Z", (2026, 3, 13, 4, 30)), ("1773376200", (2026, 3, 13, 4, 30)),
        ("1773376200000", (2026, 3, 13, 4, 30)), ("46094.22916666667", (2026, 3, 13, 4, 30)),
        ("20260313053000", (2026, 3, 13, 4, 30)), ("2026/03/13 05:30", (2026, 3, 13, 4, 30)),
    ],
)  # fmt: skip
def test_times_as_people_and_machines_write_them(tmp_path: Path, cell: str, answer: tuple[int, ...] | None) -> None:
    """Each is read in Paris time, unless it has an offset or counts seconds since 1970."""
    path = wrote(tmp_path / "f.csv", f"Horodatage;Etat\n{cell};Marche\n")
    config = EventLogConfig(timezone="Europe/Paris", time="Horodatage", columns={"state": "Etat"})
    if answer is None:
        with pytest.raises(DecodeError, match="is not a time"):
            eventlog.load(path, config)
        config = config.model_copy(update={"time_format": "%d-%m-%y %H:%M"})
        answer = (2026, 3, 13, 4, 30)
    log = eventlog.load(path, config)
    whole = datetime(*answer, tzinfo=UTC)  # type: ignore[misc, arg-type]
    assert states(log)[0][0] == int(whole.timestamp()) * SECOND_NS + whole.microsecond * 1000


def test_month_first_is_told_by_a_day_above_twelve(tmp_path: Path) -> None:
    """3/13 makes 3/4 the fourth of March; without such a day it is read as day/month, and said to be unsure."""
    config = EventLogConfig(timezone="UTC")
    american = wrote(tmp_path / "a.csv", "time;state\n3/4/2026 10:00;run\n3/13/2026 10:00;run\n3/14/2026 10:00;stop\n")
    assert states(eventlog.load(american, config))[0][0] == at(2026, 3, 4, 10)
    unsure = wrote(tmp_path / "b.csv", "time;state\n3/4/2026 10:00;run\n3/5/2026 10:00;stop\n")
    assert states(eventlog.load(unsure, config))[0][0] == at(2026, 4, 3, 10)
    assert [guess.field for guess in propose(unsure).unsure] == ["time_format"]


def test_the_hour_that_comes_twice(tmp_path: Path) -> None:
    """25 October: the second 02:30 is an hour after the first, also where a block of the file ends between them."""
    rows = [
        "2026-10-25 01:30:00;run",
        "2026-10-25 02:30:00;stop",
        "2026-10-25 02:10:00;run",
        "2026-10-25 03:00:00;stop",
    ]
    log = read(wrote(tmp_path / "f.csv", "time;state\n" + "\n".join(rows) + "\n"))[1]
    assert [t for t, _ in states(log)] == [at(2026, 10, 24, 23, 30), at(2026, 10, 25, 0, 30), at(2026, 10, 25, 1, 10),
                                           at(2026, 10, 25, 2)]  # fmt: skip
    assert any("twice" in note.en and "deux fois" in note.fr for note in log.notes)


def test_the_hour_that_never_was(tmp_path: Path) -> None:
    """29 March 02:30 is a bad row that says so; the rows around it are read."""
    rows = ["2026-03-29 01:30:00;run", "2026-03-29 02:30:00;stop", "2026-03-29 03:30:00;stop"]
    log = read(wrote(tmp_path / "f.csv", "time;state\n" + "\n".join(rows) + "\n"))[1]
    assert [t for t, _ in states(log)] == [at(2026, 3, 29, 0, 30), at(2026, 3, 29, 1, 30)]
    [bad] = log.faults.listed
    assert bad.line == 3
    assert "n'existe pas à Europe/Paris" in bad.reason.fr


@pytest.mark.parametrize("epoch_1904", [False, True])
def test_a_workbook_of_either_calendar(tmp_path: Path, epoch_1904: bool) -> None:
    """Dates and times of day in two columns, below an empty corner; 1904 workbooks are not four years off."""
    book = openpyxl.Workbook()
    if epoch_1904:
        book.epoch = CALENDAR_MAC_1904
    sheet = book.active
    assert sheet is not None
    for column, (name, cells) in enumerate({
        "Date": [datetime(2026, 3, 13), datetime(2026, 3, 13), datetime(2026, 3, 13)],  # noqa: DTZ001
        "Heure": [time(6, 0), time(6, 30), time(7, 0, 15)],
        "Etat": ["Marche", "Arrêt", "Marche"],
        "Pièces": [10, 20.0, "x"],
    }.items(), 2):  # fmt: skip
        sheet.cell(3, column, name)
        for row, value in enumerate(cells, 4):
            sheet.cell(row, column, value)
    book.save(tmp_path / "f.xlsx")
    found, log = read(tmp_path / "f.xlsx")
    assert (found.mapping.time, found.mapping.clock, found.layout.header_lines) == ("Date", "Heure", (3,))
    assert [t for t, _ in states(log)] == [at(2026, 3, 13, 5), at(2026, 3, 13, 5, 30), at(2026, 3, 13, 6, 0, 15)]
    assert log.series["parts"].values.tolist() == [10, 20]
    assert {bad.line for bad in log.faults.listed} == {6}


def test_parquet_holds_real_instants(tmp_path: Path) -> None:
    """With and without a zone; numbers are numbers."""
    naive = [datetime(2026, 3, 13, 6) + timedelta(minutes=n) for n in range(3)]  # noqa: DTZ001
    frame = pl.DataFrame({"ts": naive, "state": ["run", "stop", None], "parts": [1, None, 3]})
    frame.write_parquet(tmp_path / "naive.parquet")
    assert states(read(tmp_path / "naive.parquet")[1])[0][0] == at(2026, 3, 13, 5)
    frame.with_columns(pl.col("ts").dt.replace_time_zone("UTC")).write_parquet(tmp_path / "utc.parquet")
    log = read(tmp_path / "utc.parquet")[1]
    assert states(log) == [(at(2026, 3, 13, 6), S.EXECUTING), (at(2026, 3, 13, 6, 1), S.NOT_EXECUTING)]
    assert log.series["parts"].values.tolist() == [1, 3]


def test_a_list_of_stops(tmp_path: Path) -> None:
    """Rows with an end and no state are stops, the machine runs between them; ends and lengths say the same."""
    ends = "Début;Fin;Motif\n13/03/2026 06:00;13/03/2026 06:10;Bourrage\n13/03/2026 09:00;13/03/2026 09:30;Réglage\n"
    answer = [(at(2026, 3, 13, 5), S.NOT_EXECUTING), (at(2026, 3, 13, 5, 10), S.EXECUTING),
              (at(2026, 3, 13, 8), S.NOT_EXECUTING), (at(2026, 3, 13, 8, 30), S.EXECUTING)]  # fmt: skip
    found, log = read(wrote(tmp_path / "a.csv", ends))
    assert (found.mapping.each, found.mapping.between) == ("NOT_EXECUTING", "EXECUTING")
    assert "each" in [guess.field for guess in found.unsure]
    assert states(log) == answer
    assert log.span.seconds == pytest.approx(3.5 * 3600)
    lengths = (
        "Date arrêt;Durée (min);Cause\n13/03/2026 06:00;10;x\n13/03/2026 09:00;0:30;y\n13/03/2026 10:00;un peu;z\n"
    )
    log = read(wrote(tmp_path / "b.csv", lengths))[1]
    assert states(log)[:4] == answer
    [bad] = log.faults.listed
    assert (bad.line, bad.column) == (4, "Durée (min)")


def test_a_date_with_two_clocks(tmp_path: Path) -> None:
    """Start and end share the date of their row; an end before its start is of the next day, daylight saving or not."""
    sheet = (
        "Date;Heure début;Heure fin;Etat;Qté produite\n28/03/2026;13:00;13:20;Panne;0\n"
        "28/03/2026;13:20;21:00;Production;90\n28/03/2026;21:00;05:00;Production;70\n"
    )
    found, log = read(wrote(tmp_path / "postes.csv", sheet))
    assert (found.mapping.time, found.mapping.clock, found.mapping.end) == ("Date", "Heure début", "Heure fin")
    assert not log.faults.listed
    assert states(log)[:3] == [
        (at(2026, 3, 28, 12), S.OUT_OF_SERVICE), (at(2026, 3, 28, 12, 20), S.EXECUTING),
        (at(2026, 3, 28, 20), S.EXECUTING),
    ]  # fmt: skip
    assert log.span.end_ns - 1 == at(2026, 3, 29, 3)  # 05:00 in Paris: the night has lost an hour
    parts = log.series["parts"]
    assert list(zip(parts.times_ns.tolist(), parts.values.tolist(), strict=True))[-2:] == [
        (at(2026, 3, 28, 20), 90), (at(2026, 3, 29, 3), 160),
    ]  # fmt: skip


def test_a_stretch_has_its_own_reason_and_its_own_parts(tmp_path: Path) -> None:
    """A blank reason is none, not that of the row before; what the first row made was made since it began."""
    sheet = (
        "Début;Fin;Etat;Cause;Qté produite\n13/03/2026 06:00;13/03/2026 07:00;Production;;60\n"
        "13/03/2026 07:00;13/03/2026 07:10;Arrêt;Bourrage;0\n13/03/2026 07:10;13/03/2026 08:00;Arrêt;;0\n"
    )
    log = read(wrote(tmp_path / "a.csv", sheet))[1]
    reason = log.series["reason"]
    told = dict(zip(reason.times_ns.tolist(), reason.texts.tolist(), strict=True))
    assert [told[at(2026, 3, 13, *clock)] for clock in ((5, 0), (6, 0), (6, 10))] == ["", "Bourrage", ""]
    parts = log.series["parts"]
    assert (parts.times_ns[0], parts.values[0]) == (at(2026, 3, 13, 5), 0)
    assert log.history(log.span).over(log.span).made_all == 60


def test_a_long_table_of_packml_numbers(tmp_path: Path) -> None:
    """A row per signal: names are told from values, and 6 is Execute."""
    rows = "timestamp,tag,value\n2026-03-13T06:00:00Z,State,6\n2026-03-13T06:10:00Z,State,9\n"
    rows += "2026-03-13T06:10:00Z,Good Count,10\n2026-03-13T06:20:00Z,State,17\n"
    found, log = read(wrote(tmp_path / "f.csv", rows))
    assert (found.mapping.name, found.mapping.value, found.mapping.dialect) == ("tag", "value", "packml")
    assert [state for _, state in states(log)] == [S.EXECUTING, S.OUT_OF_SERVICE, S.NOT_EXECUTING]


def test_a_log_of_a_controller_without_a_header(tmp_path: Path) -> None:
    """Tabs, milliseconds, no names: columns are told by what is in them."""
    rows = "2026-03-13 06:00:00.123\tRUN\n2026-03-13 06:00:01.250\tSTOP\n"
    found, log = read(wrote(tmp_path / "plc.log", rows))
    assert (found.mapping.time, found.mapping.columns) == ("column 1", {"state": "column 2"})
    assert states(log)[0] == (at(2026, 3, 13, 5) + 123_000_000, S.EXECUTING)


def test_a_bit_is_running_when_it_is_one_and_numbers_are_not_believed(tmp_path: Path) -> None:
    """0/1 is proposed as stopped/running; 3/4/5 are never taken for sure."""
    found = propose(wrote(tmp_path / "a.csv", "time;run\n2026-03-13 06:00;1\n2026-03-13 06:01;0\n"))
    assert found.mapping.states == {"1": "EXECUTING", "0": "NOT_EXECUTING"}
    assert all(word.confidence < 0.8 for word in found.words)
    numbers = propose(wrote(tmp_path / "b.csv", "time;etat\n2026-03-13 06:00;3\n2026-03-13 06:01;5\n"))
    assert all(word.confidence < 0.8 for word in numbers.words)


def test_one_counter_says_nothing_of_scrap(tmp_path: Path) -> None:
    """All parts are taken for good, and that is asked."""
    found = propose(wrote(tmp_path / "a.csv", "time;state;Quantité\n2026-03-13 06:00;run;1\n2026-03-13 07:00;run;9\n"))
    assert found.mapping.columns["parts"] == found.mapping.columns["parts_good"] == "Quantité"
    assert "parts_good" in [guess.field for guess in found.unsure]


def test_several_machines_in_one_file_are_told(tmp_path: Path) -> None:
    """Their rows would contradict one another."""
    rows = "time;machine;state\n2026-03-13 06:00;T1;run\n2026-03-13 06:01;T2;stop\n"
    assert "several machines" in propose(wrote(tmp_path / "a.csv", rows)).notes[0].en


def test_rows_with_more_cells_than_the_header_are_listed(tmp_path: Path) -> None:
    """A decimal comma in a file with commas: the row is told, not cut in silence."""
    rows = "time,state,parts\n2026-03-13 06:00,run,1\n2026-03-13 06:01,run,1,5\n2026-03-13 06:02,run,2\n"
    log = read(wrote(tmp_path / "a.csv", rows))[1]
    assert [bad.line for bad in log.faults.listed] == [3]
    assert "virgule" in log.faults.listed[0].reason.fr


def test_words_nobody_knows_make_the_state_unknown_and_are_listed(tmp_path: Path) -> None:
    """The state before them does not reach over them."""
    rows = "time;state\n2026-03-13 06:00;run\n2026-03-13 07:00;flying\n2026-03-13 08:00;run\n2026-03-13 09:00;run\n"
    log = read(wrote(tmp_path / "a.csv", rows))[1]
    oee = log.history(log.span).over(log.span)
    assert oee.running == pytest.approx(2 * 3600)
    assert oee.unknown == pytest.approx(3600)
    assert [bad.line for bad in log.faults.listed] == [3]


@pytest.mark.parametrize("block", [64, text.BLOCK_BYTES])
def test_a_row_with_several_bad_cells_is_one_bad_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    """Half of twenty rows with both counters bad, one of them with its state, too: ten rows, 21 cells; a half."""
    monkeypatch.setattr(text, "BLOCK_BYTES", block)
    rows = [f"2026-03-13 06:{n:02d};run;{n};{n}" if n % 2 else f"2026-03-13 06:{n:02d};run;x;y" for n in range(20)]
    rows[4] = "2026-03-13 06:04;flying;x;y"
    path = wrote(tmp_path / "a.csv", "time;state;parts;parts_good\n" + "\n".join(rows) + "\n")
    log = eventlog.load(path, EventLogConfig(timezone="UTC"))
    assert (log.faults.rows, log.faults.count, sum(log.faults.by_column.values())) == (20, 10, 21)
    assert len(log.faults.listed) == 21
    [finding] = [one for one in of_log(log, path).findings if one.rule == "low_coverage" and not one.match.asset]
    assert finding.match.figures == {"rows": 20, "bad": 10, "share": 0.5}


def test_bad_rows_of_a_machine_that_is_left_out_are_rows_of_the_file(tmp_path: Path) -> None:
    """T2 is known at one instant only, and one of its two rows is bad: it is in the diagnosis of the file, with the row
    that names no machine, and the bad one of T1."""
    rows = ("06:00;T1;run", "06:01;T2;stop", "nonsense;T2;stop", "06:02;;run", "06:03;T1;flying", "07:00;T1;run")
    path = wrote(tmp_path / "a.csv", "time;machine;state\n" + "".join(f"2026-03-13 {row}\n" for row in rows))
    config = EventLogConfig(timezone="UTC", machines="machine")
    found = of_logs(eventlog.load_each(path, config), path)
    assert [one.shown for one in found.subject.machines] == ["T1"]
    assert [(bad.line, bad.column) for bad in found.faults.listed] == [(4, "time"), (5, "machine"), (6, "state")]
    source = found.subject.source
    assert (source.rows, source.bad_rows, source.bad_times) == (6, 3, 1)
    assert any("left out: T2" in note.en for note in found.notes)


def test_blocks_do_not_change_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 64 bytes: the same series, the same lines of bad rows, quotes and blank lines included."""
    rows = [f'2026-03-13 {n // 60:02d}:{n % 60:02d};{("run", "stop")[n % 2]};{n};"a\n;b {n}"' for n in range(300)]
    rows[77] = "yesterday;run;1;"
    rows[78] = ""
    rows[200] = '2026-03-13 03:20;run;many;"x"'
    path = wrote(tmp_path / "f.csv", "time;state;parts;reason\r\n" + "\r\n".join(rows) + "\r\n")
    config = EventLogConfig(timezone="UTC", columns={"parts": "parts", "reason": "reason"})
    whole = eventlog.load(path, config)
    monkeypatch.setattr(text, "BLOCK_BYTES", 64)
    shares: list[float] = []
    cut = eventlog.load(path, config, progress=shares.append)
    assert len(shares) > 50
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    for metric, one in whole.series.items():
        other = cut.series[metric]
        assert (one.times_ns == other.times_ns).all()
        assert (one.values == other.values).all()
        assert one.texts.tolist() == other.texts.tolist()
    # 77 records of two lines each after the header: line 156; the rest follows
    assert [bad.line for bad in whole.faults.listed] == [bad.line for bad in cut.faults.listed] == [156, 400]


def test_rows_out_of_order_are_all_kept(tmp_path: Path) -> None:
    """A value that repeats may matter when a row between comes late."""
    rows = ["06:00;run", "06:20;run", "06:10;stop", "06:30;stop"]
    path = wrote(tmp_path / "f.csv", "time;state\n" + "".join(f"2026-03-13 {row}\n" for row in rows))
    log = read(path)[1]
    assert log.history(log.span).over(log.span).running == pytest.approx(20 * 60)


def test_a_quote_that_never_closes_is_a_sign(tmp_path: Path) -> None:
    """3/4" is a size."""
    log = read(wrote(tmp_path / "f.csv", 'time;state;article\n2026-03-13 06:00;run;3/4"\n2026-03-13 06:10;stop;1"\n'))[
        1
    ]
    assert log.series["product"].texts.tolist() == ['3/4"', '1"']

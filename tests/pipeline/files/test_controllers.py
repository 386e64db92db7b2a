"""Logs as controllers and their panels write them: lines of keys, bits, data logs, tag archives."""

from pathlib import Path

import pytest

from pipeline.files import eventlog, text
from pipeline.files.eventlog import EventLog
from pipeline.files.mapping import EventLogConfig
from pipeline.files.propose import Proposal, propose
from telemetry.config import parse
from telemetry.errors import DecodeError
from telemetry.glossary import MachineState as S
from tests.pipeline.files.test_import import at, states, wrote


def read(path: Path) -> tuple[Proposal, EventLog]:
    found = propose(path)
    assert parse(found.mapping.toml(), EventLogConfig) == found.mapping
    return found, eventlog.load(path, found.mapping)


@pytest.mark.parametrize(
    "lines",
    [
        """2026-03-13 06:00:00.000 STATE=RUN PARTS=10 GOOD=10 REASON=""
2026-03-13 06:10:00.000 STATE=STOP REASON="bourrage vis"
2026-03-13 06:20:00.000 STATE=RUN PARTS=12 GOOD=11
""",
        """[2026-03-13 06:00:00] INFO plc1: STATE=RUN PARTS=10 GOOD=10 REASON=
[2026-03-13 06:10:00] INFO plc1: STATE=STOP REASON=bourrage vis
[2026-03-13 06:20:00] INFO plc1: STATE=RUN PARTS=12 GOOD=11
""",
        """13/03/2026 06:00:00;STATE=RUN;PARTS=10;GOOD=10
13/03/2026 06:10:00;STATE=STOP;REASON=bourrage vis
13/03/2026 06:20:00;STATE=RUN;PARTS=12;GOOD=11;
""",
        """ts=2026-03-13T05:00:00Z state=RUN parts=10 good=10
ts=2026-03-13T05:10:00Z state=STOP reason="bourrage vis"
ts=2026-03-13T05:20:00Z state=RUN parts=12 good=11
""",
        """1773378000 STATE=RUN PARTS=10 GOOD=10
1773378600 STATE=STOP REASON='bourrage vis'
1773379200 STATE=RUN PARTS=12 GOOD=11
""",
    ],
)  # fmt: skip
def test_lines_of_keys_and_values(tmp_path: Path, lines: str) -> None:
    """A stamp in front, in brackets, with semicolons, as a key, in seconds since 1970: the same three events."""
    found, log = read(wrote(tmp_path / "plc.log", lines))
    assert found.layout.separator == "="
    assert states(log) == [
        (at(2026, 3, 13, 5), S.EXECUTING), (at(2026, 3, 13, 5, 10), S.NOT_EXECUTING),
        (at(2026, 3, 13, 5, 20), S.EXECUTING),
    ]  # fmt: skip
    assert log.history(log.span).over(log.span).made_all == 2
    assert log.series["reason"].texts.tolist()[-1].strip("'") == "bourrage vis"


def test_lines_of_keys_that_make_no_sense_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line without a time is a bad row with its number, also where blocks end between lines."""
    monkeypatch.setattr(text, "BLOCK_BYTES", 64)
    lines = [f"2026-03-13 06:{n:02d}:00 STATE={('RUN', 'STOP')[n % 2]} PARTS={n}" for n in range(40)]
    lines[20] = "*** buffer overrun, STATE=RUN PARTS=x"
    log = read(wrote(tmp_path / "plc.txt", "\n".join(lines) + "\n"))[1]
    assert [bad.line for bad in log.faults.listed] == [21]
    assert log.faults.rows == 40
    assert len(states(log)) == 38  # the states on either side of it are the same one


def test_a_table_whose_comments_hold_an_equals_sign_is_a_table(tmp_path: Path) -> None:
    """One note with x=1 does not make a log of keys."""
    rows = "time;state;comment\n2026-03-13 06:00;run;pression=4\n2026-03-13 07:00;stop;\n2026-03-13 08:00;run;\n"
    assert read(wrote(tmp_path / "a.csv", rows))[0].layout.separator == ";"
    every = "time;state;comment\n" + "".join(f"2026-03-13 {n:02d}:00;run;a=1 b=2\n" for n in range(20))
    assert read(wrote(tmp_path / "b.csv", every))[0].mapping.time == "time", "a note with pairs in every row"


def test_a_column_per_bit(tmp_path: Path) -> None:
    """Fault wins over run, set-up over run, none of them is a stop; a bit that is neither is listed."""
    rows = [
        "06:00:00;1;0;0", "06:10:00;1;1;0", "06:20:00;0;0;0", "06:30:00;0;0;1", "06:40:00;1;0;1", "06:50:00;?;0;0",
        "07:00:00;1;0;0",
    ]  # fmt: skip
    content = "Horodatage;Marche;Défaut;Réglage\n" + "".join(f"13/03/2026 {row}\n" for row in rows)
    found, log = read(wrote(tmp_path / "bits.csv", content))
    assert list(found.mapping.bits.items()) == [
        ("Défaut", "OUT_OF_SERVICE"), ("Réglage", "SETUP"), ("Marche", "EXECUTING"),
    ]  # fmt: skip
    assert "bits" in [guess.field for guess in found.unsure]
    said = [(moment, S(state)) for moment, state in states(log)]
    assert [state for _, state in said[:4]] == [S.EXECUTING, S.OUT_OF_SERVICE, S.NOT_EXECUTING, S.SETUP]
    oee = log.history(log.span).over(log.span)
    assert (oee.running, oee.unknown) == pytest.approx((600, 600))
    assert [bad.line for bad in log.faults.listed] == [7]


def test_a_data_log_of_a_simatic_s7(tmp_path: Path) -> None:
    """Record, Date, UTC Time: month first, in UTC, with its end mark, which is no bad row."""
    rows = (
        "Record,Date,UTC Time,Run,Fault,GoodParts,Scrap\n1,3/9/2026,05:00:00,1,0,100,0\n2,3/9/2026,05:30:00,0,1,220,3\n"
        "3,3/9/2026,06:00:00,1,0,220,3\n4,3/9/2026,06:30:00,0,0,340,5\n//END,,,,,,\n"
    )
    found, log = read(wrote(tmp_path / "DataLog1.csv", rows))
    assert (found.mapping.time, found.mapping.clock, found.mapping.timezone) == ("Date", "UTC Time", "UTC")
    assert states(log) == [
        (at(2026, 3, 9, 5), S.EXECUTING), (at(2026, 3, 9, 5, 30), S.OUT_OF_SERVICE), (at(2026, 3, 9, 6), S.EXECUTING),
        (at(2026, 3, 9, 6, 30), S.NOT_EXECUTING),
    ]  # fmt: skip
    oee = log.history(log.span).over(log.span)
    assert (oee.good_all, oee.made_all) == (240, 245)
    assert not log.faults.count


def test_a_tag_archive_of_a_wincc_panel(tmp_path: Path) -> None:
    """A row per value, with the time as words and as thousandths of an Excel day; the mark of its end says nothing."""
    rows = ['"VarName";"TimeString";"VarValue";"Validity";"Time_ms"']
    for clock, name, value in (
        ("06:00:00", "Machine_State", 3), ("06:00:00", "Good_Count", 10), ("06:10:00", "Machine_State", 4),
        ("06:20:00", "Machine_State", 3), ("06:30:00", "Good_Count", 25),
    ):  # fmt: skip
        rows.append(f'"{name}";"13.03.2026 {clock}";{value};1;46094250000,0')
    rows.append('"$RT_OFF$";"13.03.2026 06:30:01";0;2;46094270845,2')
    found = propose(wrote(tmp_path / "Datenarchiv.csv", "\n".join(rows) + "\n"))
    assert (found.mapping.name, found.mapping.value, found.mapping.time) == ("VarName", "VarValue", "TimeString")
    assert found.mapping.columns == {
        "state": "Machine_State", "parts": "Good_Count", "parts_good": "Good_Count",
    }  # fmt: skip
    assert all(word.confidence < 0.8 for word in found.words), "numbers of a maker are asked"
    mapping = found.mapping.model_copy(update={"states": {"3": "EXECUTING", "4": "OUT_OF_SERVICE"}, "dialect": None})
    log = eventlog.load(tmp_path / "Datenarchiv.csv", mapping)
    assert [state for _, state in states(log)] == [S.EXECUTING, S.OUT_OF_SERVICE, S.EXECUTING]
    assert log.history(log.span).over(log.span).good_all == 15


def test_a_data_log_of_factorytalk_view_with_bits(tmp_path: Path) -> None:
    """Date, Time, Millitm, Tagname, Value: bits by their names."""
    rows = ["Date,Time,Millitm,Tagname,Value,Status,Marker"]
    for clock, tag, value in (
        ("06:00:00", "Line1\\Running", 1), ("06:00:00", "Line1\\Fault", 0), ("06:10:00", "Line1\\Fault", 1),
        ("06:20:00", "Line1\\Fault", 0), ("06:30:00", "Line1\\Running", 0),
    ):  # fmt: skip
        rows.append(f"03/13/2026,{clock},150,{tag},{value},,")
    found, log = read(wrote(tmp_path / "Log (Float).csv", "\n".join(rows) + "\n"))
    assert found.mapping.bits == {"Line1\\Fault": "OUT_OF_SERVICE", "Line1\\Running": "EXECUTING"}
    assert [state for _, state in states(log)] == [S.EXECUTING, S.OUT_OF_SERVICE, S.EXECUTING, S.NOT_EXECUTING]


MACHINES = (
    "Date;Machine;Etat;Bonnes\n13/03/2026 06:00;Presse 1;Marche;0\n13/03/2026 06:00;Tour 2;Arrêt;0\n"
    "13/03/2026 06:30;Tour 2;Marche;0\n13/03/2026 06:45;Presse 1;Panne;40\n13/03/2026 06:50;;Marche;1\n"
    "13/03/2026 07:00;Presse 1;Marche;40\n13/03/2026 07:00;Tour 2;Marche;9\n"
)


def test_several_machines_are_read_apart(tmp_path: Path) -> None:
    """A timeline for each, in one reading; a row that names none is listed; one alone when that is asked."""
    path = wrote(tmp_path / "atelier.csv", MACHINES)
    found = propose(path)
    assert found.mapping.machines == "Machine"
    one, two = eventlog.load_each(path, found.mapping)
    assert [log.machine.name for log in (one, two)] == ["Presse 1", "Tour 2"]
    assert one.machine.path != two.machine.path
    assert [log.history(log.span).over(log.span).running for log in (one, two)] == pytest.approx([2700, 1800])
    assert [log.history(log.span).over(log.span).good_all for log in (one, two)] == [40, 9]
    assert [bad.line for bad in one.faults.listed] == [6]
    alone = eventlog.load(path, found.mapping.model_copy(update={"only": "Tour 2"}))
    assert states(alone) == states(two)
    with pytest.raises(DecodeError, match="Presse 1, Tour 2"):
        eventlog.load(path, found.mapping)
    with pytest.raises(DecodeError, match="Fraiseuse"):
        eventlog.load(path, found.mapping.model_copy(update={"only": "Fraiseuse"}))


def test_the_first_rows_of_a_file_that_do_not_suffice_do_not_make_it_a_bad_one(tmp_path: Path) -> None:
    """Sorted by machine, and only the second is asked for: of the first rows it is said that they are the first."""
    head, *rows = MACHINES.splitlines()
    path = wrote(tmp_path / "atelier.csv", "\n".join([head, *sorted(rows, key=lambda row: row.split(";")[1])]) + "\n")
    wanted = propose(path).mapping.model_copy(update={"only": "Tour 2"})
    with pytest.raises(DecodeError, match=r"the first 3 rows do not suffice.*Tour 2.*; the whole file may"):
        eventlog.load_each(path, wanted, most_rows=3)
    [whole] = eventlog.load_each(path, wanted, most_rows=100)
    assert len(states(whole)) == 2
    with pytest.raises(DecodeError, match=r"^(?!the first)"):
        eventlog.load_each(path, wanted.model_copy(update={"only": "Fraiseuse"}), most_rows=100)


def test_a_column_of_shifts_is_no_column_of_machines(tmp_path: Path) -> None:
    """ "Poste" with morning, afternoon and night is who worked, not what."""
    rows = "Date;Poste;Etat\n13/03/2026 06:00;Matin;Marche\n13/03/2026 14:00;Après-midi;Arrêt\n"
    assert propose(wrote(tmp_path / "a.csv", rows)).mapping.machines is None

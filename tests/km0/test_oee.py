"""`km0 oee` on paper forms and on event logs, from the file to the answer."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from openpyxl import Workbook
from typer.testing import CliRunner

from km0.cli import app
from telemetry.errors import ConfigError
from tests.support import shared_data

# 05:00 to 06:00 in Paris, winter: one hour; running 30 + 24 min, down 5, idle 1; 40 parts of 60 s, 36 good
ROWS = """Horodatage;Etat;Compteur;Bonnes;Article
2026-01-15 05:00:00;Marche;100;90;gear
2026-01-15 05:10:00;;110;99;
2026-01-15 05:29:00;;125;114;
2026-01-15 05:30:00;PANNE machine;;;
2026-01-15 05:35:00;Arrêt;;;
2026-01-15 05:36:00;Marche;;;
2026-01-15 05:50:00;;140;126;
2026-01-15 06:00:00;Marche;;;
"""
MAP = """
timezone = "Europe/Paris"
time = "Horodatage"
columns = { state = "Etat", parts = "Compteur", parts_good = "Bonnes", product = "Article" }
states = { "PANNE machine" = "OUT_OF_SERVICE" }
[machine]
path = "km0/a/mill"
name = "mill"
cycle_s = { gear = 60.0 }
hourly_cost = 120.0
"""


def run(*arguments: object) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["oee", *map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def by_hand(found: dict[str, Any]) -> None:
    assert found["times"]["tR"] == pytest.approx(3600)
    assert (found["times"]["tF"], found["times"]["tN"], found["times"]["tU"]) == pytest.approx((3240, 2400, 2160))
    assert found["figures"]["trs"]["value"] == pytest.approx(0.6)
    assert found["figures"]["trs"]["coverage"] == pytest.approx(1)
    assert found["parts"] == {"made": 40, "good": 36}
    assert {bar["name"]: bar["seconds"] for bar in found["pareto"]["category"]} == pytest.approx(
        {"speed": 840, "breakdown": 300, "rejects": 240, "operation": 60}
    )
    assert found["one_point_of_trs"] == pytest.approx({"time": 36, "parts": 0.6, "cost": 1.2})


def test_a_paper_form(tmp_path: Path) -> None:
    """Vorne's example: 88.81 % × 86.11 % × 97.80 % = 74.79 %, with every intermediate time."""
    case = tmp_path / "case.json"
    case.write_text(
        '{"opening": 480, "planned_stops": 60, "stops": 47, "cycle": 0.016666666666666666,'
        ' "made": 19271, "reject": 423}'
    )
    found = run(case)
    assert found["times"]["tR"] == 420
    assert found["times"]["tF"] == 373
    assert found["figures"]["oee"]["value"] == pytest.approx(0.7479365079365079)
    assert found["convention"] == "NF E60-182"
    shown = CliRunner().invoke(app, ["oee", str(case)])
    assert "74.79%" in shown.stdout


FORM = """{"opening": 540, "planned_stops": 60, "cycle": 0.5, "made": 700, "good": 679, "hourly_cost": 90,
 "stops": {"induced": 30, "breakdown": 40, "changeover": 30},
 "elements": {"RQ": 7, "AOET": 500, "CMT": 30, "PMT": 90, "FE": 2, "TTR": 36}}"""


def test_a_form_with_what_a_machine_cannot_know_gets_the_table_of_iso_22400_2(tmp_path: Path) -> None:
    """As docs/kpis.md says: rework 1 %, scrap (700 − 679 − 7)/700 = 2 %, throughput 1.4 a minute, corrective 25 %."""
    case = tmp_path / "case.json"
    case.write_text(FORM)
    found = run(case)
    values = {name: one["value"] for name, one in found["iso_22400_2_table"].items()}
    assert {name: values[name] for name in ("rework_ratio", "scrap_ratio", "throughput_rate", "mttr")} == pytest.approx(
        {"rework_ratio": 0.01, "scrap_ratio": 0.02, "throughput_rate": 1.4, "mttr": 18}
    )
    assert (values["corrective_maintenance_ratio"], values["allocation_ratio"]) == (0.25, 0.9)
    assert values["oee_index"] == pytest.approx(0.70729, abs=5e-6)
    assert found["iso_22400_2_table"]["scrap_ratio"]["formula"] == "SQ / PQ"
    scrap = found["figures"]["scrap_ratio"]
    assert (scrap["value"], scrap["numerator"], scrap["denominator"]) == (0.02, 14, 700), "as in the table"
    assert {code: found["iso_22400_2"][code] for code in ("SQ", "RQ", "GQ", "FE", "AOET", "PRI")} == {
        "SQ": 14, "RQ": 7, "GQ": 679, "FE": 2, "AOET": 500, "PRI": 0.5,
    }  # fmt: skip
    assert found["figures"]["nee"]["value"] == pytest.approx(values["nee_index"])
    assert "first_pass_yield" not in values
    shown = CliRunner().invoke(app, ["oee", str(case)]).stdout.splitlines()
    told = {line.split()[0]: line.strip().split(maxsplit=2)[1:] for line in shown if len(line.split()) > 2}
    assert told["corrective_maintenance_ratio"] == ["0.25", "CMT / (CMT + PMT)"]
    assert told["throughput_rate"][0] == "1.4"
    assert all(name in told for name in values)
    for page in ("kpis.md", "kpis.fr.md"):
        text = (Path(__file__).parents[2] / "docs" / page).read_text(encoding="utf-8")
        assert FORM in text
        assert "TTR/FE = 18 min" in text


def test_what_a_point_is_worth_and_by_what_means_are_divided(tmp_path: Path) -> None:
    """A hundredth of 480 min: 4.8 min, 9.6 parts of half a minute, 7.20 € at 90 €/h; 40 min by two events or three."""
    case = tmp_path / "case.json"
    case.write_text(FORM)
    found = run(case)
    assert found["one_point_of_trs"] == pytest.approx({"time": 4.8, "parts": 9.6, "cost": 7.2})
    shown = CliRunner().invoke(app, ["oee", str(case)]).stdout
    assert "one point of TRS is worth 4.8 min, 9.60 parts, 7.20 €" in shown
    mttr = found["figures"]["mttr"]
    assert (mttr["value"], mttr["unit"], mttr["reference"]) == (20, "min", "ISO 22400-2 MTTR, n = FE")
    assert "20.0 min" in shown
    case.write_text(FORM.replace('"opening"', '"denominator": "fe_plus_one", "opening"'))
    assert run(case)["figures"]["mttr"]["value"] == pytest.approx(40 / 3)
    case.write_text(FORM.replace('"FE": 2, ', ""))
    assert run(case, "--plus-one")["figures"]["mttr"]["value"] is None, "without failure events nobody knows"
    case.write_text(FORM)
    other = run(case, "--plus-one")
    assert other["figures"]["mttr"]["value"] == pytest.approx(40 / 3)
    assert other["figures"]["mttr"]["reference"] == "ISO 22400-2 MTTR, n = FE + 1"
    assert other["iso_22400_2_table"]["mttr"]["formula"] == "TTR / (FE + 1)"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"required": -1}', "required is -1"),
        ('{"required": 1, "elements": {"QR": 1}}', "'QR' is no element of ISO 22400-2; there is AOET"),
        ('{"required": 1, "elements": {"PBT": 2}}', r"PBT follows from the form \(1\): leave it out"),
        ('{"required": 1, "elements": {"FE": 1.5}}', "FE is 1.5; write how many failure events"),
        ('{"required": 480, "elements": {"TTR": -5}}', "TTR is -5; an element is 0 or more"),
        (
            '{"required": 480, "cycle": 0.5, "made": 700, "good": 679, "elements": {"RQ": 30}}',
            r"RQ \+ SQ is 30, and only 21 parts are not good",
        ),
        ('{"required": 8, "unit": "shift", "hourly_cost": 90}', "hourly_cost needs times in s, min or h; .*'shift'"),
        ('{"required": 480, "stops": {"breakdown": -60}}', r"stops\.breakdown is -60"),
        ('{"required": 480, "stops": {"planned": 60}}', "'planned' is no kind of stop in required time"),
        ('{"required": 480, "stops": 500}', "stops of 500 do not fit into required time 480"),
        ('{"cycle": 1}', "give the required time"),
        ('{"requierd": 1}', "requierd"),
        ('{"required": "1"}', "required"),
        ("[", "JSON"),
    ],
)
def test_a_form_that_cannot_be_computed_says_why(tmp_path: Path, text: str, sentence: str) -> None:
    """Negative, too little, misspelt, a word for a number, no JSON."""
    case = tmp_path / "case.json"
    case.write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        CliRunner().invoke(app, ["oee", str(case)], catch_exceptions=False, standalone_mode=False)


def test_a_csv_as_a_french_spreadsheet_writes_it(tmp_path: Path) -> None:
    """Semicolons, Windows' own letters, local times, own words: the hour worked by hand."""
    events, columns = tmp_path / "events.csv", tmp_path / "map.toml"
    events.write_bytes(ROWS.encode("cp1252"))
    columns.write_text(MAP, encoding="utf-8")
    found = run("--events", events, "--map", columns, "--per", "hour")
    by_hand(found)
    assert found["from"] == "2026-01-15T04:00:00+00:00"
    assert found["windows"][0]["trs"]["value"] == pytest.approx(0.6)
    # the log ends at six: its hour is whole, of the one that begins there nothing is said, and its day is open
    [day] = run("--events", events, "--map", columns, "--per", "day")["windows"]
    assert ([one["open"] for one in found["windows"]], day["open"]) == ([False], True)
    # six hours of the day are over, one of them is known
    assert (day["trs"]["value"], day["trs"]["coverage"]) == pytest.approx((0.6, 1 / 6))
    cut = run("--events", events, "--map", columns, "--to", "2026-01-15T05:20:00+01:00")
    assert (cut["times"]["tR"], cut["parts"]["made"]) == (1200, 10)


def two_hours(folder: Path, *, last: str = "10:00:00") -> tuple[str, Path, str, Path]:
    """Running from eight in Paris, a part of 60 s every 65 s, the 110th with the last row at ten; two are no good."""
    start = datetime.fromisoformat("2026-01-15T08:00:00")
    rows = [f"{start + timedelta(seconds=65 * part)},running,{part},{max(part - 2, 0)}" for part in range(110)]
    events, columns = folder / "two.csv", folder / "two.toml"
    events.write_text("\n".join(["time,state,parts,parts_good", *rows, f"2026-01-15 {last},running,110,108", ""]))
    columns.write_text(
        'timezone = "Europe/Paris"\n[machine]\npath = "km0/a/mill"\nname = "mill"\ncycle_s = { "*" = 60.0 }\n'
    )
    return "--events", events, "--map", columns


def test_nothing_is_said_of_what_follows_the_log(tmp_path: Path) -> None:
    """Ten days more are asked for: two hours ran, 108 good parts of a minute are 90 % of them, and a note says so."""
    log = two_hours(tmp_path)
    whole = run(*log)
    later = run(*log, "--to", "2026-01-25T10:00:00+01:00")
    assert (whole["times"]["tF"], whole["figures"]["trs"]["value"]) == pytest.approx((7200, 0.9))
    assert later["times"] == whole["times"]
    assert {bar["name"]: bar["seconds"] for bar in later["pareto"]["category"]} == pytest.approx(
        {"speed": 600, "rejects": 120}
    )
    assert later["notes"] == ["the log ends at 2026-01-15T10:00:00+01:00; nothing is said of what follows"]
    assert not whole["notes"]


@pytest.mark.parametrize(
    ("per", "hours", "coverage"), [("hour", 2, 1.0), ("day", 1, 0.2), ("week", 1, 2 / 82), ("month", 1, 2 / 346)]
)
def test_windows_add_up_to_the_whole(tmp_path: Path, per: str, hours: int, coverage: float) -> None:
    """The part that is counted at ten is of the hour before; of the day ten hours are over, two of them known; of the
    week, from Monday the 12th, 82, and of the month 346."""
    found = run(*two_hours(tmp_path), "--per", per)
    windows = found["windows"]
    assert len(windows) == hours
    assert sum(one["trs"]["numerator"] for one in windows) == pytest.approx(found["times"]["tU"]) == pytest.approx(6480)
    assert sum(one["trs"]["denominator"] for one in windows) == pytest.approx(7200)
    assert all(one["trs"]["coverage"] == pytest.approx(coverage) for one in windows)


def test_a_log_that_goes_on_into_the_next_hour_has_it(tmp_path: Path) -> None:
    """Until half past ten: the third hour is open and has its own part; of an interval only its windows are told."""
    log = two_hours(tmp_path, last="10:30:00")
    windows = run(*log, "--per", "hour")["windows"]
    assert [one["open"] for one in windows] == [False, False, True]
    assert windows[2]["trs"]["numerator"] == pytest.approx(60)
    assert windows[2]["trs"]["denominator"] == pytest.approx(1800)
    some = run(*log, "--per", "hour", "--from", "2026-01-15T09:10:00+01:00", "--to", "2026-01-15T09:50:00+01:00")
    assert some["windows"] == [windows[1]]


def test_a_stop_is_as_long_in_an_hour_as_in_the_whole(tmp_path: Path) -> None:
    """Idle from 08:59:30 to 09:00:30, a minute: no micro-stop, for which it is too long, in neither of the hours."""
    events = tmp_path / "stop.csv"
    rows = ("08:00:00,running", "08:59:30,idle", "09:00:30,running", "10:00:00,running")
    events.write_text("time,state\n" + "".join(f"2026-01-15T{row}\n" for row in rows))
    columns = tmp_path / "stop.toml"
    columns.write_text('timezone = "UTC"\n[machine]\npath = "km0/a/mill"\nname = "mill"\nmicro_stop_s = 60.0\n')
    for until in ("08:30:00", "09:00:00", "10:00:00"):
        found = run("--events", events, "--map", columns, "--to", f"2026-01-15T{until}Z")
        assert set(found["stops"]) <= {"operation"}
    assert run("--events", events, "--map", columns, "--to", "2026-01-15T09:00:00Z")["stops"] == {"operation": 30}


@pytest.mark.parametrize(
    ("interval", "sentence"),
    [
        (
            ("--from", "2026-01-15T09:00:00Z", "--to", "2026-01-15T08:00:00Z"),
            "--to 2.* is not after --from 2.*exchange",
        ),
        (("--from", "2026-01-15T09:00:01Z"), "--from .* is after the last event, of 2026-01-15T09:00:00"),
        (("--to", "2026-01-15T07:00:00Z"), "--to .* is not after the first event, of 2026-01-15T07:00:00"),
    ],
)
def test_an_interval_without_time_says_so(tmp_path: Path, interval: tuple[str, ...], sentence: str) -> None:
    """It ends before it starts, lies after the log, or before it."""
    with pytest.raises(ConfigError, match=sentence):
        run(*two_hours(tmp_path), *interval)


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    """The same rows in Parquet, with wall-clock times, with instants in UTC, with categories, and as a long table."""
    columns = tmp_path / "map.toml"
    columns.write_text(MAP, encoding="utf-8")
    wide = pl.read_csv(ROWS.encode(), separator=";", try_parse_dates=True)
    utc = pl.col("Horodatage").dt.replace_time_zone("Europe/Paris").dt.convert_time_zone("UTC")
    coded = wide.with_columns(utc, pl.col("Etat", "Article").cast(pl.Categorical))
    for frame in (wide, coded, coded.cast({"Horodatage": pl.Datetime("ms", "UTC")})):
        frame.write_parquet(tmp_path / "wide.parquet")
        by_hand(run("--events", tmp_path / "wide.parquet", "--map", columns))
    long = pl.read_csv(ROWS.encode(), separator=";", infer_schema=False).unpivot(index="Horodatage").drop_nulls("value")
    long.write_csv(tmp_path / "long.csv")
    columns.write_text('name = "variable"\n' + MAP, encoding="utf-8")
    by_hand(run("--events", tmp_path / "long.csv", "--map", columns))


def workbook(path: Path, times: type[datetime] | type[str]) -> Path:
    """As a person keeps it: a title column nobody needs, an empty row, numbers as numbers, a product that is one."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    header, *rows = (line.split(";") for line in ROWS.splitlines())
    sheet.append([*header, "Remarque"])
    for row in rows:
        time = datetime.fromisoformat(row[0])
        cells = [int(cell) if cell.isdigit() else cell or None for cell in row[1:]]
        product = 4711 if cells[3] == "gear" else None
        sheet.append([time if times is datetime else f"{time:%d/%m/%Y %H:%M:%S}", *cells[:3], product, None])
    sheet.append([])
    book.save(path)
    return path


@pytest.mark.parametrize("times", [datetime, str])
def test_a_workbook_holds_the_same(tmp_path: Path, times: type[datetime] | type[str]) -> None:
    """XLSX as openpyxl writes it, with real times or with texts: the hour worked by hand."""
    columns = tmp_path / "map.toml"
    columns.write_text(MAP.replace("gear", '"4711"'), encoding="utf-8")
    by_hand(run("--events", workbook(tmp_path / "log.xlsx", times), "--map", columns))


def test_a_workbook_that_is_none_says_so(tmp_path: Path) -> None:
    """A text file with the name of a workbook; a workbook whose only sheet is empty."""
    (tmp_path / "log.xlsx").write_text(ROWS, encoding="utf-8")
    with pytest.raises(ConfigError, match="it is a text table: give it its right ending"):
        run("--events", tmp_path / "log.xlsx", "--timezone", "Europe/Paris")
    Workbook().save(tmp_path / "log.xlsx")
    with pytest.raises(ConfigError, match=r"no column 'time'|cannot be read as a table"):
        run("--events", tmp_path / "log.xlsx", "--timezone", "Europe/Paris")


def test_shdr_by_hand(tmp_path: Path) -> None:
    """Two connections: 10 min ACTIVE with 2 parts, then silence; 5 min ACTIVE, 5 READY and a part: 4 would be wrong."""
    lines = (
        "2026-01-05T08:00:00Z|avail|AVAILABLE|execution|READY|PartCount|7",
        "2026-01-05T08:00:00Z|execution|ACTIVE",
        "2026-01-05T08:04:00.5Z|PartCount|8",
        "* PONG",
        "2026-01-05T08:10:00Z|execution|READY|PartCount|9",
        "2026-01-05T09:00:00Z|avail|AVAILABLE|execution|ACTIVE|PartCount|10",
        "2026-01-05T09:05:00Z|execution|READY",
        "2026-01-05T09:10:00Z@5|PartCount|11",
    )
    events = tmp_path / "adapter.txt"
    events.write_text("\r\n".join(lines) + "\r\n")
    found = run("--events", events)
    assert found["times"]["tF"] == 900
    assert found["parts"]["made"] == 3
    assert found["times"]["unknown"] == pytest.approx(50 * 60, abs=1e-6)
    # READY held for the nanosecond before nothing was known
    assert {name: length for name, length in found["stops"].items() if length > 1e-6} == pytest.approx(
        {"operation": 300}
    )


def test_a_real_adapter_stream() -> None:
    """Okuma's SHDR, four recordings joined out of order: 4 parts in 1357.376 s of ACTIVE time."""
    folder = shared_data("okuma_mtconnect")
    found = run("--events", folder / "okuma.txt")
    answer = json.loads((folder / "answers.json").read_text())["computed_independently"]
    assert found["parts"]["made"] == answer["parts"] == 4
    assert found["times"]["tF"] == pytest.approx(answer["total_active_s"], abs=1e-5)
    assert "4 connections" in found["notes"][0]


def test_times_that_the_clock_skipped_or_showed_twice(tmp_path: Path) -> None:
    """02:30 on 29 March does not exist; on 25 October it does twice, and the order of the rows tells which."""
    events = tmp_path / "events.csv"
    events.write_text("time,state\n2026-03-29T01:00:00,running\n2026-03-29T02:30:00,idle\n2026-03-29T04:00:00,idle\n")
    found = run("--events", events, "--timezone", "Europe/Paris")
    assert (found["rows"], found["bad_rows"]["count"], found["times"]["tF"]) == (3, 1, 7200)
    [bad] = found["bad_rows"]["listed"]
    assert (bad["line"], bad["column"]) == (3, "time")
    assert "does not exist in Europe/Paris" in bad["reason"]
    events.write_text(
        "time,state\n2026-10-25T01:30:00,running\n2026-10-25T02:30:00,idle\n2026-10-25T02:10:00,running\n"
        "2026-10-25T03:00:00,idle\n"
    )
    found = run("--events", events, "--timezone", "Europe/Paris")
    # 60 min running, then idle from 02:30 summer time to 02:10 winter time: 40 min, then 50 running
    assert found["times"]["tT"] == pytest.approx(150 * 60)
    assert found["stops"]["operation"] == pytest.approx(40 * 60)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("time,state\n2026-01-01T00:00:00,running\n", "state their zone"),
        ("time,state\n2026-01-01T00:00:00Z,flying\n", "'flying' is not a word"),
        ("time,state\nyesterday,running\n", "is not a time"),
        ("when,state\n2026-01-01T00:00:00Z,running\n", "no column 'time'"),
        ("time,parts\n2026-01-01T00:00:00Z,4\n", "nothing says the state"),
        ("time,state,parts\n2026-01-01T00:00:00Z,running,four\n", "not a number"),
        ("", "it is empty"),
    ],
)
def test_a_log_that_cannot_be_read_says_what_to_do(tmp_path: Path, text: str, sentence: str) -> None:
    """No zone, an unknown word, no time, no column, no state, no number, nothing at all."""
    events = tmp_path / "events.csv"
    events.write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        run("--events", events)

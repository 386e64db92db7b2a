"""The report: its figures are those of `km0 oee --events`, in both languages, and the same data give the same bytes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dashboards.reports.content import content
from dashboards.reports.phrases import Phrases
from dashboards.reports.texts import text
from dashboards.web.formats import Formats
from km0.cli import app
from pipeline.diagnosis.diagnosis import of_logs
from pipeline.diagnosis.finding import Confidence, Match, Words
from pipeline.diagnosis.table import RULES
from pipeline.files import eventlog
from pipeline.files.mapping import EventLogConfig
from pipeline.said import Said
from telemetry.errors import ConfigError
from telemetry.plant import Plant
from tests.support import require_program

MAP = """
timezone = "Europe/Paris"
time = "Horodatage"
columns = { state = "Etat", parts = "Compteur", parts_good = "Bonnes", product = "Article", reason = "Cause" }
states = { "PANNE machine" = "OUT_OF_SERVICE" }
[machine]
path = "km0/a/mill"
name = "Fraiseuse <1>"
cycle_s = { gear = 60.0 }
hourly_cost = 120.0
"""
HOSTILE = "vérin <script>alert(1)</script> #let x = 1"


def workshop(folder: Path) -> tuple[Path, Path]:
    """Three days of a mill, an hour of each worked by hand in tests/km0/test_oee.py, one bad row, a hostile cause."""
    rows = ["Horodatage;Etat;Compteur;Bonnes;Article;Cause"]
    for day in (15, 16, 17):
        rows += [
            f"2026-01-{day} 05:00:00;Marche;100;90;gear;", f"2026-01-{day} 05:29:00;;125;114;;",
            f"2026-01-{day} 05:30:00;PANNE machine;;;;{HOSTILE}", f"2026-01-{day} 05:35:00;Arrêt;;;;",
            f"2026-01-{day} 05:36:00;Marche;;;;", f"2026-01-{day} 05:50:00;;140;126;;",
            f"2026-01-{day} 06:00:00;Marche;;;;",
        ]  # fmt: skip
    rows.append("Total;;420;;;")
    events, mapping = folder / "events.csv", folder / "map.toml"
    events.write_bytes(("\n".join(rows) + "\n").encode("cp1252"))
    mapping.write_text(MAP, encoding="utf-8")
    return events, mapping


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def diagnosed(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("diagnose", *arguments, "--json"))
    return found


def test_figures_are_those_of_km0_oee(tmp_path: Path) -> None:
    """Times, stops, parts, every figure, every loss: equal to the last bit."""
    events, mapping = workshop(tmp_path)
    oee = json.loads(run("oee", "--events", events, "--map", mapping, "--json"))
    found = diagnosed(events, "--mapping", mapping)
    [machine] = found["machines"]
    assert machine["times"] == oee["times"]
    assert machine["stops"] == oee["stops"]
    assert machine["parts"] == oee["parts"]
    for name, figure in oee["figures"].items():
        assert machine["figures"][name]["value"] == figure["value"], name
        assert machine["figures"][name]["coverage"] == figure["coverage"], name
    assert machine["losses"] == oee["losses"]
    assert machine["pareto"] == oee["pareto"]
    assert machine["one_point_of_trs"] == oee["one_point_of_trs"]
    assert (found["from"], found["to"]) == (oee["from"], oee["to"])
    assert found["bad_rows"][0]["line"] == oee["bad_rows"]["listed"][0]["line"] == 23


def test_by_hand(tmp_path: Path) -> None:
    """Three days with 5 min down and one idle each; 22 rows, the last of which is a sum."""
    events, mapping = workshop(tmp_path)
    found = diagnosed(events, "--mapping", mapping, "--lang", "en")
    [machine] = found["machines"]
    assert machine["stops"]["breakdown"] == 900
    assert machine["stops"]["operation"] == 180
    assert found["source"]["rows"] == 22
    assert found["source"]["bad_rows"] == 1
    assert machine["name"] == "Fraiseuse <1>"


def test_what_nothing_tells_is_no_zero(tmp_path: Path) -> None:
    """Without a reference cycle and counts tN and tU are not known: a dash, as TRS beside them, and never "0 s"."""
    events, page = tmp_path / "events.csv", tmp_path / "report.html"
    rows = ["Horodatage;Etat", "2026-01-15 05:00:00;Marche", "2026-01-15 05:30:00;Arrêt", "2026-01-15 06:00:00;Marche"]
    events.write_text("\n".join([*rows, "2026-01-15 07:00:00;Marche"]) + "\n", encoding="utf-8")
    run("diagnose", events, "--out", page, "--lang", "fr")
    told = dict(re.findall(r"<td[^>]*>Temps \w+ \((t[A-Z])\)</td>\s*<td[^>]*>([^<]*)</td>", page.read_text("utf-8")))
    assert told["tR"].startswith("2")
    assert (told["tN"], told["tU"]) == ("—", "—")


def text_of(pdf: Path) -> str:
    """What pdftotext reads of a PDF."""
    program = require_program("pdftotext", "poppler-utils")
    done = subprocess.run([program, "-layout", str(pdf), "-"], capture_output=True, check=True, timeout=60)
    return done.stdout.decode()


def test_pdf_in_french(tmp_path: Path) -> None:
    """Read back: headings, the TRS with its decimal comma and narrow space, the hostile cause as a word, the norms."""
    events, mapping = workshop(tmp_path)
    run("diagnose", events, "--mapping", mapping, "--out", tmp_path / "r.pdf")
    [machine] = diagnosed(events, "--mapping", mapping)["machines"]
    said = text_of(tmp_path / "r.pdf")
    for word in ("Diagnostic", "Synthèse pour la direction", "Où passe le temps", "Peut-on se fier aux données",
                 "NF E60-182", "ISO 22400-2", "TS 22.104", "Fraiseuse <1>", "<script>", "SHA-256"):  # fmt: skip
        assert word in said, word
    trs = f"{100 * machine['figures']['trs']['value']:.1f}".replace(".", ",")
    assert f"TRS {trs} %" in said  # pdftotext makes one kind of space of all
    assert "(s)" not in said
    assert re.search(r"23\s+Horodatage", said)


def test_pdf_in_english(tmp_path: Path) -> None:
    """The same, in the other language."""
    events, mapping = workshop(tmp_path)
    run("diagnose", events, "--mapping", mapping, "--lang", "en", "--out", tmp_path / "r.pdf")
    said = text_of(tmp_path / "r.pdf")
    for word in ("Diagnosis", "Summary for the management", "Where the time goes", "Method and definitions"):
        assert word in said, word
    assert "temps" not in said


def test_same_data_same_bytes(tmp_path: Path) -> None:
    """PDF, HTML and JSON: of this process, and of a fresh one with other hashes in another zone."""
    events, mapping = workshop(tmp_path)
    program = (
        "import sys\nfrom pathlib import Path\nfrom typer.testing import CliRunner\nfrom km0.cli import app\n"
        "for ending in ('pdf', 'html', 'json'):\n"
        "    given = ['diagnose', sys.argv[1], '--mapping', sys.argv[2], '--out', f'{sys.argv[3]}.{ending}']\n"
        "    assert CliRunner().invoke(app, given).exit_code == 0\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, events, mapping, tmp_path / "fresh"],
        env={**os.environ, "PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"},
    ) as fresh:
        for ending in ("pdf", "html", "json"):
            run("diagnose", events, "--mapping", mapping, "--out", tmp_path / f"here.{ending}")
        assert fresh.wait(timeout=100) == 0
    for ending in ("pdf", "html", "json"):
        assert (tmp_path / f"here.{ending}").read_bytes() == (tmp_path / f"fresh.{ending}").read_bytes(), ending


def test_html_runs_and_fetches_nothing(tmp_path: Path) -> None:
    """What comes from the file is escaped; no script, no address of another host; the same words as the PDF."""
    events, mapping = workshop(tmp_path)
    run("diagnose", events, "--mapping", mapping, "--out", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "Fraiseuse &lt;1&gt;" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "TRS 3,7\u202f%" in page
    assert "Synthèse pour la direction" in page
    assert "Méthode et définitions" in page


def test_a_proposal_is_used_where_no_mapping_is_given_and_can_be_saved(tmp_path: Path) -> None:
    """What was proposed, saved and used again gives the same figures."""
    events, _ = workshop(tmp_path)
    saved = tmp_path / "saved.toml"
    first = diagnosed(events, "--cycle", 60, "--save-mapping", saved)
    again = diagnosed(events, "--mapping", saved)
    assert first["machines"] == again["machines"]
    oee = json.loads(run("oee", "--events", events, "--map", saved, "--json"))
    assert first["machines"][0]["times"] == oee["times"]


def test_a_link_beside_the_machine(tmp_path: Path) -> None:
    """What ping -D recorded is judged; without times of sending it is refused with what to do."""
    events, mapping = workshop(tmp_path)
    lines = [f"[{1768449600 + n * 0.04:.6f}] 64 bytes from 10.0.0.1: icmp_seq={n + 1} ttl=64 time={9 + n % 7} ms"
             for n in range(3000)]  # fmt: skip
    ping = tmp_path / "ping.txt"
    ping.write_text("PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.\n" + "\n".join(lines) + "\n")
    arguments = [events, "--mapping", mapping, "--link", ping, "--use-case", "mobile-robots"]
    found = diagnosed(*arguments)
    [link] = found["links"]
    assert (link["sent"], link["loss"], link["rtt_ms"]["p99"], link["verdict"]) == (3000, 0, 15, "not met")
    assert [one["rule"] for one in found["findings"]].count("network_unfit") == 1
    run("diagnose", *arguments, "--out", tmp_path / "r.pdf")
    assert "robots mobiles, conduite précise" in text_of(tmp_path / "r.pdf")
    ping.write_text("\n".join(line.partition("] ")[2] for line in lines))
    with pytest.raises(ConfigError, match="ping -D"):
        CliRunner().invoke(app, ["diagnose", *map(str, arguments), "--json"], catch_exceptions=False)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--lang", "de"], "fr and en"), (["--out", "r.docx"], "end it in .pdf"),
        (["--out", "/nowhere/at/all/r.pdf"], "no folder"), (["--mapping", "none.toml"], "none.toml"),
        (["--link", "none.txt"], "none.txt"), (["--timezone", "Mars/Olympus"], "not an IANA time zone"),
        (["--timezone", "Europe"], "not an IANA time zone"),
    ],
)  # fmt: skip
def test_what_a_user_gets_wrong_is_said(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    """Language, ending, folder, missing files, zone."""
    events, _ = workshop(tmp_path)
    with pytest.raises(ConfigError, match=sentence):
        CliRunner().invoke(app, ["diagnose", str(events), *arguments], catch_exceptions=False)


def test_no_file_and_no_table(tmp_path: Path) -> None:
    """Refused with a sentence that names the file."""
    for name, held in (("none.csv", None), ("empty.csv", b""), ("x.pdf", b"%PDF-1.7")):
        path = tmp_path / name
        if held is not None:
            path.write_bytes(held)
        with pytest.raises(ConfigError, match=name):
            CliRunner().invoke(app, ["diagnose", str(path)], catch_exceptions=False)


class _Any(dict[str, Any]):
    """Holds every key."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self._value = value

    def __missing__(self, key: str) -> Any:
        return self._value


_WORDS = ("category", "cause", "other", "others", "product", "zone", "case", "case_fr")


@pytest.mark.parametrize("language", ["fr", "en"])
def test_every_sentence_of_every_rule_can_be_said(language: Any) -> None:
    """No unknown kind, no brace left, French spaces before : ; ? ! %."""
    phrases = Phrases(Formats(language, Plant().zone))
    for rule in RULES:
        for variant, words in rule.words.items():
            match = Match(
                "a", "Tour", _Any(0.1234), Confidence.SURE, words=dict.fromkeys(_WORDS, "breakdown"), variant=variant
            )
            assert isinstance(words, Words)
            for said in (words.title, words.evidence, words.check):
                told = phrases.tell(said, match)
                assert not set("{}[]|") & set(told)
                assert language == "en" or not re.search(
                    r"[a-zé0-9] ?[;?!%]|\w:|« | »", told.replace("\u00a0", "#").replace("\u202f", "#")
                ), told


@pytest.mark.parametrize("language", ["fr", "en"])
def test_one_of_a_thing_is_not_said_in_the_plural(language: Any) -> None:
    """No rule, no text and no note of a file counts a noun that has one form only: "1 arrêts", "1 rows"."""
    sentences = [said.in_(language) for rule in RULES for words in rule.words.values()
                 for said in (words.title, words.evidence, words.check)]  # fmt: skip
    sentences += [text(name).in_(language) for name in ("parts", "rows", "more_rows", "link")]
    counted = [place for sentence in sentences for place in re.findall(r"\{\w+:number\}[^{.;]*", sentence)]
    assert len(counted) > 20
    one_form = r"\{\w+:number\} (?!\[|(good|more) \[|of |sur |fois|sans |without |could )\w"
    assert [place for place in counted if re.match(one_form, place)] == []


@pytest.mark.parametrize(
    ("language", "number", "expected"),
    [
        ("fr", 0, "0 ligne lue, dont 0 inutilisable, ou pas en entier."),
        ("fr", 1, "1 ligne lue, dont 1 inutilisable, ou pas en entier."),
        ("fr", 1.5, "2 lignes lues, dont 2 inutilisables, ou pas en entier."),
        ("fr", 2, "2 lignes lues, dont 2 inutilisables, ou pas en entier."),
        ("en", 0, "0 rows were read; 0 could not be used, or not in full."),
        ("en", 1, "1 row was read; 1 could not be used, or not in full."),
        ("en", 2, "2 rows were read; 2 could not be used, or not in full."),
    ],
)
def test_the_number_chooses_its_words(language: Any, number: float, expected: str) -> None:
    """In French nothing and one are singular, in English one alone; as the number is shown. A word of the data that
    looks like a choice stays as it is."""
    phrases = Phrases(Formats(language, Plant().zone))
    assert phrases.fill(text("rows"), {"rows": number, "bad": number}, {}) == expected
    assert "[a|b]" in phrases.fill(Said("{n:number} {word}", "{n:number} {word}"), {"n": 1}, {"word": "[a|b]"})


def test_the_report_tells_of_machines_left_out_and_counts_the_rows_it_does_not_list(tmp_path: Path) -> None:
    """Forty rows with both counters bad: of the 80 cells 25 are shown, of 13 rows, and 27 rows more are not. A machine
    of one instant is named."""
    rows = "".join(f"2026-03-13 06:{n:02d};T1;{('run', 'stop')[n % 2]};x;y\n" for n in range(40))
    path = tmp_path / "a.csv"
    path.write_text(f"time;machine;state;parts;parts_good\n2026-03-13 06:00;T2;run;1;1\n{rows}"
                    "2026-03-13 07:00;T1;run;1;1\n2026-03-13 07:10;T1;run;9;9\n")  # fmt: skip
    config = EventLogConfig(timezone="UTC", machines="machine")
    said = content(of_logs(eventlog.load_each(path, config), path), "fr")["quality"]
    assert said["lines"][0] == "43 lignes lues, dont 40 inutilisables, ou pas en entier."
    assert len(said["bad_rows"]["rows"]) == 25
    assert said["rest"] == "27 autres ne sont pas listées ici."
    assert any("laissées de côté\u00a0: T2" in line for line in said["lines"])


def test_a_figure_is_named_in_the_language_of_the_report(tmp_path: Path) -> None:
    """A row begins with a name, not with a sentence, and ends with its formula."""
    path = tmp_path / "a.csv"
    path.write_text("time,state\n2026-03-13T06:00:00Z,run\n2026-03-13T07:00:00Z,run\n")
    [machine] = content(of_logs(eventlog.load_each(path, EventLogConfig(timezone="UTC")), path), "fr")["machines"]
    rows = machine["figures"]["rows"]
    named = [row[0] for row in rows]
    assert named[:4] == ["TRS", "Do", "Tp", "Tq"]
    assert named[-6:] == ["taux de qualité en pièces", "efficacité technique", "part de préparation", "taux de rebut",
                          "MTBF", "MTTR"]  # fmt: skip
    assert rows[0][3] == "NF E60-182 TRS = tU/tR = Do·Tp·Tq"

"""The first page: one page whatever the number of machines, its figures by hand, alike on paper, page and JSON.

The shop: machine k of n runs for ten hours but for its last 20 + 10·k minutes, which a breakdown takes; a good part
each minute that it runs, a reference cycle of a minute, 120 € an hour.
"""

import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dashboards.reports import page, paper
from dashboards.reports.content import content, opening
from dashboards.reports.figures import figures
from dashboards.reports.phrases import Phrases
from dashboards.web.formats import Formats
from dashboards.web.texts import Language
from pipeline.diagnosis.diagnosis import Diagnosis, of_logs
from pipeline.files import eventlog
from pipeline.files.mapping import EventLogConfig
from telemetry.plant import Asset
from tests.support import require_program

Of = Callable[[int], Diagnosis]
Said = Callable[[int, Language], dict[str, Any]]
START = datetime(2026, 3, 2, 6, tzinfo=UTC)
MINUTES = 600


def name(number: int) -> str:
    return f"Fraiseuse 5 axes du hall nord n° {number}"


def shop(folder: Path, machines: int) -> Diagnosis:
    rows = ["time;machine;state;parts;parts_good;reason"]
    for number in range(1, machines + 1):
        down = MINUTES - 20 - 10 * number
        for minute, state, reason in ((0, "run", ""), (down, "fault", f"vérin bloqué du poste {number}"),
                                      (MINUTES, "fault", "")):  # fmt: skip
            made = min(minute, down)
            at = START + timedelta(minutes=minute)
            rows.append(f"{at:%Y-%m-%d %H:%M:%S};{name(number)};{state};{made};{made};{reason}")
    path = folder / f"shop-{machines}.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    machine = Asset(path="site/shop", name="shop", cycle_s={"*": 60.0}, hourly_cost=120.0)
    config = EventLogConfig(timezone="UTC", machines="machine", states={"fault": "OUT_OF_SERVICE"}, machine=machine)
    return of_logs(eventlog.load_each(path, config), path)


@pytest.fixture(scope="module")
def of(tmp_path_factory: pytest.TempPathFactory) -> Of:
    """The diagnosis of so many machines."""
    folder = tmp_path_factory.mktemp("shops")
    return cache(lambda machines: shop(folder, machines))


@pytest.fixture(scope="module")
def said(of: Of) -> Said:
    """Its report. Charts take a second each: those of the first machine stand for those of every one."""

    @cache
    def alone(language: Language) -> dict[str, Any]:
        return content(of(1), language)

    def one(machines: int, language: Language) -> dict[str, Any]:
        phrases = Phrases(Formats(language, of(machines).subject.plant.zone))
        return alone(language) | opening(of(machines), phrases) | {"machines": alone(language)["machines"] * machines}

    return one


def pages_of(pdf: bytes, file: Path) -> list[str]:
    """What pdftotext reads of each page, in the order of reading, spaces and line ends as one space."""
    file.write_bytes(pdf)
    program = require_program("pdftotext", "poppler-utils")
    done = subprocess.run([program, str(file), "-"], capture_output=True, check=True, timeout=60)
    return [re.sub(r"\s+", " ", one).strip() for one in done.stdout.decode().split("\f")]


def plain(words: str) -> str:
    return re.sub(r"\s+", " ", words)


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("machines", [1, 3, 4, 12])
def test_the_summary_is_one_page(machines: int, language: Language, said: Said, tmp_path: Path) -> None:
    """All that it says, with its heading and the title of every finding, is on page 1; page 2 begins what is next."""
    report = said(machines, language)
    first, second, *_ = pages_of(paper.pdf(report), tmp_path / "report.pdf")
    summary, heads = report["summary"], report["headings"]
    assert len(summary["findings"]) == min(4, machines)
    told = [heads["summary"], *(one["title"] for one in summary["findings"]), *summary["headlines"], *summary["trust"]]
    told += [row[0] for row in summary["machines"]["rows"]] if summary["machines"] else []
    told += [summary["others"]] if summary["others"] else []
    for words in told:
        assert plain(words) in first, words
    assert second.startswith(name(1))
    assert (heads["waterfall"] in first, heads["waterfall"] in second) == (machines == 1, machines > 1)


@pytest.mark.parametrize("machines", [1, 3])
def test_long_words_leave_it_one_page(machines: int, said: Said, tmp_path: Path) -> None:
    """Findings whose evidence fills a page are told shorter on the first, and whole further on; nothing is lost."""
    report = said(machines, "fr")
    long = [one | {"evidence": "preuve " * 700} for one in report["findings"]]
    report |= {"summary": report["summary"] | {"findings": long}, "findings": long}
    first, second, *rest = pages_of(paper.pdf(report), tmp_path / "long.pdf")
    for one in long:
        assert plain(one["title"]) in first
    assert "preuve" not in first
    assert second.startswith(name(1))
    assert report["headings"]["waterfall"] in second
    assert " ".join([second, *rest]).count("preuve") == 700 * machines


def test_the_ten_worst_of_twelve_by_hand(said: Said) -> None:
    """By lost time: 1,020 min of 7,200 are lost; a point of one machine is 6 min, of all 72 min and 144 €."""
    summary = said(12, "fr")["summary"]
    table = summary["machines"]
    assert table["columns"] == ["Machine", "Perdu", "TRS", "Do", "Tp", "Tq", "Connu", "1 point de TRS"]
    assert [row[0] for row in table["rows"]] == [name(number) for number in range(12, 2, -1)]
    assert table["rows"][0] == [
        name(12), "2\u00a0h\u00a020", "76,7\u202f%", "76,7\u202f%", "100,0\u202f%", "100,0\u202f%", "100,0\u202f%",
        "12,00\u202f€",
    ]  # fmt: skip
    assert summary["others"] == "2 autres machines ont perdu 1\u00a0h\u00a010 en tout."
    [headline] = summary["headlines"]
    assert headline.startswith("12 machines requises 5\u00a0j\u00a00\u00a0h en tout\u00a0: TRS 85,8\u202f%, connu sur ")
    assert headline.endswith("vaut 1\u00a0h\u00a012 (72 pièces bonnes, 144\u202f€).")
    assert summary["figures"] == summary["trust"] == []
    assert said(12, "en")["summary"]["others"] == "2 other machines lost 1\u00a0h\u00a010 in all."
    assert said(4, "en")["summary"]["others"] == ""


def test_page_and_json_say_the_same(of: Of, said: Said) -> None:
    """HTML has the table and the others; JSON the same machines in the same order, in seconds and shares."""
    shown = page.html(said(12, "fr"))
    start = shown.index("<h2>Synthèse pour la direction</h2>")
    front = shown[start : shown.index("</section>", start)]
    cells = re.findall(r"<td>(Fraiseuse[^<]*)</td>", front)
    assert cells == [name(number) for number in range(12, 2, -1)]
    assert "2 autres machines ont perdu 1\u00a0h\u00a010 en tout." in front
    told = figures(of(12), "fr")["summary"]
    assert [one["name"] for one in told["machines"]] == cells
    worst = told["machines"][0]
    assert [worst[key] for key in ("lost", "trs", "do", "tp", "tq", "known")] == pytest.approx(
        [8400, 460 / 600, 460 / 600, 1, 1, 1]
    )
    assert worst["one_point_of_trs"] == pytest.approx({"time": 360, "parts": 6, "cost": 12})
    assert told["others"] == pytest.approx({"machines": 2, "lost": 4200})
    assert told["headlines"] == said(12, "fr")["summary"]["headlines"]
    assert [one["title"] for one in told["findings"]] == [one["title"] for one in said(12, "fr")["summary"]["findings"]]

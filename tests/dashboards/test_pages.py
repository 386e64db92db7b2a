"""The pages as the server renders them, before any script runs."""

import re

import pytest
from httpx2 import Client

from dashboards.web.formats import Formats
from dashboards.web.texts import preferred
from telemetry.samples import KpiValue
from tests.dashboards.seeded import MILL, NOW_NS, PLANT, PRESS, Seeded


def text(html: str) -> str:
    """What a reader sees: no tags, single spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_first_rendering_is_complete_without_a_script(client: Client) -> None:
    """States, reasons, TRS, factors, latency and the data path are in the HTML itself."""
    page = text(client.get("/").text)
    for words in ("Fraiseuse 5 axes", "En panne", "tool breakage", "État inconnu", "couverture", "p99", "Mesures"):
        assert words.lower() in page.lower()


def test_no_data_is_not_zero(fresh: Client, blank: Seeded) -> None:
    """A machine without a TRS shows a dash and says so; one with a TRS of zero shows 0."""
    assert "pas de donnée" in fresh.get("/").text
    day = (1_795_302_000 * 10**9, 1_795_388_400 * 10**9)  # 2026-11-22 in Paris
    blank.store.write_kpis([KpiValue(MILL, "trs", "day", *day, 0.0, 0.0, 3600.0, 1.0, 5, False)], 1)
    blank.clock.now_ns += 60 * 10**9
    assert '0,0<span class="unit">' in fresh.get("/").text


def test_a_figure_can_be_traced(fresh: Client, blank: Seeded) -> None:
    """Behind a TRS of 1.5 h ÷ 2 h stand the division, the coverage, the samples and the standard."""
    day = (1_795_302_000 * 10**9, 1_795_388_400 * 10**9)
    blank.store.write_kpis([KpiValue(MILL, "trs", "day", *day, 0.75, 5400.0, 7200.0, 0.8, 42, False)], 1)
    page = text(fresh.get("/?lang=en").text)
    for words in ("1.50 h ÷ 2.00 h = 75.0%", "80.0% of the required time is known", "42", "NF E60-182", "provisional"):
        assert words in page


@pytest.mark.parametrize(
    ("asked", "cookie", "accept", "language"),
    [
        (None, None, "", "fr"),
        (None, None, "en-GB,en;q=0.9,fr;q=0.8", "en"),
        (None, None, "de,fr;q=0.5,en;q=0.7", "en"),
        (None, "fr", "en", "fr"),
        ("en", "fr", "fr", "en"),
        ("xx", None, "de", "fr"),
        (None, None, "en;q=oops," * 50, "fr"),
    ],
)
def test_the_language_is_the_one_asked_for(asked: str, cookie: str, accept: str, language: str) -> None:
    """First the switch, then what was chosen before, then the browser's order, then French."""
    assert preferred(asked, cookie, accept) == language


def test_the_switch_is_remembered(client: Client) -> None:
    """After choosing English once, the plain address is English; the cookie is out of reach of scripts."""
    answer = client.get("/?lang=en")
    assert '<html lang="en">' in answer.text
    assert "httponly" in answer.headers["set-cookie"].lower()
    assert '<html lang="en">' in client.get("/").text


def test_numbers_are_written_as_the_language_writes_them() -> None:
    """Decimal comma and narrow spaces in French, points and commas in English; minus signs in both."""
    french, english = Formats("fr", PLANT.zone), Formats("en", PLANT.zone)
    assert (french.number(12345.678, 1), english.number(12345.678, 1)) == ("12\u202f345,7", "12,345.7")
    assert (french.percent(0.742), english.percent(0.742)) == ("74,2\u202f%", "74.2%")
    assert french.number(-3.25, 2) == "\u22123,25"
    assert english.ratio(0.0004) == "0.040%"
    durations = [french.duration(seconds) for seconds in (5, 90, 3900, 100_000)]
    assert [duration.replace("\u00a0", " ") for duration in durations] == ["5 s", "1 min", "1 h 05", "1 j 3 h"]
    assert french.clock(NOW_NS) == "11:30"


def test_a_machine_has_its_page(client: Client) -> None:
    """Its stops with reasons, newest first, and its last values; a machine that is not there is a 404 page."""
    page = text(client.get(f"/assets/{PRESS}?lang=en").text)
    assert "tool breakage" in page
    assert "11:18:00 Out of service" in page
    missing = client.get("/assets/km0/x/nowhere?lang=en")
    assert (missing.status_code, "This page does not exist" in missing.text) == (404, True)


def test_a_day_with_a_clock_change_has_its_hours(fresh: Client, blank: Seeded) -> None:
    """On 2026-10-25 in Paris the page renders through the hour that comes twice."""
    blank.clock.now_ns = 1_792_893_600 * 10**9  # 2026-10-25T02:00:00Z
    assert fresh.get("/").status_code == 200
    assert "03:00" in fresh.get("/").text

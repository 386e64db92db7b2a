"""The pages that people read: losses, 5G, data quality, dead letters, definitions, settings; figures by hand."""

import json
import math
import re
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime

import pytest
from httpx2 import Client
from starlette.testclient import TestClient

from dashboards.web.app import create_app
from dashboards.web.memo import MOST, Memo
from dashboards.web.periods import period
from dashboards.web.totals import together, totals
from pipeline.kpis.histogram import Histogram
from telemetry import calendar
from telemetry.plant import Asset, Plant
from telemetry.samples import SECOND_NS, KpiValue, Sample
from tests.dashboards.seeded import HOUR_NS, LINK, MILL, NOW_NS, PLANT, PRESS, Clock, Seeded, empty
from tests.dashboards.test_pages import text

PAGES = ("/losses", "/network", "/data", "/deadletters", "/definitions", "/settings")
DAYS = ((1_795_215_600, 1_795_302_000), (1_795_302_000, 1_795_388_400))
"""Saturday 2026-11-21 and Sunday 2026-11-22 in Paris [s]."""


def day(asset: str, which: int, coverage: float = 1.0, /, **figures: tuple[float, float] | float) -> list[KpiValue]:
    """Values of one day: ratios as (numerator, denominator), amounts as a number."""
    start, end = (edge * 10**9 for edge in DAYS[which])
    found = []
    for kpi, figure in figures.items():
        up, down = figure if isinstance(figure, tuple) else (figure, 0.0)
        value = up / down if down else up
        found.append(KpiValue(asset, kpi, "day", start, end, value, up, down, coverage, 10, True))
    return found


@pytest.fixture
def two_days(blank: Seeded) -> Seeded:
    """The mill: 8 h required a day; 6 h and 4 h running. Saturday is known whole, of Sunday a quarter is not known."""
    hour = 3600.0
    blank.store.write_kpis(
        [
            *day(MILL, 0, opening_time=9 * hour, required_time=8 * hour, unknown_time=0.0, running_time=6 * hour,
                 breakdown_time=2 * hour, do=(6 * hour, 8 * hour), tp=(5 * hour, 6 * hour),
                 tq=(4.5 * hour, 5 * hour), trs=(4.5 * hour, 8 * hour)),
            *day(MILL, 1, opening_time=9 * hour, required_time=8 * hour, unknown_time=2 * hour),
            *day(MILL, 1, 0.75, running_time=4 * hour, micro_stop_time=2 * hour, do=(4 * hour, 6 * hour),
                 tp=(4 * hour, 4 * hour), tq=(4 * hour, 4 * hour), trs=(4 * hour, 6 * hour)),
        ],
        1,
    )  # fmt: skip
    return blank


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("language", ["fr", "en"])
def test_every_page_reads_with_and_without_data(client: Client, fresh: Client, address: str, language: str) -> None:
    """It is whole in both languages, and in a plant of which nothing was ever heard."""
    for one in (client, fresh):
        answer = one.get(f"{address}?lang={language}")
        assert answer.status_code == 200
        assert f'<html lang="{language}">' in answer.text
        assert 'aria-current="page"' in answer.text
        assert "</html>" in answer.text


def test_sums_of_days_are_pooled_not_averaged(two_days: Seeded) -> None:
    """TRS is 8.5 h ÷ 14 h, coverage is weighted with required time, losses are what each step lost."""
    asked = period("week", PLANT.zone, NOW_NS)
    found = totals(two_days.store, [PLANT.asset(MILL)], asked)[MILL]
    assert found.ratios["trs"].value == pytest.approx(8.5 / 14)
    assert found.coverage == pytest.approx((8 + 0.75 * 8) / 16)
    lost = {one.name: one.seconds / 3600 for one in found.losses}
    assert lost == pytest.approx({"breakdown": 2.0, "micro_stop": 2.0, "speed": 1.0, "rejects": 0.5})
    assert sum(one.share for one in found.losses) == pytest.approx(1)
    assert math.isnan(found.losses[0].cost)  # the mill of this plant has no hourly cost


def test_machines_together_are_sums_and_cost_is_theirs() -> None:
    """Two machines of 50 € and 30 € an hour, 2 h and 1 h of breakdown: 3 h that cost 130 €."""
    plant = Plant(
        assets=tuple(
            Asset(path=f"km0/x/y/m-{n}", name=f"m {n}", hourly_cost=cost) for n, cost in ((1, 50.0), (2, 30.0))
        )
    )
    seeded = empty(plant)
    for asset, hours in zip(plant.assets, (2.0, 1.0), strict=True):
        seeded.store.write_kpis(day(asset.path, 0, breakdown_time=hours * 3600, required_time=8 * 3600.0), 1)
    asked = period("week", plant.zone, NOW_NS)
    [lost] = together(list(totals(seeded.store, plant.assets, asked).values())).losses
    assert (lost.seconds, lost.cost) == (3 * 3600, pytest.approx(130))


def test_the_losses_page_says_what_a_point_is_worth_that_it_is_open_and_that_a_cycle_is_beaten(
    blank: Seeded, fresh: Client
) -> None:
    """A week under way, of which one hour is known: 80 parts of 60 s; without a cost, a point is told in parts."""
    start = NOW_NS - HOUR_NS
    made = [(start + n * HOUR_NS // 80, float(n)) for n in range(81)]
    blank.store.write(
        [Sample(start, MILL, "state", 3.0)]
        + [Sample(at, MILL, metric, count) for at, count in made for metric in ("parts", "parts_good")]
    )
    blank.store.write_kpis(day(MILL, 1, tp=(80 * 60.0, 3600.0)), 1)
    page = text(fresh.get(f"/losses?asset={MILL}&period=week&lang=en").text)
    assert re.search(r"A point of TRS [\d hmins]+ [\d.,]+ parts", page)
    assert "provisional" in page
    assert "Tp is above 1: a reference cycle is too slow" in page
    french = text(fresh.get(f"/losses?asset={MILL}&period=week&lang=fr").text)
    assert "Tp dépasse 1" in french


def test_the_losses_page_says_what_was_lost_and_links_its_definition(fresh: Client, two_days: Seeded) -> None:
    """TRS of a machine over the week with its division, each loss with its symbol, each figure with its definition."""
    html = fresh.get(f"/losses?asset={MILL}&period=week&lang=fr").text
    page = text(html)
    assert "60,7 % 8 h 30 ÷ 14 h 00" in page
    assert "Pannes tP" in page
    assert 'href="/definitions#breakdown_time"' in html
    assert 'id="trs"' in fresh.get("/definitions").text
    assert "chiffre – un chiffre" in text(fresh.get("/definitions?lang=fr").text)
    assert "a figure" in text(fresh.get("/definitions?lang=en").text)


@pytest.mark.parametrize("name", ["waterfall", "pareto", "reasons", "trend"])
def test_charts_are_described_in_the_language_and_look_of_the_page(fresh: Client, two_days: Seeded, name: str) -> None:
    """The browser gets a Vega-Lite spec with the locale to draw it in; dark colours for a dark page."""
    address = f"/charts/losses/{name}?asset={MILL}"
    found = fresh.get(f"{address}&lang=fr").json()
    assert "vega-lite" in found["spec"]["$schema"]
    assert found["locale"]["number"]["decimal"] == ","
    assert fresh.get(f"{address}&lang=fr&dark=true").json()["spec"] != found["spec"]


def test_a_spec_of_losses_holds_the_figures(fresh: Client, two_days: Seeded) -> None:
    """The breakdowns of two hours are in the Pareto chart, under their French name."""
    spec = json.dumps(fresh.get(f"/charts/losses/pareto?asset={MILL}&lang=fr").json(), ensure_ascii=False)
    assert "Pannes" in spec
    assert '"hours": 2.0' in spec


def test_the_drawing_script_is_our_own_copy_and_is_asked_for_once(client: Client) -> None:
    """Vega comes from this server, and a browser that has it is told so."""
    script = client.get("/static/vega.js")
    assert script.status_code == 200
    assert "vegaEmbed" in script.text
    again = client.get("/static/vega.js", headers={"If-None-Match": script.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_network_page_adds_hours_up(blank: Seeded) -> None:
    """Two hours of 1000 packets of 10 ms and 20 ms: the median over both is the faster half."""
    for hour, ms in ((2, 10.0), (3, 20.0)):
        start = NOW_NS - hour * HOUR_NS
        detail = Histogram.of([ms] * 1000).encode()
        value = KpiValue(LINK, "rtt_histogram", "hour", start, start + HOUR_NS, 1000, 1000, 0, 1, 1000, True, detail)
        blank.store.write_kpis([value], 1)
    with TestClient(create_app(blank.context), base_url="http://127.0.0.1") as client:
        page = text(client.get("/network?lang=en").text)
    assert "50% 10.0 ms" in page
    assert "99% 20.0 ms" in page
    assert "Answered 2,000".lower() in page.lower()


def test_data_quality_tells_when_nothing_was_known(client: Client) -> None:
    """The lathe was silent for two hours this morning: the page says from when to when."""
    page = text(client.get("/data?lang=fr").text)
    assert "Tour à commande numérique 22/11/2026 02:30 22/11/2026 04:30" in page


def test_dead_letters_are_paged_and_their_bytes_are_a_file(blank: Seeded) -> None:
    """Fifty to a page, the older behind a link; content is text on the page, and bytes in a download."""
    for number in range(60):
        blank.letters.add(NOW_NS, "mqtt: km0/x", "<b>unknown</b> asset", b"<script>alert(1)</script>%d" % number)
    with TestClient(create_app(blank.context), base_url="http://127.0.0.1") as client:
        first = client.get("/deadletters?lang=en").text
        assert "60 messages set aside" in text(first)
        assert first.count("<details>") == 50
        assert "<script>alert" not in first
        assert "<b>unknown" not in first
        assert 'href="/deadletters?before=11"' in first
        assert client.get("/deadletters?before=11").text.count("<details>") == 10
        raw = client.get("/deadletters/60")
        assert raw.content == b"<script>alert(1)</script>59"
        assert raw.headers["content-disposition"].startswith("attachment")
        assert client.get("/deadletters/61").status_code == 404


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/losses?asset=km0/x/nowhere", 404),
        ("/losses?asset=' OR 1=1 --", 404),
        ("/losses?asset=../../etc/passwd", 404),
        ("/losses?period=century", 422),
        (f"/network?asset={MILL}", 404),
        (f"/losses?asset={LINK}", 404),
        ("/deadletters?before=-1", 422),
        ("/deadletters?before=1;DROP TABLE dead", 422),
        ("/nowhere", 404),
    ],
)
def test_people_get_a_page_that_says_why_and_programs_get_problem_details(
    fresh: Client, address: str, status: int
) -> None:
    """A wrong parameter is a page with the way back for a browser, RFC 9457 for anything else."""
    page = fresh.get(address, headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (status, "text/html")
    assert 'href="/"' in page.text
    program = fresh.get(address, headers={"Accept": "application/json"})
    assert (program.status_code, program.headers["content-type"]) == (status, "application/problem+json")


def test_the_language_switch_keeps_what_was_asked(fresh: Client) -> None:
    """Changing the language of a page of one machine and period stays on that machine and period."""
    page = fresh.get(f"/losses?asset={PRESS}&period=month&lang=fr").text
    assert f"/losses?asset={PRESS.replace('/', '%2F')}&amp;period=month&amp;lang=en" in page


def test_a_year_is_twelve_months_and_a_week_seven_days() -> None:
    """Local days and months, the one under way included: cut at now."""
    year, week = (period(name, PLANT.zone, NOW_NS) for name in ("year", "week"))  # type: ignore[arg-type]  # literals
    assert (year.kind, week.kind) == ("month", "day")
    assert week.whole.seconds == 7 * 86400
    assert year.whole.start_ns == 1_764_543_600 * 10**9  # 2025-12-01 in Paris
    assert year.seen.end_ns == NOW_NS


@pytest.mark.parametrize("day", ["2027-01-30", "2027-01-31", "2028-02-29", "2028-03-01", "2028-03-31", "2027-12-31"])
def test_a_year_is_twelve_months_on_the_last_day_of_a_month_too(day: str) -> None:
    """A fixed number of days back is another month then."""
    now = datetime.fromisoformat(f"{day}T23:30").replace(tzinfo=PLANT.zone)
    year = period("year", PLANT.zone, round(now.timestamp()) * SECOND_NS)
    assert len(calendar.months(year.whole, PLANT.zone)) == 12


def test_an_answer_is_kept_for_a_moment() -> None:
    """Asked twice within its time it is computed once; later again; another key on its own."""
    clock, computed = Clock(), list[int]()
    memo: Memo[int] = Memo(10, clock)

    def compute() -> int:
        computed.append(1)
        return len(computed)

    assert [memo.get("a", compute), memo.get("a", compute), memo.get("b", compute)] == [1, 1, 2]
    clock.now_ns += 11 * 10**9
    assert memo.get("a", compute) == 3


@contextmanager
def computing_anew(age_s: int) -> Iterator[tuple[Memo[str], ThreadPoolExecutor, Future[str], threading.Event]]:
    """A memo of 10 s that knows "old" since `age_s` [s] while a thread computes "new": until the event is set."""
    clock, begun, go_on = Clock(), threading.Event(), threading.Event()
    memo: Memo[str] = Memo(10, clock)
    assert memo.get("a", lambda: "old") == "old"
    clock.now_ns += age_s * 10**9

    def slow() -> str:
        begun.set()
        assert go_on.wait(60)
        return "new"

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(memo.get, "a", slow)
        assert begun.wait(60)
        yield memo, pool, one, go_on


def test_nobody_waits_for_what_was_known() -> None:
    """While one computes a value again, the others get the old one at once."""
    with computing_anew(age_s=11) as (memo, _, one, go_on):
        assert memo.get("a", lambda: "never") == "old"
        go_on.set()
        assert one.result(60) == "new"
        assert memo.get("a", lambda: "never") == "new"


@pytest.mark.parametrize("number", [-1, 2**63, 10**30])
def test_a_dead_letter_of_a_number_that_none_has(fresh: Client, number: int) -> None:
    """Refused before the store of letters is asked, on the page as by the API."""
    for address in (f"/deadletters/{number}", f"/api/v1/deadletters/{number}"):
        assert fresh.get(address).status_code == 422


def test_of_what_fails_nothing_is_left() -> None:
    """Keys that anybody may make up, an unknown machine say, take no memory; one that succeeds is kept."""
    memo: Memo[int] = Memo(10, Clock())

    def unknown() -> int:
        raise KeyError

    for number in range(1000):
        with pytest.raises(KeyError):
            memo.get(number, unknown)
    assert len(memo) == 0
    assert memo.get("a", lambda: 1) == 1
    for number in range(1000):
        memo.get(number, lambda: 2)
    assert len(memo) == MOST


def test_what_is_much_too_old_is_given_to_nobody() -> None:
    """After five periods whoever asks waits for the one who computes, and gets what that one found."""
    with computing_anew(age_s=50) as (memo, pool, one, go_on):
        asking = threading.Event()

        def ask() -> str:
            asking.set()
            return memo.get("a", lambda: "never")

        other = pool.submit(ask)
        assert asking.wait(60)
        with pytest.raises(TimeoutError):
            other.result(0.2)  # it waits; `go_on` is what it waits for
        go_on.set()
        assert [one.result(60), other.result(60)] == ["new", "new"]


def test_a_chart_of_today_is_not_yesterdays(two_days: Seeded) -> None:
    """A second after midnight the charts of "today" are not those that were drawn a second before it."""
    midnight = DAYS[1][0] * 10**9
    two_days.store.write_kpis(
        [
            KpiValue(LINK, "rtt_histogram", "hour", at, at + HOUR_NS, 1.0, 400.0, 0.0, 1.0, 400, True,
                     Histogram.of([delay] * 400).encode())
            for at, delay in ((midnight - HOUR_NS, 4.0), (midnight, 8.0))
        ],
        2,
    )  # fmt: skip
    with TestClient(create_app(two_days.context), base_url="http://127.0.0.1") as client:
        for address in ("/charts/losses/waterfall", "/charts/network/delays"):
            drawn = []
            for second in (-1, 1):
                two_days.clock.now_ns = midnight + second * 10**9
                answer = client.get(address, params={"period": "day"})
                assert answer.status_code == 200, answer.text
                drawn.append(answer.json())
            assert drawn[0] != drawn[1], address


def test_html_in_reasons_stays_text_on_the_losses_page(fresh: Client, blank: Seeded) -> None:
    """A reason that is markup is shown, not run."""
    evil = '"><img src=x onerror=alert(1)>'
    at = NOW_NS - 2 * HOUR_NS
    blank.store.write(
        [
            Sample(at, MILL, "state", 3.0),
            Sample(at + HOUR_NS // 2, MILL, "state", 1.0),
            Sample(at + HOUR_NS // 2, MILL, "reason", 0.0, evil),
            Sample(NOW_NS - 1, MILL, "state", 3.0),
        ]
    )
    html = fresh.get("/losses?period=day").text
    assert "<img" not in html
    assert "&lt;img" in html

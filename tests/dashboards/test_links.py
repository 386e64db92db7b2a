"""Links over the API: what adds up from hours, and packets joined with the radio, by hand."""

import pytest
from httpx2 import Client
from starlette.testclient import TestClient

from dashboards.web.app import create_app
from dashboards.web.links import latency_over
from pipeline.kpis.histogram import Histogram
from telemetry.plant import Asset, Plant
from telemetry.samples import SECOND_NS, KpiValue, Sample, Window
from tests.dashboards.seeded import HOUR_NS, LINK, MILL, NOW_NS, Seeded, empty
from tests.dashboards.test_api import get

START = NOW_NS // HOUR_NS * HOUR_NS - 3 * HOUR_NS


def hourly(kpi: str, hour: int, value: float, over: float = 0.0, samples: int = 100, detail: str = "") -> KpiValue:
    start = START + hour * HOUR_NS
    ratio = value / over if over else value
    return KpiValue(LINK, kpi, "hour", start, start + HOUR_NS, ratio, value, over, 1.0, samples, True, detail)


def test_latency_adds_up_from_hours(fresh: Client, blank: Seeded) -> None:
    """Two hours of 60 packets at 4 and at 8 ms and one lost: 121 packets, half within 8 ms of error 0.4 %."""
    hours = [Histogram.of([4.0] * 60), Histogram.of([8.0] * 60, lost=1)]
    blank.store.write_kpis(
        [hourly("rtt_histogram", n, found.size, detail=found.encode()) for n, found in enumerate(hours)], 1
    )
    answer = get(fresh, "/api/v1/links/latency", asset=LINK)
    assert (answer["hours"], answer["answered"], answer["lost"]) == (2, 120, 1)
    assert (answer["min_ms"], answer["mean_ms"], answer["max_ms"]) == (4.0, 6.0, 8.0)
    assert answer["percentiles_ms"]["p50"] == pytest.approx(8.0, rel=0.004)
    assert answer["percentiles_ms"]["p99"] is None  # 299 packets are needed
    assert [bucket["packets"] for bucket in answer["buckets"]] == [60, 60]


def test_a_whole_day_stands_for_its_hours(fresh: Client, blank: Seeded) -> None:
    """The day's own histogram (of 30 packets, so that it is seen) is added instead of its 24; not where the day is
    open, cut by what is asked for, or has an hour across its end."""
    day_ns = 24 * HOUR_NS
    midnight = NOW_NS // day_ns * day_ns - day_ns  # in UTC: days need not be those of the plant here
    hour = Histogram.of([4.0])
    rows = [
        KpiValue(LINK, "rtt_histogram", "hour", at, at + HOUR_NS, 1.0, 1.0, 0.0, 1.0, 1, True, hour.encode())
        for at in range(midnight - 2 * HOUR_NS, midnight + day_ns + 3 * HOUR_NS, HOUR_NS)
    ]
    text = Histogram.of([8.0] * 30).encode()

    def answered(start: int, end: int, *, final: bool = True, shift: int = 0) -> tuple[int, int]:
        day = KpiValue(LINK, "rtt_histogram", "day", midnight + shift, midnight + day_ns + shift, 30.0, 30.0, 0.0, 1.0,
                       30, final, text)  # fmt: skip
        blank.store.write_kpis([*rows, day], 1)
        found = latency_over(blank.store, LINK, Window(midnight + start * HOUR_NS, midnight + end * HOUR_NS, "hour"))
        return found.answered, found.hours

    assert answered(-2, 27) == (30 + 5, 29)
    assert answered(0, 24) == (30, 24)
    assert answered(1, 27) == (26, 26)
    assert answered(-2, 20) == (22, 22)
    assert answered(-2, 27, final=False) == (29, 29)
    blank.store.write_kpis(
        [KpiValue(LINK, "rtt_histogram", "day", midnight, midnight + day_ns, 0, 0, 0, 0, 0, True)], 1
    )
    assert answered(-2, 27, shift=HOUR_NS // 2) == (29, 29)


def test_latency_of_one_way(fresh: Client, blank: Seeded) -> None:
    """Two hours of delays away from us with their clocks' error: the figures of that way, ± the larger error; the way
    back, of which nothing is kept, has none, and a third way is refused."""
    hours = [Histogram.of([2.0] * 60), Histogram.of([3.0] * 80)]
    rows = [hourly("delay_up_histogram", n, found.size, detail=found.encode()) for n, found in enumerate(hours)]
    blank.store.write_kpis([*rows, hourly("clock_error", 0, 0.2), hourly("clock_error", 1, 0.5)], 1)
    up = get(fresh, "/api/v1/links/latency", asset=LINK, way="up")
    assert (up["way"], up["answered"], up["max_ms"], up["clock_error_ms"]) == ("up", 140, 3.0, 0.5)
    assert up["percentiles_ms"]["p50"] == pytest.approx(3.0, rel=0.004)
    down = get(fresh, "/api/v1/links/latency", asset=LINK, way="down")
    assert (down["answered"], down["percentiles_ms"]["p50"]) == (0, None)
    assert get(fresh, "/api/v1/links/latency", asset=LINK)["clock_error_ms"] is None
    assert fresh.get("/api/v1/links/latency", params={"asset": LINK, "way": "sideways"}).status_code == 422


def test_no_link_of_that_name(fresh: Client) -> None:
    """A machine is no link, and a link without a use case is not judged: each a sentence."""
    assert fresh.get("/api/v1/links/latency", params={"asset": MILL}).status_code == 404
    refused = fresh.get("/api/v1/links/service", params={"asset": LINK})
    assert refused.status_code == 404
    assert "use_case" in refused.text


def test_service_adds_up_from_hours() -> None:
    """Ten hours without a failure of control-to-control at 10 ms, periods of 20 ms: 1,800,000 periods show at most
    1.66e-6 down (3/n), more than the 1e-6 allowed; 2,995,731 periods would do, 6.6 hours more."""
    seeded = empty(Plant(assets=(Asset(path=LINK, name="Lien 5G", kind="link", use_case="control-to-control"),)))
    rows = [
        row
        for n in range(-7, 3)
        for row in (
            hourly("service_availability", n, 3600.0, 3600.0, samples=360_000),
            hourly("service_failed_periods", n, 0.0, 180_000.0, samples=360_000),
            hourly("service_failures", n, 0.0, samples=360_000),
        )
    ]
    seeded.store.write_kpis(rows, 1)
    with TestClient(create_app(seeded.context), base_url="http://127.0.0.1") as client:
        answer = get(client, "/api/v1/links/service", asset=LINK)
    assert answer["verdict"] == "not shown yet"
    assert answer["observed_s"] == 36_000
    assert answer["unavailability_bound"] == pytest.approx(2.9957 / 1.8e6, rel=1e-4)
    assert answer["hours_to_go"] == pytest.approx((2_995_731 - 1_800_000) * 0.02 / 3600, rel=1e-5)
    assert (answer["failures"], answer["mtbf_s"], answer["availability"]) == (0, None, 1.0)


def test_radio_joined_with_packets(fresh: Client, blank: Seeded) -> None:
    """Three packets in cell A at −75 dBm, two in cell B at −105 dBm, of which the slower is the slowest of all."""
    base = NOW_NS - 100 * SECOND_NS
    blank.store.write(
        [
            Sample(base, LINK, "cell", 0.0, "A"),
            Sample(base, LINK, "rsrp", -75.0),
            *(Sample(base + n * SECOND_NS, LINK, "rtt", 10.0) for n in (1, 2, 3)),
            Sample(base + 4 * SECOND_NS, LINK, "cell", 0.0, "B"),
            Sample(base + 4 * SECOND_NS, LINK, "rsrp", -105.0),
            Sample(base + 5 * SECOND_NS, LINK, "rtt", 80.0),
            Sample(base + 6 * SECOND_NS, LINK, "rtt_lost", 1.0),
        ]
    )
    answer = get(fresh, "/api/v1/links/radio", asset=LINK)
    cells = {group["name"]: (group["packets"], group["loss_ratio"]) for group in answer["by_cell"]}
    assert cells == {"A": (3, 0.0), "B": (2, 0.5)}
    assert {group["name"]: group["packets"] for group in answer["by_rsrp"]} == {"excellent": 3, "poor": 2}
    assert {group["name"]: group["packets"] for group in answer["by_handover"]} == {"handover": 5}
    slowest = answer["slowest"][0]
    assert (slowest["rtt_ms"], slowest["cell"], slowest["rsrp_dbm"], slowest["sinr_db"]) == (80.0, "B", -105.0, None)


def test_a_day_without_its_hours_is_an_answer(fresh: Client, blank: Seeded) -> None:
    """A day that has a histogram while none of its hours has one gives zero hours, not a fault of ours."""
    day_ns = 24 * HOUR_NS
    midnight = NOW_NS // day_ns * day_ns - day_ns
    text = Histogram.of([8.0] * 30).encode()
    blank.store.write_kpis(
        [KpiValue(LINK, "rtt_histogram", "day", midnight, midnight + day_ns, 30.0, 30.0, 0.0, 1.0, 30, True, text)], 1
    )
    whole = {"from": str(midnight // SECOND_NS), "to": str((midnight + day_ns) // SECOND_NS)}
    answer = get(fresh, "/api/v1/links/latency", asset=LINK, **whole)
    assert (answer["hours"], answer["answered"], answer["percentiles_ms"]["p50"]) == (0, 0, None)

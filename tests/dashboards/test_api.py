"""The API: what it answers over a plant whose truth is known, and how it refuses."""

import json
import math
import re
from typing import Any

import pytest
from httpx2 import Client

from telemetry.errors import StoreError
from telemetry.samples import SECOND_NS, KpiValue, Quality, Sample, Window
from tests.dashboards.seeded import HOUR_NS, LINK, MILL, MINUTE_NS, NOW_NS, PLANT, PRESS, PRINTER, Seeded

START = "2026-11-22T09:30:00.000000000Z"  # one hour before now


def get(client: Client, address: str, status: int = 200, **query: str | int) -> Any:
    answer = client.get(address, params={key.rstrip("_"): value for key, value in query.items()})
    assert answer.status_code == status, answer.text
    return answer.json()


def gauge(blank: Seeded, *rows: tuple[int, float]) -> None:
    blank.store.write([Sample(NOW_NS - HOUR_NS + ns, MILL, "spindle_load", value) for ns, value in rows])


def test_assets_are_those_of_the_plant_file(client: Client) -> None:
    """Every asset is listed; one asset tells the series held of it."""
    assert [asset["path"] for asset in get(client, "/api/v1/assets")] == [asset.path for asset in PLANT.assets]
    detail = get(client, f"/api/v1/assets/{MILL}")
    assert detail["target_trs"] == 0.75
    assert {series["metric"] for series in detail["series"]} == {"state", "reason", "product", "spindle_load"}


def test_glossary_and_catalogue_are_described(client: Client) -> None:
    """A program can learn every metric and KPI with unit, meaning and standard."""
    state = next(metric for metric in get(client, "/api/v1/metrics") if metric["name"] == "state")
    assert (state["kind"], state["holds"]) == ("state", True)
    trs = next(kpi for kpi in get(client, "/api/v1/kpis") if kpi["name"] == "trs")
    assert "NF E60-182" in trs["reference"]


def test_samples_keep_every_nanosecond(fresh: Client, blank: Seeded) -> None:
    """Times that differ by one nanosecond stay two samples with their own times."""
    gauge(blank, (1, 1.0), (2, 2.0))
    samples = get(fresh, "/api/v1/samples", asset=MILL, metric="spindle_load")["samples"]
    assert [(sample["time"], sample["value"]) for sample in samples] == [
        ("2026-11-22T09:30:00.000000001Z", 1.0),
        ("2026-11-22T09:30:00.000000002Z", 2.0),
    ]


@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_following_next_gives_every_sample_once(fresh: Client, blank: Seeded, order: str) -> None:
    """Pages of three, followed to the end, give all twenty samples once and in order, across a long silence."""
    seconds = [*range(10), *(2000 + n for n in range(10))]
    gauge(blank, *((s * SECOND_NS, float(s)) for s in seconds))
    page = get(fresh, "/api/v1/samples", asset=MILL, metric="spindle_load", limit=3, order=order, from_=START)
    found = [sample["value"] for sample in page["samples"]]
    while page["truncated"]:
        page = fresh.get(page["next"]).json()
        assert len(page["samples"]) <= 3
        found += [sample["value"] for sample in page["samples"]]
    assert page["next"] is None
    assert found == (seconds if order == "oldest" else seconds[::-1])


def test_an_interval_is_half_open_and_tells_the_value_in_force(fresh: Client, blank: Seeded) -> None:
    """A sample at `to` is outside; the state that holds at `from` is told apart from the samples inside."""
    blank.store.write([Sample(NOW_NS + n * SECOND_NS, MILL, "state", float(n)) for n in (1, 3, 5)])
    answer = get(
        fresh,
        "/api/v1/samples",
        asset=MILL,
        metric="state",
        from_="2026-11-22T11:30:02+01:00",
        to="2026-11-22T10:30:05Z",
    )
    assert [sample["text"] for sample in answer["samples"]] == ["EXECUTING"]
    assert answer["in_force"]["text"] == "OUT_OF_SERVICE"
    assert answer["in_force"]["time"] == "2026-11-22T10:30:01.000000000Z"


def test_words_and_qualities_are_told(fresh: Client, blank: Seeded) -> None:
    """A word has no value, a bad sample says that it is bad."""
    blank.store.write([Sample(NOW_NS - 2, MILL, "product", 0.0, "pignon")])
    blank.store.write([Sample(NOW_NS - 1, MILL, "product", 0.0, "", Quality.BAD)])
    samples = get(fresh, "/api/v1/samples", asset=MILL, metric="product")["samples"]
    assert [(s["value"], s["text"], s["quality"]) for s in samples] == [(None, "pignon", "good"), (None, None, "bad")]


def test_kpi_values_come_with_what_they_rest_on(client: Client, day: Seeded) -> None:
    """Each value has numerator, denominator, coverage, samples, window and standard; the store's own numbers."""
    values = get(client, "/api/v1/kpi-values", asset=MILL, kpi="trs", kind="shift", from_=START)["values"]
    truth = day.store.read_kpis(MILL, "trs", Window(NOW_NS - HOUR_NS, NOW_NS, "shift"))
    assert [(v["numerator"], v["denominator"], v["coverage"], v["samples"], v["final"]) for v in values] == [
        (v.numerator, v.denominator, v.coverage, v.samples, v.final) for v in truth
    ]
    assert values[0]["start"] == "2026-11-22T04:00:00.000000000Z"  # 05:00 in Paris
    assert "NF E60-182" in values[0]["reference"]


def test_kpi_pages_repeat_nothing_even_when_windows_start_together(fresh: Client, blank: Seeded) -> None:
    """Hour and day windows that start at one instant are not torn apart or repeated by paging."""
    base = NOW_NS - 4 * HOUR_NS
    rows = [(n, kind) for n in range(3) for kind in ("hour", "shift")]
    blank.store.write_kpis(
        [
            KpiValue(MILL, "trs", kind, base + n * HOUR_NS, base + (n + 1) * HOUR_NS, 0.5, 1.0, 2.0, 1.0, 1, True)
            for n, kind in rows
        ],
        1,
    )
    page = get(fresh, "/api/v1/kpi-values", asset=MILL, kpi="trs", limit=3)
    found = page["values"]
    while page["truncated"]:
        page = fresh.get(page["next"]).json()
        found += page["values"]
    assert [(value["start"], value["kind"]) for value in found] == sorted({(v["start"], v["kind"]) for v in found})
    assert len(found) == 6


def test_a_value_that_is_not_known_is_null(fresh: Client, blank: Seeded) -> None:
    """NaN and infinity never reach the wire: no coverage is null, not zero."""
    window = (NOW_NS - HOUR_NS, NOW_NS)
    blank.store.write_kpis([KpiValue(MILL, "trs", "hour", *window, math.nan, math.nan, math.inf, 0.0, 0, True)], 1)
    answer = fresh.get("/api/v1/kpi-values", params={"asset": MILL, "kpi": "trs"})
    assert "NaN" not in answer.text
    value = json.loads(answer.text)["values"][0]
    assert (value["value"], value["numerator"], value["denominator"], value["coverage"]) == (None, None, None, 0.0)


def test_plant_now_tells_states_as_they_are(client: Client) -> None:
    """A machine with a fault says since when and why; one that fell silent is unknown, not running."""
    now = get(client, "/api/v1/plant/now")
    machines = {machine["asset"]: machine for machine in now["machines"]}
    press = machines[PRESS]["state"]
    assert (press["name"], press["reason"]) == ("OUT_OF_SERVICE", "tool_breakage")
    assert press["since"] == "2026-11-22T10:18:00.000000000Z"
    printer = machines[PRINTER]
    assert (printer["state"]["name"], printer["state"]["known"], printer["stale"]) == ("UNKNOWN", False, True)
    assert machines[MILL]["today"]["start"] == "2026-11-21T23:00:00.000000000Z"  # midnight in Paris
    assert machines[MILL]["shift"]["label"] == "matin"
    assert now["path"]["dead_letters"] == 1
    assert now["path"]["lag_ms"] == 14.2


def test_since_survives_repeated_states(fresh: Client, blank: Seeded) -> None:
    """A machine that repeats its state each minute has been in it since the first time, not since the last."""
    blank.store.write([Sample(NOW_NS - n * MINUTE_NS, MILL, "state", 3.0) for n in range(1, 30)])
    machine = get(fresh, "/api/v1/plant/now")["machines"][0]
    assert machine["state"]["since"] == "2026-11-22T10:01:00.000000000Z"


def test_a_link_counts_lost_probes_as_infinitely_late(fresh: Client, blank: Seeded) -> None:
    """Of 400 probes 3 lost is 0.75 %, and p99 is the 396th smallest; with 40 lost there is no p99 (RFC 7679)."""
    samples = [Sample(NOW_NS - n * SECOND_NS // 2, LINK, "rtt", float(n)) for n in range(1, 398)]
    samples += [Sample(NOW_NS - n * SECOND_NS // 2 - 1, LINK, "rtt_lost", 1.0) for n in range(1, 4)]
    blank.store.write(samples)
    recent = get(fresh, "/api/v1/plant/now")["links"][0]["recent"]
    assert (recent["answered"], recent["lost"], recent["loss"]) == (397, 3, 0.0075)
    assert (recent["p50_ms"], recent["p99_ms"]) == (200.0, 396.0)


def test_an_empty_plant_is_unknown_not_zero(fresh: Client) -> None:
    """Before the first sample every figure is null and no machine has a state."""
    now = get(fresh, "/api/v1/plant/now")
    assert {machine["state"]["name"] for machine in now["machines"]} == {"UNKNOWN"}
    assert now["machines"][0]["today"]["trs"] is None
    assert now["links"][0]["hour"]["loss"] is None


def test_dead_letters_are_shown_as_text_and_paged(fresh: Client, blank: Seeded) -> None:
    """Bytes that are no text are escaped, long ones cut, pages continue by id."""
    for n in range(5):
        blank.letters.add(NOW_NS, "mqtt", f"reason {n}", b"\xff\x00" + b"a" * 1000)
    page = get(fresh, "/api/v1/deadletters", limit=3)
    assert page["count"] == 5
    assert [letter["reason"] for letter in page["letters"]] == ["reason 4", "reason 3", "reason 2"]
    assert page["letters"][0]["raw"].startswith("\\xff\x00aaa")
    assert (len(page["letters"][0]["raw"]) < 600, page["letters"][0]["bytes"]) == (True, 1002)
    assert [letter["reason"] for letter in fresh.get(page["next"]).json()["letters"]] == ["reason 1", "reason 0"]


def test_health_says_what_fails_and_why(fresh: Client, blank: Seeded) -> None:
    """One failing component makes the whole not ok, with its reason; gauges that are NaN are null."""
    blank.health.component("drain").ok()
    broken = blank.health.component("opcua cell-1")
    broken.failing("connection refused")
    broken.gauge("lag_ms", math.nan)
    health = get(fresh, "/api/v1/health")
    assert health["ok"] is False
    told = [(part["condition"], part["detail"]) for part in health["components"]]
    assert told == [("ok", ""), ("failing", "connection refused")]
    assert health["components"][1]["gauges"] == {"lag_ms": None}
    page = fresh.get("/data?lang=fr").text
    assert re.findall(r"<td(?: class=\"stale\")?>(démarre|en ordre|en échec|starting|ok|failing)</td>", page) == [
        "en ordre", "en échec",
    ]  # fmt: skip


def test_prometheus_reads_the_health(fresh: Client, blank: Seeded) -> None:
    """/metrics has counters, gauges and conditions with the component as a label, whatever its name."""
    part = blank.health.component('odd "name"\n')
    part.count("samples", 7)
    part.gauge("lag_ms", 1.5)
    text = fresh.get("/metrics").text
    assert 'km0_samples_total{component="odd \\"name\\"\\n"} 7.0' in text
    assert 'km0_lag_ms{component="odd \\"name\\"\\n"} 1.5' in text
    assert 'km0_component_condition{component="odd \\"name\\"\\n",condition="starting"} 1.0' in text


def test_a_store_that_is_down_is_503(fresh: Client, blank: Seeded, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not answer is no bug of ours: problem details and Retry-After, on the API and the page."""

    def down(*_: object) -> None:
        raise StoreError("disk is away", retry_after_s=7)

    for method in ("read", "latest", "inventory", "read_kpis"):
        monkeypatch.setattr(blank.store, method, down)
    for address in ("/api/v1/plant/now", f"/api/v1/samples?asset={MILL}&metric=state", "/"):
        answer = fresh.get(address)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
        assert "disk is away" in answer.json()["detail"]


def test_openapi_describes_every_route_and_its_problems(client: Client) -> None:
    """The description has each route, the shape of problems, and no leftovers of the framework's error shape."""
    schema = get(client, "/api/v1/openapi.json")
    assert set(schema["paths"]) == {
        f"/api/v1/{path}"
        for path in (
            "assets", "assets/{path}", "metrics", "kpis", "samples", "samples.{form}", "kpi-values",
            "kpi-values.{form}", "health", "deadletters", "deadletters/{number}", "plant", "plant/now", "me",
            "states", "use-cases", "events", "links/latency", "links/service", "links/radio", "losses", "rollup",
            "orders", "mappings", "mappings/{name}", "diagnoses", "diagnoses/plant", "diagnoses/{number}",
            *(f"diagnoses/{{number}}/{what}" for what in (
                "proposal", "run", "link", "result", "report.{form}", "losses.csv", "bad-rows.csv",
            )),
        )
    }  # fmt: skip
    assert "Problem" in schema["components"]["schemas"]
    assert "HTTPValidationError" not in json.dumps(schema)
    names = {parameter["name"] for parameter in schema["paths"]["/api/v1/samples"]["get"]["parameters"]}
    assert names == {"asset", "metric", "from", "to", "limit", "order"}

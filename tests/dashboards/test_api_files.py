"""Downloads and what else programs get: files equal what was stored, run nothing in a spreadsheet, and are bounded."""

import csv
import io
from pathlib import Path
from urllib.parse import quote

import duckdb
import numpy as np
import pytest
from httpx2 import Client

from dashboards.web.times import iso
from telemetry.samples import SECOND_NS, KpiValue, Quality, Sample, Window
from tests.dashboards.seeded import HOUR_NS, LINK, MILL, NOW_NS, PRESS, Seeded
from tests.dashboards.test_api import get
from tests.dashboards.test_links import hourly

WEEK = NOW_NS // SECOND_NS - 7 * 86400


def rows(answer: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.removeprefix("\ufeff"))))


def test_samples_come_as_a_csv_whole_and_exact(fresh: Client, blank: Seeded) -> None:
    """Every sample of the interval across more than one reading, its nanoseconds, its words and its quality."""
    start = NOW_NS - 50 * HOUR_NS
    blank.store.write([Sample(start + n * HOUR_NS + 1, MILL, "spindle_load", n / 8) for n in range(50)])
    blank.store.write([Sample(start + 1, MILL, "reason", 0.0, '=HYPERLINK("http://x")', Quality.UNCERTAIN)])
    blank.store.write([Sample(start + 2, PRESS, "state", 3.0)])
    answer = fresh.get(
        "/api/v1/samples.csv",
        params={"asset": [MILL, PRESS], "metric": ["spindle_load", "reason", "state"], "from": WEEK},
    )
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.startswith(b"\xef\xbb\xbftime,asset,metric,value,text,quality\r\n")
    found = rows(answer.text)
    assert [float(one["value"]) for one in found if one["metric"] == "spindle_load"] == [n / 8 for n in range(50)]
    [reason] = [one for one in found if one["metric"] == "reason"]
    assert (reason["text"], reason["value"], reason["quality"]) == ('\'=HYPERLINK("http://x")', "", "uncertain")
    assert reason["time"] == "2026-11-20T08:30:00.000000001Z"
    assert [(one["asset"], one["text"]) for one in found if one["metric"] == "state"] == [(PRESS, "EXECUTING")]


def test_samples_come_as_parquet_and_leave_nothing_behind(fresh: Client, blank: Seeded, tmp_path: Path) -> None:
    """What DuckDB reads back is what was written; the folder of the app is empty of it afterwards."""
    blank.store.write([Sample(NOW_NS - n, MILL, "spindle_load", float(n)) for n in range(1, 40)])
    answer = fresh.get("/api/v1/samples.parquet", params={"asset": MILL, "metric": "spindle_load"})
    (tmp_path / "samples.parquet").write_bytes(answer.content)
    found = duckdb.sql(f"SELECT time_ns, value FROM '{tmp_path}/samples.parquet' ORDER BY time_ns").fetchnumpy()
    assert found["time_ns"].tolist() == [NOW_NS - n for n in range(39, 0, -1)]
    assert found["value"].tolist() == [float(n) for n in range(39, 0, -1)]
    assert not list(blank.context.config.folder.glob("download-*"))


def test_kpi_values_come_as_files(fresh: Client, blank: Seeded, tmp_path: Path) -> None:
    """Several KPIs and assets in one table; what is not known is empty in the CSV and NaN in the Parquet."""
    unknown = hourly("rtt_p99", 1, float("nan"))
    blank.store.write_kpis([hourly("rtt_p50", 0, 9.5), unknown], 1)
    query = {"asset": [LINK, MILL], "kpi": ["rtt_p50", "rtt_p99"], "kind": "hour", "from": WEEK}
    found = rows(fresh.get("/api/v1/kpi-values.csv", params=query).text)
    assert [(one["asset"], one["kpi"], one["value"], one["unit"], one["final"]) for one in found] == [
        (LINK, "rtt_p50", "9.5", "ms", "true"),
        (LINK, "rtt_p99", "", "ms", "true"),
    ]
    (tmp_path / "k.parquet").write_bytes(fresh.get("/api/v1/kpi-values.parquet", params=query).content)
    values = duckdb.sql(f"SELECT value FROM '{tmp_path}/k.parquet' ORDER BY start_ns").fetchnumpy()["value"]
    assert values[0] == 9.5
    assert np.isnan(values[1])


def test_kpi_values_are_read_in_weeks(fresh: Client, blank: Seeded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each value is in the file once, those whose window reaches over the edge of a week or began before the interval
    too; the store is never asked for more than seven days at once."""
    day_ns, first = 24 * HOUR_NS, NOW_NS - 20 * 24 * HOUR_NS

    def value(kpi: str, start: int, end: int) -> KpiValue:
        return KpiValue(
            LINK, kpi, "hour" if end - start == HOUR_NS else "week", start, end, 1.0, 1.0, 0.0, 1.0, 1, True
        )

    hours = [value("rtt_p50", first + n * HOUR_NS, first + (n + 1) * HOUR_NS) for n in range(20 * 24)]
    weeks = [value("rtt_p99", first + n * day_ns, first + (n + 7) * day_ns) for n in (-3, 4, 11)]
    blank.store.write_kpis(hours + weeks, 1)
    asked: list[Window] = []
    real = blank.store.read_many_kpis

    def noted(assets: object, kpis: object, window: Window) -> object:
        asked.append(window)
        return real(assets, kpis, window)  # type: ignore[arg-type]  # as it was asked

    monkeypatch.setattr(blank.store, "read_many_kpis", noted)
    query = {"asset": LINK, "kpi": ["rtt_p50", "rtt_p99"], "from": first // SECOND_NS, "to": NOW_NS // SECOND_NS}
    found = rows(fresh.get("/api/v1/kpi-values.csv", params=query).text)
    given = sorted((one["kpi"], one["start"]) for one in found)
    assert given == sorted((one.kpi, iso(one.start_ns)) for one in hours + weeks)
    assert len(asked) == 3
    assert max(one.end_ns - one.start_ns for one in asked) == 7 * day_ns
    parquet = fresh.get("/api/v1/kpi-values.parquet", params=query)
    assert 'filename="kpi-values.parquet"' in parquet.headers["content-disposition"]


@pytest.mark.parametrize(
    ("address", "status", "says"),
    [
        ("samples.csv?metric=state", 422, "asset"),
        (f"samples.csv?asset={MILL}&metric=nope", 404, "/api/v1/metrics"),
        ("samples.csv?asset=km0/x/y/z&metric=state", 404, "/api/v1/assets"),
        (f"samples.csv?asset={MILL}&metric=state&from=1&to=1700000000", 422, "400 days"),
        (f"samples.xlsx?asset={MILL}&metric=state", 422, "csv"),
        (f"kpi-values.csv?asset={MILL}&kpi=nope", 404, "/api/v1/kpis"),
        (f"states?asset={LINK}", 404, "/api/v1/assets"),
        (f"states?asset={MILL}&from=1&to=1700000000", 422, "7 days"),
        ("deadletters/77", 404, "no dead letter 77"),
    ],
)
def test_what_is_not_to_be_had_is_said(fresh: Client, address: str, status: int, says: str) -> None:
    """Problem details, before anything is sent."""
    answer = fresh.get(f"/api/v1/{address}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert says in answer.json()["detail"]


def test_states_are_paged_stretch_by_stretch(fresh: Client, blank: Seeded) -> None:
    """Six states of ten minutes each, then nothing for longer than 15 minutes: not known."""
    for n in range(6):
        at = NOW_NS - 2 * HOUR_NS + n * 600 * SECOND_NS
        blank.store.write([Sample(at, MILL, "state", 3.0 if n % 2 else 2.0), Sample(at, MILL, "reason", 0.0, f"r{n}")])
    page = get(fresh, "/api/v1/states", asset=MILL, limit=4)
    found = page["states"]
    assert page["truncated"]
    page = fresh.get(page["next"]).json()
    found += [one for one in page["states"] if one["start"] > found[-1]["start"]]
    assert [(one["state"], one["reason"]) for one in found] == [
        ("NOT_EXECUTING", "r0"), ("EXECUTING", ""), ("NOT_EXECUTING", "r2"), ("EXECUTING", ""),
        ("NOT_EXECUTING", "r4"), ("EXECUTING", ""), ("UNKNOWN", ""),
    ]  # fmt: skip
    assert (found[-1]["start"], found[-1]["end"]) == (
        "2026-11-22T09:35:00.000000000Z",
        "2026-11-22T10:30:00.000000000Z",
    )


def test_the_plant_file_is_told(fresh: Client, blank: Seeded) -> None:
    """Calendars by the clock on the wall, assets of one kind, use cases, who asks, and a dead letter's bytes."""
    plant = get(fresh, "/api/v1/plant")
    assert (plant["name"], plant["timezone"]) == ("Plateforme KM0", "Europe/Paris")
    [calendar] = plant["calendars"]
    night = calendar["shifts"][0]
    assert (night["name"], night["start"], night["end"]) == ("nuit", "21:00", "05:00")
    assert [asset["path"] for asset in get(fresh, "/api/v1/assets", kind="link")] == [LINK]
    assert {"mobile-robots", "process-monitoring"} <= {case["key"] for case in get(fresh, "/api/v1/use-cases")}
    assert get(fresh, "/api/v1/me")["role"] == "administrator"
    blank.letters.add(NOW_NS, "mqtt", "no JSON", b"\x00\xff<b>")
    answer = fresh.get("/api/v1/deadletters/1")
    assert (answer.content, answer.headers["content-type"]) == (b"\x00\xff<b>", "application/octet-stream")


def test_mappings_and_diagnoses_are_paged_and_filtered(fresh: Client, blank: Seeded) -> None:
    """Names in order, a page at a time, each once; diagnoses of one state."""
    names = ["a b", "c&d", "e", "f", "g"]
    for name in reversed(names):
        assert fresh.put(f"/api/v1/mappings/{quote(name)}", json={}).status_code == 200
    page = get(fresh, "/api/v1/mappings", limit=2)
    found = [one["name"] for one in page["mappings"]]
    while page["next"]:
        page = fresh.get(page["next"]).json()
        assert len(page["mappings"]) <= 2
        found += [one["name"] for one in page["mappings"]]
    assert found == names
    for name in ("one.csv", "two.csv", "three.csv"):
        blank.clock.now_ns += 1
        assert fresh.post("/api/v1/diagnoses", params={"name": name}, content=b"a;b\n1;2\n").status_code == 201
    page = get(fresh, "/api/v1/diagnoses", limit=2, state="mapping")
    rest = fresh.get(page["next"]).json()
    assert [one["file"] for one in [*page["diagnoses"], *rest["diagnoses"]]] == ["three.csv", "two.csv", "one.csv"]
    assert get(fresh, "/api/v1/diagnoses", state="done")["diagnoses"] == []

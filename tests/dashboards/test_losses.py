"""Losses, roll-ups and orders over the API, from the hand-worked cell of tests/pipeline/kpis/test_account.py."""

from collections.abc import Iterator

import pytest
from httpx2 import Client
from starlette.testclient import TestClient

from dashboards.web.app import create_app
from telemetry.samples import KpiValue
from tests.dashboards.seeded import Seeded, empty
from tests.dashboards.test_api import get
from tests.pipeline.kpis.test_account import HOUR, LATHE, MILL, NOW, PLANT, filled

SPAN = {"from": HOUR.start_ns // 10**9, "to": HOUR.end_ns // 10**9}


@pytest.fixture
def cell() -> Seeded:
    seeded = empty(PLANT)
    seeded.clock.now_ns = NOW
    for asset in (MILL, LATHE):
        for info in filled().inventory():
            if info.asset == asset.path:
                seeded.store.write(filled().samples(asset.path, info.metric, HOUR))
    return seeded


@pytest.fixture
def client(cell: Seeded) -> Iterator[Client]:
    with TestClient(create_app(cell.context), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def test_losses_of_a_cell(client: Client) -> None:
    """Breakdown 30 min, 45 €; speed 20 min, 25 €; rejects 5 min, 5 €; TRS 65/120; a point is worth 1.50 €."""
    answer = get(client, "/api/v1/losses", path="km0/a/cell", **SPAN)
    assert [(bar["name"], bar["seconds"], bar["cost"]) for bar in answer["by_category"]] == [
        ("breakdown", 1800, 45), ("speed", 1200, 25), ("rejects", 300, 5),
    ]  # fmt: skip
    assert answer["by_category"][-1]["cumulative"] == pytest.approx(1)
    assert [bar["name"] for bar in answer["by_machine"]] == [MILL.path, LATHE.path]
    assert answer["by_reason"][0] == {
        "name": "belt", "seconds": 1800, "share": pytest.approx(1800 / 3300), "times": 1, "cost": 45,
        "cumulative": pytest.approx(1800 / 3300),
    }  # fmt: skip
    assert answer["trs"]["value"] == pytest.approx(65 / 120)
    assert (answer["cost"], answer["point_of_trs"]["cost"]) == (75, pytest.approx(1.5))
    assert answer["times"]["required"] - answer["times"]["useful"] == 3300
    assert [(one["name"], one["trs"]["value"]) for one in answer["machines"]] == [
        ("mill", pytest.approx(1 / 3)), ("lathe", pytest.approx(0.75)),
    ]  # fmt: skip
    assert answer["six_big_losses"]["failures"] == 1800
    assert get(client, "/api/v1/losses", path="km0", **SPAN)["trs"] == answer["trs"]


def test_nothing_known_is_null(client: Client) -> None:
    """The hours before the first sample: no figure, all of it unknown, no bars."""
    answer = get(client, "/api/v1/losses", path=MILL.path, **{"from": SPAN["from"] - 7200, "to": SPAN["from"] - 3600})
    assert (answer["trs"]["value"], answer["trs"]["coverage"]) == (None, 0)
    assert (answer["times"]["unknown"], answer["by_category"]) == (3600, [])


def test_what_cannot_be_answered_says_what_can(client: Client) -> None:
    """No machine there, too long an interval, no such figure, orders of a line."""
    for path, parameters, status, word in (
        ("losses", {"path": "km0/b"}, 404, "/api/v1/assets"),
        ("losses", {"path": "KM0"}, 422, "path"),
        ("losses", {"path": "km0", "from": 0, "to": 36 * 86400}, 422, "at most 35"),
        ("rollup", {"path": "km0", "kpi": "nonsense"}, 404, "/api/v1/kpis"),
        ("rollup", {"path": "km0/b", "kpi": "trs"}, 404, "/api/v1/assets"),
        ("orders", {"path": "km0/a/cell"}, 404, "/api/v1/assets"),
    ):
        refused = client.get(f"/api/v1/{path}", params=parameters)
        assert (refused.status_code, word in refused.json()["detail"]) == (status, True), refused.text


def test_stored_figures_of_a_cell(client: Client, cell: Seeded) -> None:
    """Two hours of mill and lathe: 20 and 45 of 60 min, twice; one page at a time."""
    for asset, useful in ((MILL, 1200.0), (LATHE, 2700.0)):
        for hour in (0, 1):
            start, end = HOUR.start_ns + hour * 3600 * 10**9, HOUR.end_ns + hour * 3600 * 10**9
            cell.store.write_kpis(
                [
                    KpiValue(asset.path, kpi, "hour", start, end, value, value, 0.0, 1.0, 9, True)
                    if kpi == "required_time"
                    else KpiValue(asset.path, kpi, "hour", start, end, value / 3600, value, 3600.0, 1.0, 9, True)
                    for kpi, value in (("trs", useful), ("required_time", 3600.0))
                ],
                1,
            )
    asked = {"path": "km0/a/cell", "kpi": "trs", "kind": "hour", "limit": 1} | SPAN | {"to": SPAN["to"] + 3600}
    answer = get(client, "/api/v1/rollup", **asked)
    assert [value["value"] for value in answer["values"]] == [pytest.approx(65 / 120)]
    assert (answer["values"][0]["numerator"], answer["values"][0]["coverage"]) == (3900, 1)
    again = client.get(answer["next"]).json()
    assert (len(again["values"]), again["truncated"]) == (1, False)
    assert again["values"][0]["start"] == answer["values"][0]["end"]


def test_orders_of_a_machine(client: Client) -> None:
    """A with a quarter of its time running, B with 20 parts in 20 min."""
    answer = get(client, "/api/v1/orders", path=MILL.path, **SPAN)
    assert [(one["order"], one["open"], one["do"]["value"]) for one in answer["orders"]] == [
        ("A", False, 0.25), ("B", True, 1.0),
    ]  # fmt: skip
    assert (answer["orders"][1]["parts"], answer["orders"][1]["throughput_per_h"]) == (20, 60)
    first = get(client, "/api/v1/orders", path=MILL.path, limit=1, **SPAN)
    assert [one["order"] for one in first["orders"]] == ["A"]
    rest = client.get(first["next"]).json()
    assert ([one["order"] for one in rest["orders"]], rest["next"]) == (["B"], None)

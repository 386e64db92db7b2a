"""Charts: what their data says, that hostile names stay text, that the same spec is the same picture."""

import math
from typing import Any
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import altair as alt
import pytest
from jsonschema import ValidationError

from dashboards.charts import DARK, LIGHT, Dot, Lane, Step, delays, pareto, timeline, trend, waterfall
from dashboards.charts.draw import svg
from dashboards.web.states import StateInterval
from pipeline.kpis.losses import Bar
from telemetry.samples import Window

PARIS = ZoneInfo("Europe/Paris")
HOUR = 3600 * 10**9
NOON = 1_782_900_000 * 10**9  # 2026-07-01 10:00 UTC, 12:00 in Paris
HOSTILE = "<script>alert('x')</script>\\"


def rows(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The first data of a spec."""
    at = spec.get("data") or next(layer["data"] for layer in spec["layer"] if "data" in layer)
    found: list[dict[str, Any]] = spec["datasets"][at["name"]] if "name" in at else at["values"]
    return found


def words(drawn: str) -> list[str]:
    """The texts of an SVG, read as XML."""
    return [node.text or "" for node in ET.fromstring(drawn).iter() if node.tag.endswith("text")]  # noqa: S314


def kind_of(spec: dict[str, Any]) -> type[alt.SchemaBase]:
    return alt.TopLevelLayerSpec if "layer" in spec else alt.TopLevelUnitSpec


def test_every_chart_is_vega_lite() -> None:
    """By the schema that altair brings, on light ground and dark; a setting that none has is refused."""
    window = Window(NOON, NOON + 2 * HOUR)
    for look in (LIGHT, DARK):
        charts = [
            waterfall([Step("tR", "a", 28800), Step("tP", "b", 7200, loss=True)], "fr", look=look),
            pareto([Bar("cause", 3600, 0.1, 0.1, 1, math.nan)], "fr", look=look),
            trend([Dot(NOON, NOON + HOUR, 0.5, 1)], "fr", PARIS, title="TRS", target=0.6, look=look),
            timeline([Lane("tour", [StateInterval(NOON, NOON + HOUR, "EXECUTING")])], window, "fr", PARIS, look=look),
            delays([(0.5, 8.0), (0.99, 20.0)], "en", limit_ms=10, allowed=0.01, look=look),
        ]
        for chart in charts:
            kind_of(chart).validate(chart)
    charts[0]["config"]["axis"]["labelColour"] = "#000000"
    with pytest.raises(ValidationError):
        kind_of(charts[0]).validate(charts[0])


def test_waterfall_steps_down() -> None:
    """8 h required, 2 h down, 1 h won by a cycle too slow: 7 h net, each loss beginning where the row above ended."""
    steps = [Step("tR", "a", 28800), Step("tP", "b", 7200, loss=True), Step("", "c", -3600, loss=True),
             Step("tN", "d", 25200)]  # fmt: skip
    drawn = [(row["from"], row["to"]) for row in rows(waterfall(steps, "en"))]
    assert drawn == [(0, 8), (6, 8), (6, 7), (0, 7)]


def test_waterfall_in_french() -> None:
    """Percentages have a decimal comma and a narrow no-break space."""
    drawn = words(svg(waterfall([Step("tR", "Requis", 28800), Step("tP", "Pannes", 2700, loss=True)], "fr"), "fr"))
    assert "Pannes (tP)" in drawn
    assert "\u221245\u00a0min · 9,4\u202f%" in drawn


def test_pareto_keeps_the_order_and_cuts_the_rest() -> None:
    """At most so many bars; what gained time is not a loss to show."""
    bars = [Bar(f"cause {n}", 3600 * (9 - n), 0.1, 0.1, 1, math.nan) for n in range(9)] + [
        Bar("speed", -60, -0.1, 1, 0, math.nan)
    ]
    assert [row["hours"] for row in rows(pareto(bars, "en", most=3))] == [9, 8, 7]
    assert len(rows(pareto(bars, "en", most=20))) == 9


@pytest.mark.parametrize("width", [640, 400, 280, 140])
@pytest.mark.parametrize("which", ["waterfall", "pareto"])
def test_every_bar_has_room_for_its_words(width: int, which: str) -> None:
    """Beside the longest bar too, on any screen: words begin where they end inside the plot, at 6.5 px a sign."""
    if which == "waterfall":
        steps = [Step("tO", "Ouverture", 512_000), Step("", "Arrêts", 24_000, loss=True), Step("tR", "Requis", 488_000),
                 Step("tP", "Pannes", 180_000, loss=True), Step("tF", "Fonctionnement", 308_000)]  # fmt: skip
        spec = waterfall(steps, "fr", width=width)
    else:
        spec = pareto([Bar("a", 82_000, 0.577, 0.577, 3, math.nan), Bar("b", 60_000, 0.423, 1.0, 9, math.nan)], "fr",
                      width=width)  # fmt: skip
    told = [node for node in ET.fromstring(svg(spec, "fr")).iter() if "mark" in node.get("aria-roledescription", "")]  # noqa: S314
    told = [node for node in told if node.tag.endswith("text")]
    assert len(told) == len(rows(spec))
    for node in told:
        start = float(node.get("transform", "").removeprefix("translate(").partition(",")[0])
        assert start + 6.5 * len(node.text or "") <= width, node.text


def test_long_names_stay_apart() -> None:
    """Two causes that begin alike are two rows."""
    bars = [Bar("x" * 60 + str(n), 10, 0.5, 0.5, 1, math.nan) for n in range(2)]
    assert len({row["name"] for row in rows(pareto(bars, "en"))}) == 2


def test_trend_is_on_the_wall_clock_and_leaves_gaps() -> None:
    """10:00 UTC in summer is drawn at 12:00; a window without a figure has none."""
    spec = trend([Dot(NOON, NOON + HOUR, math.nan, 0), Dot(NOON + HOUR, NOON + 2 * HOUR, 0.5, 1)], "fr", PARIS,
                 title="TRS", target=0.6)  # fmt: skip
    first, second = rows(spec)
    assert (first["from"] // 1000 % 86400, first["value"]) == (12 * 3600, None)
    assert (second["from"] // 1000 % 86400, second["value"]) == (13 * 3600, 0.5)


def test_timeline_is_cut_to_its_window() -> None:
    """States outside the window are not drawn, states across its edge are cut."""
    states = [
        StateInterval(NOON - HOUR, NOON + HOUR, "EXECUTING"),
        StateInterval(NOON + 9 * HOUR, NOON + 10 * HOUR, "SETUP"),
    ]
    spec = timeline([Lane("tour", states)], Window(NOON, NOON + 2 * HOUR), "fr", PARIS)
    assert [(row["state"], row["to"] - row["from"]) for row in rows(spec)] == [("En production", 3600_000)]


def test_delays_leave_lost_packets_out() -> None:
    """A percentile that lies among lost packets has no delay to draw."""
    spec = delays([(0.5, 8.0), (0.99, 20.0), (0.999, math.inf)], "en", limit_ms=10, allowed=0.01)
    assert [(row["ms"], round(row["slower"], 6)) for row in rows(spec)] == [(8.0, 0.5), (20.0, 0.01)]


@pytest.mark.parametrize("look", [LIGHT, DARK])
def test_names_from_files_stay_text(look: Any) -> None:
    """Markup and quotes in a name are drawn as they are; the picture is well-formed and has no element of theirs."""
    charts = [
        waterfall([Step("", HOSTILE, 60)], "fr", look=look),
        pareto([Bar(HOSTILE, 60, 1, 1, 1, math.nan)], "fr", look=look),
        timeline([Lane(HOSTILE, [StateInterval(NOON, NOON + HOUR, "EXECUTING", HOSTILE)])], Window(NOON, NOON + HOUR),
                 "fr", PARIS, look=look),
    ]  # fmt: skip
    for chart in charts:
        drawn = svg(chart, "fr")
        assert any(HOSTILE in word for word in words(drawn))
        assert not [node for node in ET.fromstring(drawn).iter() if "script" in node.tag]  # noqa: S314


def test_same_spec_same_picture() -> None:
    """Two drawings of one chart are equal byte for byte."""
    chart = pareto([Bar("a", 60, 1, 1, 1, math.nan)], "fr")
    assert svg(chart, "fr") == svg(pareto([Bar("a", 60, 1, 1, 1, math.nan)], "fr"), "fr")


def test_without_rows() -> None:
    """A chart of nothing is an empty chart, not an error."""
    window = Window(NOON, NOON + HOUR)
    for chart in (waterfall([], "fr"), pareto([], "fr"), trend([], "fr", PARIS, title="TRS"), delays([], "fr"),
                  timeline([], window, "fr", PARIS)):  # fmt: skip
        assert svg(chart, "fr").startswith("<svg")

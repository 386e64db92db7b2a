"""A figure over time, with its target, and with less ink where less of a window is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from zoneinfo import ZoneInfo

import altair as alt

from dashboards.charts.look import LIGHT, Look, Spec, Width, dressed, time_axis, wall, wall_ms
from dashboards.web.texts import Language
from telemetry.samples import SECOND_NS


@dataclass(frozen=True, slots=True)
class Dot:
    """A figure over one window [ns]; NaN where it is not known. `coverage` [0…1]: how much of the window is known."""

    start_ns: int
    end_ns: int
    value: float
    coverage: float


def trend(
    dots: Sequence[Dot], language: Language, zone: ZoneInfo, *, title: str, target: float | None = None,
    share: bool = True, look: Look = LIGHT, width: Width = 640, height: int = 180,
) -> Spec:  # fmt: skip
    """Bars per window. `share`: the figure is a ratio, shown as a percentage from 0 to at least 100 %."""
    rows = [
        {
            "from": wall_ms(dot.start_ns, zone), "to": wall_ms(dot.end_ns, zone),
            "value": dot.value if isfinite(dot.value) else None, "coverage": dot.coverage,
            "when": wall(dot.start_ns, zone, language),
        }
        for dot in dots
    ]  # fmt: skip
    known = [dot.value for dot in dots if isfinite(dot.value)]
    top = max([1.0, *known]) if share else max([0.0, *known]) * 1.08 or 1.0
    seconds = (dots[-1].end_ns - dots[0].start_ns) / SECOND_NS if dots else 0.0
    shape = ".0%" if share else ",.4~g"
    covered = "part connue" if language == "fr" else "known share"
    bars = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(color=look["bar"], aria=False)  # Vega would tell the end of a bar in the zone of whoever looks
        .encode(
            x=alt.X("from:T", scale=alt.Scale(type="utc"), axis=time_axis(seconds, language)),
            x2="to:T",
            y2=alt.datum(0),
            y=alt.Y("value:Q", title=title, scale=alt.Scale(domain=[0, top]), axis=alt.Axis(format=shape, tickCount=5)),
            opacity=alt.Opacity("coverage:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0.25, 1], clamp=True)),
            tooltip=[
                alt.Tooltip("when:N", title=" "),
                alt.Tooltip("value:Q", title=title, format=".1%" if share else ",.4~g"),
                alt.Tooltip("coverage:Q", title=covered, format=".0%"),
            ],
        )
    )
    layers: list[alt.Chart] = [bars]
    if target is not None:
        goal = alt.Chart(alt.InlineData(values=[{"target": target}]))
        layers.append(goal.mark_rule(color=look["target"], strokeDash=[5, 4]).encode(y="target:Q"))
    told = f"{title}: {len(known)}/{len(rows)}"
    return dressed(alt.layer(*layers).properties(width=width, height=height, description=told), look)

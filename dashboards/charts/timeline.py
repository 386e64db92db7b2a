"""What machines did, one lane each: a coloured stretch per state, on the wall clock of the plant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import altair as alt

from dashboards.charts.look import LIGHT, Look, Spec, Width, dressed, time_axis, wall, wall_ms
from dashboards.web.looks import LOOKS
from dashboards.web.states import StateInterval
from dashboards.web.texts import Language, translations
from telemetry.samples import Window

_LANE: Final = 30


@dataclass(frozen=True, slots=True)
class Lane:
    """The states of one machine in time order."""

    name: str
    states: Sequence[StateInterval]


def timeline(
    lanes: Sequence[Lane], window: Window, language: Language, zone: ZoneInfo, *, look: Look = LIGHT,
    width: Width = 640, names: Mapping[str, str] | None = None,
) -> Spec:  # fmt: skip
    """The lanes from the top, cut to the window. States shorter than a pixel keep their place but may not be seen."""
    words = translations(language)
    label = {state: words.gettext(one.word) for state, one in LOOKS.items()} | dict(names or {})
    rows = [
        {
            "lane": lane.name, "state": label[one.state], "reason": one.reason,
            "from": wall_ms(max(one.start_ns, window.start_ns), zone),
            "to": wall_ms(min(one.end_ns, window.end_ns), zone),
            "when": f"{wall(one.start_ns, zone, language)} – {wall(one.end_ns, zone, language)}",
        }
        for lane in lanes
        for one in lane.states
        if one.end_ns > window.start_ns and one.start_ns < window.end_ns
    ]  # fmt: skip
    present = [state for state in LOOKS if label[state] in {row["state"] for row in rows}]
    colours = alt.Scale(domain=[label[state] for state in present], range=[look.state(state) for state in present])
    domain = [wall_ms(window.start_ns, zone), wall_ms(window.end_ns, zone)]
    bars = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(height=_LANE - 8, aria=False)  # Vega would tell its end in the zone of whoever looks
        .encode(
            x=alt.X(
                "from:T", scale=alt.Scale(type="utc", domain=domain, nice=False),
                axis=time_axis(window.seconds, language),
            ),
            x2="to:T",
            y=alt.Y("lane:N", sort=[lane.name for lane in lanes], title=None, axis=alt.Axis(ticks=False, domain=False)),
            color=alt.Color("state:N", scale=colours, title=None),
            tooltip=[
                alt.Tooltip("state:N", title=" "), alt.Tooltip("reason:N", title=" "),
                alt.Tooltip("when:N", title=" "),
            ],
        )
    )  # fmt: skip
    height = _LANE * max(1, len(lanes))
    return dressed(bars.properties(width=width, height=height, description=", ".join(one.name for one in lanes)), look)

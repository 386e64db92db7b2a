"""Pareto of losses: the largest first, with the share that each and all before it have of the whole."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import altair as alt

from dashboards.charts.look import LIGHT, Look, Spec, Width, dressed, few, room
from dashboards.web.formats import Formats
from dashboards.web.texts import Language
from pipeline.kpis.losses import Bar

_ROW: Final = 24
_LONGEST: Final = 42


def pareto(
    bars: Sequence[Bar], language: Language, *, names: Mapping[str, str] | None = None, most: int = 12,
    look: Look = LIGHT, width: Width = 640,
) -> Spec:  # fmt: skip
    """The bars in the order given (see pipeline.kpis.losses.pareto), at most `most` of them. `names`: what a bar is
    called, where its name is a code."""
    formats = Formats(language, ZoneInfo("UTC"))
    shown = [bar for bar in bars if bar.seconds > 0][:most]
    rows: list[dict[str, Any]] = [
        {
            "name": _short((names or {}).get(bar.name, bar.name) or "—", number),
            "hours": bar.seconds / 3600,
            "short": formats.duration(bar.seconds),
            "text": " · ".join(
                (formats.duration(bar.seconds), formats.percent(bar.share), f"Σ {formats.percent(bar.cumulative)}")
            ),
        }
        for number, bar in enumerate(shown)
    ]
    scale = room([(row["hours"], row["text"], row["short"]) for row in rows])
    order = [row["name"] for row in rows]
    y = alt.Y("name:N", sort=order, title=None, axis=alt.Axis(labelLimit=300, ticks=False, domain=False))
    base = alt.Chart(alt.InlineData(values=rows)).encode(y=y)
    x_title = "heures perdues" if language == "fr" else "hours lost"
    drawn = base.mark_bar(height=_ROW - 7, color=look["fault"]).encode(
        x=alt.X("hours:Q", title=x_title, axis=alt.Axis(format=",~r", tickCount=6, grid=False), scale=scale),
        tooltip=[alt.Tooltip("name:N", title=" "), alt.Tooltip("text:N", title=" ")],
    )
    words = base.mark_text(align="left", dx=5, color=look["ink"], text=few("text", "short")).encode(x="hours:Q")
    chart = alt.layer(drawn, words).properties(
        width=width, height=_ROW * max(1, len(rows)), description="; ".join(f"{r['name']}: {r['text']}" for r in rows)
    )
    return dressed(chart, look)


def _short(name: str, number: int) -> str:
    """A name that fits; names that were cut stay apart."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 4]}… {number + 1}"

"""The time waterfall of NF E60-182: from required time down to useful time, what was lost on the way, to scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

import altair as alt

from dashboards.charts.look import LIGHT, Look, Spec, Width, dressed, few, room
from dashboards.web.formats import Formats
from dashboards.web.texts import Language

_ROW: Final = 24


@dataclass(frozen=True, slots=True)
class Step:
    """One row: a time that is left, or (`loss`) one taken from the row above, with its code in the norm [s]."""

    code: str
    label: str
    seconds: float
    loss: bool = False


def waterfall(steps: Sequence[Step], language: Language, *, look: Look = LIGHT, width: Width = 640) -> Spec:
    """The rows from the top, the first a time. A loss below zero (a reference cycle too slow) points to the right."""
    formats = Formats(language, ZoneInfo("UTC"))
    whole = steps[0].seconds if steps else 0.0
    rows: list[dict[str, Any]] = []
    left = whole
    for number, step in enumerate(steps):
        start, end = (left - step.seconds, left) if step.loss else (0.0, step.seconds)
        left = start if step.loss else step.seconds
        share = step.seconds / whole if whole else None
        sign = "\u2212" if step.loss and step.seconds > 0 else ""
        length = ("\u2212" if step.seconds < 0 else "") + formats.duration(abs(step.seconds))
        rows.append({
            "row": f"{number:02d}", "name": f"{step.label} ({step.code})" if step.code else step.label,
            "from": min(start, end) / 3600, "to": max(start, end) / 3600, "kind": "loss" if step.loss else "time",
            "short": f"{sign}{length}",
            "text": f"{sign}{length} · {formats.percent(share)}" if share is not None else length,
        })  # fmt: skip
    names = {row["row"]: row["name"] for row in rows}
    labels = "".join(f"datum.value == '{row}' ? {_quoted(name)} : " for row, name in names.items()) + "''"
    y = alt.Y(
        "row:N", sort=None, title=None, axis=alt.Axis(labelExpr=labels, labelLimit=300, ticks=False, domain=False)
    )
    x_title = "heures" if language == "fr" else "hours"
    least = min((row["from"] for row in rows), default=0.0)
    scale = room([(row["to"], row["text"], row["short"]) for row in rows], least)
    x = alt.X("from:Q", title=x_title, axis=alt.Axis(format=",~r", tickCount=6, grid=False), scale=scale)
    base = alt.Chart(alt.InlineData(values=rows)).encode(y=y)
    colours = alt.Scale(domain=["time", "loss"], range=[look["bar"], look["fault"]])
    bars = base.mark_bar(height=_ROW - 7).encode(
        x=x, x2="to:Q", color=alt.Color("kind:N", scale=colours, legend=None),
        tooltip=[alt.Tooltip("name:N", title=" "), alt.Tooltip("text:N", title=" ")],
    )  # fmt: skip
    words = base.mark_text(align="left", dx=5, color=look["ink"], text=few("text", "short")).encode(x=alt.X("to:Q"))
    chart = alt.layer(bars, words).properties(
        width=width, height=_ROW * max(1, len(rows)), description="; ".join(f"{r['name']}: {r['text']}" for r in rows)
    )
    return dressed(chart, look)


def _quoted(text: str) -> str:
    """Text as a string of Vega's expression language: it may come from a file."""
    escaped = "".join(f"\\u{ord(sign):04x}" if sign in "\\'\"<>&" or ord(sign) < 32 else sign for sign in text)
    return f"'{escaped}'"

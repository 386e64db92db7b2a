"""How slow the slowest packets of a link are: the share of packets slower than a delay, both on a log scale."""

from collections.abc import Sequence
from math import isfinite

import altair as alt

from dashboards.charts.look import LIGHT, Look, Spec, Width, dressed
from dashboards.web.texts import Language


def delays(
    percentiles: Sequence[tuple[float, float]], language: Language, *, limit_ms: float | None = None,
    allowed: float | None = None, look: Look = LIGHT, width: Width = 640, height: int = 220,
) -> Spec:  # fmt: skip
    """`percentiles`: (q [0…1, exclusive], delay [ms]) in order; a delay that is not finite is a lost packet, and is not
    drawn. `limit_ms` [ms] and `allowed` [0…1]: the delay that an application allows, and the share that may be later.
    """
    rows = [{"ms": ms, "slower": 1 - q} for q, ms in percentiles if isfinite(ms) and ms > 0 and 0 < q < 1]
    french = language == "fr"
    x_title = "délai aller-retour (ms)" if french else "round-trip delay (ms)"
    y_title = "part des paquets plus lents" if french else "share of slower packets"
    reach = [row["ms"] for row in rows] + ([limit_ms] if limit_ms is not None else []) or [1.0]
    # a log axis draws a line for every digit unless told which
    across = alt.Axis(format=",~r", values=[digit * 10.0**power for power in range(-3, 6) for digit in (1, 2, 5)])
    along = alt.Axis(format="~%", values=[10.0**power for power in range(-9, 1)])
    span = alt.Scale(type="log", domain=[min(reach) / 1.3, max(reach) * 1.3], nice=False)
    x = alt.X("ms:Q", title=x_title, scale=span, axis=across)
    y = alt.Y("slower:Q", title=y_title, scale=alt.Scale(type="log", nice=True), axis=along)
    curve = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_line(color=look["median"], point=alt.OverlayMarkDef(color=look["median"], size=28), interpolate="linear")
        .encode(
            x=x, y=y, order=alt.Order("ms:Q"),
            tooltip=[alt.Tooltip("ms:Q", title="ms", format=".3~f"), alt.Tooltip("slower:Q", title=" ", format="~%")],
        )
    )  # fmt: skip
    layers: list[alt.Chart] = [curve]
    if limit_ms is not None:
        line = alt.Chart(alt.InlineData(values=[{"ms": limit_ms}]))
        layers.append(line.mark_rule(color=look["fault"], strokeDash=[5, 4]).encode(x="ms:Q"))
    if allowed is not None and rows and allowed >= min(row["slower"] for row in rows) / 10:
        bound = alt.Chart(alt.InlineData(values=[{"slower": allowed}]))
        layers.append(bound.mark_rule(color=look["fault"], strokeDash=[2, 3]).encode(y="slower:Q"))
    told = "; ".join(f"{row['slower']:.3g}: {row['ms']:.3g} ms" for row in rows)
    return dressed(alt.layer(*layers).properties(width=width, height=height, description=told), look)

"""The page of losses: where required time went. Sums of stored figures, and causes from the machines' own words."""

import asyncio
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Response

from dashboards.web import charts, problems
from dashboards.web.context import WebContext
from dashboards.web.definitions import LOSSES
from dashboards.web.memo import Memo
from dashboards.web.periods import PERIODS, Asked, Name, Period, period
from dashboards.web.rendering import Page, Renderer
from dashboards.web.texts import Language, mark, translations
from dashboards.web.totals import Totals, together, totals
from pipeline.kpis.losses import REJECTS, SPEED, Bar, Loss, Point, losses, pareto, point_of_trs, pooled_point
from pipeline.kpis.rollup import history
from telemetry.plant import Asset
from telemetry.samples import SECOND_NS

KEPT_S: Final = 30.0
REASONS_NS: Final = 31 * 24 * 3600 * SECOND_NS
"""Causes are read from the machines' own words: over a month at most [ns], a year would be read whole."""

Machine = Annotated[str, Query(max_length=200, description="path of a machine; without, all machines together")]
ChartName = Literal["waterfall", "pareto", "reasons", "trend"]


class Reader:
    """Sums and causes over a period, kept for KEPT_S. Synchronous and thread-safe."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self.machines: Final = [asset for asset in context.plant.assets if asset.kind == "machine"]
        self._totals: Memo[dict[str, Totals]] = Memo(KEPT_S, context.now_ns)
        self._reasons: Memo[tuple[list[Loss], Point]] = Memo(KEPT_S, context.now_ns)

    def period(self, name: Name) -> Period:
        return period(name, self._context.plant.zone, self._context.now_ns())

    def chosen(self, path: str) -> list[Asset]:
        """The machine of that path, or all for "". Raises ProblemError when there is none."""
        found = [asset for asset in self.machines if path in ("", asset.path)]
        if path and not found:
            raise problems.unknown("machine", path, "/api/v1/assets")
        return found

    def all(self, path: str, asked: Period) -> tuple[Totals, dict[str, Totals]]:
        """The sums of what was chosen, and of each machine of it."""
        key = (asked.name, asked.whole.start_ns)
        every = self._totals.get(key, lambda: totals(self._context.store, self.machines, asked))
        each = {asset.path: every[asset.path] for asset in self.chosen(path)}
        return each[path] if path else together(list(each.values())), each

    def causes(self, path: str, asked: Period) -> tuple[list[Loss], Point] | None:
        """Every loss with its reason and product, and what a point of TRS is worth on all of these machines; None when
        the period is too long to read again."""
        if asked.seen.end_ns - asked.seen.start_ns > REASONS_NS:
            return None
        found: list[Loss] = []
        points: list[Point] = []
        for asset in self.chosen(path):
            key = (asset.path, asked.name, asked.whole.start_ns)
            lost, point = self._reasons.get(key, lambda asset=asset: self._read(asset, asked))  # type: ignore[misc]  # the asset of this turn
            found += lost
            points.append(point)
        return found, pooled_point(points)

    def _read(self, asset: Asset, asked: Period) -> tuple[list[Loss], Point]:
        context = self._context
        line = history(context.store, context.plant, asset, asked.seen, context.now_ns())
        return losses(line, asked.seen), point_of_trs(line.over(asked.seen), asset)


def router(context: WebContext, reader: Reader, renderer: Renderer) -> APIRouter:
    """The page, and its charts."""
    routes = APIRouter(include_in_schema=False)
    drawn: Memo[dict[str, Any]] = Memo(KEPT_S, context.now_ns)

    def rendered(page: Page, asset: str, name: Name) -> Response:
        asked = reader.period(name)
        found, each = reader.all(asset, asked)
        causes = reader.causes(asset, asked)
        return renderer.page(
            page,
            "losses.html",
            machines=reader.machines,
            chosen=asset,
            asked=asked,
            periods=PERIODS,
            found=found,
            each=each,
            reasons=None if causes is None else _reasons(causes[0]),
            point=None if causes is None else causes[1],
            names=LOSSES,
            nan=math.isnan,
            waterfall=bool(steps(found)),
            charted=charts.AVAILABLE,
        )

    @routes.get("/losses")
    async def losses_page(page: Page, asset: Machine = "", period: Asked = "week") -> Response:
        return await asyncio.to_thread(rendered, page, asset, period)

    @routes.get("/charts/losses/{name}")
    async def chart(
        page: Page, name: ChartName, asset: Machine = "", period: Asked = "week", dark: charts.Dark = False
    ) -> dict[str, Any]:
        charts.require()
        begin_ns = reader.period(period).whole.start_ns  # at midnight another day
        key = (name, asset, period, begin_ns, page.language, dark)
        make = partial(_spec, context, reader, name, asset, period, page.language, dark)
        return await asyncio.to_thread(drawn.get, key, make)

    return routes


def _reasons(causes: list[Loss]) -> list[Bar]:
    """Stops by the words that people gave for them; what has no word is one bar."""
    return pareto((loss for loss in causes if loss.category not in (SPEED, REJECTS)), "reason")


def _spec(
    context: WebContext, reader: Reader, name: ChartName, path: str, asked: Name, language: Language, dark: bool
) -> dict[str, Any]:
    from dashboards.charts import DARK, LIGHT, Dot, Step, locale, pareto, trend, waterfall

    chosen = reader.period(asked)
    found, _ = reader.all(path, chosen)
    words, look = translations(language).gettext, DARK if dark else LIGHT
    names = {key: words(word) for key, (_, word) in LOSSES.items()}
    target = context.plant.asset(path).target_trs if path else None

    def _drawn_reasons(causes: tuple[list[Loss], Point] | None) -> dict[str, Any]:
        bars = [] if causes is None else _reasons(causes[0])
        called = {bar.name: bar.name.replace("_", " ") or words("no reason given") for bar in bars}
        return pareto(bars, language, names=called, look=look, width="container")

    make: Mapping[str, Callable[[], dict[str, Any]]] = {
        "waterfall": lambda: waterfall(
            [Step(code, words(word), seconds, lost) for code, word, seconds, lost in steps(found)], language,
            look=look, width="container",
        ),
        "pareto": lambda: pareto(_bars(found), language, names=names, look=look, width="container"),
        "reasons": lambda: _drawn_reasons(reader.causes(path, chosen)),
        "trend": lambda: trend(
            [Dot(v.start_ns, v.end_ns, v.value, v.coverage) for v in found.trend], language, context.plant.zone,
            title="TRS", target=target, look=look, width="container",
        ),
    }  # fmt: skip
    return {"spec": make[name](), "locale": locale(language)}


def steps(found: Totals) -> list[tuple[str, str, float, bool]]:
    """Opening time down to useful time: symbol, name, length [s], whether it is a loss. Unknown time is told apart."""
    sums, ratios = found.sums, found.ratios
    if not all(math.isfinite(sums[name]) for name in ("opening_time", "required_time", "running_time")):
        return []
    rows: list[tuple[str, str, float, bool]] = [
        ("tO", mark("Opening time"), sums["opening_time"], False),
        ("", mark("Planned stops"), sums["opening_time"] - sums["required_time"], True),
        ("tR", mark("Required time"), sums["required_time"], False),
        ("", mark("State not known"), sums["unknown_time"], True),
    ]
    stops = {one.name: one.seconds for one in found.losses}
    rows += [(LOSSES[name][0], LOSSES[name][1], stops[name], True) for name in LOSSES
             if name in stops and name not in (SPEED, REJECTS)]  # fmt: skip
    rows.append(("tF", mark("Running time"), sums["running_time"], False))
    if ratios["tp"].coverage and ratios["tq"].coverage:
        rows += [
            (LOSSES[SPEED][0], LOSSES[SPEED][1], stops.get(SPEED, 0.0), True),
            ("tN", mark("Net time"), sums["running_time"] - stops.get(SPEED, 0.0), False),
            (LOSSES[REJECTS][0], LOSSES[REJECTS][1], stops.get(REJECTS, 0.0), True),
            ("tU", mark("Useful time"), sums["running_time"] - stops.get(SPEED, 0.0) - stops.get(REJECTS, 0.0), False),
        ]
    return rows


def _bars(found: Totals) -> list[Bar]:
    bars, reached = [], 0.0
    for one in found.losses:
        reached += one.share
        bars.append(Bar(one.name, one.seconds, one.share, reached, 0, one.cost))
    return bars

"""The page of a 5G link: how late its packets are, whether it carries its use case, and by which radio."""

import asyncio
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response

from dashboards.web import charts, links, problems
from dashboards.web.context import WebContext
from dashboards.web.links import LinkLatency, LinkRadio, LinkService
from dashboards.web.memo import Memo
from dashboards.web.periods import PERIODS, Asked, Name, Period, period
from dashboards.web.rendering import Page, Renderer
from dashboards.web.texts import Language
from pipeline.kpis.use_cases import USE_CASES
from telemetry.plant import Asset
from telemetry.samples import Window

KEPT_S: Final = 30.0
Link = Annotated[str, Query(max_length=200, description="path of a link; without, the first")]


class Reader:
    """What the page says of a link over a period, kept for KEPT_S. Synchronous and thread-safe."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self.links: Final = [asset for asset in context.plant.assets if asset.kind == "link"]
        self._latency: Memo[LinkLatency] = Memo(KEPT_S, context.now_ns)
        self._service: Memo[LinkService] = Memo(KEPT_S, context.now_ns)
        self._radio: Memo[LinkRadio] = Memo(KEPT_S, context.now_ns)

    def period(self, name: Name) -> Period:
        return period(name, self._context.plant.zone, self._context.now_ns())

    def chosen(self, path: str) -> Asset | None:
        """The link of that path, or the first; None in a plant without links. Raises ProblemError when unknown."""
        found = [asset for asset in self.links if path in ("", asset.path)]
        if path and not found:
            raise problems.unknown("link", path, "/api/v1/assets")
        return found[0] if found else None

    def _hours(self, asked: Period) -> Window:
        return Window(asked.whole.start_ns, asked.whole.end_ns, "hour")

    def latency(self, path: str, asked: Period) -> LinkLatency:
        window = self._hours(asked)
        key = (path, window.start_ns, asked.name)
        return self._latency.get(key, lambda: links.latency_over(self._context.store, path, window))

    def service(self, asset: Asset, asked: Period) -> LinkService | None:
        """None without a use case that is known."""
        if asset.use_case not in USE_CASES:
            return None
        window = self._hours(asked)
        key = (asset.path, window.start_ns, asked.name)
        return self._service.get(key, lambda: links.service_over(self._context, asset.path, window))

    def radio(self, path: str) -> LinkRadio:
        """Of the last hour: packets are joined one by one."""
        now_ns = self._context.now_ns()
        window = Window(now_ns - links.HOUR_NS, now_ns)
        return self._radio.get(path, lambda: links.radio_over(self._context.store, path, window))

    def warm(self) -> None:
        """Read what the page shows when first opened."""
        asked = self.period("week")
        for link in self.links[:1]:
            self.latency(link.path, asked)
            self.service(link, asked)
            self.radio(link.path)


def router(context: WebContext, reader: Reader, renderer: Renderer) -> APIRouter:
    """The page and its chart."""
    routes = APIRouter(include_in_schema=False)
    drawn: Memo[dict[str, Any]] = Memo(KEPT_S, context.now_ns)

    def rendered(page: Page, path: str, name: Asked) -> Response:
        asked, link = reader.period(name), reader.chosen(path)
        values: dict[str, Any] = {"asked": asked, "periods": PERIODS, "links": reader.links, "link": link}
        if link is not None:
            values |= {
                "latency": reader.latency(link.path, asked),
                "service": reader.service(link, asked),
                "radio": reader.radio(link.path),
            }
        return renderer.page(page, "network.html", charted=charts.AVAILABLE, **values)

    @routes.get("/network")
    async def network_page(page: Page, asset: Link = "", period: Asked = "week") -> Response:
        return await asyncio.to_thread(rendered, page, asset, period)

    @routes.get("/charts/network/delays")
    async def chart(page: Page, asset: Link = "", period: Asked = "week", dark: charts.Dark = False) -> dict[str, Any]:
        charts.require()
        begin_ns = reader.period(period).whole.start_ns  # at midnight another day
        key = (asset, period, begin_ns, page.language, dark)
        return await asyncio.to_thread(drawn.get, key, partial(spec, asset, period, page.language, dark))

    def spec(path: str, name: Asked, language: Language, dark: bool) -> dict[str, Any]:
        from dashboards.charts import DARK, LIGHT, delays, locale

        link = reader.chosen(path)
        if link is None:
            raise problems.unknown("link", path, "/api/v1/assets")
        asked = reader.period(name)
        found, service = reader.latency(link.path, asked), reader.service(link, asked)
        points = [(links.QUANTILES[name], ms) for name, ms in found.percentiles_ms.items() if ms is not None]
        drawn = delays(
            points,
            language,
            limit_ms=service.latency_ms if service else None,
            allowed=1 - service.asked_availability if service else None,
            look=DARK if dark else LIGHT,
            width="container",
        )
        return {"spec": drawn, "locale": locale(language)}

    return routes

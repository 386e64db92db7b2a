"""What costs most: by category, reason and machine, over time, in hours and in money."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.common import StackingConfig
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.common import StackingMode

from dashboards.grafana.boards.words import LOSS_WORDS, told_apart
from dashboards.grafana.frame import board
from dashboards.grafana.looks import colour
from dashboards.grafana.panels import Panel, bars, field, filled, longest_first, ranked, transformed
from dashboards.grafana.queries import INTERVAL, Expression, at, call, kpis, name
from dashboards.grafana.texts import Texts
from telemetry.plant import Plant

_HOURS: dict[str, Expression] = {"hours": f"{call('sum', 'value')} / 3600"}
_SHORT_OF: dict[str, Expression] = {"hours": f"({call('sum', 'denominator')} - {call('sum', 'numerator')}) / 3600"}
"""What a rate lacks to 1, in hours: its denominator is the time it could have had."""


def losses(plant: Plant, texts: Texts) -> Dashboard:
    return board(
        "losses", plant, texts, _panels(plant, texts), since=("now-7d", "now"), refresh="5m",
        says="What costs most: required time that was not useful, by category of NF E60-182, by reason and by machine.",
    )  # fmt: skip


def _panels(plant: Plant, texts: Texts) -> Iterator[Panel | str]:
    pareto = {texts(word): kpis(_HOURS, kpi, "hour") for kpi, (word, _) in LOSS_WORDS.items()}
    pareto[texts("Slow cycles")] = kpis(_SHORT_OF, "tp", "hour")
    pareto[texts("Bad parts")] = kpis(_SHORT_OF, "tq", "hour")
    yield longest_first(filled(
        ranked(), texts, "Hours lost by category", "NF E60-182: required time tR less useful time tU, split by what it "
        "was spent on; slow cycles are tF − tN, bad parts tN − tU. Together they are tR − tU.",
        pareto, (10, 12), unit="h",
    ).min(0).decimals(1))  # fmt: skip
    by_machine = kpis({"hours": _SHORT_OF["hours"]}, "trs", "hour", group=("asset",))
    yield longest_first(filled(
        ranked(), texts, "Hours lost by machine", "NF E60-182 tR − tU: required time that was not useful.",
        by_machine, (6, 12), unit="h",
    ).min(0).decimals(1))  # fmt: skip
    reasons = filled(
        ranked(), texts, "Hours stopped by reason", "Required time that was stopped (NF E60-182 tR − tF), by what the "
        "machine or its operator gave as the reason, in their words, over whole hours. Empty: no reason was given.",
        kpis({"detail": name("detail")}, "stop_time", "hour"), (8, 12), table_rows=True, unit="s",
    )  # fmt: skip
    transformed(reasons, "extractFields", {"source": "detail", "format": "json", "replace": True, "keepTime": True})
    yield longest_first(reasons)
    trend = {texts(word): kpis(_HOURS, kpi, "hour", group=(INTERVAL,)) for kpi, (word, _) in LOSS_WORDS.items()}
    stacked = bars().stacking(StackingConfig().mode(StackingMode.NORMAL).group("A")).interval("1h")
    yield _coloured(filled(
        stacked, texts, "Losses over time", "Hours lost per bar and category (NF E60-182), hour by hour or coarser.",
        trend, (24, 9), unit="h",
    ), texts)  # fmt: skip
    called = told_apart(plant.assets)
    costs = {
        called[asset.path]: kpis(
            {"cost": f"{_SHORT_OF['hours']} * {asset.hourly_cost:g}"}, "trs", "hour", path=at(asset.path)
        )
        for asset in plant.assets
        if asset.kind == "machine" and asset.hourly_cost is not None
    }
    if costs:
        yield longest_first(filled(
            ranked(), texts, "Cost of the losses", "Hours lost (tR − tU) × the hourly cost of the machine in the plant "
            "file. All machines, whatever is chosen above.",
            costs, (24, 8), unit="currencyEUR",
        ).min(0).decimals(0))  # fmt: skip


def _coloured(panel: Panel, texts: Texts) -> Panel:
    for word, css in LOSS_WORDS.values():
        field(panel, texts(word), color={"mode": "fixed", "fixedColor": colour(css)})  # type: ignore[type-var]  # each of the union is one of PanelT
    return panel

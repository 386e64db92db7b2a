"""Panels of one look: every one has a title, what it is made of, its queries, its unit and its word for "no data"."""

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any, Final, TypeVar

from grafana_foundation_sdk.builders import (
    barchart,
    bargauge,
    common,
    heatmap,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog import runtime
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models

from dashboards.grafana.looks import Mapping, colour, no_data
from dashboards.grafana.queries import Select, Source
from dashboards.grafana.texts import Texts

Panel = (
    barchart.Panel | bargauge.Panel | heatmap.Panel | stat.Panel | statetimeline.Panel | table.Panel | timeseries.Panel
)
PanelT = TypeVar("PanelT", barchart.Panel, bargauge.Panel, heatmap.Panel, stat.Panel, statetimeline.Panel, table.Panel,
                 timeseries.Panel)  # fmt: skip
MIXED: Final = "-- Mixed --"
WIDTH: Final = 24
"""Columns of Grafana's grid."""
MOST_BARS: Final = 15
"""Of a Pareto: what comes after is too small to matter."""


class Query(Builder[Dataquery]):
    """A Select as Grafana's InfluxDB data source keeps it."""

    def __init__(self, select: Select, letter: str = "A", *, as_table: bool = False, alias: str = "") -> None:
        self._data: dict[str, Any] = {
            "refId": letter,
            "datasource": {"type": "influxdb", "uid": select.source.value},
            "rawQuery": True,
            "query": str(select),
            "resultFormat": "table" if as_table else "time_series",
        }
        if alias:
            self._data["alias"] = alias

    def build(self) -> Dataquery:
        return runtime.UnknownDataquery(self._data)


def ref_id(number: int) -> str:
    """What Grafana calls the queries of a panel, counted from 0: A … Z, AA, AB …"""
    before, place = divmod(number, len(ascii_uppercase))
    return (ref_id(before - 1) if before else "") + ascii_uppercase[place]


def source(of: Source | str) -> common_models.DataSourceRef:
    if of == MIXED:
        return common_models.DataSourceRef(type_val="datasource", uid=MIXED)
    return common_models.DataSourceRef(type_val="influxdb", uid=str(of))


def filled(
    panel: PanelT, texts: Texts, title: str, says: str, queries: dict[str, Select] | Select, size: tuple[int, int],
    *, unit: str = "", mappings: Sequence[Mapping] = (), steps: Sequence[tuple[float | None, str]] = (),
    table_rows: bool = False, alias: str = "$tag_asset",
) -> PanelT:  # fmt: skip
    """A panel with all that every panel must have. `says` is its description; `queries` maps aliases to queries, in
    their order; `steps` are thresholds (from value, colour of the palette)."""
    asked = queries if isinstance(queries, dict) else {alias: queries}
    for number, (series_alias, select) in enumerate(asked.items()):
        panel.with_target(Query(select, ref_id(number), as_table=table_rows, alias="" if table_rows else series_alias))
    sources = {select.source for select in asked.values()}
    panel.datasource(source(sources.pop() if len(sources) == 1 else MIXED))
    panel.title(texts(title)).description(texts(says)).no_value(texts("no data")).span(size[0]).height(size[1])
    panel.mappings([*(mappings or no_data(texts))])
    if unit:
        panel.unit(unit)
    levels = [models.Threshold(value=value, color=colour(css)) for value, css in steps or ((None, "bar"),)]
    panel.thresholds(builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(levels))
    return panel


def last_value(panel: stat.Panel | bargauge.Panel) -> None:
    """Show the newest value as it is: an absent one stays absent."""
    panel.reduce_options(common.ReduceDataOptions().calcs(["last"]).values(False))


def big() -> stat.Panel:
    """A figure to be read from ten metres: the whole tile takes its colour, the text as large as fits."""
    panel = stat.Panel().graph_mode(common_models.BigValueGraphMode.NONE)
    panel.color_mode(common_models.BigValueColorMode.BACKGROUND_SOLID)
    panel.text_mode(common_models.BigValueTextMode.VALUE)
    last_value(panel)
    return panel


def plain() -> stat.Panel:
    """As large, and without a colour."""
    return big().color_mode(common_models.BigValueColorMode.NONE)


def lines(*, gaps: bool = True) -> timeseries.Panel:
    """Lines that break where nothing was measured."""
    panel = timeseries.Panel().line_width(2).span_nulls(not gaps).show_points(common_models.VisibilityMode.AUTO)
    legend = common.VizLegendOptions().show_legend(True).display_mode(common_models.LegendDisplayMode.LIST)
    panel.legend(legend.placement(common_models.LegendPlacement.BOTTOM).calcs([]))
    return panel


def bars() -> timeseries.Panel:
    """One bar per window of time."""
    return lines().draw_style(common_models.GraphDrawStyle.BARS).fill_opacity(70).line_width(0)


def ranked() -> bargauge.Panel:
    """Horizontal bars in the order of the queries."""
    panel = bargauge.Panel().orientation(common_models.VizOrientation.HORIZONTAL)
    panel.display_mode(common_models.BarGaugeDisplayMode.BASIC).show_unfilled(False)
    last_value(panel)
    return panel


def longest_first(panel: bargauge.Panel) -> bargauge.Panel:
    """For a Pareto: one bar per series, summed over its points, the longest on top."""
    transformed(panel, "reduce", {"mode": "seriesToRows", "reducers": ["sum"], "includeTimeField": False})
    transformed(panel, "sortBy", {"fields": {}, "sort": [{"field": "Total", "desc": True}]})
    return panel.reduce_options(common.ReduceDataOptions().values(True).limit(MOST_BARS))


def strip() -> statetimeline.Panel:
    """States over time, equal neighbours merged."""
    panel = statetimeline.Panel().merge_values(True).show_value(common_models.VisibilityMode.AUTO).row_height(0.85)
    legend = common.VizLegendOptions().show_legend(True).display_mode(common_models.LegendDisplayMode.LIST)
    return panel.legend(legend.placement(common_models.LegendPlacement.BOTTOM).calcs([])).fill_opacity(90).line_width(0)


def rows() -> table.Panel:
    return table.Panel().cell_height(common_models.TableCellHeight.MD)


def transformed(panel: PanelT, kind: str, options: dict[str, Any]) -> PanelT:
    panel.with_transformation(models.DataTransformerConfig(id_val=kind, options=options))
    return panel


def field(panel: PanelT, column: str, **properties: object) -> PanelT:
    """What one field is to have beside the rest: unit="percentunit", displayName=…, thresholds=…"""
    values = [
        models.DynamicConfigValue(id_val=key.replace("__", "."), value=value) for key, value in properties.items()
    ]
    panel.override_by_name(column, values)
    return panel


def steps(*levels: tuple[float | None, str]) -> dict[str, Any]:
    """Thresholds as an override's value."""
    return {"mode": "absolute", "steps": [{"value": value, "color": colour(css)} for value, css in levels]}


def without_time(panel: PanelT) -> PanelT:
    """A sum over the whole range has no instant: InfluxDB gives the first of the range, or 1970."""
    return transformed(panel, "organize", {"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": {}})


_COLUMNS: Final = {
    "Time": "time", "asset": "Asset", "source": "Source", "reason": "Reason", "product": "Product", "hours": "Hours",
    "failures": "Failures", "alarm": "Alarm", "severity": "Severity", "break": "Break", "repair": "Repair",
}  # fmt: skip
"""What the columns of a table are called by people."""


def titled(panel: table.Panel, texts: Texts) -> table.Panel:
    """A table whose columns bear words of the board's language."""
    for column, word in _COLUMNS.items():
        field(panel, column, displayName=texts(word))
    return panel


COLOUR_BY_VALUE: Final = {"mode": "thresholds"}


def only(panel: stat.Panel, column: str) -> stat.Panel:
    """Show this column of the first row of a table."""
    return panel.reduce_options(common.ReduceDataOptions().values(True).limit(1).fields(f"/^{column}$/"))


def every_column(panel: stat.Panel) -> stat.Panel:
    """Show each column of the first row, words too, instead of one figure of the numbers."""
    return panel.reduce_options(common.ReduceDataOptions().values(True).limit(1).fields("/.*/"))

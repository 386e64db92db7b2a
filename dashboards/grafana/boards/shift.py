"""Shifts as they are worked: target against actual, each a time range to open, and what the next crew takes over."""

from collections.abc import Iterator
from typing import Any

from grafana_foundation_sdk.builders.common import GraphThresholdsStyleConfig
from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, ThresholdsConfig
from grafana_foundation_sdk.models.common import GraphThresholdsStyleMode
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, Threshold, ThresholdsMode

from dashboards.grafana import looks
from dashboards.grafana.boards.words import told_apart
from dashboards.grafana.frame import TITLES, board, uid
from dashboards.grafana.panels import Panel, bars, big, field, filled, rows, steps, titled, transformed, without_time
from dashboards.grafana.queries import CHOSEN, Select, Source, at, call, kpis, name, samples
from dashboards.grafana.texts import Texts
from telemetry.plant import Asset, Plant, Turn


def shift(plant: Plant, texts: Texts) -> Dashboard:
    return board(
        "shift", plant, texts, _panels(plant, texts), since=("now-2d", "now"), refresh="1m",
        says="Shift by shift: TRS against target, parts, stops, and what the next crew takes over. The links above set "
        "the time range to a shift of today or yesterday.",
        links=list(_ranges(plant, texts)),
    )  # fmt: skip


def _ranges(plant: Plant, texts: Texts) -> Iterator[DashboardLink]:
    """A link per shift of the plant's calendars, today and yesterday, in Grafana's own date arithmetic."""
    turns: dict[str, Turn] = {turn.name: turn for calendar in plant.calendars for turn in calendar.shifts}
    for days_ago, day in ((0, "today"), (1, "yesterday")):
        for turn in turns.values():
            start = "now/d" if days_ago == 0 else f"now-{days_ago}d/d"
            end = turn.end + (24 * 60 if turn.end <= turn.start else 0)
            address = f"/d/{uid('shift', texts)}?from={start}%2B{turn.start}m&to={start}%2B{end}m"
            link = DashboardLink(f"{turn.name}, {texts(day)}").type(DashboardLinkType.LINK).icon("clock-nine")
            yield link.url(address).include_vars(True).keep_time(False)


def _panels(plant: Plant, texts: Texts) -> Iterator[Panel | str]:
    yield _against_target(plant, texts)
    yield _table(plant, texts)
    for title, kpi in (("Parts made", "parts"), ("Good parts", "parts_good")):
        yield filled(
            bars(), texts, title, "NF E60-182 NPR and NPB by shift, at its start: growth of the counters.",
            kpis({kpi: call("sum", "value")}, kpi, "shift", group=("time(1h)", "asset"), fill="none"), (12, 8),
            unit="short",
        ).decimals(0)  # fmt: skip
    yield "Hand-over"
    told = samples("machine", {"code": looks.STATE_WITH_QUALITY}, group=("asset",))
    state = Select(Source.SAMPLES, {"state": call("last", "code")}, told, group=("asset",))
    yield filled(
        big(), texts, "State handed over", "The last state each machine told in the time range.", state, (24, 5),
        mappings=looks.state_mappings(texts),
    )  # fmt: skip
    said = filled(
        rows(), texts, "Last reason and product", "The last reason for a stop and the product in work of each machine.",
        samples("machine", {"reason": call("last", "reason"), "product": call("last", "product")}, group=("asset",)),
        (12, 8), table_rows=True,
    )  # fmt: skip
    yield titled(without_time(said), texts)
    lost = {"hours": f"{call('sum', 'breakdown')} / 3600"}
    broken = kpis({"breakdown": name("value")}, "breakdown_time", "hour", group=("asset",))
    breakdowns = filled(
        rows(), texts, "Breakdown hours", "NF E60-182 tP in the time range, by machine: what maintenance takes over.",
        Select(Source.KPIS, lost, broken, group=("asset",)), (12, 8), unit="h", table_rows=True,
    ).decimals(1)  # fmt: skip
    yield titled(without_time(breakdowns), texts)


def _against_target(plant: Plant, texts: Texts) -> Panel:
    """A series per machine, each over its own target: one line at 100 % then judges them all."""
    aimed = [(asset, asset.target_trs) for asset in _machines(plant) if asset.target_trs is not None]
    if not aimed:
        plain = kpis({"trs": call("mean", "value")}, "trs", "shift", group=("time(1h)", "asset"), fill="none")
        says = "NF E60-182 TRS = tU/tR of each shift, at its start. No machine of the plant file has a target."
        return filled(bars(), texts, "TRS by shift", says, plain, (24, 9), unit="percentunit").min(0)
    called = told_apart(_machines(plant))
    by_hour = ("time(1h)",)
    panel = filled(
        bars(), texts, "TRS against target, by shift", "NF E60-182 TRS = tU/tR of each shift ÷ the target of its "
        "machine in the plant file, at the start of the shift: from 100 % on (the line) the target was met.",
        {called[asset.path]: _of(asset, {"trs": f"{call('mean', 'value')} / {target}"}, group=by_hour, fill="none")
         for asset, target in aimed},
        (24, 9), unit="percentunit",
    ).min(0).decimals(0)  # fmt: skip
    panel.thresholds_style(GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    levels = [Threshold(None, looks.colour("stop")), Threshold(1.0, looks.colour("run"))]
    return panel.thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(levels))


def _machines(plant: Plant) -> list[Asset]:
    return [asset for asset in plant.assets if asset.kind == "machine"]


def _of(asset: Asset, columns: dict[str, str], **more: Any) -> Select:
    """TRS of the shifts of one machine, where it is among the chosen ones."""
    return kpis(columns, "trs", "shift", path=(*CHOSEN, *at(asset.path)), **more)


def _met(asset: Asset) -> dict[str, str]:
    return {} if asset.target_trs is None else {"met": f"{name('value')} / {asset.target_trs}"}


def _table(plant: Plant, texts: Texts) -> Panel:
    columns = {
        "trs": name("value"), "known": name("coverage"), "end": f"{name('end')} / 1000000", "machine": name("asset"),
        "final": name("final"),
    }  # fmt: skip
    called = told_apart(_machines(plant))
    panel = filled(
        rows(), texts, "Shifts", "Each shift with its TRS (NF E60-182), the same as a share of the target of its "
        "machine in the plant file, and the share of its required time that is known. A shift in progress is marked: "
        "its figures still change. Click a TRS to open the machine over exactly that shift.",
        {called[asset.path]: _of(asset, columns | _met(asset)) for asset in _machines(plant)},
        (24, 9), table_rows=True,
    )  # fmt: skip
    transformed(panel, "merge", {})
    transformed(panel, "sortBy", {"fields": {}, "sort": [{"field": "Time", "desc": True}]})
    transformed(panel, "organize", {
        "excludeByName": {}, "renameByName": {},
        "indexByName": {"Time": 0, "end": 1, "machine": 2, "trs": 3, "met": 4, "known": 5, "final": 6},
    })  # fmt: skip
    link = {
        "title": texts("Open board") + ": " + texts(TITLES["machine"]),
        "url": f"/d/{uid('machine', texts)}?from=${{__data.fields.Time.numeric}}&to=${{__data.fields.end.numeric}}"
        "&var-asset=${__data.fields.machine}",
    }
    field(panel, "trs", displayName="TRS", unit="percentunit", decimals=1, links=[link])
    levels = steps((None, "fault"), (0.85, "stop"), (1.0, "run"))
    field(panel, "met", displayName=texts("of the target"), unit="percentunit", decimals=0, thresholds=levels,
          custom__cellOptions={"type": "color-background"})  # fmt: skip
    field(panel, "known", displayName=texts("known"), unit="percentunit", decimals=0)
    over = {"true": {"text": texts("over"), "index": 0},
            "false": {"text": texts("in progress"), "color": looks.colour("alarm"), "index": 1}}  # fmt: skip
    field(panel, "final", displayName=texts("shift"), mappings=[{"type": "value", "options": over}],
          custom__cellOptions={"type": "color-text"})  # fmt: skip
    field(panel, "Time", displayName=texts("from"))
    field(panel, "end", displayName=texts("until"), unit="dateTimeAsIso")
    return field(panel, "machine", displayName=texts("Machine"))

"""One machine: what it did, what its time went into, how it trends, what it made, what it drew."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.grafana import looks
from dashboards.grafana.boards.words import target_steps
from dashboards.grafana.frame import board
from dashboards.grafana.panels import Panel, big, field, filled, lines, ranked, rows, steps, strip, titled
from dashboards.grafana.panels import bars as bar_panel
from dashboards.grafana.queries import INTERVAL, RATIO, call, held, kpis, name, samples
from dashboards.grafana.texts import Texts
from telemetry.plant import Plant

_BY_ASSET = ("asset",)


def machine(plant: Plant, texts: Texts) -> Dashboard:
    return board(
        "machine", plant, texts, _panels(plant, texts), one_asset=True,
        says="One machine: its states, where its time went, its rates by shift, parts, alarms, spindle and power.",
    )  # fmt: skip


def _panels(plant: Plant, texts: Texts) -> Iterator[Panel | str]:
    yield _states(texts)
    trs = filled(
        big(), texts, "TRS", "NF E60-182 TRS = tU/tR over the hours of the time range, sums over sums. Colours follow "
        "the machine's target in the plant file.",
        kpis({"trs": RATIO}, "trs", "hour", group=_BY_ASSET), (4, 7), unit="percentunit",
    ).decimals(1)  # fmt: skip
    for asset in plant.assets:
        if asset.target_trs is not None:
            field(trs, asset.path.rpartition("/")[2], thresholds=steps(*target_steps(asset)))
    yield trs
    yield _waterfall(texts)
    yield filled(
        big(), texts, "Coverage", "Share of the required time whose state is known, mean of the hours. Below 95 % read "
        "the figures beside with care: unknown time is in no rate.",
        kpis({"coverage": call("mean", "coverage")}, "trs", "hour"), (4, 7), unit="percentunit", alias="coverage",
        steps=((None, "fault"), (0.8, "stop"), (0.95, "run")),
    ).decimals(0)  # fmt: skip
    yield filled(
        big(), texts, "MTBF", "ISO 22400-2 MTBF: operating time per breakdown, sums over sums; no breakdown, no "
        "figure.",
        kpis({"mtbf": RATIO}, "mtbf", "hour"), (4, 7), unit="s", alias="MTBF",
    ).decimals(1)  # fmt: skip
    rates = {rate.title(): kpis({rate: call("last", "value")}, rate, "shift", group=("time(1h)",))
             for rate in ("do", "tp", "tq", "trs")}  # fmt: skip
    rates["TRS"] = rates.pop("Trs")
    yield filled(
        lines().span_nulls(True), texts, "Do, Tp, Tq and TRS by shift", "NF E60-182, one point per shift, at its "
        "start: Do = tF/tR, Tp = tN/tF, Tq = tU/tN, TRS = Do·Tp·Tq. Tp above 100 %: a reference cycle is too slow.",
        rates, (12, 9), unit="percentunit",
    ).min(0)  # fmt: skip
    parts = {texts("all parts"): "parts", texts("good parts"): "parts_good"}
    yield filled(
        bar_panel(), texts, "Parts per hour", "NF E60-182 NPR and NPB (ISO 22400-2 PQ and GQ): growth of the counters, "
        "resets taken out. No bar: not known; a zero shows in the tooltip.",
        {alias: kpis({kpi: call("sum", "value")}, kpi, "hour", group=("time(1h)",)) for alias, kpi in parts.items()},
        (12, 9), unit="short",
    ).decimals(0)  # fmt: skip
    columns = {"product": name("product")}
    yield titled(filled(
        rows(), texts, "Products", "What the machine said it makes, with the instant of each change.",
        samples("machine", columns), (6, 8), table_rows=True,
    ), texts)  # fmt: skip
    yield titled(filled(
        rows(), texts, "Reasons", "What the machine said of its stops, with the instant: its own words. Empty: it runs "
        "again.", samples("machine", {"reason": name("reason")}), (6, 8), table_rows=True,
    ), texts)  # fmt: skip
    yield filled(
        lines(), texts, "Spindle load and power", "Mean of the samples per point; gaps are silence, not zero.",
        {texts("spindle load [%]"): samples("machine", {"load": call("mean", "spindle_load")}, group=(INTERVAL,)),
         texts("power [W]"): samples("machine", {"power": call("mean", "power")}, group=(INTERVAL,))},
        (12, 8), unit="short",
    )  # fmt: skip
    yield titled(filled(
        rows(), texts, "Alarms", "Alarms and messages of the machine, newest last, with their text.",
        samples("machine", {"alarm": name("alarm_text"), "severity": name("alarm")}), (24, 6), table_rows=True,
    ).no_value(texts("no alarm")), texts)  # fmt: skip


def _states(texts: Texts) -> Panel:
    return filled(
        strip(), texts, "States", "State of the machine from the last thing it told (OPC 40001-1, split by cause). The "
        "first stretch holds the state in force when the time range begins. A question mark: uncertain; grey: nobody "
        "vouches for it.",
        held("machine", {"state": looks.STATE_WITH_QUALITY}), (24, 6), mappings=looks.state_mappings(texts),
        alias=texts("state"),
    )  # fmt: skip


def _waterfall(texts: Texts) -> Panel:
    hours = {"hours": f"{call('sum', 'value')} / 3600"}
    useful = {"hours": f"{call('sum', 'numerator')} / 3600"}
    falls = {
        texts("tO opening"): kpis(hours, "opening_time", "hour"),
        texts("tR required"): kpis(hours, "required_time", "hour"),
        texts("tF running"): kpis(hours, "running_time", "hour"),
        texts("tN net"): kpis(useful, "tp", "hour"),
        texts("tU useful"): kpis(useful, "trs", "hour"),
    }
    return filled(
        ranked(), texts, "Where the time went", "NF E60-182: opening time tO less planned stops is required time tR; "
        "less stops, running time tF; less slow cycles, net time tN; less bad parts, useful time tU. TRS = tU/tR.",
        falls, (12, 7), unit="h",
    ).min(0).decimals(1)  # fmt: skip

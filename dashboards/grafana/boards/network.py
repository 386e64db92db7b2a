"""The 5G link: how slow, how often lost, for how long, is it enough for what it carries, and was it the radio?"""

from collections.abc import Iterator
from typing import Final

from grafana_foundation_sdk.builders.dashboard import CustomVariable, Dashboard
from grafana_foundation_sdk.builders.heatmap import HeatmapColorOptions
from grafana_foundation_sdk.builders.heatmap import Panel as Heatmap
from grafana_foundation_sdk.models.dashboard import ValueMap, ValueMappingResult, VariableOption

from dashboards.grafana.boards.words import delay_steps
from dashboards.grafana.frame import board
from dashboards.grafana.looks import colour, no_data
from dashboards.grafana.panels import Panel, bars, big, field, filled, lines, rows, strip, titled, without_time
from dashboards.grafana.queries import INTERVAL, RATIO, call, held, kpis, name, samples
from dashboards.grafana.texts import Texts
from telemetry.plant import Plant

_OF_WINDOW: Final = '"window" =~ /^${window}(our|inute)$/'
_BY_WINDOW: Final = ("time(1${window})",)
"""The choice is "h" or "m": one point per window, so that neighbours are joined and a missing one is a gap."""
_MINUTES: Final = 2880
"""So many points of the heat map: each minute of two days, or a sample of those of a month."""
_BY_HOUR: Final = ("time(1h)",)
_WORST: Final = call("max", "value")


def network(plant: Plant, texts: Texts) -> Dashboard:
    hour, minute = texts("hour"), texts("minute")
    window = CustomVariable("window").label(texts("Window")).values(f"{hour} : h, {minute} : m")
    window.current(VariableOption(selected=True, text=hour, value="h"))
    return board(
        "network", plant, texts, _panels(plant, texts), extra=[window],
        says="The 5G link: round trips in percentiles, losses and their runs, availability against the use case of the "
        "plant file (TS 22.104), the radio beside them and how far clocks can be trusted. A window too short for a "
        "percentile has none: choose a longer one.",
    )  # fmt: skip


def _panels(plant: Plant, texts: Texts) -> Iterator[Panel | str]:
    yield from _verdict(plant, texts)
    percentiles = {"50 %": "rtt_p50", "95 %": "rtt_p95", "99 %": "rtt_p99"}
    yield filled(
        lines(), texts, "Round trip over time", "RFC 2681, percentiles as of RFC 7679 4.2, a lost probe infinitely "
        "late. Each point is the worst window of its stretch: percentiles are never averaged. 99 % needs 299 probes.",
        {alias: kpis({"rtt": _WORST}, kpi, None, _OF_WINDOW, group=_BY_WINDOW) for alias, kpi in percentiles.items()},
        (14, 9), unit="ms",
    ).min(0)  # fmt: skip
    heat = Heatmap().calculate(True).color(HeatmapColorOptions().scheme("Viridis").steps(64))
    yield filled(
        heat, texts, "Heat map of minutes", "Median round trip (RFC 2681) of each minute, counted by time and delay: "
        "how often the link was how slow. Dark: rare. Over more than two days the first minute of each stretch stands "
        "for it.",
        kpis({"rtt": call("first", "value")}, "rtt_p50", "minute", group=(INTERVAL, "asset"), fill="none"), (10, 9),
        unit="ms",
    ).interval("1m").max_data_points(_MINUTES)  # fmt: skip
    yield filled(
        bars(), texts, "Longest loss run", "RFC 3357: probes lost in a row, the longest of each hour. What a control "
        "loop feels is the run, not the rate.",
        kpis({"run": _WORST}, "loss_run_longest", "hour", group=(*_BY_HOUR, "asset")), (8, 8), unit="short",
    ).min(0).decimals(0)  # fmt: skip
    yield filled(
        lines(), texts, "Lost probes", "RFC 7680: probes without an answer in time ÷ probes sent, sums over sums.",
        kpis({"loss": RATIO}, "loss", None, _OF_WINDOW, group=(*_BY_WINDOW, "asset")), (8, 8), unit="percentunit",
    ).min(0)  # fmt: skip
    yield filled(
        lines(), texts, "Jitter and delay variation", "Jitter of RFC 3550 6.4.1 and 99 % delay variation of RFC 5481 "
        "4.2, beyond the fastest probe; the worst window of each stretch.",
        {texts("jitter"): kpis({"jitter": _WORST}, "jitter", "hour", group=_BY_HOUR),
         texts("variation 99 %"): kpis({"variation": _WORST}, "pdv_p99", "hour", group=_BY_HOUR)},
        (8, 8), unit="ms",
    ).min(0)  # fmt: skip
    yield "Radio"
    radio = filled(
        lines(), texts, "Radio and round trip", "SS-RSRP [dBm] and SS-SINR [dB] of TS 38.215, mean of the samples per "
        "point, on one axis of time with the median round trip [ms] (RFC 2681): when they move "
        "together, the radio is the reason. RSRP is on the right axis.",
        {"$col": samples("link", {"RSRP [dBm]": call("mean", "rsrp"), "SINR [dB]": call("mean", "sinr")},
                         group=(INTERVAL,)),
         "RTT [ms]": kpis({"rtt": _WORST}, "rtt_p50", "minute", group=(INTERVAL,))},
        (14, 9), unit="short",
    ).interval("1m")  # fmt: skip
    yield field(radio, "RSRP [dBm]", custom__axisPlacement="right")
    yield filled(
        strip(), texts, "Serving cell", "The cell that served the modem, from each change on: a change is a handover.",
        held("link", {"cell": name("cell")}), (10, 9), alias="cell",
    )  # fmt: skip
    yield "Clocks"
    yield filled(
        lines(), texts, "One-way delays", "RFC 7679: medians away from us and towards us; only where a probe stamps "
        "both ends (RFC 8762). Read them with the clock error beside: less than it means nothing.",
        {texts("away"): kpis({"delay": _WORST}, "delay_up_p50", None, _OF_WINDOW, group=_BY_WINDOW),
         texts("back"): kpis({"delay": _WORST}, "delay_down_p50", None, _OF_WINDOW, group=_BY_WINDOW)},
        (12, 8), unit="ms",
    )  # fmt: skip
    yield filled(
        lines(), texts, "Clock error", "RFC 7679 3.7.1: largest error of both clocks together. Above 1 ms one-way "
        "delays of a 5G link are no longer worth reading; round trips do not need clocks.",
        kpis({"error": _WORST}, "clock_error", None, _OF_WINDOW, group=(*_BY_WINDOW, "asset")), (12, 8), unit="ms",
        steps=((None, "run"), (0.5, "stop"), (1, "fault")),
    ).min(0)  # fmt: skip


def _verdict(plant: Plant, texts: Texts) -> Iterator[Panel]:
    cases = ", ".join(sorted({asset.use_case for asset in plant.assets if asset.use_case})) or texts("none")
    words = {"1": ("met", "run"), "0": ("not shown yet", "wait"), "-1": ("not met", "fault")}
    shown = {value: ValueMappingResult(text=texts(word), color=colour(css)) for value, (word, css) in words.items()}
    yield filled(
        big(), texts, "Use case", "Whether the last day alone shows that the link carries the use case of the plant "
        "file (TS 22.104; Clopper and Pearson, 95 %). Without a use case there is no judgement.",
        kpis({"verdict": call("last", "value")}, "service_verdict", "day"), (6, 5),
        mappings=[ValueMap(shown), *no_data(texts)], alias="verdict",
    ).title(f"{texts('Use case')} · {cases}")  # fmt: skip
    yield filled(
        big(), texts, "Service availability", "TS 22.104 annex C: up time ÷ observed time by the latency and survival "
        "time of the use case, sums over sums.",
        kpis({"availability": RATIO}, "service_availability", "hour"), (6, 5), unit="percentunit", alias="availability",
    ).decimals(3)  # fmt: skip
    yield filled(
        big(), texts, "Worst hour, 99 %", "RFC 2681: 99 % of the probes of the worst hour came back faster.",
        kpis({"p99": _WORST}, "rtt_p99", "hour"), (6, 5), unit="ms", alias="p99",
        steps=delay_steps(plant.assets),
    ).decimals(0)  # fmt: skip
    failures = filled(
        rows(), texts, "Failures of the service", "TS 22.104 annex C: how often the service went down; observed time "
        "÷ this is its MTBF.",
        kpis({"failures": call("sum", "value")}, "service_failures", "hour", group=("asset",)), (6, 5), unit="short",
        table_rows=True,
    )  # fmt: skip
    yield titled(without_time(failures), texts)

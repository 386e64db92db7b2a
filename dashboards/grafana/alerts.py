"""Alert rules: few, each with a time to wait before it speaks and a sentence that says what to do.

A rule is one query, its newest figure per asset, and a threshold. Rules carry their own routing (receiver, grouping):
publishing them into somebody's Grafana never touches that Grafana's notification tree.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal

from dashboards.grafana.boards.words import LOSS_WORDS, told_apart
from dashboards.grafana.queries import IN_RANGE, PATH_TAGS, RATIO, Select, Source, at, call, kpis
from dashboards.grafana.texts import Texts
from pipeline.kpis.use_cases import USE_CASES
from telemetry.plant import Asset, Plant

RECEIVER: Final = "km0"
GROUP: Final = "km0"
EVERY_S: Final = 60
_BY_ASSET: Final = PATH_TAGS
"""Not by its name alone: two cells may each have a "mill"."""
_HOUR_S: Final = 3600
_STOPS: Final = tuple(kpi for kpi in LOSS_WORDS if kpi not in ("changeover_time", "tool_change_time"))
_DEFAULT_LATENCY_MS: Final = 100.0


@dataclass(frozen=True, slots=True)
class Rule:
    """`limit`: it speaks when the newest figure is above (or below) it for `wait`; `last_s`: what the query sees [s];
    `silence`: what it means when there is no figure; `unit` of that: "%" of a share [0…1], "percent" of a figure that
    is one."""

    key: str
    title: str
    todo: str
    select: Select
    limit: float
    wait: str
    severity: Literal["warning", "critical"]
    last_s: int
    side: Literal["gt", "lt"] = "gt"
    silence: Literal["OK", "Alerting"] = "OK"
    unit: str = ""


def rules(plant: Plant, texts: Texts) -> list[Rule]:
    return [*_of_machines(plant, texts), *_of_links(plant, texts), *_of_the_path(plant, texts)]


def _source(column: str) -> Select:
    return Select(Source.SAMPLES, {"figure": column}, "source", (IN_RANGE,), _BY_ASSET)


def _of_machines(plant: Plant, texts: Texts) -> Iterator[Rule]:
    minutes = {"figure": f"{call('sum', 'value')} / 60"}
    yield Rule(
        "stopped", texts("Machine stopped in required time"),
        texts("It stood more than 45 minutes of the last two hours in which it should have run, set-up apart. Go and "
              "see, then enter the reason; the machine board shows since when."),
        kpis(minutes, _STOPS, "hour", group=_BY_ASSET, path=()), 45, "5m", "warning", 2 * _HOUR_S, unit="min",
    )  # fmt: skip
    yield Rule(
        "stale", texts("State of a machine unknown"),
        texts("For more than 15 minutes of the last two hours nobody can tell whether it ran. Look at its connection "
              "on the data path board: cable, collector, or machine switched off."),
        kpis(minutes, "unknown_time", "hour", group=_BY_ASSET, path=()), 15, "5m", "warning", 2 * _HOUR_S, unit="min",
    )  # fmt: skip
    called = told_apart(plant.assets)  # Grafana takes a title once in a group
    for asset in plant.assets:
        if asset.kind == "machine" and asset.target_trs is not None:
            yield Rule(
                f"trs-{_key(asset)}", f"{texts('TRS below target over a shift')}: {called[asset.path]}",
                texts("The last shift that ended stayed below the target of the plant file. Open the losses board on "
                      "that shift: its first bar is where to begin."),
                kpis({"figure": call("last", "value")}, "trs", "shift", '"final" = true', group=_BY_ASSET,
                     path=at(asset.path)),
                asset.target_trs, "1m", "warning", 26 * _HOUR_S, "lt", unit="%",
            )  # fmt: skip


def _of_links(plant: Plant, texts: Texts) -> Iterator[Rule]:
    called = told_apart(plant.assets)
    for asset in plant.assets:
        if asset.kind != "link":
            continue
        case = USE_CASES.get(asset.use_case or "")
        limit = case.latency_ms if case else _DEFAULT_LATENCY_MS
        yield Rule(
            f"latency-{_key(asset)}", f"{texts('Latency over the limit')}: {called[asset.path]}",
            texts("99 % of the round trips of the hour took longer than the use case of the link allows. Compare with "
                  "the radio on the network board: a fall of RSRP or SINR at the same instant is the radio's doing."),
            kpis({"figure": call("last", "value")}, "rtt_p99", "hour", group=_BY_ASSET, path=at(asset.path)),
            limit, "10m", "warning", 2 * _HOUR_S, unit="ms",
        )  # fmt: skip
        if case:
            yield Rule(
                f"service-{_key(asset)}", f"{texts('Service below what its use case asks for')}: {called[asset.path]}",
                texts("In the last two hours the link was up for less of the time than its use case asks for (TS "
                      "22.104 annex C, by latency and survival time). Look at the failures of the service and at the "
                      "longest loss run on the network board: handovers lose packets in a row."),
                kpis({"figure": RATIO}, "service_availability", "hour", group=_BY_ASSET, path=at(asset.path)),
                case.availability, "10m", "critical", 2 * _HOUR_S, "lt", unit="%",
            )  # fmt: skip
        yield from _of_clock(asset, called[asset.path], texts)
        if case:
            continue
        yield Rule(
            f"loss-{_key(asset)}", f"{texts('Loss over the limit')}: {called[asset.path]}",
            texts("More than 1 % of the probes of the hour got no answer. Look at the longest loss run and the serving "
                  "cell on the network board: handovers lose packets in a row."),
            kpis({"figure": call("last", "value")}, "loss", "hour", group=_BY_ASSET, path=at(asset.path)),
            0.01, "10m", "critical", 2 * _HOUR_S, unit="%",
        )  # fmt: skip


def _of_clock(asset: Asset, called: str, texts: Texts) -> Iterator[Rule]:
    yield Rule(
        f"clock-{_key(asset)}", f"{texts('Clocks too far apart')}: {called}",
        texts("The clocks at both ends may differ by more than 1 ms: one-way delays mean nothing until they agree. "
              "Check chrony or PTP at both ends; round trips stay right."),
        kpis({"figure": call("last", "value")}, "clock_error", "minute", group=_BY_ASSET, path=at(asset.path)),
        1.0, "15m", "warning", _HOUR_S, unit="ms",
    )  # fmt: skip


def _of_the_path(plant: Plant, texts: Texts) -> Iterator[Rule]:
    if not any(asset.kind == "platform" for asset in plant.assets):
        return  # without an asset for itself, the platform says nothing of its own health
    grown = Select(
        Source.SAMPLES, {"step": f"non_negative_difference({call('last', 'dead_letters')})"}, "source", (IN_RANGE,),
        ("time(1m)", "asset"),
    )  # fmt: skip
    yield Rule(
        "dead-letters", texts("Dead letters are growing"),
        texts("Messages arrive that nobody can read or keep. Read their reasons on the data path page, correct the "
              "mapping or the machine, then put them back."),
        Select(Source.SAMPLES, {"figure": call("sum", "step")}, grown, group=_BY_ASSET), 0, "5m", "warning", 900,
    )  # fmt: skip
    yield Rule(
        "spool", texts("The spool is filling"),
        texts("Samples wait on disk because the database takes none, or too slowly. Start the database or make room; "
              "nothing is lost until the spool is full, and then the sources wait."),
        _source(call("last", "spool_fill")), 50, "5m", "critical", 900, unit="percent",
    )  # fmt: skip
    yield Rule(
        "silent", texts("The platform is silent"),
        texts("The platform wrote nothing of itself for 15 minutes: it has stopped, or its database takes nothing. "
              "Restart the service `km0 run`; machines and brokers keep what they have."),
        _source(call("count", "spool_fill")), 1, "5m", "critical", 900, "lt", "Alerting",
    )  # fmt: skip


def _key(asset: Asset) -> str:
    """Short enough for a uid of Grafana (40 characters), and no two assets share one."""
    last = asset.path.rpartition("/")[2].replace(".", "-").replace("_", "-")[:16]
    return f"{last}-{sha256(asset.path.encode()).hexdigest()[:8]}"


def as_grafana(rule: Rule, texts: Texts) -> dict[str, Any]:
    """A rule as files and the provisioning API know it (the folder and group are the caller's)."""
    query = {
        "refId": "A", "datasource": {"type": "influxdb", "uid": rule.select.source.value}, "rawQuery": True,
        "query": str(rule.select), "resultFormat": "time_series", "intervalMs": 60_000, "maxDataPoints": 1000,
    }  # fmt: skip
    expression = {"type": "__expr__", "uid": "__expr__"}
    newest = {"refId": "B", "type": "reduce", "datasource": expression, "expression": "A", "reducer": "last"}
    judged = {
        "refId": "C", "type": "threshold", "datasource": expression, "expression": "B",
        "conditions": [{"evaluator": {"type": rule.side, "params": [rule.limit]}}],
    }  # fmt: skip
    seen = {"from": rule.last_s, "to": 0}
    return {
        "uid": f"km0-{rule.key}",
        "title": rule.title,
        "condition": "C",
        "data": [
            {"refId": "A", "relativeTimeRange": seen, "datasourceUid": rule.select.source.value, "model": query},
            {"refId": "B", "relativeTimeRange": seen, "datasourceUid": "__expr__", "model": newest},
            {"refId": "C", "relativeTimeRange": seen, "datasourceUid": "__expr__", "model": judged},
        ],
        "noDataState": rule.silence,
        "execErrState": "Error",
        "for": rule.wait,
        "labels": {"severity": rule.severity, "product": "km0"},
        "annotations": {
            "summary": _summary(rule, texts),
            "description": rule.todo,
        },
        "isPaused": False,
    }


def _summary(rule: Rule, texts: Texts) -> str:
    """One line: whose, what, how much. What is silent has neither labels nor a figure."""
    if rule.silence == "Alerting":
        return rule.title
    figure, unit = '{{ printf "%.1f" $values.B.Value }}', rule.unit.replace("percent", "%")
    if rule.unit == "%":
        figure, unit = "{{ humanizePercentage $values.B.Value }}", ""
    told = f"{texts('now')} {figure} {unit}".rstrip()
    return f"{{{{ $labels.area }}}}/{{{{ $labels.line }}}}/{{{{ $labels.asset }}}}: {rule.title} ({told})"


def routing() -> dict[str, Any]:
    """Where a rule's messages go, and how they are gathered: one per severity and asset, repeated twice a shift."""
    return {
        "receiver": RECEIVER, "group_by": ["alertname", *PATH_TAGS], "group_wait": "30s", "group_interval": "5m",
        "repeat_interval": "4h",
    }  # fmt: skip

"""The wall: the whole plant from ten metres. Which machine needs help, and is it the network?"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.grafana import looks
from dashboards.grafana.boards.words import LOSS_WORDS, delay_steps, loss_mappings, target_steps, told_apart
from dashboards.grafana.frame import board, link_to, variables_of
from dashboards.grafana.panels import (
    Panel,
    big,
    every_column,
    field,
    filled,
    longest_first,
    only,
    plain,
    ranked,
    transformed,
)
from dashboards.grafana.queries import RATIO, Select, Source, at, call, kpis, name
from dashboards.grafana.texts import Texts
from telemetry.plant import Asset, Plant

_HIGH: Final = 5
_STALE: Final = ((None, "alarm"), (1, "run"))


def wall(plant: Plant, texts: Texts) -> Dashboard:
    return board(
        "wall", plant, texts, _panels(plant, texts), since=("now/d", "now"), refresh="10s",
        says="On top, the machine that lost most. Then one line per machine: its state, since when and why, TRS "
        "today against target, what cost most, whether its data is live. Colour is a judgement: a machine needs help "
        "when one of its tiles is coloured and not green. Below, the network.",
    )  # fmt: skip


def _panels(plant: Plant, texts: Texts) -> Iterator[Panel]:
    machines = [asset for asset in plant.assets if asset.kind == "machine"]
    called = told_apart(plant.assets)
    if machines:
        yield _ranking(machines, called, texts)
    for asset in machines:
        yield from _machine(asset, called[asset.path], texts)
    for asset in plant.assets:
        if asset.kind == "link":
            yield from _link(asset, called[asset.path], texts)


def _ranking(machines: Sequence[Asset], called: Mapping[str, str], texts: Texts) -> Panel:
    short = f"({call('sum', 'denominator')} - {call('sum', 'numerator')}) / 3600"
    lost = {called[one.path]: kpis({"hours": short}, "trs", "hour", path=at(one.path)) for one in machines}
    return longest_first(
        filled(
            ranked(), texts, "Who needs help first: hours lost today", "NF E60-182 tR − tU: required time that was "
            "not useful since the start of the time range, the machine that lost most on top.",
            lost, (24, min(9, 2 + len(machines))), unit="h",
        ).min(0).decimals(1)
    )  # fmt: skip


def _machine(asset: Asset, called: str, texts: Texts) -> Iterator[Panel]:
    path = at(asset.path)
    told = Select(Source.SAMPLES, {"code": looks.STATE_WITH_QUALITY}, "machine", (*path, "time > now() - 30d"))
    tile = filled(
        big(), texts, "State", "The last state the machine told, however long ago: the tile beside it says whether "
        "it still talks. Grey: its source itself calls the value bad (OPC UA).",
        Select(Source.SAMPLES, {"state": call("last", "code")}, told), (5, _HIGH),
        mappings=looks.state_mappings(texts), alias=called,
    ).title(called)  # fmt: skip
    yield field(tile, called, links=[link_to("machine", texts, variables_of(asset.path))])
    yield from _told(path, texts)
    target = texts.percent(asset.target_trs) if asset.target_trs is not None else "–"
    yield filled(
        big(), texts, "TRS", "NF E60-182 TRS = tU/tR over the hours of the time range, sums over sums; ISO 22400-2 OEE "
        "index. Green from the target of the plant file on, orange below it, red below 85 % of it.",
        kpis({"trs": RATIO}, "trs", "hour", path=path), (4, _HIGH), unit="percentunit", steps=target_steps(asset),
        alias=f"{texts('target')} {target}",
    ).decimals(0).title(f"{texts('TRS today')} · {texts('target')} {target}")  # fmt: skip
    yield _worst_loss(asset, texts)
    recent = (*path, f"time > now() - {round(asset.stale_after_s)}s")
    fresh = filled(
        big(), texts, "Data", "Live: samples came within the time after which the plant file calls it stale. "
        "Stale: what stands beside is history, not news.",
        Select(Source.SAMPLES, {"samples": "count(/_quality$/)"}, "machine", recent), (2, _HIGH),
        mappings=looks.freshness(texts), table_rows=True, steps=_STALE,
    ).no_value(texts("stale"))  # fmt: skip
    transformed(fresh, "organize", {"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": {}})
    summed = {"mode": "reduceRow", "reduce": {"reducer": "sum"}, "alias": "samples", "replaceFields": True}
    yield transformed(fresh, "calculateField", summed)


def _told(path: tuple[str, ...], texts: Texts) -> Iterator[Panel]:
    """Since when, and why: without a colour, which on this board is a judgement."""
    month = (*path, "time > now() - 30d")
    steps = Select(Source.SAMPLES, {"step": f"difference({name('state')})"}, "machine", month)
    changed = Select(Source.SAMPLES, {"step": call("last", "step")}, steps, ('"step" != 0',))
    yield filled(
        only(plain(), "Time"), texts, "Since", "How long ago the machine last told another state than before, in the "
        "last 30 days.", changed, (4, _HIGH), unit="dateTimeFromNow", table_rows=True,
    )  # fmt: skip
    yield filled(
        only(plain(), "reason"), texts, "Last reason", "The last reason that the machine or its operator gave, in "
        "their words; –: none, it runs again.",
        Select(Source.SAMPLES, {"reason": call("last", "reason")}, "machine", month), (4, _HIGH),
        mappings=looks.no_word(texts), table_rows=True,
    )  # fmt: skip


def _worst_loss(asset: Asset, texts: Texts) -> Panel:
    hours = {"lost": f"{call('sum', 'value')} / 3600"}
    lost = kpis(hours, tuple(LOSS_WORDS), "hour", group=("kpi",), path=at(asset.path))
    panel = filled(
        every_column(plain()), texts, "Biggest loss today", "The stop category of NF E60-182 that took most of the "
        "required time since the start of the time range, and how long it took.",
        Select(Source.KPIS, {"hours": call("max", "lost"), "loss": name("kpi")}, lost), (5, _HIGH),
        mappings=loss_mappings(texts), table_rows=True,
    )  # fmt: skip
    order = {"excludeByName": {"Time": True}, "indexByName": {"loss": 0, "hours": 1}, "renameByName": {}}
    return field(transformed(panel, "organize", order), "hours", unit="h", decimals=1)


def _link(asset: Asset, called: str, texts: Texts) -> Iterator[Panel]:
    path = at(asset.path)
    slow = filled(
        big(), texts, "Round trip", "RFC 2681 round trip: 99 % of the probes of the last hour came back faster. Orange "
        "above half of what the use case of the link allows (TS 22.104), red above it; without one 50 and 100 ms.",
        kpis({"p99": call("last", "value")}, "rtt_p99", "hour", path=path), (7, _HIGH), unit="ms",
        steps=delay_steps([asset]), alias=called,
    ).decimals(0).title(f"{called} · {texts('99 % of round trips within')}")  # fmt: skip
    yield field(slow, called, links=[link_to("network", texts, variables_of(asset.path))])
    recent = (*path, f"time > now() - {round(asset.stale_after_s)}s")
    yield filled(
        big(), texts, "Data", "Live: probes were answered within the time after which the link is called stale.",
        Select(Source.SAMPLES, {"samples": call("count", "rtt")}, "link", recent), (3, _HIGH),
        mappings=looks.freshness(texts), steps=_STALE, alias="samples",
    ).no_value(texts("stale"))  # fmt: skip
    yield filled(
        big(), texts, "Lost probes", "RFC 7680: probes without an answer in time ÷ probes sent, sums over sums.",
        kpis({"loss": RATIO}, "loss", "hour", path=path), (6, _HIGH), unit="percentunit", alias="loss",
        steps=((None, "run"), (0.001, "stop"), (0.01, "fault")),
    ).decimals(2)  # fmt: skip
    yield filled(
        big(), texts, "Median round trip", "RFC 2681: half of the probes of the last minute came back faster.",
        kpis({"p50": call("last", "value")}, "rtt_p50", "minute", path=path), (8, _HIGH), unit="ms", alias="p50",
        steps=delay_steps([asset]),
    ).decimals(0)  # fmt: skip

"""The charts of a report, from the figures of a diagnosis."""

import math
from typing import Final

import numpy as np

from dashboards.charts import Dot, Lane, Spec, Step, delays, pareto, timeline, trend, waterfall
from dashboards.reports.phrases import Phrases, category
from dashboards.reports.texts import text
from dashboards.web.definitions import LOSSES
from dashboards.web.states import UNKNOWN, StateInterval
from pipeline.diagnosis.rules.stops import shares_by_slot
from pipeline.diagnosis.subject import Link, Machine
from pipeline.kpis.losses import pareto as ranked
from pipeline.kpis.oee import Oee
from pipeline.kpis.states import STOPS
from telemetry import calendar
from telemetry.samples import Window

_WIDTH: Final = 640
_SLOTS: Final = 480
_LANES: Final = 14
_QUANTILES: Final = (0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999)
_STATES: Final = {
    "running": "EXECUTING", "breakdown": "OUT_OF_SERVICE", "operation": "NOT_EXECUTING", "micro_stop": "NOT_EXECUTING",
    "tool_change": "SETUP", "adjustment": "SETUP", "inspection": "SETUP", "changeover": "SETUP",
    "upkeep": "MAINTENANCE", "induced": "STARVED", "planned": "NOT_AVAILABLE", UNKNOWN: UNKNOWN,
}  # fmt: skip


def machine_pictures(machine: Machine, phrases: Phrases) -> dict[str, Spec]:
    """Waterfall, losses by category, stops by cause, trend, timeline; those for which there is something to draw."""
    language, zone = phrases.language, phrases.formats.zone
    found = {"waterfall": waterfall(_steps(machine.oee, phrases), language, width=_WIDTH)}
    names = {name: category(name, language) for name in LOSSES}
    bars = ranked(machine.losses, "category")
    if bars:
        found["pareto"] = pareto(bars, language, names=names, width=_WIDTH)
    causes = [bar for bar in ranked((one for one in machine.losses if one.reason), "reason") if bar.seconds > 0]
    if causes:
        found["causes"] = pareto(causes, language, width=_WIDTH)
    dots, title = _dots(machine)
    if len(dots) > 1:
        found["trend"] = trend(dots, language, zone, title=title, target=machine.asset.target_trs, width=_WIDTH)
    found["timeline"] = timeline(*_lanes(machine, phrases), language, zone, width=_WIDTH, names=_names(phrases))
    return found


def link_pictures(link: Link, phrases: Phrases) -> dict[str, Spec]:
    """The slowest packets, against what the use case allows."""
    case = link.probes.use_case
    points = [(q, link.probes.rtt.percentile(q)) for q in _QUANTILES]
    known = [(q, ms) for q, ms in points if math.isfinite(ms)]
    if len(known) < 2:
        return {}
    limit, allowed = (None, None) if case is None else (case.latency_ms, 1 - case.availability)
    return {"delays": delays(known, phrases.language, limit_ms=limit, allowed=allowed, width=_WIDTH)}


def _steps(oee: Oee, phrases: Phrases) -> list[Step]:
    """From opening time down to useful time. What is not known is a step of its own; without counts it ends at tF."""
    steps = [Step("tR", _capital(phrases.say(text("times.tR"))), oee.required)]
    if oee.unknown > 0:
        steps.append(Step("", _capital(phrases.say(text("unknown"))), oee.unknown, loss=True))
    for one in sorted(STOPS, key=lambda stop: -oee.stops.get(stop, 0.0)):
        if seconds := oee.stops.get(one, 0.0):
            symbol, _ = LOSSES[one.value]
            steps.append(Step(symbol, category(one.value, phrases.language).rpartition(" (")[0], seconds, loss=True))
    steps.append(Step("tF", _capital(phrases.say(text("times.tF"))), oee.running))
    if oee.trs.coverage == 0:
        return steps
    uncounted = oee.running - oee.counted_running
    if uncounted > 1:
        steps.append(Step("", _capital(phrases.say(text("unknown"))), uncounted, loss=True))
    steps.append(Step("", _capital(phrases.say(text("speed"))), oee.counted_running - oee.net, loss=True))
    steps.append(Step("tN", _capital(phrases.say(text("times.tN"))), oee.net))
    if oee.net - oee.judged_net > 1:
        steps.append(Step("", _capital(phrases.say(text("unknown"))), oee.net - oee.judged_net, loss=True))
    steps.append(Step("", _capital(phrases.say(text("rejects"))), oee.judged_net - oee.useful, loss=True))
    steps.append(Step("tU", _capital(phrases.say(text("times.tU"))), oee.useful))
    return steps


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _dots(machine: Machine) -> tuple[list[Dot], str]:
    """TRS (or Do, where it is not known) per hour, day, week or month: as many as fit."""
    span, zone = machine.window, machine.plant.zone
    days = span.seconds / 86400
    if days <= 3:
        windows = calendar.hours(span)
    elif days <= 93:
        windows = calendar.days(span, zone)
    elif days <= 700:
        windows = calendar.weeks(span, zone)
    else:
        windows = calendar.months(span, zone)
    by_trs = machine.oee.trs.coverage > 0
    dots = []
    for one, part in machine.cut(windows):
        ratio = part.trs if by_trs else part.availability
        dots.append(Dot(one.start_ns, one.end_ns, ratio.value, ratio.coverage))
    return dots, "TRS" if by_trs else "Do"


def _lanes(machine: Machine, phrases: Phrases) -> tuple[list[Lane], Window]:
    """A day a lane where the interval has up to two weeks, with the longest state of each slot; else one lane."""
    zone = machine.plant.zone
    days = calendar.days(machine.window, zone)
    if 1 < len(days) <= _LANES:
        first = days[0]
        lanes = []
        for day in days:
            shift = day.start_ns - first.start_ns
            inner = Window(max(day.start_ns, machine.window.start_ns), min(day.end_ns, machine.window.end_ns))
            states = [
                StateInterval(one.start_ns - shift, one.end_ns - shift, one.state) for one in _slots(machine, inner)
            ]
            lanes.append(Lane(phrases.formats.day(day.start_ns), states))
        return lanes, first
    return [Lane(machine.shown, _slots(machine, machine.window))], machine.window


def _slots(machine: Machine, window: Window) -> list[StateInterval]:
    edges = np.linspace(window.start_ns, window.end_ns, min(_SLOTS, max(2, int(window.seconds))) + 1).astype(np.int64)
    shares = shares_by_slot(machine, edges)
    names = list(shares)
    longest = np.argmax(np.array([shares[name] for name in names]), axis=0)
    states = np.array([_STATES[name] for name in names], object)[longest].tolist()
    found: list[StateInterval] = []
    for state, start, end in zip(states, edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if found and found[-1].state == state:
            found[-1] = StateInterval(found[-1].start_ns, end, state)
        else:
            found.append(StateInterval(start, end, state))
    return found


def _names(phrases: Phrases) -> dict[str, str]:
    """Colours of the timeline stand for categories here, not for states alone."""
    french = phrases.language == "fr"
    return {
        "STARVED": "Arrêt induit" if french else "Induced stop",
        "NOT_AVAILABLE": "Planifié, hors tR" if french else "Planned, outside tR",
        "SETUP": "Arrêt fonctionnel" if french else "Functional stop",
    }

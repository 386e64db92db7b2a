"""What a report says first, on one page whatever the number of machines: how the time went, and how far to trust it.

Up to SPOKEN_OF machines each has its sentence and its tiles; of more, one sentence speaks of all of them and a table of
the LISTED that lost most time. Links likewise.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from dashboards.reports.phrases import Phrases
from dashboards.reports.texts import text
from pipeline.diagnosis.subject import Link, Machine
from pipeline.kpis.losses import Point, pooled_point
from pipeline.kpis.oee import pooled

TOP: Final = 4
"""Findings of the first page."""
SPOKEN_OF: Final = 3
LISTED: Final = 10
_RATIOS: Final = ("TRS", "Do", "Tp", "Tq")


@dataclass(frozen=True)
class Ranking:
    """The machines that lost most time, the worst first, with what each lost [s]; how many others there are, and what
    they lost together [s]."""

    worst: tuple[tuple[Machine, float], ...]
    others: int
    others_lost: float


def ranking(machines: Sequence[Machine]) -> Ranking:
    """Equal ones in the order of their paths."""
    lost = [(one, math.fsum(loss.seconds for loss in one.losses)) for one in machines]
    lost.sort(key=lambda one: (-one[1], one[0].asset.path))
    rest = lost[LISTED:]
    return Ranking(tuple(lost[:LISTED]), len(rest), math.fsum(seconds for _, seconds in rest))


def summary(machines: Sequence[Machine], links: Sequence[Link], phrases: Phrases) -> dict[str, Any]:
    """Everything of the first page but its findings. `machines` is None where there are few, and `figures` and `trust`
    are empty where there are many."""
    found: dict[str, Any] = {"network": _network(links, phrases)}
    if len(machines) <= SPOKEN_OF:
        return found | {
            "headlines": [_headline(one, phrases) for one in machines],
            "figures": [{"machine": one.shown} | _percents(one, phrases) for one in machines],
            "machines": None,
            "others": "",
            "trust": [_trust(one, phrases) for one in machines],
        }
    ranked = ranking(machines)
    rest = {"rest": float(ranked.others), "lost": ranked.others_lost}
    return found | {
        "headlines": [_of_all(machines, phrases)],
        "figures": [],
        "machines": _table(ranked, phrases),
        "others": phrases.fill(text("others"), rest, {}) if ranked.others else "",
        "trust": [],
    }


def euros(amount: float, phrases: Phrases) -> str:
    """An amount as people of the language write it."""
    number = phrases.formats.number(amount, 0 if abs(amount) >= 100 else 2)
    return f"{number}\u202f€" if phrases.language == "fr" else f"€{number}"


def _worth(point: Point, phrases: Phrases) -> str:
    """What a point is worth beside its time, as far as it is known."""
    worth = [phrases.fill(text("parts"), {"parts": point.parts}, {})] if math.isfinite(point.parts) else []
    worth += [euros(point.cost, phrases)] if math.isfinite(point.cost) else []
    return f" ({', '.join(worth)})" if worth else ""


def _headline(machine: Machine, phrases: Phrases) -> str:
    oee, point = machine.oee, machine.point
    words = {"machine": machine.shown, "worth": _worth(point, phrases)}
    if oee.trs.coverage == 0:
        figures = {"required": oee.required, "running": oee.running, "do": oee.availability.value}
        return phrases.fill(text("headline_do"), figures, words)
    figures = {"required": oee.required, "useful": oee.useful, "trs": oee.trs.value, "point": point.time}
    return phrases.fill(text("headline"), figures, words)


def _of_all(machines: Sequence[Machine], phrases: Phrases) -> str:
    """Sums over sums, never a mean of ratios."""
    trs = pooled((one.oee.trs, one.oee.required) for one in machines)
    do = pooled((one.oee.availability, one.oee.required) for one in machines)
    point = pooled_point(one.point for one in machines)
    figures = {
        "machines": float(len(machines)), "required": math.fsum(one.oee.required for one in machines),
        "trs": trs.value, "trs_known": trs.coverage, "do": do.value, "do_known": do.coverage, "point": point.time,
    }  # fmt: skip
    name = "headline_all" if trs.coverage else "headline_all_do"
    return phrases.fill(text(name), figures, {"worth": _worth(point, phrases)})


def _percents(machine: Machine, phrases: Phrases) -> dict[str, str]:
    oee = machine.oee
    ratios = (oee.trs, oee.availability, oee.performance, oee.quality)
    return {name: phrases.figure(one.value, "percent") for name, one in zip(_RATIOS, ratios, strict=True)}


def _table(ranked: Ranking, phrases: Phrases) -> dict[str, Any]:
    def row(machine: Machine, lost: float) -> list[str]:
        point = machine.point
        worth = euros(point.cost, phrases) if math.isfinite(point.cost) else phrases.figure(point.time, "duration")
        return [
            machine.shown, phrases.figure(lost, "duration"), *_percents(machine, phrases).values(),
            phrases.figure(machine.oee.availability.coverage, "percent"), worth,
        ]  # fmt: skip

    say = {name: phrases.say(text(f"columns.{name}")) for name in ("machine", "lost", "known", "point")}
    return {
        "columns": [say["machine"], say["lost"], *_RATIOS, say["known"], say["point"]],
        "rows": [row(machine, lost) for machine, lost in ranked.worst],
        "numeric": list(range(1, 8)),
    }


def _trust(machine: Machine, phrases: Phrases) -> str:
    told = phrases.fill(text("trust"), {"known": machine.oee.availability.coverage}, {})
    return f"{machine.shown}{_colon(phrases)} {told}"


def _network(links: Sequence[Link], phrases: Phrases) -> list[str]:
    judged = [one for one in links if one.judgement is not None]
    if len(judged) <= SPOKEN_OF:
        return [_verdict(one, phrases) for one in judged]
    counts = Counter(one.judgement.verdict.value for one in judged if one.judgement is not None)
    told = ", ".join(f"{counts[name]} {_said(name, phrases)}" for name in ("not met", "not shown yet", "met")
                     if counts[name])  # fmt: skip
    return [phrases.fill(text("links"), {"links": float(len(judged))}, {"told": told})]


def _verdict(link: Link, phrases: Phrases) -> str:
    found = link.judgement
    assert found is not None
    case = found.use_case
    name = case.name_fr if phrases.language == "fr" else case.name
    return f"{link.asset.name}, {name}{_colon(phrases)} {_said(found.verdict.value, phrases)}"


def _said(verdict: str, phrases: Phrases) -> str:
    return phrases.say(text("verdicts." + verdict.replace(" ", "_")))


def _colon(phrases: Phrases) -> str:
    return "\u00a0:" if phrases.language == "fr" else ":"

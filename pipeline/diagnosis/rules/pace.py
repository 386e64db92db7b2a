"""Rules on pace and quality: cycles that drift, reference cycles that are wrong, scrap after changeovers, Mondays."""

from collections.abc import Iterator
from datetime import datetime
from math import isfinite, nan
from typing import Final

import numpy as np

from pipeline.diagnosis import chance
from pipeline.diagnosis.finding import Confidence, Gain, Match, lowered
from pipeline.diagnosis.subject import Machine, Subject
from pipeline.kpis.oee import Oee
from pipeline.kpis.states import SETUP
from telemetry.samples import SECOND_NS, Window

_DRIFT: Final = 0.02
_LONG_S: Final = 1800.0
_AFTER_S: Final = 30 * 60
_SUNDAY: Final = 6


def cycle_drift(subject: Subject) -> Iterator[Match]:
    """The real cycle, day by day, grows: by 2 % or more over the interval, and not by chance (Mann-Kendall, p < 1 %).
    The gain is the running time above what the first days would have taken."""
    for machine in subject.machines:
        days = [(one, part, pace) for one, part in machine.days if (pace := _pace(part)) > 0 and part.running > _LONG_S]
        if len(days) < 5:
            continue
        paces = np.array([pace for *_, pace in days])
        slope, p = chance.trend(paces)
        start = float(np.median(paces) - slope * (len(paces) - 1) / 2)
        grown = slope * (len(paces) - 1) / start if start > 0 else 0.0
        if p >= 0.01 or grown < _DRIFT:
            continue
        running = np.array([part.counted_running or part.running for _, part, _ in days])
        extra = float(np.maximum(running * (1 - start / paces), 0).sum())
        figures = {"grown": grown, "days": float(len(days)), "p": p, "first": start, "last": start * (1 + grown)}
        confidence = Confidence.SURE if p < 0.001 and len(days) >= 10 else Confidence.LIKELY
        yield Match(
            machine.asset.path, machine.shown, figures, lowered(confidence, machine.oee.performance.coverage),
            Gain.of(machine, extra),
        )  # fmt: skip


def _pace(part: Oee) -> float:
    """Real time per reference time, or per part where no reference cycle is known; NaN when nothing was made."""
    if part.net > 0:
        return part.counted_running / part.net
    return part.running / part.made_all if part.made_all > 0 else nan


def wrong_reference_cycle(subject: Subject) -> Iterator[Match]:
    """A reference cycle that is beaten (Tp above 1), per product, or that is missing, so that TRS cannot be told."""
    for machine in subject.machines:
        oee = machine.oee
        if machine.asset.cycle_s:
            for product, made in machine.history.production(machine.window).items():
                cycle = machine.asset.cycle_s.get(product, machine.asset.cycle_s.get("*", nan))
                if made.counted_running > _LONG_S and made.net > 1.02 * made.counted_running:
                    real = cycle * made.counted_running / made.net
                    figures = {
                        "tp": made.net / made.counted_running, "cycle": cycle, "real": real,
                        "running": made.counted_running, "trs": oee.trs.value,
                    }  # fmt: skip
                    confidence = Confidence.SURE if made.counted_running > 8 * 3600 else Confidence.LIKELY
                    yield Match(machine.asset.path, machine.shown, figures, confidence, words={"product": product},
                                variant="beaten" if product else "beaten_any", misleads=True)  # fmt: skip
        elif oee.made_all > 0 and oee.running > _LONG_S:
            best = _best_cycle(machine)
            if isfinite(best):
                yield Match(machine.asset.path, machine.shown, {"best": best, "mean": oee.running / oee.made_all},
                            Confidence.SURE, variant="missing")  # fmt: skip


def _best_cycle(machine: Machine) -> float:
    """What a part took [s] in the best tenth of the hours that ran for most of their time."""
    paces = [part.running / part.made_all for _, part in machine.hours if part.running > 2700 and part.made_all >= 5]
    return float(np.quantile(paces, 0.1)) if len(paces) >= 3 else nan


def scrap_after_changeover(subject: Subject) -> Iterator[Match]:
    """More scrap in the half hour after set-ups than otherwise: twice as much or more, and not by chance (p < 1 %)."""
    for machine in subject.machines:
        setups = machine.of(*SETUP)
        if len(setups) < 3 or not machine.oee.made:
            continue
        ends = setups[:, 1]
        until = np.minimum(ends + _AFTER_S * SECOND_NS, np.append(setups[1:, 0], machine.window.end_ns))
        kept = until > ends
        if kept.sum() < 3:
            continue
        after = machine.history.columns(ends[kept], until[kept])
        made, good = float(np.sum(after.made)), float(np.sum(after.good))
        other_made, other_good = machine.oee.made - made, machine.oee.good - good
        scrap, other = made - good, other_made - other_good
        p = chance.more_often(scrap, made, other, other_made)
        if made < 20 or other_made < 20 or scrap < 5 or p >= 0.01 or scrap / made < 2 * other / other_made:
            continue
        excess = scrap - made * other / other_made
        cycle = machine.oee.judged_net / machine.oee.made
        figures = {
            "after": scrap / made, "otherwise": other / other_made, "setups": float(kept.sum()), "scrap": scrap,
            "excess": excess, "p": p,
        }  # fmt: skip
        confidence = Confidence.SURE if p < 1e-4 else Confidence.LIKELY
        gain = Gain.of(machine, excess * cycle)
        yield Match(
            machine.asset.path, machine.shown, figures, lowered(confidence, machine.oee.quality.coverage),
            Gain(gain.seconds, excess, gain.cost),
        )  # fmt: skip


def slow_mondays(subject: Subject) -> Iterator[Match]:
    """Mondays are worse than other days: by 3 points of TRS (or of Do, where TRS is not known) or more, and not by
    chance (Mann-Whitney, p < 5 %), over three Mondays at least."""
    for machine in subject.machines:
        by_trs = machine.oee.trs.coverage > 0
        ratios = [(one, part.trs if by_trs else part.availability, part.required) for one, part in machine.days]
        known = [(one, ratio, size) for one, ratio, size in ratios if ratio.coverage > 0.5 and size > _LONG_S]
        mondays = [(ratio.value, size) for one, ratio, size in known if _weekday(one, machine) == 0]
        others = [(ratio.value, size) for one, ratio, size in known if 0 < _weekday(one, machine) < _SUNDAY]
        if len(mondays) < 3 or len(others) < 6:
            continue
        p = chance.smaller([value for value, _ in mondays], [value for value, _ in others])
        low, usual = (
            float(np.average([v for v, _ in part], weights=[s for _, s in part])) for part in (mondays, others)
        )
        if p >= 0.05 or usual - low < 0.03:
            continue
        figures = {"mondays": low, "others": usual, "count": float(len(mondays)), "p": p, "points": usual - low}
        yield Match(
            machine.asset.path, machine.shown, figures, Confidence.LIKELY if p < 0.01 else Confidence.UNSURE,
            Gain.of(machine, (usual - low) * sum(size for _, size in mondays)), variant="trs" if by_trs else "do",
        )  # fmt: skip


def _weekday(day: Window, machine: Machine) -> int:
    middle = (day.start_ns + day.end_ns) // 2 // SECOND_NS
    return datetime.fromtimestamp(middle, machine.plant.zone).weekday()

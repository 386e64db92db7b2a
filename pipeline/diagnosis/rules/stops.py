"""Rules on stops: what costs most, micro-stops that come in clusters, machines that wait for one another."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from pipeline.diagnosis import chance
from pipeline.diagnosis.finding import Confidence, Gain, Match, lowered
from pipeline.diagnosis.subject import Machine, Subject, lengths_in
from pipeline.kpis.categories import CATEGORIES
from pipeline.kpis.losses import pareto
from pipeline.kpis.states import Category
from telemetry.glossary import MachineState
from telemetry.intervals import Instants, Intervals, intersect, none, total_s, union
from telemetry.samples import SECOND_NS

LARGE: Final = 0.03
"""A large loss [of required time]."""
_MOST: Final = 3
_FEWEST_MICRO: Final = 20
_WAIT: Final = 0.02
_REACH_NS: Final = 5 * 60 * SECOND_NS
_OWN: Final = tuple(one for one in Category if one not in (Category.RUNNING, Category.PLANNED, Category.INDUCED))
"""A machine that waits itself is nobody's cause: who is blamed does not depend on the order of the machines."""


def largest_losses(subject: Subject) -> Iterator[Match]:
    """The largest losses of each machine: at most three, each of 3 % of required time or more."""
    for machine in subject.machines:
        oee = machine.oee
        if not oee.required:
            continue
        for bar in pareto(machine.losses, "category")[:_MOST]:
            share = bar.seconds / oee.required
            if share < LARGE:
                break
            causes = pareto((one for one in machine.losses if one.category == bar.name), "reason")
            cause = next((one for one in causes if one.name), None)
            figures = {"lost": bar.seconds, "share": share, "times": float(bar.times)}
            told = "cause" if cause is not None and cause.seconds > 0.3 * bar.seconds else "plain"
            if cause is not None and told == "cause":
                figures |= {"cause_share": cause.seconds / bar.seconds}
            yield Match(
                machine.asset.path, machine.shown, figures, lowered(Confidence.SURE, oee.availability.coverage),
                Gain.of(machine, bar.seconds),
                {"category": bar.name, "cause": cause.name if cause is not None else ""},
                told if bar.name not in ("speed", "rejects") else bar.name,
            )  # fmt: skip


def micro_stop_clusters(subject: Subject) -> Iterator[Match]:
    """Micro-stops that come in clusters: hours with far more than chance gives. The gain is what lies above the usual
    rate, the median of the hours with production."""
    for machine in subject.machines:
        oee = machine.oee
        if oee.stops.get(Category.MICRO_STOP, 0.0) < 0.005 * oee.required:
            continue
        starts = _starts(machine, Category.MICRO_STOP)
        hours = [(one, part) for one, part in machine.hours if part.running + part.stops[Category.MICRO_STOP] > 600]
        if len(starts) < _FEWEST_MICRO or len(hours) < 8:
            continue
        low, high = (
            np.searchsorted(starts, [getattr(one, name) for one, _ in hours]) for name in ("start_ns", "end_ns")
        )
        counts = (high - low).astype(np.float64)
        active = np.array([part.running + part.stops[Category.MICRO_STOP] for _, part in hours])
        lost = np.array([part.stops[Category.MICRO_STOP] for _, part in hours])
        p = chance.dispersion(counts, active)
        if p > 0.001:
            continue
        usual = float(np.median(counts / active))
        worst = np.argsort(-counts / active)[: max(1, len(hours) // 10)]
        mean = float(lost.sum() / counts.sum()) if counts.sum() else 0.0
        excess = float(np.maximum(counts - usual * active, 0).sum()) * mean
        share = float(counts[worst].sum() / counts.sum())
        if share < 0.2 or excess < 0.002 * oee.required:
            continue
        figures = {
            "times": float(len(starts)), "lost": oee.stops[Category.MICRO_STOP], "worst_share": share,
            "worst_hours": float(len(worst)), "hours": float(len(hours)), "mean": mean, "p": p,
        }  # fmt: skip
        yield Match(
            machine.asset.path, machine.shown, figures, lowered(Confidence.LIKELY, oee.availability.coverage),
            Gain.of(machine, min(excess, oee.stops[Category.MICRO_STOP])),
        )  # fmt: skip


def starved_or_blocked(subject: Subject) -> Iterator[Match]:
    """Machines that wait: for parts (starved) or for room (blocked). Where another machine of the diagnosis stood still
    for most of that time, and much more often than otherwise, it is named; one that keeps several waiting comes first,
    with the time of all of them."""
    kept: dict[str, list[tuple[Machine, Match]]] = {}
    for machine in subject.machines:
        if not machine.oee.required:
            continue
        for state, variant in ((MachineState.STARVED, "starved"), (MachineState.BLOCKED, "blocked")):
            waits = intersect(_in_state(machine, state), machine.of(Category.INDUCED))
            waited = total_s(waits)
            if waited < _WAIT * machine.oee.required:
                continue
            figures = {"lost": waited, "share": waited / machine.oee.required, "times": float(len(waits))}
            confidence = lowered(Confidence.SURE, machine.oee.availability.coverage)
            other = _culprit(subject, machine, waits)
            words = {}
            if other is not None:
                words = {"other": other[0].shown, "other_asset": other[0].asset.path}
                figures |= {"together": other[1], "otherwise": other[2]}
                variant = f"{variant}_by"  # noqa: PLW2901  # the same rule, with a name to it
                confidence = lowered(Confidence.LIKELY, machine.oee.availability.coverage)
            match = Match(
                machine.asset.path, machine.shown, figures, confidence, Gain.of(machine, waited), words, variant
            )
            if other is not None:
                kept.setdefault(other[0].asset.path, []).append((machine, match))
            yield match
    for path, waiting in kept.items():
        if len({machine.asset.path for machine, _ in waiting}) > 1:
            yield _chain(subject.machine(path), waiting)


def _chain(root: Machine, waiting: list[tuple[Machine, Match]]) -> Match:
    """One machine that keeps several waiting. Parts are not added: those that one does not get, the next does not."""
    lost, costs = ([getattr(match.gain, name) for _, match in waiting] for name in ("seconds", "cost"))
    names = list(dict.fromkeys(machine.shown for machine, _ in waiting))
    own = sum(root.oee.stops.get(one, 0.0) for one in _OWN)
    figures = {"lost": sum(lost), "machines": float(len(names)), "own": own}
    return Match(
        root.asset.path, root.shown, figures, min(match.confidence for _, match in waiting),
        Gain(sum(lost), cost=sum(costs)), {"others": ", ".join(names)}, "chain",
    )  # fmt: skip


def _culprit(subject: Subject, machine: Machine, waits: Intervals) -> tuple[Machine, float, float] | None:
    """Whose own stops the waits coincide with, up to five minutes after: share of the waits, and of other time."""
    best: tuple[Machine, float, float] | None = None
    whole, waited = machine.window.seconds, total_s(waits)
    for other in subject.machines:
        if other is machine:
            continue
        stops = other.of(*_OWN)
        # a buffer between the two empties, or fills, in a while
        after = union(stops + np.array([0, _REACH_NS]), machine.window) if len(stops) else none()
        together = total_s(intersect(waits, after)) / waited
        rest = (total_s(after) - together * waited) / (whole - waited) if whole > waited else 0.0
        if together >= 0.5 and together >= 2 * rest and (best is None or together > best[1]):
            best = other, together, rest
    return best


def _in_state(machine: Machine, state: MachineState) -> Intervals:
    said = machine.read("state", machine.window)
    ends = np.append(said.times_ns, machine.window.end_ns)[1:]
    rows = np.column_stack((said.times_ns, ends))[said.values == state]
    return union(rows, machine.window)


def _starts(machine: Machine, category: Category) -> Instants:
    """When each stop of a category began, in required time."""
    found = machine.stretches
    at = (found.category == CATEGORIES.index(category)) & (found.lengths_ns > 0)
    first = at & ~np.concatenate(([False], at[:-1]))
    starts: Instants = found.starts_ns[first]
    return starts


def shares_by_slot(machine: Machine, edges_ns: Instants) -> dict[str, "np.ndarray[tuple[int], np.dtype[np.float64]]"]:
    """How much [s] of every slot each category had, and "UNKNOWN"; for a timeline that fits a page."""
    found = {category.value: lengths_in(machine.of(category), edges_ns) for category in Category}
    return found | {"UNKNOWN": lengths_in(machine.unknown, edges_ns)}

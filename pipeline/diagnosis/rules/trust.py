"""Rules on what the figures rest on: how much is known, whether the clocks are right, whether the network is fit."""

from collections.abc import Iterator
from math import isfinite, nan
from typing import Final

import numpy as np

from pipeline.diagnosis import chance
from pipeline.diagnosis.finding import Confidence, Match
from pipeline.diagnosis.subject import Subject
from pipeline.kpis.service import Verdict
from telemetry.intervals import total_s
from telemetry.samples import SECOND_NS

_LITTLE: Final = 0.05
_MUCH: Final = 0.2
_AFTER_NS: Final = 10 * SECOND_NS
"""How long after a change of cell a lost packet is counted as its doing."""
_LATE_S: Final = 300.0
_AHEAD_S: Final = 2.0


def low_coverage(subject: Subject) -> Iterator[Match]:
    """A twentieth or more of required time in which nobody knows what the machine did, or counts that are not known, or
    of the rows of a file that could not be used. From a fifth on the figures rest on little."""
    source = subject.source
    if source.rows and source.bad_rows >= _LITTLE * source.rows:
        share = source.bad_rows / source.rows
        figures = {"rows": float(source.rows), "bad": float(source.bad_rows), "share": share}
        variant = "mostly_bad" if share >= 0.5 else "rows"
        yield Match("", source.name, figures, Confidence.SURE, variant=variant, misleads=share >= _MUCH)
    for machine in subject.machines:
        oee = machine.oee
        if not oee.required:
            continue
        unknown = oee.unknown / oee.required
        gaps = machine.unknown
        if unknown >= _LITTLE:
            longest = (
                max((total_s(gaps[n : n + 1]) for n in range(len(gaps))), default=0.0) if len(gaps) < 10_000 else nan
            )
            figures = {"unknown": oee.unknown, "share": unknown, "gaps": float(len(gaps)), "longest": longest}
            yield Match(machine.asset.path, machine.shown, figures, Confidence.SURE, variant="state",
                        misleads=unknown >= _MUCH)  # fmt: skip
        missing = 1 - oee.trs.coverage
        if machine.asset.cycle_s and missing - unknown >= _LITTLE:
            figures = {"share": missing, "made": 1 - oee.made_coverage, "good": 1 - oee.good_coverage}
            yield Match(machine.asset.path, machine.shown, figures, Confidence.SURE, variant="parts")


def clock_problems(subject: Subject) -> Iterator[Match]:
    """Times that cannot be right: rows that run backwards, times that no clock ever showed, sources ahead or behind."""
    source = subject.source
    if source.rows and source.out_of_order >= max(1, 0.001 * source.rows):
        figures = {"rows": float(source.rows), "back": float(source.out_of_order),
                   "share": source.out_of_order / source.rows}  # fmt: skip
        yield Match("", source.name, figures, Confidence.LIKELY, variant="order")
    if source.skipped_times:
        figures = {"rows": float(source.rows), "bad": float(source.skipped_times)}
        yield Match("", source.name, figures, Confidence.SURE, variant="skipped",
                    words={"zone": subject.plant.timezone})  # fmt: skip
    elif source.rows and source.bad_times >= max(2, 0.01 * source.rows):
        figures = {"rows": float(source.rows), "bad": float(source.bad_times)}
        yield Match("", source.name, figures, Confidence.SURE, variant="unreadable")
    for machine in subject.machines:
        lag = subject.lags_s.get(machine.asset.path, nan)
        if isfinite(lag) and (lag < -_AHEAD_S or lag > _LATE_S):
            variant = "ahead" if lag < 0 else "behind"
            yield Match(machine.asset.path, machine.shown, {"lag": abs(lag)}, Confidence.LIKELY, variant=variant)


def network_unfit(subject: Subject) -> Iterator[Match]:
    """A link that was shown not to carry its use case (TS 22.104), or not shown to carry it yet."""
    for link in subject.links:
        found = link.judgement
        if found is None or found.verdict is Verdict.MET or link.probes.sent < 2:
            continue
        case, probes = found.use_case, link.probes
        figures = {
            "limit": case.latency_ms, "asked": case.availability, "reached": found.service.availability.value,
            "p99": probes.rtt.percentile(0.99), "loss": probes.loss().value, "failures": float(found.service.failures),
            "hours": found.hours_more, "observed": found.service.observed_s,
        }  # fmt: skip
        words = {"case": case.name, "case_fr": case.name_fr}
        if found.verdict is Verdict.NOT_MET:
            # likely: a round trip too long does not prove that either way was
            yield Match(link.asset.path, link.asset.name, figures, Confidence.LIKELY, words=words, variant="not_met")
        else:
            variant = "not_shown" if isfinite(found.hours_more) else "too_seldom"
            yield Match(link.asset.path, link.asset.name, figures, Confidence.UNSURE, words=words, variant=variant)


def losses_after_handovers(subject: Subject) -> Iterator[Match]:
    """Packets that are lost in the ten seconds after the radio cell changed: three times as often as otherwise or more,
    and not by chance (two proportions, p < 1 %)."""
    for link in subject.links:
        probes, words = link.probes, link.cells.words
        changed = np.flatnonzero(words.codes[1:] != words.codes[:-1]) + 1
        changes = link.cells.times_ns[changed]
        if len(changes) < 3 or probes.sent < 100:
            continue
        last = np.searchsorted(changes, probes.times_ns, "right") - 1
        after = (last >= 0) & (probes.times_ns - changes[last] < _AFTER_NS)
        lost = np.isnan(probes.delay_ms)
        hits, tries = float((lost & after).sum()), float(after.sum())
        others, other_tries = float((lost & ~after).sum()), float((~after).sum())
        p = chance.more_often(hits, tries, others, other_tries)
        if hits < 5 or p >= 0.01 or hits / tries < 3 * others / other_tries:
            continue
        figures = {
            "changes": float(len(changes)), "after": hits / tries, "otherwise": others / other_tries, "lost": hits,
            "of": hits + others, "p": p,
        }  # fmt: skip
        yield Match(link.asset.path, link.asset.name, figures, Confidence.SURE if p < 1e-4 else Confidence.LIKELY)

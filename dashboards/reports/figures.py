"""The report as data: every figure with its coverage, losses, findings with their evidence; JSON, in SI units."""

import math
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from dashboards.reports.phrases import Phrases
from dashboards.reports.summary import TOP, ranking, summary
from dashboards.web.formats import Formats
from dashboards.web.texts import Language
from pipeline.diagnosis.diagnosis import Diagnosis
from pipeline.diagnosis.subject import Link, Machine
from pipeline.kpis import iso22400
from pipeline.kpis.catalogue import CATALOGUE
from pipeline.kpis.losses import pareto
from telemetry.samples import SECOND_NS


def figures(diagnosis: Diagnosis, language: Language) -> dict[str, Any]:
    """All that the report rests on. Times [s], shares [0…1], delays [ms]; what is not known is None."""
    subject = diagnosis.subject
    phrases = Phrases(Formats(language, subject.plant.zone))
    found: dict[str, Any] = _finite({
        "schema": "km0-diagnosis/1",
        "language": language,
        "source": asdict(subject.source),
        "from": _iso(subject.window.start_ns),
        "to": _iso(subject.window.end_ns),
        "timezone": subject.plant.timezone,
        "summary": _summary(diagnosis, phrases),
        "machines": [_machine(one) for one in subject.machines],
        "links": [_link(one) for one in subject.links],
        "findings": [
            {
                "rule": one.rule, "variant": one.match.variant, "asset": one.match.asset,
                "title": phrases.tell(one.words.title, one.match),
                "evidence": phrases.tell(one.words.evidence, one.match),
                "check": phrases.tell(one.words.check, one.match),
                "figures": dict(one.match.figures), "words": dict(one.match.words),
                "gain": {"minutes": one.match.gain.seconds / 60, "parts": one.match.gain.parts,
                         "euros": one.match.gain.cost},
                "confidence": one.match.confidence.name.lower(),
            }
            for one in diagnosis.findings
        ],
        "notes": [phrases.say(note) for note in (*diagnosis.notes, *diagnosis.faults.notes())],
        "bad_rows": [
            {"line": bad.line, "column": bad.column, "reason": phrases.say(bad.reason)}
            for bad in diagnosis.faults.listed
        ],
    })  # fmt: skip
    return found


def _summary(diagnosis: Diagnosis, phrases: Phrases) -> dict[str, Any]:
    """What the first page says; of findings only which they are."""
    subject = diagnosis.subject
    ranked = ranking(subject.machines)
    said = summary(subject.machines, subject.links, phrases)
    return {
        "headlines": said["headlines"],
        "machines": [
            {"asset": one.asset.path, "name": one.shown, "lost": lost, "trs": one.oee.trs.value,
             "do": one.oee.availability.value, "tp": one.oee.performance.value, "tq": one.oee.quality.value,
             "known": one.oee.availability.coverage, "one_point_of_trs": asdict(one.point)}
            for one, lost in ranked.worst
        ],
        "others": {"machines": ranked.others, "lost": ranked.others_lost},
        "findings": [
            {"rule": one.rule, "variant": one.match.variant, "asset": one.match.asset,
             "title": phrases.tell(one.words.title, one.match)}
            for one in diagnosis.findings[:TOP]
        ],
        "network": said["network"],
    }  # fmt: skip


def _machine(machine: Machine) -> dict[str, Any]:
    oee = machine.oee
    return {
        "asset": machine.asset.path,
        "name": machine.shown,
        "convention": oee.convention.name,
        "times": {
            "tT": oee.total, "tO": oee.opening, "tR": oee.required, "known": oee.known, "tF": oee.running,
            "tN": oee.net, "tU": oee.useful, "planned": oee.planned, "unknown": oee.unknown,
        },
        "stops": {category.value: float(length) for category, length in oee.stops.items() if length},
        "parts": {"made": oee.made_all if oee.made_coverage else math.nan,
                  "good": oee.good_all if oee.good_coverage else math.nan},
        "figures": {
            kpi.name: {"value": figure.value, "unit": kpi.unit, "coverage": figure.coverage, "reference": kpi.reference}
            for kpi in CATALOGUE
            if kpi.of == "machine"
            for figure in (kpi.compute(oee),)
        },
        "iso_22400_2": iso22400.elements(oee),
        "losses": [asdict(one) for one in machine.losses],
        "pareto": {by: [asdict(bar) for bar in pareto(machine.losses, by)] for by in ("category", "reason", "product")},
        "one_point_of_trs": asdict(machine.point),
        "days": [
            {"from": _iso(one.start_ns), "to": _iso(one.end_ns), "trs": part.trs.value, "do": part.availability.value,
             "coverage": part.trs.coverage}
            for one, part in machine.days
        ],
    }  # fmt: skip


def _link(link: Link) -> dict[str, Any]:
    probes, found = link.probes, link.judgement
    told: dict[str, Any] = {
        "asset": link.asset.path, "name": link.asset.name, "sent": probes.sent, "loss": probes.loss().value,
        "rtt_ms": {f"p{100 * q:g}": probes.rtt.percentile(q) for q in (0.5, 0.9, 0.99, 0.999, 0.9999)},
        "jitter_rfc3550_ms": probes.jitter(), "coverage": probes.coverage,
    }  # fmt: skip
    if found is not None:
        told |= {
            "use_case": found.use_case.key, "verdict": found.verdict.value, "reason": found.reason,
            "availability": found.service.availability.value, "failures": found.service.failures,
            "hours_more": found.hours_more,
        }  # fmt: skip
    return told


def _iso(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // SECOND_NS, UTC).isoformat(timespec="seconds")


def _finite(value: Any) -> Any:
    """NaN and infinity are null in JSON; numpy's numbers are numbers."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value

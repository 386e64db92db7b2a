"""What a report says, as plain data in one language: every sentence, table and chart, ready to be set.

The content holds no time of making and nothing of the machine it was made on: the same data give the same content.
"""

import math
from datetime import datetime
from typing import Any, Final

from dashboards.charts import draw
from dashboards.reports.phrases import Phrases
from dashboards.reports.pictures import link_pictures, machine_pictures
from dashboards.reports.summary import TOP, euros, summary
from dashboards.reports.texts import TIMES, paragraphs, text
from dashboards.web.formats import Formats
from dashboards.web.texts import Language
from pipeline.diagnosis.diagnosis import Diagnosis
from pipeline.diagnosis.finding import Confidence, Finding, Gain
from pipeline.diagnosis.subject import Link, Machine
from pipeline.kpis.catalogue import CATALOGUE
from pipeline.kpis.service import judge
from pipeline.kpis.use_cases import USE_CASES
from telemetry.samples import SECOND_NS, Ratio

_LISTED: Final = 25
_FIGURES: Final = (
    "trs", "do", "tp", "tq", "trg", "tre", "tc", "ts", "nee", "quality", "technical_efficiency", "setup_ratio",
    "scrap_ratio", "mtbf", "mttr",
)  # fmt: skip
_SYMBOLS: Final = {
    "trs": "TRS", "do": "Do", "tp": "Tp", "tq": "Tq", "trg": "TRG", "tre": "TRE", "tc": "TC", "ts": "TS", "nee": "NEE",
    "mtbf": "MTBF", "mttr": "MTTR",
}  # fmt: skip
Table = dict[str, Any]


def content(diagnosis: Diagnosis, language: Language) -> dict[str, Any]:
    """Everything that the report says. Charts are SVG texts."""
    subject = diagnosis.subject
    phrases = Phrases(Formats(language, subject.plant.zone))
    return {
        "language": language,
        "title": phrases.say(text("title")),
        "source": subject.source.name,
        "period": _period(subject.window.start_ns, subject.window.end_ns, phrases),
        "headings": {
            name: phrases.say(text(name))
            for name in ("summary", "findings", "waterfall", "pareto", "causes", "trend", "timeline", "network",
                         "quality", "method", "nothing")
        },
        **opening(diagnosis, phrases),
        "machines": [_machine(one, phrases) for one in subject.machines],
        "links": [_link(one, phrases) for one in subject.links],
        "no_link": "" if subject.links else phrases.say(text("no_link" if subject.source.digest else "no_link_chosen")),
        "quality": _quality(diagnosis, phrases),
        "method": _method(diagnosis, phrases),
    }  # fmt: skip


def opening(diagnosis: Diagnosis, phrases: Phrases) -> dict[str, Any]:
    """The summary with the first findings, and all findings."""
    subject = diagnosis.subject
    found = [_finding(one, phrases) for one in diagnosis.findings]
    return {
        "summary": summary(subject.machines, subject.links, phrases) | {"findings": found[:TOP]},
        "findings": found,
    }


def _period(start_ns: int, end_ns: int, phrases: Phrases) -> str:
    formats = phrases.formats
    zone = formats.zone.key
    return f"{formats.moment(start_ns)} – {formats.moment(end_ns)} ({zone})"


def _gain(gain: Gain, phrases: Phrases) -> str:
    """The gain in time, parts and money, as far as each is known."""
    if not math.isfinite(gain.seconds):
        return phrases.say(text("no_gain"))
    told = [phrases.figure(gain.seconds, "duration")]
    if math.isfinite(gain.parts) and gain.parts >= 1:
        told.append(phrases.fill(text("parts"), {"parts": gain.parts}, {}))
    if math.isfinite(gain.cost):
        told.append(euros(gain.cost, phrases))
    return phrases.fill(text("gain"), {}, {"gain": " · ".join(told)})


def _finding(found: Finding, phrases: Phrases) -> dict[str, Any]:
    match = found.match
    return {
        "rule": found.rule,
        "asset": match.asset,
        "title": phrases.tell(found.words.title, match),
        "evidence": phrases.tell(found.words.evidence, match),
        "check": phrases.say(text("check")) + phrases.tell(found.words.check, match),
        "gain": _gain(match.gain, phrases),
        "confidence": phrases.say(text(f"confidence.{match.confidence.name.lower()}")),
        "unsure": phrases.say(text("unsure")) if match.confidence is Confidence.UNSURE else "",
    }


def _table(phrases: Phrases, columns: tuple[str, ...], rows: list[list[str]], *numeric: int) -> Table:
    """A table, of which these columns hold numbers."""
    return {
        "columns": [phrases.say(text(f"columns.{name}")) for name in columns], "rows": rows, "numeric": list(numeric)
    }  # fmt: skip


def _capital(words: str) -> str:
    """With a capital to begin with, and the others as they are."""
    return words[:1].upper() + words[1:]


def _machine(machine: Machine, phrases: Phrases) -> dict[str, Any]:
    oee = machine.oee
    lengths = {
        "tT": oee.total,
        "tO": oee.opening,
        "tR": oee.required,
        "tF": oee.running,
        "tN": oee.net if oee.performance.coverage else math.nan,  # without a reference cycle nobody knows
        "tU": oee.useful if oee.trs.coverage else math.nan,
    }
    rows = [
        [f"{_capital(phrases.say(text(f'times.{code}')))} ({code})", phrases.figure(lengths[code], "duration"),
         phrases.figure(lengths[code] / oee.required if oee.required else math.nan, "percent")]
        for code in TIMES
    ]  # fmt: skip
    pictures = {name: draw.svg(spec, phrases.language) for name, spec in machine_pictures(machine, phrases).items()}
    return {
        "name": machine.shown,
        "times": _table(phrases, ("time", "length", "share"), rows, 1, 2),
        "figures": _figures(machine, phrases),
        "pictures": pictures,
    }


def _figures(machine: Machine, phrases: Phrases) -> Table:
    rows = []
    by_name = {kpi.name: kpi for kpi in CATALOGUE if kpi.of == "machine"}
    for kpi in map(by_name.__getitem__, _FIGURES):
        figure = kpi.compute(machine.oee)
        kind = "duration" if kpi.unit == "s" else "percent"
        coverage = figure.coverage if isinstance(figure, Ratio) or figure.coverage else 0.0
        french = phrases.language == "fr"
        name, reference = (kpi.name_fr, kpi.reference_fr) if french else (kpi.meaning, kpi.reference)
        rows.append([
            _SYMBOLS.get(kpi.name, name), phrases.figure(float(figure.value), kind),
            phrases.figure(float(coverage), "percent"), reference,
        ])  # fmt: skip
    return _table(phrases, ("figure", "value", "coverage", "formula"), rows, 1, 2)


def _link(link: Link, phrases: Phrases) -> dict[str, Any]:
    probes = link.probes
    figures = {
        "sent": float(probes.sent), "observed": link.window.seconds, "loss": probes.loss().value,
        "jitter": probes.jitter(), "p50": probes.rtt.percentile(0.5), "p99": probes.rtt.percentile(0.99),
        "p999": probes.rtt.percentile(0.999),
    }  # fmt: skip
    rows = []
    for case in USE_CASES.values():
        found = judge(case, probes.times_ns, probes.delay_ms)
        name = case.name_fr if phrases.language == "fr" else case.name
        chosen = " ◄" if probes.use_case is case else ""
        rows.append([
            f"{name}{'' if case.verified else ' *'}{chosen}",
            f"{phrases.figure(case.latency_ms, 'ms')}, {phrases.figure(case.availability, 'availability')}",
            phrases.say(text("verdicts." + found.verdict.value.replace(" ", "_"))),
        ])  # fmt: skip
    pictures = {name: draw.svg(spec, phrases.language) for name, spec in link_pictures(link, phrases).items()}
    return {
        "name": link.asset.name,
        "told": phrases.fill(text("link"), figures, {}),
        "cases": _table(phrases, ("application", "asks", "verdict"), rows),
        "note": phrases.say(text("link_note")),
        "pictures": pictures,
    }


def _quality(diagnosis: Diagnosis, phrases: Phrases) -> dict[str, Any]:
    subject = diagnosis.subject
    source = subject.source
    lines = []
    if source.rows:
        lines.append(phrases.fill(text("rows"), {"rows": source.rows, "bad": source.bad_rows}, {}))
    lines += [phrases.say(note) for note in diagnosis.notes]
    listed = diagnosis.faults.listed[:_LISTED]
    rows = [[str(bad.line), bad.column, phrases.say(bad.reason)] for bad in listed]
    rest = source.bad_rows - len({bad.line for bad in listed})
    coverage = [
        [one.shown, *(phrases.figure(ratio.coverage, "percent") for ratio in (
            one.oee.availability, one.oee.performance, one.oee.trs
        )), phrases.figure(one.oee.unknown, "duration")]
        for one in subject.machines
    ]  # fmt: skip
    unknown = phrases.say(text("unknown"))
    table = {
        "columns": [phrases.say(text("columns.machine")), "Do", "Tp", "TRS", unknown],
        "rows": coverage,
        "numeric": [1, 2, 3, 4],
    }
    return {
        "lines": lines,
        "coverage": table,
        "bad_rows": _table(phrases, ("line", "column", "reason"), rows) if rows else None,
        "rest": phrases.fill(text("more_rows"), {"rest": rest}, {}) if rest > 0 and rows else "",
        "digest": source.digest,
    }


def _method(diagnosis: Diagnosis, phrases: Phrases) -> list[str]:
    told = [phrases.say(line) for line in paragraphs()]
    for machine in diagnosis.subject.machines:
        if diagnosis.subject.plant.calendar(machine.asset.path) is None:
            told.insert(1, phrases.say(text("no_calendar")))
            break
    micro = {machine.asset.micro_stop_s for machine in diagnosis.subject.machines}
    return told + [phrases.fill(text("micro"), {"micro": seconds}, {}) for seconds in sorted(micro)]


def moment_of(diagnosis: Diagnosis) -> datetime:
    """The end of the interval, which stands for the date of the document: the same data, the same bytes."""
    subject = diagnosis.subject
    return datetime.fromtimestamp(subject.window.end_ns // SECOND_NS, subject.plant.zone)

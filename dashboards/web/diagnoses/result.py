"""What comes out of a file: times, figures, losses, what of the file was not used. The same numbers as `km0 oee`."""

import math
from collections.abc import Sequence

from pydantic import Field, field_validator

from dashboards.web.figures import known
from dashboards.web.models import Model
from dashboards.web.times import Instant
from pipeline.files.eventlog import EventLog
from pipeline.kpis.catalogue import CATALOGUE
from pipeline.kpis.losses import losses, pareto, point_of_trs
from telemetry.samples import Ratio


class FigureOut(Model):
    """One ratio with what it rests on."""

    kpi: str
    value: float | None
    numerator: float
    denominator: float
    coverage: float
    reference: str


class BarOut(Model):
    """Lost time with one cause."""

    name: str
    seconds: float
    share: float | None
    cumulative: float | None
    times: int
    cost: float | None = Field(description="€; null without an hourly cost")


class SaidOut(Model):
    en: str
    fr: str


class BadRowOut(Model):
    """A row that was not used, or not in full."""

    line: int
    column: str
    reason: SaidOut


class ResultOut(Model):
    """The diagnosis of a file."""

    file: str
    machine: str
    machines: list[str] = Field([], description="all that the file names; ask for another with `machine`, from 0")
    timezone: str
    start: Instant
    end: Instant
    convention: str
    times: dict[str, float] = Field(description="tT, tO, tR, known, tF, tN, tU … [s]")
    parts: float | None
    parts_good: float | None
    figures: list[FigureOut]
    by_category: list[BarOut]
    by_reason: list[BarOut]
    by_product: list[BarOut]
    point_of_trs_s: float = Field(description="what one point of TRS is [s]")
    point_of_trs_parts: float | None
    point_of_trs_cost: float | None
    findings: list[SaidOut] = Field(description="what is wrong with the inputs, such as a reference cycle too slow")
    notes: list[SaidOut]
    rows: int
    bad_rows: int
    bad_rows_listed: list[BadRowOut]

    @field_validator("findings", mode="before")
    @classmethod
    def _of_earlier(cls, value: object) -> object:
        """An earlier version kept one sentence of each."""
        if isinstance(value, list):
            return [{"en": one, "fr": one} if isinstance(one, str) else one for one in value]
        return value

    def seconds(self, symbol: str) -> float:
        """A time of the model [s]; NaN where nothing tells it: tN without a cycle, tU without good parts."""
        rests_on = {"tN": "tp", "tU": "trs"}.get(symbol)
        told = all(one.coverage > 0 for one in self.figures if one.kpi == rests_on)
        return self.times[symbol] if told else math.nan


def of(log: EventLog, file: str, machines: Sequence[str] = ()) -> ResultOut:
    """Everything of a machine in a file over its whole span; `machines`: all that the file names."""
    history = log.history(log.span)
    oee = history.over(log.span)
    lost = losses(history, log.span)
    point = point_of_trs(oee, log.machine)
    bars = {
        by: [
            BarOut(
                name=bar.name, seconds=bar.seconds, share=known(bar.share), cumulative=known(bar.cumulative),
                times=bar.times, cost=known(bar.cost),
            )
            for bar in pareto(lost, by)[:200]
        ]
        for by in ("category", "reason", "product")
    }  # fmt: skip
    return ResultOut(
        file=file,
        machine=log.config.machine.name,
        machines=list(machines),
        timezone=log.config.timezone or "UTC",
        start=log.span.start_ns,
        end=log.span.end_ns,
        convention=oee.convention.name,
        times={
            "tT": oee.total, "tO": oee.opening, "tR": oee.required, "known": oee.known, "tF": oee.running,
            "tN": oee.net, "tU": oee.useful, "unknown": oee.unknown, "planned": oee.planned,
        },
        parts=known(oee.made_all) if oee.made_coverage else None,
        parts_good=known(oee.good_all) if oee.good_coverage else None,
        figures=[
            FigureOut(
                kpi=kpi.name, value=known(figure.value), numerator=figure.numerator, denominator=figure.denominator,
                coverage=figure.coverage, reference=kpi.reference,
            )
            for kpi in CATALOGUE
            if kpi.of == "machine" and isinstance(figure := kpi.compute(oee), Ratio)
        ],
        by_category=bars["category"],
        by_reason=bars["reason"],
        by_product=bars["product"],
        point_of_trs_s=point.time,
        point_of_trs_parts=known(point.parts),
        point_of_trs_cost=known(point.cost),
        findings=[SaidOut(en=one.en, fr=one.fr) for one in oee.findings],
        notes=[SaidOut(en=note.en, fr=note.fr) for note in log.notes],
        rows=log.faults.rows,
        bad_rows=log.faults.count,
        bad_rows_listed=[
            BadRowOut(line=bad.line, column=bad.column, reason=SaidOut(en=bad.reason.en, fr=bad.reason.fr))
            for bad in log.faults.listed
        ],
    )  # fmt: skip

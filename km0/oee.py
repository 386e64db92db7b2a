"""`km0 oee`: TRS and OEE of a paper form's totals, or of an event log, with every intermediate time."""

import json
import math
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import typer
from pydantic import Field, ValidationError
from rich.table import Table

from km0.console import out
from pipeline.files import eventlog
from pipeline.files.eventlog import EventLog
from pipeline.files.mapping import EventLogConfig
from pipeline.kpis import iso22400, oee
from pipeline.kpis.catalogue import CATALOGUE
from pipeline.kpis.iso22400_table import ELEMENTS, Denominator, completed, table
from pipeline.kpis.losses import losses, pareto, point_of_trs, six_big_losses, worth
from pipeline.kpis.oee import Convention, Oee
from pipeline.kpis.states import Category
from telemetry.config import Section, load
from telemetry.errors import ConfigError, DecodeError
from telemetry.plant import CategoryName
from telemetry.samples import SECOND_NS, Window

_CONVENTIONS: Final[dict[str, Convention]] = {
    "nf_e60_182": oee.NF_E60_182,
    "iso_22400_2": oee.ISO_22400_2,
    "nakajima": oee.NAKAJIMA,
    "setup_planned": oee.SETUP_PLANNED,
}
_PER_HOUR: Final = {"s": 3600, "min": 60, "h": 1}
Kind = Literal["hour", "shift", "day", "week", "month"]


class Case(Section):
    """Totals of a shift or day as a paper form states them; one unit of time throughout."""

    unit: str = Field("min", description="unit of all times, for print only")
    convention: Literal["nf_e60_182", "iso_22400_2", "nakajima", "setup_planned"] = "nf_e60_182"
    required: float | None = Field(None, description="required time tR; or `opening` and `planned_stops`")
    opening: float | None = Field(None, description="opening time tO")
    total: float | None = Field(None, description="total time tT")
    planned_stops: float | None = Field(None, description="tO − tR")
    stops: dict[CategoryName, float] | float = Field(0.0, description="stops in tR, all together or by category")
    running: float | None = Field(None, description="running time tF; or the stops, or `speed_loss`")
    hourly_cost: float | None = Field(None, ge=0, description="cost of an hour [€], where `unit` is s, min or h")
    elements: dict[str, float] = Field({}, description="further elements of ISO 22400-2 by code: RQ, AOET, CMT, …")
    denominator: Denominator = Field("fe", description="of MTBF, MTTF and MTTR: failure events, or events + 1")
    cycle: float | None = Field(None, description="reference cycle time tCR of one part")
    made: float | None = Field(None, description="parts made NPR")
    good: float | None = Field(None, description="good parts NPB")
    reject: float | None = Field(None, description="parts that are not good")
    speed_loss: float | None = Field(None, description="écarts de cadence tF − tN")

    @property
    def rate(self) -> float:
        """Cost [€] of one `unit` of time; NaN without `hourly_cost`. Raises ConfigError where nobody knows how many of
        them an hour has."""
        if self.hourly_cost is None:
            return math.nan
        if self.unit not in _PER_HOUR:
            raise ConfigError(f"hourly_cost needs times in s, min or h; the unit is {self.unit!r}: use one of them")
        return self.hourly_cost / _PER_HOUR[self.unit]

    def compute(self) -> Oee:
        """Raises ConfigError when the totals are too few or contradict one another."""
        given = self.model_dump(exclude={"unit", "convention", "stops", "hourly_cost", "elements", "denominator"})
        if unknown := sorted(self.elements.keys() - ELEMENTS.keys()):
            raise ConfigError(f"{unknown[0]!r} is no element of ISO 22400-2; there is {', '.join(ELEMENTS)}")
        stops = self.stops
        causes = {Category(name): length for name, length in stops.items()} if isinstance(stops, dict) else stops
        try:
            return oee.from_totals(**given, stops=causes, convention=_CONVENTIONS[self.convention])
        except ValueError as error:
            raise ConfigError(str(error)) from error


def command(
    case: Annotated[
        Path | None, typer.Argument(help="Totals as JSON: required or opening, stops, cycle, made …")
    ] = None,
    events: Annotated[
        Path | None, typer.Option("--events", help="An event log: CSV, XLSX, Parquet, or MTConnect SHDR text.")
    ] = None,
    columns: Annotated[
        Path | None, typer.Option("--map", help="TOML: which column says what, time zone, cycle times, calendar.")
    ] = None,
    zone: Annotated[
        str | None, typer.Option("--timezone", help='Zone of times without an offset, such as "Europe/Paris".')
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="ISO 8601 with offset; default: the first event.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="ISO 8601 with offset; default: the last event.")] = None,
    plus_one: Annotated[
        bool,
        typer.Option("--plus-one", help="MTBF and MTTR by failure events + 1, as ISO 22400-2 of 2014 is reported."),
    ] = False,
    per: Annotated[str | None, typer.Option("--per", help="Also per hour, shift, day, week or month.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: every intermediate time and figure.")] = False,
) -> None:
    """TRS, TRG, TRE (NF E60-182) and OEE (ISO 22400-2) of totals or of an event log, with their losses."""
    if (case is None) == (events is None):
        raise ConfigError("give either a file of totals (km0 oee CASE.json) or an event log (km0 oee --events FILE)")
    if case is not None:
        form = _case(case)
        report = of_totals(form.model_copy(update={"denominator": "fe_plus_one"}) if plus_one else form)
    else:
        assert events is not None
        config = EventLogConfig() if columns is None else load(columns, EventLogConfig)
        config = config if zone is None else config.model_copy(update={"timezone": zone})
        try:
            log = eventlog.load(events, config)
        except DecodeError as error:
            raise ConfigError(f"{events}: {str(error).removeprefix(f'{events}: ')}") from error
        report = of_events(log, _window(log, start, end), per, "fe_plus_one" if plus_one else "fe")
    if as_json:
        sys.stdout.write(json.dumps(_finite(report), allow_nan=False, ensure_ascii=False) + "\n")
    else:
        _show(report)


def _case(path: Path) -> Case:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    try:
        return Case.model_validate_json(text)
    except ValidationError as error:
        faults = (f"{path}: {'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in error.errors())
        raise ConfigError("\n".join(faults)) from error


def _window(log: EventLog, start: str | None, end: str | None) -> Window:
    """The interval asked for. Raises ConfigError when it is empty, or the log says nothing of it."""
    span = log.span
    start_ns, end_ns = _instant(start, span.start_ns), _instant(end, span.end_ns)
    if start is not None and end is not None and end_ns <= start_ns:
        raise ConfigError(f"--to {end} is not after --from {start}: exchange them")
    if start_ns >= span.end_ns:
        raise ConfigError(f"--from {start} is after the last event, of {_iso(span.end_ns - 1)}: give an earlier one")
    if end_ns <= span.start_ns:
        raise ConfigError(f"--to {end} is not after the first event, of {_iso(span.start_ns)}: give a later one")
    return Window(start_ns, end_ns)


def _instant(text: str | None, default_ns: int) -> int:
    if text is None:
        return default_ns
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is not ISO 8601; write for example 2026-11-22T05:00+01:00") from None
    if moment.tzinfo is None:
        raise ConfigError(f"{text!r} has no offset; write for example {text}+01:00 or {text}Z")
    return int(moment.timestamp()) * SECOND_NS + moment.microsecond * 1000


def of_totals(case: Case) -> dict[str, Any]:
    """The report of a form's totals."""
    found = case.compute()
    own = {code: value for code, value in iso22400.elements(found).items() if not math.isnan(value)}
    own.pop("FE")  # a form does not tell how many stops were failures, unless as a further element
    if case.elements.keys() & {"RQ", "SQ"}:
        own.pop("SQ", None)  # as the form has it, parts to be reworked are scrap too
    if case.cycle is not None:
        own["PRI"] = case.cycle
    if both := sorted(own.keys() & case.elements.keys()):
        raise ConfigError(f"{both[0]} follows from the form ({own[both[0]]:g}): leave it out of its elements")
    for code, value in sorted(case.elements.items()):
        if value < 0:
            raise ConfigError(f"{code} is {value:g}; an element is 0 or more")
    events = case.elements.get("FE", math.nan)
    if events % 1 > 0:
        raise ConfigError(f"FE is {events:g}; write how many failure events there were, a whole number")
    bad, told = found.made_all - found.good_all, sum(case.elements.get(code, 0.0) for code in ("RQ", "SQ"))
    if found.made_coverage and found.good_coverage and told > bad + 1e-9:
        raise ConfigError(f"RQ + SQ is {told:g}, and only {bad:g} parts are not good")
    found = replace(found, failures=events)
    elements = completed(own | case.elements)
    rows = {row.name: (row, ratio) for row, ratio in table(elements, case.denominator).items()}
    report = _figures(found, case.denominator, case.unit)
    report["iso_22400_2"] = dict.fromkeys(report["iso_22400_2"], math.nan) | elements
    if "scrap_ratio" in rows:  # the form may tell scrap from rework, which the counts of a machine do not
        scrap = rows["scrap_ratio"][1]
        report["figures"]["scrap_ratio"] |= {
            "value": scrap.value, "numerator": scrap.numerator, "denominator": scrap.denominator,
        }  # fmt: skip
    return {
        "unit": case.unit,
        "convention": found.convention.name,
        **report,
        "iso_22400_2_table": {
            name: {"value": ratio.value, "formula": row.formula} for name, (row, ratio) in rows.items()
        },
        "one_point_of_trs": asdict(worth(found, math.nan if case.cycle is None else case.cycle, case.rate)),
    }


def of_events(log: EventLog, window: Window, per: str | None = None, denominator: Denominator = "fe") -> dict[str, Any]:
    """The report of an event log over a window. Raises ConfigError for a kind of window that is not known."""
    if per is not None and per not in get_args(Kind):
        raise ConfigError(f"{per!r} is no kind of window; there is {', '.join(get_args(Kind))}")
    history = log.history(window)
    found = history.over(window)
    lost = losses(history, window)
    report: dict[str, Any] = {
        "unit": "s",
        "convention": found.convention.name,
        "from": _iso(window.start_ns),
        "to": _iso(window.end_ns),
        "events": sum(len(one) for one in log.series.values()),
        **_figures(found, denominator, "s"),
        "losses": [asdict(loss) for loss in lost],
        "pareto": {by: [asdict(bar) for bar in pareto(lost, by)] for by in ("category", "reason", "product")},
        "one_point_of_trs": asdict(point_of_trs(found, log.config.machine)),
        "notes": [note.en for note in (*log.notes_on(window), *log.faults.notes())],
        "rows": log.faults.rows,
        "bad_rows": {
            "count": log.faults.count,
            "listed": [{"line": bad.line, "column": bad.column, "reason": bad.reason.en} for bad in log.faults.listed],
        },
    }
    if per is not None:
        report["windows"] = _windows(log, eventlog.windows_of(log, per, window))
    return report


def _windows(log: EventLog, inner: list[Window]) -> list[dict[str, Any]]:
    """TRS of each of these windows, from one timeline."""
    if not inner:
        return []
    history = log.history(Window(min(one.start_ns for one in inner), max(one.end_ns for one in inner)))
    return [
        {
            "from": _iso(one.start_ns),
            "to": _iso(one.end_ns),
            "open": one.end_ns > log.span.end_ns,
            "trs": asdict(part.trs) | {"value": part.trs.value},
        }
        for one in inner
        for part in (history.over(one),)
    ]


def _figures(found: Oee, denominator: Denominator, unit: str) -> dict[str, Any]:
    times = {
        "tT": found.total, "tO": found.opening, "tR": found.required, "known": found.known, "tF": found.running,
        "tN": found.net, "tU": found.useful, "planned": found.planned, "unknown": found.unknown,
    }  # fmt: skip
    return {
        "times": times,
        "stops": {category.value: length for category, length in found.stops.items() if length},
        "parts": {
            "made": found.made_all if found.made_coverage else math.nan,
            "good": found.good_all if found.good_coverage else math.nan,
        },
        "figures": {
            kpi.name: {
                "value": figure.value, "unit": kpi.unit, "numerator": figure.numerator,
                "denominator": figure.denominator, "coverage": figure.coverage, "reference": kpi.reference,
            }
            for kpi in CATALOGUE
            if kpi.of == "machine" and not kpi.name.endswith("_time") and kpi.name not in ("parts", "parts_good")
            for figure in (kpi.compute(found),)
        }
        | _means(found, denominator, unit),
        "iso_22400_2": iso22400.elements(found),
        "six_big_losses": asdict(six_big_losses(found)),
        "findings": list(map(str, found.findings)),
    }  # fmt: skip


def _means(found: Oee, denominator: Denominator, unit: str) -> dict[str, Any]:
    """MTBF and MTTR in the unit of the report, with their denominator."""
    n = "FE" if denominator == "fe" else "FE + 1"
    return {
        name: {
            "value": figure.value, "unit": unit, "numerator": figure.numerator, "denominator": figure.denominator,
            "coverage": figure.coverage, "reference": f"ISO 22400-2 {name.upper()}, n = {n}",
        }
        for name, compute in (("mtbf", iso22400.mtbf), ("mttr", iso22400.mttr))
        for figure in (compute(found, denominator),)
    }  # fmt: skip


def _iso(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // SECOND_NS, UTC).isoformat(timespec="seconds")


def _finite(value: Any) -> Any:
    """NaN is null in JSON."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _show(report: dict[str, Any]) -> None:
    unit = report["unit"]
    where = f", {report['from']} … {report['to']}" if "from" in report else ""
    out.print(f"{report['convention']}{where}", style="bold", markup=False)
    times = Table("time", unit, box=None)
    for name, length in (report["times"] | report["stops"]).items():
        times.add_row(name, f"{length:,.3f}")
    figures = Table("figure", "value", "coverage", "reference", box=None)
    for name, figure in report["figures"].items():
        value = figure["value"]
        shown = f"{value:,.1f} {figure['unit']}" if figure["unit"] else f"{value:.2%}"
        shown = "not known" if math.isnan(value) else shown
        figures.add_row(name, shown, f"{figure['coverage']:.1%}", figure["reference"])
    out.print(times)
    parts = (f"{name} {'not known' if math.isnan(one) else f'{one:g}'}" for name, one in report["parts"].items())
    out.print(f"parts {', '.join(parts)}")
    out.print(figures)
    if rows := report.get("iso_22400_2_table"):
        indices = Table("ISO 22400-2", "value", "formula", box=None)
        for name, row in rows.items():
            indices.add_row(name, "not known" if math.isnan(row["value"]) else f"{row['value']:.5g}", row["formula"])
        out.print(indices)
    for bar in report.get("pareto", {}).get("category", []):
        cost = "" if math.isnan(bar["cost"]) else f"  {bar['cost']:,.2f} €"
        out.print(f"  {bar['name']:12} {bar['seconds']:12,.1f} s  {bar['cumulative']:7.1%}{cost}", markup=False)
    point = report["one_point_of_trs"]
    told = [f"{point['time']:,.1f} {unit}"]
    told += [] if math.isnan(point["parts"]) else [f"{point['parts']:,.2f} parts"]
    told += [] if math.isnan(point["cost"]) else [f"{point['cost']:,.2f} €"]
    out.print(f"one point of TRS is worth {', '.join(told)}", markup=False)
    for one in report.get("windows", []):
        value = "not known" if math.isnan(one["trs"]["value"]) else f"{one['trs']['value']:.2%}"
        out.print(
            f"  {one['from']}  TRS {value}  coverage {one['trs']['coverage']:.1%}{'  open' if one['open'] else ''}",
            markup=False,
        )
    for sentence in (*report["findings"], *report.get("notes", [])):
        out.print(f"! {sentence}", markup=False)

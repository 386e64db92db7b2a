"""`km0 diagnose FILE`: from a spreadsheet, a log or a recording to a report, without a server."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import typer
from rich.progress import Progress

from km0.console import out
from pipeline.diagnosis.diagnosis import Diagnosis, link_of, of_logs
from pipeline.files import eventlog
from pipeline.files.guard import RefusedFileError
from pipeline.files.mapping import EventLogConfig
from pipeline.files.propose import Proposal, propose
from telemetry.config import load
from telemetry.errors import ConfigError, DecodeError
from telemetry.plant import Asset

Form = Literal["pdf", "html", "json"]
_FORMS: Final[dict[str, Form]] = {".pdf": "pdf", ".html": "html", ".htm": "html", ".json": "json"}
_LANGUAGES: Final = ("fr", "en")
_SHOW_FROM: Final = 20 << 20


def diagnose(
    file: Annotated[Path, typer.Argument(help="Event log: CSV, XLSX, Parquet, a PLC's log, or MTConnect SHDR.")],
    language: Annotated[str, typer.Option("--lang", help="fr or en.")] = "fr",
    report: Annotated[Path | None, typer.Option("--out", help="Where to write it: .pdf, .html or .json.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures and findings as JSON.")] = False,
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="TOML: which column says what; as of km0 oee --map. Else proposed.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save-mapping", help="Write the mapping that was used, to correct and use again.")
    ] = None,
    zone: Annotated[str, typer.Option("--timezone", help="Zone of times without an offset.")] = "Europe/Paris",
    cycle: Annotated[
        float | None, typer.Option("--cycle", min=0.001, help="Reference cycle of every part [s].")
    ] = None,
    cost: Annotated[float | None, typer.Option("--hourly-cost", min=0, help="Cost of one lost hour [€].")] = None,
    link: Annotated[
        Path | None, typer.Option("--link", help="What ping -D, irtt or a table recorded of the network.")
    ] = None,
    machine: Annotated[
        str | None, typer.Option("--machine", help="Of several machines in one file: the one to look at; else each.")
    ] = None,
    use_case: Annotated[
        str | None,
        typer.Option("--use-case", help="Of the link: its application in TS 22.104."),
    ] = None,
) -> None:
    """Diagnose a machine from an event file: TRS, losses, what they point at, whether to trust the data."""
    if language not in _LANGUAGES:
        raise ConfigError(f"--lang is {language!r}; there is {' and '.join(_LANGUAGES)}")
    form = None if report is None else _form(report)
    if form in ("pdf", "html"):
        _require()
    try:
        config = load(mapping, EventLogConfig) if mapping is not None else _proposed(file, zone)
        config = _completed(config, cycle, cost)
        config = config if machine is None else config.model_copy(update={"only": machine})
        if save is not None:
            save.write_text(config.toml(), encoding="utf-8")
        found = of_logs(_read(file, config), file, links=() if link is None else (link_of(link, use_case),))
    except DecodeError as error:
        raise ConfigError(f"{file}: {str(error).removeprefix(f'{file}: ')}") from error
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}") from error
    if as_json or form == "json":
        _require()
    if report is not None and form is not None:
        _write(found, language, report, form)
    if as_json:
        sys.stdout.write(_json(found, language))
    elif report is None:
        _show(found, language)


def _form(report: Path) -> Form:
    form = _FORMS.get(report.suffix.lower())
    if form is None:
        raise ConfigError(f"--out {report}: end it in {', '.join(_FORMS)}")
    assert form in get_args(Form)
    if not report.absolute().parent.is_dir():
        raise ConfigError(f"--out {report}: there is no folder {report.parent}")
    return form


def _require() -> None:
    """Reports need their extra; a plain collector does not carry it."""
    missing = [name for name in ("altair", "vl_convert", "typst", "font_source_sans_pro") if find_spec(name) is None]
    if missing:
        raise ConfigError("reports need the extra `reports`: pip install 'km0-telemetry[reports,files]'")


def _proposed(file: Path, zone: str) -> EventLogConfig:
    """The mapping that is proposed, with what is unsure of it told on standard error."""
    found: Proposal = propose(file, timezone=zone)
    if found.lacking is not None:
        raise RefusedFileError(found.lacking)
    for guess in found.unsure:
        typer.echo(f"? {guess.field} = {guess.value!r} ({guess.confidence:.0%} sure): {guess.why.en}", err=True)
    for word in found.words:
        if word.confidence < 0.8:
            meaning = word.state or "not known: those rows are listed as bad"
            typer.echo(f"? state {word.word!r} ({word.times} times): {meaning}", err=True)
    for note in found.notes:
        typer.echo(f"! {note.en}", err=True)
    return found.mapping


def _completed(config: EventLogConfig, cycle: float | None, cost: float | None) -> EventLogConfig:
    machine: dict[str, Any] = {}
    if cycle is not None:
        machine["cycle_s"] = {"*": cycle}
    if cost is not None:
        machine["hourly_cost"] = cost
    if not machine:
        return config
    changed: Asset = config.machine.model_copy(update=machine)
    return config.model_copy(update={"machine": changed})


def _read(file: Path, config: EventLogConfig) -> list[eventlog.EventLog]:
    """The file, machine by machine, with a bar where it takes long."""
    if not file.is_file() or file.stat().st_size < _SHOW_FROM or not sys.stderr.isatty():
        return eventlog.load_each(file, config)
    with Progress(transient=True) as bar:
        task = bar.add_task(f"reading {file.name}", total=1.0)
        return eventlog.load_each(file, config, progress=lambda done: bar.update(task, completed=done))


def _json(found: Diagnosis, language: Any) -> str:
    from dashboards.reports.figures import figures

    return json.dumps(figures(found, language), allow_nan=False, ensure_ascii=False) + "\n"


def _write(found: Diagnosis, language: Any, report: Path, form: Form) -> None:
    if form == "json":
        report.write_text(_json(found, language), encoding="utf-8")
        return
    from dashboards.reports.content import content

    said = content(found, language)
    if form == "pdf":
        from dashboards.reports import paper

        report.write_bytes(paper.pdf(said))
    else:
        from dashboards.reports import page

        report.write_text(page.html(said), encoding="utf-8")
    typer.echo(f"{report}", err=True)


def _show(found: Diagnosis, language: Any) -> None:
    """The summary, for a terminal."""
    from dashboards.reports.phrases import Phrases
    from dashboards.web.formats import Formats

    subject = found.subject
    phrases = Phrases(Formats(language, subject.plant.zone))
    for machine in subject.machines:
        oee = machine.oee
        ratios = {"TRS": oee.trs, "Do": oee.availability, "Tp": oee.performance, "Tq": oee.quality}
        told = "  ".join(f"{name} {phrases.share(ratio.value)}" for name, ratio in ratios.items())
        out.print(f"{machine.shown}: {told}", style="bold", markup=False)
    for one in found.findings:
        gain = phrases.figure(one.match.gain.seconds, "duration")
        out.print(f"  {gain:>12}  {phrases.tell(one.words.title, one.match)}", markup=False)
        out.print(f"                {phrases.tell(one.words.evidence, one.match)}", style="dim", markup=False)
    for note in (*found.notes, *found.faults.notes()):
        out.print(f"! {phrases.say(note)}", markup=False)

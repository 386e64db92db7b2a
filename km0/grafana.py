"""`km0 grafana`: boards, alert rules and data sources of Grafana, made from the plant file."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from km0 import __version__
from km0.console import out
from km0.plantfile import PlantFile
from pipeline.stores.influxdb_config import InfluxDbConfig
from telemetry.config import Secret, load
from telemetry.errors import ConfigError

app = typer.Typer(
    help="Boards, alert rules and data sources of Grafana, made from the plant file.", no_args_is_help=True
)

PlantArgument = Annotated[Path, typer.Argument(help="The plant file.", show_default=True)]


@app.callback()
def _group() -> None:
    """Boards, alert rules and data sources of Grafana, made from the plant file."""


@app.command()
def render(
    file: PlantArgument = Path("plant.toml"),
    out_folder: Annotated[
        Path, typer.Option("--out", help="Folder of the rendered files; made when it is not there.")
    ] = Path("dashboards/grafana/rendered"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 1 when a file differs.")] = False,
) -> None:
    """Render everything that Grafana can be provisioned with, in French and English."""
    wanted = _wanted(file)
    stale = [path for path, text in wanted.items() if _held(out_folder / path) != text]
    known = {out_folder / path for path in wanted}
    left = [path for path in sorted(out_folder.rglob("*")) if path.is_file() and path not in known]
    if check:
        for path in [*(out_folder / one for one in stale), *left]:
            out.print(f"differs: {path}", markup=False)
        if stale or left:
            raise typer.Exit(1)
        out.print(f"{len(wanted)} files in {out_folder} are current", markup=False)
        return
    try:
        for path in stale:
            (out_folder / path).parent.mkdir(parents=True, exist_ok=True)
            (out_folder / path).write_text(wanted[path], encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{out_folder}: {error.strerror}; choose another folder with --out") from error
    out.print(f"{len(wanted)} files in {out_folder}, {len(stale)} of them written", markup=False)
    for path in left:
        out.print(f"not ours, left alone: {path}", markup=False)


@app.command()
def publish(
    file: PlantArgument = Path("plant.toml"),
    url: Annotated[str, typer.Option(help="Where Grafana is.")] = "http://127.0.0.1:3000",
    token_file: Annotated[
        Path | None, typer.Option(help="File that holds a token of a Grafana service account (role Admin).")
    ] = None,
    reader_token_file: Annotated[
        Path | None,
        typer.Option(help="File that holds InfluxDB's read-only token; without it data sources are left alone."),
    ] = None,
    alert_mail: Annotated[
        str | None, typer.Option(help="Address that alerts are sent to; without it Grafana's own routing decides.")
    ] = None,
    english_alerts: Annotated[bool, typer.Option("--english-alerts", help="Alerts in English, not in French.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; say what would be done.")] = False,
    in_clear: Annotated[
        bool,
        typer.Option("--in-clear", help="Send the token over http:// to another machine: in your own network only."),
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take everything that this command made away.")] = False,
) -> None:
    """Put boards, alert rules and data sources into a Grafana that is there. Twice is as good as once."""
    from dashboards.grafana.publish import Grafana, Wanted

    if token_file is None:
        raise ConfigError("name the file that holds Grafana's token: --token-file PATH")
    plant_file = load(file, PlantFile)
    grafana = Grafana(url, Secret(env=None, file=token_file).read(), dry_run=dry_run, in_clear=in_clear)
    if remove:
        done = grafana.remove()
    else:
        reader = None if reader_token_file is None else Secret(env=None, file=reader_token_file).read()
        store = _influxdb(plant_file)
        language: Literal["fr", "en"] = "en" if english_alerts else "fr"
        done = grafana.publish(Wanted(plant_file.plant, store, __version__, reader, alert_mail, language))
    for line in done:
        out.print(line, markup=False)


def _wanted(file: Path) -> dict[Path, str]:
    from dashboards.grafana.render import files

    plant_file = load(file, PlantFile)
    return files(plant_file.plant, _influxdb(plant_file))


def _influxdb(plant_file: PlantFile) -> InfluxDbConfig:
    """The store that Grafana asks: the plant file's, or InfluxDB as compose names it when the file has another."""
    store = plant_file.store
    return store if isinstance(store, InfluxDbConfig) else InfluxDbConfig(url="http://influxdb:8086")


def _held(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None

"""`km0 grafana`: boards, alert rules and data sources of Grafana, made from the plant file."""

from pathlib import Path
from typing import Annotated

import typer

from km0.console import out
from km0.plantfile import PlantFile
from telemetry.config import load
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
    from dashboards.grafana.render import files

    wanted = files(load(file, PlantFile).plant)
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


def _held(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None

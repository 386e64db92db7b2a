"""Commands that need no plant: check a plant file, write one to start from, list the glossary."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from km0.console import out
from km0.plantfile import PlantFile, sample_file
from telemetry.config import load
from telemetry.errors import ConfigError
from telemetry.glossary import METRICS


def check(
    file: Annotated[Path, typer.Argument(help="The plant file.", show_default=True)] = Path("plant.toml"),
) -> None:
    """Check a plant file without starting anything. Exit code 2 and the line of every fault when it is wrong."""
    plant_file = load(file, PlantFile)
    plant = plant_file.plant
    out.print(f"{file} is right: {len(plant.assets)} assets, {len(plant_file.collectors)} collectors.", markup=False)
    for collector in plant_file.collectors:
        out.print(f"  {collector.kind} {collector.name}", markup=False)


def init(
    file: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("plant.toml"),
) -> None:
    """Write a commented plant file to start from (the demonstrator's own). Never overwrites."""
    try:
        with file.open("x", encoding="utf-8") as target:
            target.write(sample_file().read_text(encoding="utf-8"))
    except FileExistsError:
        raise ConfigError(f"{file} exists already; choose another name: km0 init OTHER.toml") from None
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    out.print(f"wrote {file}; edit it, then: km0 check {file} && km0 run {file}", markup=False)


def glossary() -> None:
    """List every metric a sample may have: name, unit, kind, meaning."""
    table = Table("metric", "unit", "kind", "meaning", "sens")
    for metric in METRICS.values():
        table.add_row(metric.name, metric.unit, metric.kind, metric.meaning, metric.meaning_fr)
    out.print(table)

"""Data in and out: `km0 export`, `km0 import`, `km0 backup`, `km0 move`. Each may be run again: twice is once."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from km0.console import err, out
from km0.plantfile import PlantFile
from pipeline.stores import DuckDbConfig
from pipeline.stores.transfer import KpiName, Moved, chunks, copy, differences, kpi_values, put
from telemetry.config import load
from telemetry.errors import ConfigError, KM0Error, StoreError
from telemetry.protocols import Store
from telemetry.samples import Sample
from telemetry.validity import Gate

PLANT_FILE = Annotated[Path, typer.Option("--plant", help="The plant file; its [store] is meant.")]
Format = Literal["parquet", "line"]


def export(
    folder: Annotated[Path, typer.Argument(help="Where to; made when it is not there.")],
    plant: PLANT_FILE = Path("plant.toml"),
    form: Annotated[
        Format, typer.Option("--format", help="parquet: samples and KPI values; line: samples as line protocol.")
    ] = "parquet",
) -> None:
    """Write all samples and KPI values of a store to files that other programs read."""
    file = load(plant, PlantFile)
    with _opened(file) as store:
        inventory = store.inventory()
        with _progress("samples", sum(held.samples for held in inventory)) as bar:
            told = _told(chunks(store, inventory), bar)
            if form == "line":
                from pipeline.stores import linefile

                written, kpis = linefile.write_samples(folder / "samples.lp", told), 0
            else:
                from pipeline.stores import parquet

                written = parquet.write_samples(folder, told)
                names = _kpi_names(file, store)
                kpis = parquet.write_kpis(folder, kpi_values(store, bar.track(names, description="KPIs")))
    if form == "line":
        out.print(f"{written} samples are in {folder}; line protocol has no KPI values, Parquet does", markup=False)
    else:
        out.print(f"{written} samples and {kpis} KPI values are in {folder}", markup=False)


def import_(
    source: Annotated[Path, typer.Argument(help="A folder that `km0 export` wrote, or a file of line protocol.")],
    plant: PLANT_FILE = Path("plant.toml"),
) -> None:
    """Read samples (and KPI values) from files into a store. What the plant does not know is refused, and said."""
    file = load(plant, PlantFile)
    gate, moved = Gate(file.plant), Moved()
    with _opened(file) as store, _progress("samples", None) as bar:
        for samples in _samples_of(source, bar):
            reasons = {index: reason for index, one in enumerate(samples) if (reason := gate.refusal(one))}
            moved.refused += [(samples[index], reason) for index, reason in reasons.items()]
            put(store, [one for index, one in enumerate(samples) if index not in reasons], moved)
        if (source / "kpis.parquet").exists():
            from pipeline.stores import parquet

            for values in parquet.read_kpis(source):
                store.write_kpis(values, store.cursor())
                moved.kpis += len(values)
    _tell(moved)


def move(
    source: Annotated[Path, typer.Argument(help="The plant file whose [store] has the data now.")],
    target: Annotated[Path, typer.Argument(help="The plant file whose [store] is to have it.")],
) -> None:
    """Copy a plant from one store to another, then compare both, sample by sample and KPI by KPI.

    What waits in the old plant's spool goes into its store first.
    """
    from km0.transfer_spool import drained

    file = load(source, PlantFile)
    with _opened(file) as old, _opened(load(target, PlantFile)) as new:
        waited, letters = drained(file.spool.path, old)
        if waited:
            out.print(f"{waited} samples that waited in the spool are in the old store now", markup=False)
        if letters:
            out.print(
                f"{letters} dead letters stay in {file.spool.path}: km0 deadletters list --plant {source}", markup=False
            )
        names = _kpi_names(file, old)
        with _progress("samples", sum(held.samples for held in old.inventory())) as bar:
            moved = copy(old, new, names, lambda count: bar.advance(bar.task_ids[0], count))
        err.print("comparing")
        wrong = list(differences(old, new, names))
    _tell(moved)
    if wrong:
        raise StoreError("\n".join(["both stores are not the same; the old one is untouched:", *wrong[:20]]))
    out.print(f"both stores are equal; point what runs to {target}", markup=False)


def backup(
    folder: Annotated[Path, typer.Argument(help="Where to; a new folder.")],
    plant: PLANT_FILE = Path("plant.toml"),
) -> None:
    """Copy the plant file, the spool (also while it runs) and, when the store is DuckDB and not in use, its file."""
    file = load(plant, PlantFile)
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} has something in it already: give each backup a folder of its own")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(plant, folder / plant.name)
    if file.spool.path.exists():
        with (
            closing(sqlite3.connect(file.spool.path)) as running,
            closing(sqlite3.connect(folder / "spool.sqlite")) as copied,
        ):
            running.backup(copied)
    if not isinstance(file.store, DuckDbConfig):
        out.print(f"{folder} has the plant file and the spool; InfluxDB has its own backup, or use: km0 export")
        return
    with _opened(file):
        pass  # closing writes everything into the one file, and holding it proves that nobody writes
    part = folder / f"{file.store.path.name}.part"
    shutil.copy2(file.store.path, part)
    part.replace(folder / file.store.path.name)
    out.print(f"{folder} has the plant file, the spool and {file.store.path.name}", markup=False)


# --- inside ---


@contextmanager
def _opened(file: PlantFile) -> Iterator[Store]:
    store = file.store.open()
    try:
        yield store
    finally:
        store.close()


def _kpi_names(file: PlantFile, store: Store) -> list[KpiName]:
    from pipeline.kpis.catalogue import CATALOGUE
    from pipeline.kpis.settings import SETTINGS  # kept as a KPI value; without it all history is computed again

    names = dict.fromkeys([*(one.name for one in CATALOGUE), SETTINGS])
    assets = {held.asset for held in store.inventory()} | {asset.path for asset in file.plant.assets}
    return [(asset, kpi) for asset in sorted(assets) for kpi in names]


def _samples_of(source: Path, bar: Progress) -> Iterator[list[Sample]]:
    """The bar counts rows of Parquet, bytes of line protocol. Raises ConfigError."""
    [task] = bar.task_ids
    if source.is_dir() and (source / "samples.parquet").exists():
        from pipeline.stores import parquet

        bar.update(task, total=parquet.rows_in(source / parquet.SAMPLES))
        return _told(parquet.read_samples(source), bar)
    path = source / "samples.lp" if source.is_dir() else source
    if not path.is_file():
        raise ConfigError(f"{source} has no samples.parquet and no samples.lp: give a folder that `km0 export` wrote")
    from pipeline.stores import linefile

    bar.update(task, description="bytes", total=path.stat().st_size)
    return linefile.read_samples(path, lambda read: bar.advance(task, read))


def _progress(what: str, total: int | None) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
    bar.add_task(what, total=total)
    return bar


def _told(parts: Iterator[list[Sample]], bar: Progress) -> Iterator[list[Sample]]:
    for part in parts:
        yield part
        bar.advance(bar.task_ids[0], len(part))


def _tell(moved: Moved) -> None:
    out.print(f"{moved.samples} samples and {moved.kpis} KPI values were stored", markup=False)
    reasons: dict[str, int] = {}
    for _, reason in moved.refused:
        reasons[reason] = reasons.get(reason, 0) + 1
    if reasons:
        lines = [f"  {count} times: {reason}" for reason, count in sorted(reasons.items(), key=lambda one: -one[1])]
        raise KM0Error("\n".join([f"{len(moved.refused)} samples were refused:", *lines[:10]]))

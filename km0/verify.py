"""`km0 verify`: a scenario through the whole platform, and every figure of it against the truth."""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from km0.console import configure_logs, err, out
from telemetry.errors import ConfigError


def verify(
    scenario: Annotated[str, typer.Argument(help="A scenario file, or the name of one that is shipped.")],
    faults: Annotated[
        str,
        typer.Option(help="scenario: those of the file; none; random: from the seed; all; or names: late,lost,garbage"),
    ] = "scenario",
    store: Annotated[str, typer.Option(help="duckdb or influxdb (an influxd is started in the folder)")] = "duckdb",
    seed: Annotated[int | None, typer.Option(help="Another seed than the scenario's.")] = None,
    hours: Annotated[float | None, typer.Option(help="Another length than the scenario's [h].")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Keep the run's files in this folder: journal, truth, store.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of the table.")] = False,
) -> None:
    """Play a simulated plant through broker, collectors, store and KPIs; exit code 1 where a figure is not true."""
    configure_logs("error")
    from km0.verification import verified
    from simulators.scenario import open_scenario

    if store not in ("duckdb", "influxdb"):
        raise ConfigError(f"--store {store}: there are duckdb and influxdb")
    wanted = open_scenario(scenario)
    changes: dict[str, Any] = {"seed": seed} if seed is not None else {}
    if hours is not None:
        if not 0 < hours <= 24 * 366:
            raise ConfigError(f"--hours {hours:g}: a scenario lasts more than 0 hours and at most a year")
        changes["hours"] = hours
    wanted = wanted.model_copy(update=changes)
    wanted = wanted.model_copy(update={"faults": chosen_faults(faults, wanted)})
    with tempfile.TemporaryDirectory(prefix="km0-verify-") as temporary:
        folder = Path(temporary) if data is None else _empty(data)
        with opened_store(store, folder) as section, _progress() as progress:
            bar = progress.add_task(f"{wanted.hours:g} h of {scenario}", total=1.0)

            def played(share: float) -> None:
                progress.update(bar, completed=share)

            found = asyncio.run(verified(wanted, Path(scenario).stem, folder, section, played))
        (folder / "verification.json").write_text(json.dumps(found.as_json(), indent=1) + "\n", encoding="utf-8")
    if as_json:
        out.print(json.dumps(found.as_json()), markup=False)
    else:
        _show(found)
    raise typer.Exit(0 if found.ok else 1)


def chosen_faults(asked: str, scenario: Any) -> Any:
    """What `--faults` asks for, in this scenario. Raises ConfigError."""
    from simulators.faults import FAULTS, drawn, possible, scheduled

    kinds = possible(asset.kind for asset in scenario.assets)
    if asked == "scenario":
        return scenario.faults
    if asked == "none":
        return ()
    if asked == "random":
        return drawn(scenario.seed, scenario.hours, kinds)
    names = set(kinds) if asked == "all" else {name.strip() for name in asked.split(",")}
    if unknown := sorted(names - set(FAULTS)):
        raise ConfigError(f"--faults: there is no fault {unknown[0]!r}; there are {', '.join(FAULTS)}")
    if useless := [name for name in FAULTS if name in names - set(kinds)]:
        raise ConfigError(f"--faults: {useless[0]} concerns nothing in this scenario; here can be {', '.join(kinds)}")
    return scheduled([kind for kind in FAULTS if kind in names], scenario.hours)


def _progress() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=err, transient=True)


@contextmanager
def opened_store(kind: str, folder: Path) -> Iterator[dict[str, Any]]:
    """The [store] section; a server for it runs while the context is open."""
    if kind == "duckdb":
        yield {"kind": "duckdb", "path": str(folder / "km0.duckdb")}
    else:
        from km0.influxd import influxd

        with influxd(folder / "influxd") as section:
            yield section


def _empty(folder: Path) -> Path:
    """A folder that holds no other run. Raises ConfigError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigError(f"{folder} is not empty: a verification begins with nothing; name another folder")
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}; name another folder with --data") from error
    return folder.resolve()


def _show(found: Any) -> None:
    table = Table("asset", "KPI", "truth", "computed", "largest error", "tolerance", "coverage", "windows", "")
    for line in found.lines:
        judged = f"{line.windows}" + (f" (+{line.not_judged})" if line.not_judged else "")
        table.add_row(
            line.asset.rsplit("/", 1)[-1], line.kpi, _number(line.truth), _number(line.computed), f"{line.error:.2g}",
            f"{line.tolerance:.2g}", f"{line.coverage:.3f}", judged,
            "[red]wrong[/]" if line.wrong else "ok" if line.windows else "not judged",
        )  # fmt: skip
    wide = out if out.is_terminal else Console(width=130, highlight=False)
    wide.print(table)
    for line in found.lines:
        for wrong in line.wrong[:3]:
            out.print(f"wrong: {line.asset} {line.kpi}: {wrong}", markup=False)
    for fault, made in zip(found.faults, found.made, strict=True):
        out.print(f"fault at {fault.at_min:g} min: {fault.kind}: {_came_of(fault, made, found.hours)}", markup=False)
    s = found.samples
    out.print(
        f"samples: {s.sent} sent, {s.stored} stored, {s.lost} lost ({s.lost_on_the_way} of them on the way to us), "
        f"{s.duplicated} duplicated ({s.duplicated_by_devices} of them by devices), {s.wrong} wrong, {s.invented} "
        f"invented; {s.set_aside} set aside of {s.set_aside_expected} unusable",
        markup=False,
    )
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in found.stages.items())
    out.print(
        f"{_verdict(found)}: {found.hours:g} h of {found.scenario} in {found.seconds:.1f} s ({stages})", markup=False
    )


def _verdict(found: Any) -> str:
    """No line is called true that was compared in no window: too short a scenario, or faults that hide all of it. And
    no fault is called survived that was not made."""
    if not found.ok:
        return "NOT TRUE"
    unjudged = sum(not line.windows for line in found.lines)
    idle = sum(not made for made in found.made)
    buts = [f"{unjudged} of {len(found.lines)} lines were not judged in any window (--hours: more of it)"] * bool(
        unjudged
    )
    buts += [f"{idle} of {len(found.faults)} faults never came"] * bool(idle)
    return "true, but " + " and ".join(buts) if buts else "all true"


def _came_of(fault: Any, made: int, hours: float) -> str:
    from simulators.faults import EFFECTS

    if made:
        return f"made {made} times: {EFFECTS[fault.kind]}" if made > 1 else f"made once: {EFFECTS[fault.kind]}"
    if fault.at_min >= 60 * hours:
        return f"never came: the scenario ends after {60 * hours:g} min"
    return "never came: nothing that it could have befallen happened in its time"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.6g}"

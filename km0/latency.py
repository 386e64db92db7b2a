"""`km0 latency FILE…`: what ping, irtt, owping or a table of times recorded, in figures that can be compared."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from km0.console import out
from pipeline import recordings
from pipeline.recordings.report import PERCENTILES, report, use_cases
from telemetry.errors import ConfigError, DecodeError

_SPREADS: Final = {"RTT": "rtt_ms", "up": "delay_up_ms", "down": "delay_down_ms", "PDV": "pdv_ms"}


def latency(
    files: Annotated[list[Path], typer.Argument(help="ping text, irtt JSON, owping -v or -R text, or a table (CSV).")],
    cases: Annotated[bool, typer.Option("--use-cases", help="Which applications of TS 22.104 it would carry.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: delays in ms, ratios 0 to 1.")] = False,
) -> None:
    """Analyse what other tools recorded. Counts come from the packets, not from the tool's own summary."""
    found: list[dict[str, Any]] = []
    for file in files:
        try:
            for recording in recordings.read(file):
                found.append({"file": str(file)} | report(recording))
                if cases:
                    found[-1]["use_cases"] = use_cases(recording)
        except DecodeError as error:
            raise ConfigError(str(error)) from error
    if as_json:
        sys.stdout.write(json.dumps(found[0] if len(found) == 1 else found, allow_nan=False) + "\n")
        return
    for figures in found:
        show(figures)
        if cases and figures["use_cases"] is not None:
            show_use_cases(figures["use_cases"])


def show(figures: dict[str, Any]) -> None:
    """Print a report for people."""
    name = f" {figures['name']}" if figures["name"] else ""
    out.print(f"{figures['file']} ({figures['tool']}{name})", style="bold", markup=False)
    ways = [
        f"{way} {_percent(figures[f'loss_{way}_ratio'])}"
        for way in ("up", "down")
        if figures[f"loss_{way}_ratio"] is not None
    ]
    runs = f"; {figures['loss_runs']} runs, the longest of {figures['longest_loss_run']}" if figures["lost"] else ""
    out.print(
        f"  sent {figures['sent']:,}, received {figures['received']:,}, lost {figures['lost']:,} "
        f"({', '.join([_percent(figures['loss_ratio']), *ways])}{runs})",
        markup=False,
    )
    again = "not recorded" if figures["duplicates"] is None else f"{figures['duplicates']:,}"
    out.print(f"  duplicates {again}, out of order {figures['reordered']:,}", markup=False)
    rows = [figures[key] for key in _SPREADS.values() if figures[key] is not None]
    columns = [
        column for column in ("min", "mean", *PERCENTILES, "max") if any(row[column] is not None for row in rows)
    ]
    table = Table("ms", *(column.replace("_", ".") for column in columns), box=None, pad_edge=True)
    for label, key in _SPREADS.items():
        if figures[key] is not None:
            table.add_row(label, *(_number(figures[key][column]) for column in columns))
    if table.row_count:
        out.print(table)
    out.print(
        f"  jitter (RFC 3550) {_number(figures['jitter_rfc3550_ms'])} ms, "
        f"IPDV (RFC 5481) {_number(figures['ipdv_mean_abs_ms'])} ms",
        markup=False,
    )
    for line in figures["disagreements"]:
        out.print(f"  ! {line}", style="yellow", markup=False)
    for line in figures["cannot_tell"]:
        out.print(f"  – {line}", style="dim", markup=False)


def show_use_cases(judged: list[dict[str, Any]]) -> None:
    """Print the verdicts on all use cases."""
    table = Table("application (TS 22.104)", "asks", "verdict", "why", box=None)
    for case in judged:
        mark = "" if case["verified"] else " *"
        asks = f"{case['latency_ms']:g} ms, {case['availability'] * 100:.10g} %"
        style = {"met": "green", "not met": "red"}.get(case["verdict"], "yellow")
        table.add_row(case["name"] + mark, asks, f"[{style}]{case['verdict']}[/]", case["reason"])
    out.print(table)
    out.print("  * figures not read in the standard itself: confirm them before promising anything", style="dim")
    out.print("  – judged by round trips, so each way is at least as good as said", style="dim")


def _percent(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio * 100:.4g} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"

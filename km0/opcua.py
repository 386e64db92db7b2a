"""`km0 opcua trust`: which servers' certificates are trusted."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from km0.console import add_row, out
from telemetry.errors import ConfigError

if TYPE_CHECKING:
    from collectors.opcua.trust import TrustList

app = typer.Typer(help="OPC UA: whom we trust.", no_args_is_help=True)
_trust = typer.Typer(help="The servers' certificates: trusted, and set aside until you decide.", no_args_is_help=True)
app.add_typer(_trust, name="trust")

Folder = Annotated[Path, typer.Option("--certificates", help="`certificates` of the collector in the plant file.")]
Which = Annotated[str, typer.Argument(help="The beginning of its fingerprint, as `trust list` shows it.")]
_DEFAULT = Path(".km0/opcua")


@_trust.command("list")
def list_(certificates: Folder = _DEFAULT) -> None:
    """Show every certificate: trusted or not, whose it is, until when, its fingerprint (SHA-256)."""
    trust = _list_of(certificates)
    table = Table("", "application", "subject", "until", "fingerprint")
    for word, entries in (("trusted", trust.trusted()), ("rejected", trust.rejected())):
        for entry in entries:
            add_row(
                table, word, entry.application, entry.subject, f"{entry.until:%Y-%m-%d}", entry.fingerprint[:32] + "…"
            )
    if table.row_count:
        out.print(table)
    else:
        out.print(f"no certificates in {certificates}: connect once, or `km0 opcua trust add FILE`", markup=False)


@_trust.command("add")
def add(
    which: Annotated[str, typer.Argument(help="The beginning of a rejected one's fingerprint, or a file.")],
    certificates: Folder = _DEFAULT,
) -> None:
    """Trust a server's certificate, or an authority's and with it all that it signs."""
    entry = _list_of(certificates).add(which)
    out.print(f"trusted until {entry.until:%Y-%m-%d}: {entry.application} {entry.subject}", markup=False)
    out.print(f"fingerprint (SHA-256) {entry.fingerprint}", markup=False)


@_trust.command("remove")
def remove(which: Which, certificates: Folder = _DEFAULT) -> None:
    """Trust a certificate no longer. Connections that stand are not cut."""
    entry = _list_of(certificates).remove(which)
    out.print(f"no longer trusted: {entry.application} {entry.subject}", markup=False)


def _list_of(folder: Path) -> "TrustList":
    try:
        from collectors.opcua.trust import TrustList  # cryptography only where it is used
    except ImportError as error:
        raise ConfigError(f"OPC UA is not installed ({error.name}): pip install 'km0-telemetry[opcua]'") from error
    return TrustList(folder)

"""The `km0` command: one module per command group, mounted here."""

import sys
from typing import Annotated

import typer

from km0 import __version__
from km0.console import say_error
from telemetry.errors import ConfigError, KM0Error

app = typer.Typer(
    name="km0",
    help="OEE and 5G latency of a plant on one time axis: collected without loss, traced to their standard.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"km0 {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Options of the command as a whole."""


def _mount() -> None:
    from km0 import check, demo, run

    app.command("demo")(demo.demo)
    app.command("run")(run.run)
    app.command("check")(check.check)
    app.command("init")(check.init)
    app.command("glossary")(check.glossary)


_mount()


def main() -> int:
    """Run the command line. Exit codes: 0 done, 1 failed while running, 2 wrong usage or configuration."""
    try:
        app(standalone_mode=True)
    except ConfigError as error:
        say_error(str(error))
        return 2
    except KM0Error as error:
        say_error(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

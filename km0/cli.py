"""The `km0` command: one module per command group, mounted here."""

import os
import sys
from typing import Annotated, NoReturn

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
    from km0 import (
        check,
        deadletters,
        demo,
        discover,
        grafana,
        init,
        latency,
        oee,
        opcua,
        probe,
        run,
        simulate,
        transfer,
        verify,
    )

    app.command("demo")(demo.demo)
    app.command("simulate")(simulate.simulate)
    app.command("verify")(verify.verify)
    app.command("run")(run.run)
    app.command("check")(check.check)
    app.add_typer(init.app, name="init")
    app.command("export")(transfer.export)
    app.command("import")(transfer.import_)
    app.command("move")(transfer.move)
    app.command("backup")(transfer.backup)
    app.command("glossary")(check.glossary)
    app.command("latency")(latency.latency)
    app.command("oee")(oee.command)
    app.command("probe")(probe.probe)
    app.command("reflect")(probe.reflect)
    app.add_typer(discover.app, name="discover")
    app.add_typer(deadletters.app, name="deadletters")
    app.add_typer(opcua.app, name="opcua")
    app.add_typer(grafana.app, name="grafana")


_mount()


def main() -> int:
    """Run the command line. Exit codes: 0 done, 1 failed while running, 2 wrong usage or configuration."""
    try:
        app(standalone_mode=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except (KM0Error, BaseExceptionGroup) as error:
        return _explained(error)
    except KeyboardInterrupt:
        return 130
    return 0


def command() -> NoReturn:
    """The program `km0`: runs and leaves at once."""
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # All is closed by now. Taking apart the thousands of classes of asyncua would keep the user waiting a second more.
    os._exit(code)


def _explained(error: BaseException) -> int:
    """Say what its user can act on, and return the exit code. What is none of our five errors is a bug: it goes on."""
    failures = [error] if isinstance(error, KM0Error) else _leaves(error)
    if not all(isinstance(failure, KM0Error) for failure in failures):
        raise error
    for sentence in dict.fromkeys(str(failure) for failure in failures):
        say_error(sentence)
    return 2 if any(isinstance(failure, ConfigError) for failure in failures) else 1


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in _leaves(one)]
    return [error]


if __name__ == "__main__":
    command()

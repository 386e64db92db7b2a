"""The `km0` command: one module per command group, named here and imported when it is asked for."""

import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any, Final, NoReturn, cast

import typer
from typer.core import TyperGroup

from km0 import __version__
from km0.console import say_error
from telemetry.errors import ConfigError, KM0Error

COMMANDS: Final = {
    "demo": "km0.demo:demo",
    "simulate": "km0.simulate:simulate",
    "verify": "km0.verify:verify",
    "replay": "km0.replay:replay",
    "run": "km0.run:run",
    "check": "km0.check:check",
    "init": "km0.init:app",
    "export": "km0.transfer:export",
    "import": "km0.transfer:import_",
    "move": "km0.transfer:move",
    "backup": "km0.transfer:backup",
    "glossary": "km0.check:glossary",
    "latency": "km0.latency:latency",
    "oee": "km0.oee:command",
    "diagnose": "km0.diagnose:diagnose",
    "probe": "km0.probe:probe",
    "reflect": "km0.probe:reflect",
    "discover": "km0.discover:app",
    "deadletters": "km0.deadletters:app",
    "opcua": "km0.opcua:app",
    "grafana": "km0.grafana:app",
}
"""Every command in the order of `km0 --help`: "module:function", or "module:app" of a group of commands."""


MARKUP: Final = "markdown"
"""How help is read: rich's own markup takes the [s] of a unit and the [store] of a section for tags, and drops them."""


class _Commands(Mapping[str, Any]):
    """Imports a command when it is wanted: `km0 --version` should not wait for numpy."""

    def __getitem__(self, name: str) -> Any:
        module, _, attribute = COMMANDS[name].partition(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            found.rich_markup_mode = MARKUP
            group = typer.main.get_group(found)
            group.name = name
            return group
        alone = typer.Typer(add_completion=False, rich_markup_mode=MARKUP)
        alone.command(name)(found)
        return typer.main.get_command(alone)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class LazyGroup(TyperGroup):
    """A group whose commands are those of COMMANDS."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = cast("Any", _Commands())


app = typer.Typer(
    name="km0",
    cls=LazyGroup,
    help="OEE and 5G latency of a plant on one time axis: collected without loss, traced to their standard.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=MARKUP,
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

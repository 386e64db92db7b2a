"""What the command line says: answers on stdout, everything else on stderr, logs as one line per event."""

import logging
import re
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def plain(text: str, keep: str = "") -> str:
    """Without control characters: a message of a stranger must not command the terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: found[0] if found[0] in keep else "·", text)


def add_row(table: Table, *cells: str) -> None:
    """A row whose cells are what they say: to rich "[/x]" would be a style, and a fault where none was begun."""
    table.add_row(*(Text(plain(cell, keep="\n")) for cell in cells))


def say_error(message: str) -> None:
    """An error as its user should see it: the sentence, no traceback."""
    for line in message.splitlines():
        err.print("[bold red]error[/] ", end="")
        err.print(line, markup=False)


def configure_logs(level: str = "info") -> None:
    """Logs go to stderr: readable on a terminal, JSON when piped into a collector of logs."""
    import structlog  # half of the start of a command that logs nothing

    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        # the standard error of that moment: who is called by another program may outlive the one it began with
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")

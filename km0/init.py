"""`km0 init [FILE]` writes a plant file to start from; `influxdb` and `compose` prepare what it runs with."""

from typing import Any

import typer
from typer.core import TyperGroup

from km0 import check, init_compose, init_influxdb


class _PlantByDefault(TyperGroup):
    """What is not the name of a command here is a file: `km0 init my.toml` means `km0 init plant my.toml`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["plant", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_PlantByDefault,
    help="Write a plant file to start from (`km0 init [FILE]`), or prepare a database or containers.",
)
app.command("plant")(check.init)
app.command("influxdb")(init_influxdb.init_influxdb)
app.command("compose")(init_compose.init_compose)

"""`km0 discover`: look at what a source offers before writing anything down. One module per kind of source."""

import typer

from km0 import discover_mqtt, discover_opcua

app = typer.Typer(help="Look at a source: what it offers, and what to write in the plant file.", no_args_is_help=True)
app.command("opcua")(discover_opcua.opcua)
app.command("mqtt")(discover_mqtt.mqtt)

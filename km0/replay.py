"""`km0 replay`: a recording played again, over MQTT or OPC UA, for whoever has no machine at hand but a file of one."""

import asyncio
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from km0.console import configure_logs, err, out
from km0.run import stop_event
from km0.simulate import address_of
from telemetry.config import Secret
from telemetry.errors import ConfigError, SourceError


def replay(
    recording: Annotated[Path, typer.Argument(help="MTConnect SHDR, a CSV event log, or an MQTT capture.")],
    over: Annotated[Literal["mqtt", "opcua"], typer.Option(help="The wire to play it on.")] = "mqtt",
    asset: Annotated[
        str | None, typer.Option(help="Whose values they are, site/area/line/asset, where the file does not say so.")
    ] = None,
    broker: Annotated[str | None, typer.Option(help='The MQTT broker, "host" or "host:1883".')] = None,
    username: Annotated[str | None, typer.Option(help="User name at that broker.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="File that holds that user's password.")] = None,
    ca: Annotated[
        Path | None, typer.Option(help="PEM file of the authority that signed that broker's certificate; with it, TLS.")
    ] = None,
    opcua_port: Annotated[int, typer.Option(help="Port of the OPC UA server on 127.0.0.1; 0: any free one.")] = 4840,
    await_client: Annotated[
        float, typer.Option(help="Wait so long [s] for an OPC UA client that follows all; then play all the same.")
    ] = 30.0,
    speed: Annotated[float, typer.Option(help="How many times as fast as it was recorded; 0: all at once.")] = 0.0,
    now: Annotated[
        bool, typer.Option("--now", help="Move all times: it ends now; at --speed 1, it begins now.")
    ] = False,
    stay: Annotated[
        bool, typer.Option("--stay", help="Keep the OPC UA server, with its history, until Ctrl-C.")
    ] = False,
) -> None:
    """Play a recording again, with its own times or moved to now. Prints what was told, as JSON."""
    configure_logs("error")
    from simulators import recordings

    if speed < 0 or (now and speed not in (0.0, 1.0)):
        raise ConfigError(
            "--speed is 0 or more, and with --now 0 or 1: at another pace its times would not be those of now"
        )
    if over == "mqtt" and broker is None:
        raise ConfigError("over MQTT, --broker says where to: host or host:1883")
    found = recordings.read(recording, asset)
    if over == "mqtt":
        host, port = address_of(broker)
        password = Secret(file=password_file).read() if password_file else ""
        login = None if username is None else (username, password)
        told, by_ns = asyncio.run(_over_mqtt(found, (str(host), port), login, ca, speed, now=now))
    else:
        found = recordings.as_values(found, str(recording))
        told, by_ns = asyncio.run(_over_opcua(found, opcua_port, await_client, speed, now=now, stay=stay))
    first_ns, last_ns = found.span_ns
    what = {"told": told, "from_ns": first_ns + by_ns, "to_ns": last_ns + by_ns, "assets": list(found.values)}
    out.print(json.dumps(what), markup=False)


def _shift_ns(found: Any, speed: float, *, now: bool) -> int:
    """How far its times are moved [ns]: asked when all is ready to be told, for waiting for a client takes time."""
    from simulators.recordings import shift_ns

    return shift_ns(found, time.time_ns(), begins=bool(speed)) if now else 0


async def _over_mqtt(
    found: Any, address: tuple[str, int], login: tuple[str, str] | None, ca: Path | None, speed: float, *, now: bool
) -> tuple[int, int]:
    """How many values or messages were told, and how far they were moved [ns]."""
    from simulators.mqtt_plant import MqttPublisher
    from simulators.recordings import over_mqtt

    publisher = MqttPublisher(*address, lambda _message: None, login=login, ca=ca)
    await publisher.start()
    by_ns = _shift_ns(found, speed, now=now)
    try:
        told = await over_mqtt(found, publisher.publish, speed=speed, by_ns=by_ns)
        await publisher.settled()
    finally:
        left = await publisher.stop()
    if left:
        raise SourceError(f"{left} messages were not acknowledged by the broker")
    return told, by_ns


async def _over_opcua(found: Any, port: int, await_s: float, speed: float, *, now: bool, stay: bool) -> tuple[int, int]:
    """How many values were told, and how far they were moved [ns]."""
    from simulators.recordings import over_opcua, server_for

    by_ns = 0
    server = server_for(found, port, lambda: by_ns)
    await server.start()
    err.print(f"OPC UA server at {server.url}", markup=False)
    try:
        if not await server.followed(await_s):
            err.print(f"no client follows every variable after {await_s:g} s; it plays all the same", markup=False)
        by_ns = _shift_ns(found, speed, now=now)
        told = await over_opcua(found, server, speed=speed, by_ns=by_ns)
        await server.delivered(30.0)
        if stay:
            stop = stop_event()
            err.print("Ctrl-C ends", markup=False)
            await stop.wait()
    finally:
        with suppress(TimeoutError):
            await asyncio.wait_for(server.stop(), 2.0)
    return told, by_ns

"""`km0 simulate`: a simulated plant on real wires, for whoever wants machines that do not exist."""

import asyncio
import json
import time
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from km0.console import configure_logs, err, out
from km0.run import stop_event
from telemetry.config import Secret
from telemetry.errors import ConfigError, SourceError


def simulate(
    scenario: Annotated[str, typer.Argument(help="A scenario file, or the name of one that is shipped.")],
    broker: Annotated[
        str | None, typer.Option(help='The MQTT broker, "host" or "host:1883"; without one, an own one is started.')
    ] = None,
    username: Annotated[str | None, typer.Option(help="User name at that broker.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="File that holds that user's password.")] = None,
    ca: Annotated[
        Path | None, typer.Option(help="PEM file of the authority that signed that broker's certificate; with it, TLS.")
    ] = None,
    sparkplug_host: Annotated[
        str | None,
        typer.Option(help="Primary host application that Sparkplug edge nodes wait for; {group} stands for theirs."),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port of an own broker; any free one unless given.")] = None,
    opcua_port: Annotated[int, typer.Option(help="Port of the OPC UA server on 127.0.0.1; 0: any free one.")] = 4840,
    link_port: Annotated[
        int | None, typer.Option(help="With --live: UDP port on 127.0.0.1 of a simulated 5G link, for a probe.")
    ] = None,
    speed: Annotated[
        float | None, typer.Option(help="Plant seconds per second; 0: as fast as the wires take it.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the scenario's.")] = None,
    hours: Annotated[float | None, typer.Option(help="Another length than the scenario's [h].")] = None,
    faults: Annotated[
        str, typer.Option(help="scenario: those of the file; none; random: from the seed; all; or names: late,lost")
    ] = "scenario",
    live: Annotated[
        bool, typer.Option("--live", help="End the scenario now and go on in real time, until Ctrl-C.")
    ] = False,
    data: Annotated[Path | None, typer.Option(help="Folder for the truth and the journal of the run.")] = None,
    await_client: Annotated[float, typer.Option(help="Wait so long [s] for an OPC UA client that follows all.")] = 0.0,
) -> None:
    """Play a scenario: MQTT devices to any broker, OPC UA machines as a server. Prints what was published, as JSON."""
    configure_logs("error")
    from km0.verify import chosen_faults
    from simulators.outages import possible_here
    from simulators.scenario import open_scenario

    wanted = open_scenario(scenario)
    for name, value, least in (("--hours", hours, 1e-3), ("--speed", speed, 0.0)):
        if value is not None and value < least:
            raise ConfigError(f"{name} {value:g} is too little")
    changes = {"seed": seed, "hours": hours, "speed": speed, "start": None if live else wanted.start}
    kept = {key: value for key, value in changes.items() if value is not None or key == "start"}
    wanted = wanted.model_copy(update=kept)
    if live and 0 < wanted.speed <= 1:
        raise ConfigError(
            f"--live at a speed of {wanted.speed:g}: the past would never catch up with the present; "
            "write --speed 0 (as fast as the wires take it) or a speed above 1"
        )
    host, at = address_of(broker)
    wanted = wanted.model_copy(update={"faults": chosen_faults(faults, wanted)})
    possible_here(wanted.faults, own_broker=host is None)
    if host is None and (username is not None or password_file is not None or ca is not None):
        raise ConfigError("--username, --password-file and --ca are for the broker that --broker names")
    if sparkplug_host is not None and not any(asset.kind == "sparkplug" for asset in wanted.assets):
        raise ConfigError('--sparkplug-host is for machines of kind "sparkplug", and this scenario has none')
    password = password_file and Secret(file=password_file)
    settings = {"username": username, "password": password, "ca": ca, "sparkplug_host": sparkplug_host}
    with TemporaryDirectory(prefix="km0-simulate-") as temporary:
        folder = Path(temporary) if data is None else data
        folder.mkdir(parents=True, exist_ok=True)
        played = asyncio.run(
            _played(
                wanted, folder, host, at, settings, port, opcua_port, link_port, live, await_client, data is not None
            )
        )
        played["truth"] = None if data is None else str(folder / "truth.json")
    out.print(json.dumps({"scenario": Path(scenario).stem, "seed": wanted.seed} | played), markup=False)


def address_of(text: str | None) -> tuple[str | None, int]:
    """ "host:port" taken apart; 1883 unless given. Raises ConfigError."""
    if text is None:
        return None, 0
    host, _, number = text.partition(":")
    if not host or (number and not (number.isdigit() and 0 < int(number) < 65536)):
        raise ConfigError(f'--broker {text!r}: write "host" or "host:1883"')
    return host, int(number or 1883)


async def _played(
    scenario: Any,
    folder: Path,
    host: str | None,
    at: int,
    settings: dict[str, Any],
    own_port: int | None,
    opcua_port: int,
    link_port: int | None,
    live: bool,
    await_client_s: float,
    keep: bool,
) -> dict[str, Any]:
    from km0.simulated import SimulatedPlant
    from simulators.broker import Broker, broker
    from simulators.outages import Outages
    from simulators.spec import MqttSpec, OpcUaSpec, Spec, UdpSpec

    starts_ns = scenario.starts_ns(time.time_ns())
    kinds = {asset.kind for asset in scenario.assets}
    stop = stop_event()
    own: Broker | None = None
    async with AsyncExitStack() as stack:
        if kinds - {"opcua"} and host is None:
            own = await asyncio.to_thread(broker, folder / "broker", own_port)
            await asyncio.to_thread(own.start)
            stack.callback(own.stop)
            host, at = "127.0.0.1", own.port
        spec = Spec(
            scenario=scenario,
            seed=scenario.seed,
            epoch_ns=starts_ns,
            until_ns=None if live else starts_ns + scenario.length_ns,
            speed=scenario.speed,
            mqtt=MqttSpec(host=host, port=at, **settings) if host is not None else None,
            opcua=OpcUaSpec(port=opcua_port, await_client_s=await_client_s, certificates=folder / "server")
            if "opcua" in kinds
            else None,
            link=UdpSpec(port=link_port) if live and link_port is not None else None,
            journal=folder / "journal.jsonl" if keep else None,
            truth=folder / "truth.json" if keep else None,
            disturbances=folder / "disturbances.json" if scenario.faults else None,
        )
        plant = await stack.enter_async_context(SimulatedPlant(spec, folder))
        ready = await plant.ready()
        if host is not None:
            err.print(f"MQTT devices publish to {host}:{at}", markup=False)
        if "opcua_url" in ready:
            err.print(f"OPC UA server at {ready['opcua_url']}", markup=False)
        if "opcua_certificate" in ready:
            err.print(f"its certificate: {ready['opcua_certificate']}", markup=False)
        outages, breaking = Outages(scenario.faults, plant.pid, own), []
        told: dict[str, Any] = {}

        def on_fault(number: int) -> None:
            breaking.append(asyncio.create_task(asyncio.to_thread(outages.make, number)))

        work = asyncio.create_task(plant.play(lambda _done: None, on_fault), name="play")
        stopped = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
            await asyncio.gather(*breaking)
            if spec.disturbances:
                told["faults"] = [
                    {"kind": fault.kind, "at_min": fault.at_min, "made": made}
                    for fault, made in zip(scenario.faults, outages.with_those_of(spec.disturbances), strict=True)
                ]
            if live:
                err.print("live: Ctrl-C ends", markup=False)
                died = asyncio.create_task(plant.ended(), name="simulated plant")
                await asyncio.wait({stopped, died}, return_when=asyncio.FIRST_COMPLETED)
                if died.done():
                    died.result()
                died.cancel()
        else:
            work.cancel()
            await asyncio.wait({work, *breaking})  # a process that stands still hears nothing
        stopped.cancel()
        said = await asyncio.wait_for(plant.stop(), 30.0)
        if said["unacknowledged"]:
            raise SourceError(f"{said['unacknowledged']} messages were not acknowledged by the broker")
        return {"published": said["published"]} | told

"""A scenario on real wires: broker and simulated plant as child processes, and the plant file that fits them.

What `km0 verify` and the pytest plugin share. Everything is on 127.0.0.1 and in one folder.
"""

import json
from pathlib import Path
from typing import Any, Final

from km0.plantfile import PlantFile
from simulators import MachineSection, Printer, SparkplugMachine
from simulators.faults import WORD
from simulators.machine import Loss, Turn, waits_for
from simulators.packml import NUMBERS
from simulators.scenario import Scenario
from simulators.sections import OpcUaMachine
from simulators.sparkplug_words import name_of
from simulators.speeches import TELLS, VENDOR, vendor_node
from telemetry.glossary import MachineState
from telemetry.plant import Asset, Plant

SPARKPLUG_HOST: Final = "km0-{group}"
"""The identity of the host application that collects a line."""

_PER_TOPIC: Final = ("mqtt", "link", "vehicle", "gnb", "core")
"""Kinds of assets that publish one value per topic."""

_PACKML_STATES = {str(number): state.name for state, (number, _) in NUMBERS.items() if state.name != "BLOCKED"}

_PRINTER_STATES = {
    "printing": "EXECUTING",
    "idle": "NOT_EXECUTING",
    "paused": "NOT_EXECUTING",
    "error": "OUT_OF_SERVICE",
    "heating": "SETUP",
    "levelling": "SETUP",
    "off": "NOT_AVAILABLE",
}


def plant_of(scenario: Scenario) -> Plant:
    """The plant as its owner would describe it: reference cycles as stated, right or wrong."""
    machines = [
        Asset(
            path=machine.path,
            name=machine.name or machine.path,
            calendar=machine.calendar,
            cycle_s={made.name: made.cycle_s for made in machine.products},
            micro_stop_s=machine.micro_stop_s,
            counter_rollover=machine.counter_rolls_at or _rolls_by_fault(scenario, machine),
            reason_categories=dict(_causes(scenario, machine.path)),
        )
        for machine in scenario.machines
    ]
    links = [
        Asset(path=link.path, name=link.name or link.path, kind="link") for link in (*scenario.links, *scenario.others)
    ]
    return Plant(
        name="simulated",
        timezone=scenario.timezone,
        calendars=scenario.calendars,
        assets=(*machines, *links),
    )


def _rolls_by_fault(scenario: Scenario, machine: MachineSection) -> int | None:
    rolls = any(
        fault.kind == "counter-rollover" and fault.concerns(machine.path, machine.kind) for fault in scenario.faults
    )
    return WORD if rolls else None


def _causes(scenario: Scenario, path: str) -> dict[str, Loss]:
    """What an owner states of his machine's own words: causes that its state does not tell, or not on its wire."""
    model = scenario.models[path]
    if not model.tells_reasons:
        return {}
    stated = [h for h in model.hazards if h.loss is not None or model.told(h.state) != h.state]
    found = {h.reason: model.loss(Turn(0, h.state, h.reason)) for h in stated}
    neighbours = [model.takes_from] + [other.path for other in scenario.models.values() if other.takes_from == path]
    if model.told(MachineState.STARVED) not in (MachineState.STARVED, MachineState.BLOCKED):
        found |= {waits_for(neighbour): "induced" for neighbour in neighbours if neighbour is not None}
    return found


def file_of(
    scenario: Scenario, folder: Path, *, mqtt_port: int | None, opcua_url: str | None, store: dict[str, Any],
    opcua_certificate: str | None = None,
) -> PlantFile:  # fmt: skip
    """The plant file with which the platform collects this scenario; `opcua_certificate`: of a secure server."""
    collectors: list[dict[str, Any]] = []
    if mqtt_port is not None:
        topics: list[dict[str, Any]] = [
            {
                "dialect": "json",
                "topic": f"printers/{machine.path.rsplit('/', 1)[-1]}/report",
                "asset": machine.path,
                "time": "/ts",
                "metrics": [
                    {"metric": "state", "value": "/state"},
                    {"metric": "product", "value": "/job"},
                    {"metric": "parts", "value": "/made"},
                    {"metric": "parts_good", "value": "/good"},
                    {"metric": machine.meter.metric, "value": "/power_w"},
                ],
                "states": _PRINTER_STATES,
            }
            for machine in scenario.machines
            if isinstance(machine, Printer)
        ]
        sites = {asset.path.partition("/")[0] for asset in scenario.assets if asset.kind in _PER_TOPIC}
        topics += [
            {
                "dialect": "json",
                "topic": f"{site}/{{area}}/{{line}}/{{asset}}/{{metric}}",
                "asset": f"{site}/{{area}}/{{line}}/{{asset}}",
            }
            for site in sorted(sites)
        ]
        if topics:  # Short times: a verification must not wait long to find a silent connection out.
            collectors.append(
                {"kind": "mqtt", "name": "broker", "host": "127.0.0.1", "port": mqtt_port, "keepalive_s": 3,
                 "topics": topics}
            )  # fmt: skip
        collectors += _sparkplug(scenario, mqtt_port)
    if opcua_url is not None:
        nodes = [
            {
                "node": f"nsu=urn:km0:simulators:machine;s={machine.path}/{metric}",
                "asset": machine.path,
                "metric": metric,
            }
            for machine in scenario.machines
            if isinstance(machine, OpcUaMachine) and machine.speaks == "plain"
            for metric in machine.metrics
        ]
        spoken = [m for m in scenario.machines if isinstance(m, OpcUaMachine) and m.speaks != "plain"]
        nodes += [
            {"node": f"nsu={VENDOR};s={vendor_node(machine.path, metric)}", "asset": machine.path, "metric": metric}
            for machine in spoken
            for metric in machine.metrics
            if metric not in TELLS[machine.speaks]
        ]
        machines = [{"asset": machine.path, "machine": machine.path.rpartition("/")[2]} for machine in spoken]
        collectors.append(
            {"kind": "opcua", "name": "server", "url": opcua_url, "publishing_ms": 100.0,
             "security": "Basic256Sha256" if opcua_certificate else "None", "server_certificate": opcua_certificate,
             "keepalive_ms": 1000.0, "lifetime_ms": 60000.0, "online_s": 0.0, "timeout_ms": 3000.0,
             "certificates": str(folder / "certificates"), "nodes": nodes, "machines": machines}
        )  # fmt: skip
    data = {
        "plant": plant_of(scenario).model_dump(mode="json"),
        "collectors": collectors,
        "spool": {"path": str(folder / "spool.sqlite")},
        "store": store,
    }
    return PlantFile.model_validate_json(json.dumps(data))


def _sparkplug(scenario: Scenario, port: int) -> list[dict[str, Any]]:
    """A host application for each line that speaks Sparkplug B."""
    lines: dict[str, list[SparkplugMachine]] = {}
    for machine in scenario.machines:
        if isinstance(machine, SparkplugMachine):
            lines.setdefault(machine.group, []).append(machine)
    return [
        {
            "kind": "mqtt", "name": f"line-{number}", "host": "127.0.0.1", "port": port, "keepalive_s": 3,
            "topics": [
                {
                    "dialect": "sparkplug",
                    "host_id": SPARKPLUG_HOST.replace("{group}", group),
                    "topic": f"spBv1.0/{group}/#",
                    "asset": f"{machines[0].path.rpartition('/')[0]}/{{device}}",
                    "names": {name_of(metric): metric for machine in machines for metric in machine.metrics},
                    "states": _PACKML_STATES,
                    "rebirth_interval_s": 1.0,
                }
            ],
        }
        for number, (group, machines) in enumerate(lines.items(), 1)
    ]  # fmt: skip

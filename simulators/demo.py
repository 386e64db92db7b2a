"""The plant of the demonstrator, from its scenario file: four machines and a radio link, each with a story to find.

The reference cycle times there are the ones of plant.toml (`cycle_s`); `reference_cycles` states them as a table.
"""

from typing import Final, Literal

from simulators.link import LinkModel
from simulators.machine import MachineModel
from simulators.scenario import LIBRARY, Scenario
from simulators.work_calendar import WorkCalendar
from telemetry.config import load

Wire = Literal["opcua", "mqtt", "printer", "sparkplug"]
"""How an asset speaks: OPC UA, MQTT with one value per topic, MQTT with whole reports, or Sparkplug B."""

DEMONSTRATOR: Final = load(LIBRARY / "demonstrator.toml", Scenario)

MACHINES: Final[dict[str, tuple[MachineModel, Wire]]] = {
    machine.path: (DEMONSTRATOR.models[machine.path], machine.kind) for machine in DEMONSTRATOR.machines
}
"""Every machine of the demonstrator and how it speaks."""

MILL: Final[MachineModel] = MACHINES["km0/fabrication/cell-1/mill-1"][0]
LATHE: Final[MachineModel] = MACHINES["km0/fabrication/cell-1/lathe-1"][0]
PRESS: Final[MachineModel] = MACHINES["km0/fabrication/cell-2/press-1"][0]
PRINTER: Final[MachineModel] = MACHINES["km0/additive/print-hall/printer-1"][0]
LINK: Final[LinkModel] = DEMONSTRATOR.link_models["km0/network/5g/link-1"]
THREE_SHIFTS: Final[WorkCalendar] = MILL.calendar

ASSETS: Final = tuple(asset.path for asset in DEMONSTRATOR.assets)


def reference_cycles() -> dict[str, dict[str, float]]:
    """Reference cycle time tCR [s] by asset path and product."""
    return {path: {p.name: p.cycle_s for p in model.products} for path, (model, _) in MACHINES.items()}

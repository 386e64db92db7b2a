"""The plant of the demonstrator: four machines and a radio link, each with a story to find in its figures.

The reference cycle times here are the ones of plant.toml (`cycle_s`); `reference_cycles` states them as a table.
"""

from typing import Final, Literal

from simulators.link import LinkModel
from simulators.machine import Duration, Gauge, Hazard, MachineModel, Product
from simulators.work_calendar import WorkCalendar
from telemetry.glossary import MachineState

Wire = Literal["opcua", "mqtt", "printer"]
"""How an asset speaks: OPC UA, MQTT with one value per topic, or MQTT with whole reports."""

SHIFTS: Final = ((21 * 60, 5 * 60), (5 * 60, 13 * 60), (13 * 60, 21 * 60))
BREAKS: Final = ((60, 80), (9 * 60, 9 * 60 + 20), (17 * 60, 17 * 60 + 20))
THREE_SHIFTS: Final = WorkCalendar("Europe/Paris", SHIFTS, BREAKS)

_HOUR: Final = 3600.0
_DOWN, _IDLE, _RUN = MachineState.OUT_OF_SERVICE, MachineState.NOT_EXECUTING, MachineState.EXECUTING
_SETUP, _STARVED, _BLOCKED = MachineState.SETUP, MachineState.STARVED, MachineState.BLOCKED
_CARE = MachineState.MAINTENANCE

MILL: Final = MachineModel(
    path="km0/fabrication/cell-1/mill-1",
    products=(
        Product("bracket", 240.0, (20, 50), slowness=1.04, scrap=0.015),
        Product("housing", 390.0, (12, 30), slowness=1.06, scrap=0.03),
    ),
    hazards=(
        Hazard("spindle drive", _DOWN, 14 * _HOUR, Duration(25 * 60, 0.6, 300), shape=1.8, spoils=0.6),
        Hazard("tool breakage", _DOWN, 7 * _HOUR, Duration(9 * 60, 0.4, 120), shape=1.3, spoils=0.8),
        Hazard("chip jam", _IDLE, 1.2 * _HOUR, Duration(45, 0.5, 8, 110)),
        Hazard("no operator", _IDLE, 2.5 * _HOUR, Duration(8 * 60, 0.5, 130)),
        Hazard("no material", _STARVED, 6 * _HOUR, Duration(11 * 60, 0.6, 130)),
        Hazard("cleaning", _CARE, 9 * _HOUR, Duration(12 * 60, 0.2), shape=6.0),
    ),
    changeover=Duration(18 * 60, 0.3, 300),
    gauge=Gauge("spindle_load", 30.0, {_RUN: (46.0, 9.0), _SETUP: (6.0, 3.0)}),
    calendar=THREE_SHIFTS,
    slow_orders=0.06,
)

LATHE: Final = MachineModel(
    path="km0/fabrication/cell-1/lathe-1",
    products=(
        Product("shaft", 75.0, (90, 220), slowness=1.02, scrap=0.008),
        Product("bushing", 48.0, (150, 400), slowness=1.03, scrap=0.012),
    ),
    hazards=(
        Hazard("bar feeder", _DOWN, 11 * _HOUR, Duration(14 * 60, 0.5, 180), shape=1.4, spoils=0.3),
        Hazard("chip jam", _IDLE, 1.6 * _HOUR, Duration(35, 0.5, 6, 110)),
        Hazard("no operator", _IDLE, 4 * _HOUR, Duration(6 * 60, 0.5, 130)),
        Hazard("no bar", _STARVED, 3.5 * _HOUR, Duration(7 * 60, 0.6, 130)),
        Hazard("insert change", _SETUP, 1.9 * _HOUR, Duration(4 * 60, 0.2, 125), shape=8.0),
    ),
    changeover=Duration(26 * 60, 0.3, 400),
    gauge=Gauge("spindle_load", 30.0, {_RUN: (38.0, 6.0), _SETUP: (4.0, 2.0)}),
    calendar=THREE_SHIFTS,
    slow_orders=0.05,
)

PRESS: Final = MachineModel(
    path="km0/fabrication/cell-2/press-1",
    products=(
        Product("clip", 9.0, (600, 1500), slowness=1.05, scrap=0.02),
        Product("lid", 12.5, (400, 900), slowness=1.09, scrap=0.035),
    ),
    hazards=(
        Hazard("part jam", _IDLE, 7 * 60.0, Duration(38, 0.7, 4, 110), spoils=0.5),
        Hazard("feeder jam", _IDLE, 16 * 60.0, Duration(55, 0.5, 10, 115)),
        Hazard("die sensor", _DOWN, 5 * _HOUR, Duration(12 * 60, 0.6, 150), shape=0.9, spoils=0.5),
        Hazard("no coil", _STARVED, 5 * _HOUR, Duration(8 * 60, 0.5, 130)),
        Hazard("container full", _BLOCKED, 2.2 * _HOUR, Duration(4 * 60, 0.5, 125)),
    ),
    changeover=Duration(22 * 60, 0.3, 400),
    gauge=Gauge("power", 30.0, {_RUN: (7400.0, 420.0), _IDLE: (1150.0, 40.0), _SETUP: (1900.0, 300.0)}),
    calendar=THREE_SHIFTS,
    slow_orders=0.08,
)

PRINTER: Final = MachineModel(
    path="km0/additive/farm/printer-1",
    products=(
        Product("gear", 1500.0, (4, 10), slowness=1.03, scrap=0.05),
        Product("cover", 2700.0, (2, 6), slowness=1.05, scrap=0.07),
    ),
    hazards=(
        Hazard("nozzle clog", _DOWN, 10 * _HOUR, Duration(28 * 60, 0.5, 300), shape=1.6, spoils=0.9),
        Hazard("filament", _IDLE, 5 * _HOUR, Duration(16 * 60, 0.6, 130)),
        Hazard("bed not cleared", _IDLE, 3 * _HOUR, Duration(9 * 60, 0.7, 130)),
        Hazard("levelling", _SETUP, 4 * _HOUR, Duration(5 * 60, 0.1, 130), shape=8.0),
    ),
    changeover=Duration(7 * 60, 0.2, 150),
    gauge=Gauge("power", 30.0, {_RUN: (212.0, 18.0), _SETUP: (310.0, 25.0), _IDLE: (14.0, 1.0), _DOWN: (14.0, 1.0)}),
    calendar=THREE_SHIFTS,
    slow_orders=0.04,
)

LINK: Final = LinkModel("km0/network/5g/link-1")

MACHINES: Final[dict[str, tuple[MachineModel, Wire]]] = {
    MILL.path: (MILL, "opcua"),
    LATHE.path: (LATHE, "opcua"),
    PRESS.path: (PRESS, "mqtt"),
    PRINTER.path: (PRINTER, "printer"),
}
"""Every machine of the demonstrator and how it speaks."""

ASSETS: Final = (*MACHINES, LINK.path)


def reference_cycles() -> dict[str, dict[str, float]]:
    """Reference cycle time tCR [s] by asset path and product."""
    return {path: {p.name: p.cycle_s for p in model.products} for path, (model, _) in MACHINES.items()}

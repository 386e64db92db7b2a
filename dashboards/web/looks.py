"""How a state looks: a word, a colour that the colour-blind can tell, and a shape for those who see none."""

from dataclasses import dataclass
from typing import Final

from dashboards.web.states import UNKNOWN
from dashboards.web.texts import mark
from telemetry.glossary import MachineState


@dataclass(frozen=True, slots=True)
class Look:
    """`css` names the colour (app.css), `icon` the shape (symbols of base.html), `word` is to be translated."""

    css: str
    icon: str
    word: str


LOOKS: Final[dict[str, Look]] = {
    MachineState.EXECUTING.name: Look("run", "i-run", mark("Running")),
    MachineState.NOT_EXECUTING.name: Look("stop", "i-stop", mark("Stopped")),
    MachineState.OUT_OF_SERVICE.name: Look("fault", "i-fault", mark("Out of service")),
    MachineState.NOT_AVAILABLE.name: Look("off", "i-off", mark("Switched off")),
    MachineState.SETUP.name: Look("setup", "i-setup", mark("Setup")),
    MachineState.STARVED.name: Look("wait", "i-starved", mark("Starved")),
    MachineState.BLOCKED.name: Look("wait", "i-blocked", mark("Blocked")),
    MachineState.MAINTENANCE.name: Look("care", "i-care", mark("Maintenance")),
    UNKNOWN: Look("unknown", "i-unknown", mark("Unknown")),
}


@dataclass(frozen=True, slots=True)
class Definition:
    """What a figure is, for people; to be translated. `numerator`/`denominator`: symbols of NF E60-182."""

    symbol: str
    title: str
    short: str
    formula: str
    numerator: str
    denominator: str


DEFINITIONS: Final[dict[str, Definition]] = {
    "trs": Definition(
        "TRS",
        mark("TRS, overall equipment effectiveness"),
        "TRS",
        mark("useful time ÷ required time = Do × Tp × Tq"),
        "tU",
        "tR",
    ),
    "do": Definition(
        "Do",
        mark("Do, operational availability"),
        mark("Availability"),
        mark("operating time ÷ required time"),
        "tF",
        "tR",
    ),
    "tp": Definition(
        "Tp", mark("Tp, performance rate"), mark("Performance"), mark("net time ÷ operating time"), "tN", "tF"
    ),
    "tq": Definition(
        "Tq",
        mark("Tq, quality rate"),
        mark("Quality"),
        mark("good parts ÷ parts made, each weighted with its reference cycle"),
        "tU",
        "tN",
    ),
}
SYMBOLS: Final = {kpi: definition.symbol for kpi, definition in DEFINITIONS.items()} | {"trg": "TRG"}
"""What NF E60-182 writes for a figure."""

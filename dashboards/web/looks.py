"""How a state looks: a word, a colour that the colour-blind can tell, and a shape for those who see none."""

from dataclasses import dataclass
from typing import Final

from dashboards.web.states import UNKNOWN
from telemetry.glossary import MachineState


@dataclass(frozen=True, slots=True)
class Look:
    """`css` names the colour (app.css), `icon` the shape (symbols of base.html), `word` is to be translated."""

    css: str
    icon: str
    word: str


LOOKS: Final[dict[str, Look]] = {
    MachineState.EXECUTING.name: Look("run", "i-run", "Running"),
    MachineState.NOT_EXECUTING.name: Look("stop", "i-stop", "Stopped"),
    MachineState.OUT_OF_SERVICE.name: Look("fault", "i-fault", "Out of service"),
    MachineState.NOT_AVAILABLE.name: Look("off", "i-off", "Switched off"),
    MachineState.SETUP.name: Look("setup", "i-setup", "Setup"),
    MachineState.STARVED.name: Look("wait", "i-starved", "Starved"),
    MachineState.BLOCKED.name: Look("wait", "i-blocked", "Blocked"),
    MachineState.MAINTENANCE.name: Look("care", "i-care", "Maintenance"),
    UNKNOWN: Look("unknown", "i-unknown", "Unknown"),
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
        "TRS", "TRS, overall equipment effectiveness", "TRS", "useful time ÷ required time = Do × Tp × Tq", "tU", "tR"
    ),
    "do": Definition(
        "Do", "Do, operational availability", "Availability", "operating time ÷ required time", "tF", "tR"
    ),
    "tp": Definition("Tp", "Tp, performance rate", "Performance", "net time ÷ operating time", "tN", "tF"),
    "tq": Definition(
        "Tq",
        "Tq, quality rate",
        "Quality",
        "good parts ÷ parts made, each weighted with its reference cycle",
        "tU",
        "tN",
    ),
}

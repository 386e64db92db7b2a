"""Industrial applications and what they ask of a link: rows of 3GPP TS 22.104, as data.

`verified` is True where the row was read in the standard (or a transcription of it); elsewhere the figures are defaults
to be confirmed against the release in force before anything is promised on them.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class UseCase:
    """One row. `availability` [0…1]: the least of the range asked for. `interval_ms` [ms]: transfer interval, the one
    to be shown where the row gives a range; None: aperiodic. `survival_ms` [ms]: None where the row gives none.
    `message_bytes`: the largest. `mtbf`: as the row words it."""

    key: str
    name: str
    name_fr: str
    table: str
    availability: float
    latency_ms: float
    interval_ms: float | None
    survival_ms: float | None
    message_bytes: int | None
    mtbf: str
    verified: bool


_PERIODIC: Final = "5.2-1"
_SENSORS: Final = "5.2-2"
_APERIODIC: Final = "5.3-1"

USE_CASES: Final[dict[str, UseCase]] = {
    case.key: case
    for case in (
        UseCase("motion-control-1", "motion control, 0.5 ms", "commande d'axes, 0,5 ms", _PERIODIC,
                0.99999, 0.5, 0.5, 0.5, 50, "~10 years", False),
        UseCase("motion-control-2", "motion control, 1 ms", "commande d'axes, 1 ms", _PERIODIC,
                0.999999, 1, 1, 1, 40, "~10 years", False),
        UseCase("motion-control-3", "motion control, 2 ms", "commande d'axes, 2 ms", _PERIODIC,
                0.999999, 2, 2, 2, 20, "~10 years", False),
        UseCase("control-to-control", "control to control", "entre commandes", _PERIODIC,
                0.999999, 10, 10, 10, 1000, "~10 years", False),
        UseCase("mobile-robots", "mobile robots, precise", "robots mobiles, conduite précise", _PERIODIC,
                0.999999, 10, 10, 10, 250, "~10 years", False),
        UseCase("mobile-robots-standard", "mobile robots, standard operation", "robots mobiles, conduite normale",
                _PERIODIC, 0.999999, 40, 40, 40, 250, "~10 years", False),
        UseCase("mobile-robots-video", "mobile robots, video remote control", "robots mobiles, pilotage vidéo",
                _PERIODIC, 0.999999, 100, 100, 100, 250_000, "~1 year", False),
        UseCase("panel-safety", "mobile control panel with safety functions", "pupitre mobile avec sécurité",
                _PERIODIC, 0.999999, 8, 8, 8, 250, "~1 month", False),
        UseCase("panel-crane", "mobile control panel, cranes", "pupitre mobile, ponts et grues", _PERIODIC,
                0.999999, 12, 12, 12, 250, "~1 year", False),
        UseCase("panel-emergency-stop", "mobile panel, emergency-stop connectivity", "pupitre mobile, arrêt d'urgence",
                _PERIODIC, 0.99999999, 8, 8, 16, 250, "1 day", False),
        UseCase("panel-safety-stream", "operation panel, safety data stream", "pupitre, flux de sécurité", _PERIODIC,
                0.9999999, 10, 10, 10, 1024, "1 day", False),
        UseCase("process-closed-loop", "process automation, closed loop", "procédé, boucle fermée", _PERIODIC,
                0.999999, 10, 10, 0, 20, ">= 1 year", False),
        UseCase("frequency-control", "primary frequency control", "réglage primaire de fréquence", _PERIODIC,
                0.99999, 50, 50, None, 100, "–", False),
        UseCase("voltage-control", "distributed voltage control", "réglage réparti de tension", _PERIODIC,
                0.99999, 100, 200, None, 100, "–", False),
        UseCase("asset-management", "plant asset management", "suivi des équipements", _PERIODIC,
                0.9999, 60_000, 60_000, 180_000, 255, ">= 1 week", False),
        UseCase("process-monitoring", "sensors, process monitoring", "capteurs, surveillance de procédé", _SENSORS,
                0.9999, 100, 100, None, None, ">= 1 week", False),
        UseCase("vibration-monitoring", "sensors, vibration", "capteurs, vibrations", _SENSORS,
                0.9999, 100, 1000, None, None, ">= 1 week", False),
        UseCase("mobile-robots-streaming", "mobile robots, video streaming", "robots mobiles, flux vidéo", _APERIODIC,
                0.999999, 10, None, None, None, "~1 week", True),
        UseCase("panel-parallel", "mobile control panels, parallel data", "pupitres mobiles, données parallèles",
                _APERIODIC, 0.999999, 30, None, None, None, "~1 month", True),
        UseCase("panel-emergency-stop-event", "operation panel, emergency-stop events",
                "pupitre, événements d'arrêt d'urgence", _APERIODIC, 0.99999999, 8, None, 16, 250, "1 day", True),
        UseCase("load-control", "smart grid, precise load control", "réseau électrique, délestage précis", _APERIODIC,
                0.999999, 50, None, None, 100, "–", True),
        UseCase("augmented-reality", "augmented reality", "réalité augmentée", _APERIODIC,
                0.999, 10, None, None, None, "~1 month", True),
        UseCase("wired-to-wireless", "wired-to-wireless link, 100 Mbit/s", "pont filaire-radio, 100 Mbit/s", _APERIODIC,
                0.999999, 1, None, None, None, "~10 years", True),
    )
}  # fmt: skip

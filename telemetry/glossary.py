"""The glossary: one name, one unit and one meaning for everything that is measured.

To add a metric, add a row to METRICS. A sample whose metric is not here is set aside, never guessed at.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal


class MachineState(IntEnum):
    """The one state model that every dialect is mapped to.

    0…3 carry the StateNumbers and meaning of MachineryItemState (OPC 40001-1, 4.1); from 4 on, NotExecuting is split
    by its cause, because NF E60-182 and ISO 22400-2 account for each cause differently.
    """

    NOT_AVAILABLE = 0
    OUT_OF_SERVICE = 1
    NOT_EXECUTING = 2
    EXECUTING = 3
    SETUP = 4
    STARVED = 5
    BLOCKED = 6
    MAINTENANCE = 7


Kind = Literal["state", "counter", "gauge", "word", "event"]
"""How a metric behaves: a state or word holds until the next sample; a counter only grows, but for resets;
a gauge is a measurement; an event stands alone at its instant."""

Subject = Literal["machine", "link", "source"]
"""What a metric tells of: a machine, a network link, or the path its data takes. Stores with tables sort by it."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the glossary. `unit` is "" for numbers without one; `holds`: a value is in force until the next."""

    name: str
    unit: str
    kind: Kind
    meaning: str
    meaning_fr: str
    minimum: float = -1e300
    maximum: float = 1e300
    subject: Subject = "machine"

    @property
    def holds(self) -> bool:
        return self.kind in ("state", "counter", "word")


METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        # machine
        Metric("state", "", "state", "state of the machine, see MachineState", "état de la machine", 0, 7),
        Metric("parts", "part", "counter", "parts produced, good or not (NPR; PQ)", "pièces réalisées (NPR)", 0),
        Metric("parts_good", "part", "counter", "good parts (NPB; GQ)", "pièces bonnes (NPB)", 0),
        Metric("parts_scrap", "part", "counter", "scrapped parts (SQ)", "pièces rebutées", 0),
        Metric("product", "", "word", "product being made", "produit en cours"),
        Metric("order", "", "word", "production order being executed", "ordre de fabrication en cours"),
        Metric("program", "", "word", "program being executed", "programme en cours"),
        Metric("reason", "", "word", "why the machine is in its state", "cause de l'état de la machine"),
        Metric(
            "operation_mode",
            "",
            "state",
            "MachineryOperationMode: 0 none, 1 maintenance, 2 setup, 3 processing",
            "mode de marche (OPC 40001-1)",
            0,
            3,
        ),
        Metric(
            "program_state",
            "",
            "state",
            "ProductionStateMachine: 0 initializing, 1 running, 2 ended, 3 interrupted, 4 aborted",
            "état du programme (OPC 40501-1)",
            0,
            4,
        ),
        Metric("packml_state", "", "state", "PackML state number, ISA-TR88.00.02", "état PackML", 0, 19),
        Metric("stacklight", "", "word", "lamps of the stack light that are on", "couleurs allumées de la colonne"),
        Metric("tool_life", "%", "gauge", "least life left of all tools; text: which", "vie d'outil restante", 0, 100),
        Metric("alarm", "", "event", "an alarm or message of the machine", "alarme ou message de la machine"),
        Metric("feed_override", "%", "gauge", "feed override", "correction d'avance", 0, 1000),
        Metric("rapid_override", "%", "gauge", "rapid override", "correction d'avance rapide", 0, 1000),
        Metric("spindle_override", "%", "gauge", "spindle override", "correction de broche", 0, 1000),
        Metric("spindle_speed", "1/min", "gauge", "spindle speed", "vitesse de broche", -1e6, 1e6),
        Metric("spindle_load", "%", "gauge", "spindle load", "charge de broche", -1000, 1000),
        Metric("spindle_vibration", "mm/s", "gauge", "spindle vibration velocity, RMS", "vibration de broche", 0, 1e4),
        Metric("temperature", "°C", "gauge", "temperature", "température", -273.15, 5000),
        Metric("power", "W", "gauge", "active electrical power", "puissance active", -1e9, 1e9),
        Metric("energy", "Wh", "counter", "active electrical energy", "énergie active", 0),
        # network link
        Metric(
            "rtt",
            "ms",
            "event",
            "round-trip time (T4 − T1) − (T3 − T2), RFC 2681",
            "temps d'aller-retour",
            0,
            1e7,
            subject="link",
        ),
        Metric(
            "rtt_lost",
            "",
            "event",
            "1: the probe sent at this instant got no answer in time, RFC 7680",
            "sonde sans réponse",
            0,
            1,
            subject="link",
        ),
        Metric(
            "delay_up",
            "ms",
            "event",
            "one-way delay, away from us (T2 − T1), RFC 7679",
            "délai aller",
            -1e7,
            1e7,
            subject="link",
        ),
        Metric(
            "delay_down",
            "ms",
            "event",
            "one-way delay, towards us (T4 − T3), RFC 7679",
            "délai retour",
            -1e7,
            1e7,
            subject="link",
        ),
        Metric(
            "clock_error",
            "ms",
            "gauge",
            "estimated error of the clocks at both ends",
            "erreur d'horloge",
            0,
            1e9,
            subject="link",
        ),
        Metric(
            "duplicates",
            "",
            "event",
            "answers to probes that came again since the sample before, RFC 5560",
            "réponses reçues en double",
            0,
            subject="link",
        ),
        Metric(
            "reordered",
            "",
            "event",
            "answers that came after one to a later probe, since the sample before, RFC 4737",
            "réponses dans le désordre",
            0,
            subject="link",
        ),
        Metric("rsrp", "dBm", "gauge", "SS-RSRP, TS 38.215", "SS-RSRP", -160, 0, subject="link"),
        Metric("rsrq", "dB", "gauge", "SS-RSRQ, TS 38.215", "SS-RSRQ", -50, 30, subject="link"),
        Metric("sinr", "dB", "gauge", "SS-SINR, TS 38.215", "SS-SINR", -30, 50, subject="link"),
        Metric("cqi", "", "gauge", "channel quality indicator", "indicateur CQI", 0, 15, subject="link"),
        Metric("mcs", "", "gauge", "modulation and coding scheme index", "indice MCS", 0, 31, subject="link"),
        Metric("cell", "", "word", "serving cell", "cellule serveuse", subject="link"),
        Metric("throughput_up", "Mbit/s", "gauge", "uplink throughput", "débit montant", 0, 1e6, subject="link"),
        Metric("throughput_down", "Mbit/s", "gauge", "downlink throughput", "débit descendant", 0, 1e6, subject="link"),
        # vehicles on the network, and the network about itself
        Metric("position_x", "m", "gauge", "position, east", "position, vers l'est", -1e6, 1e6, subject="link"),
        Metric("position_y", "m", "gauge", "position, north", "position, vers le nord", -1e6, 1e6, subject="link"),
        Metric("speed", "m/s", "gauge", "speed over ground", "vitesse", 0, 1e3, subject="link"),
        Metric("battery", "%", "gauge", "state of charge", "charge de la batterie", 0, 100, subject="link"),
        Metric("mission", "", "word", "what the vehicle is doing", "mission en cours", subject="link"),
        Metric("handovers", "", "counter", "changes of the serving cell", "changements de cellule", 0, subject="link"),
        Metric("connected_ues", "", "gauge", "devices connected to the gNB", "terminaux connectés", 0, subject="link"),
        Metric("prb_used", "%", "gauge", "downlink PRB in use", "blocs radio occupés", 0, 100, subject="link"),
        Metric("registered_ues", "", "gauge", "devices registered (AMF)", "terminaux enregistrés", 0, subject="link"),
        Metric("pdu_sessions", "", "gauge", "PDU sessions set up (SMF)", "sessions PDU établies", 0, subject="link"),
        # the data path itself
        Metric(
            "online", "", "state", "1: the source or collector is connected", "1 : connecté", 0, 1, subject="source"
        ),
        Metric(
            "break",
            "",
            "event",
            "the connection to a source broke; text: why",
            "rupture de connexion",
            subject="source",
        ),
        Metric(
            "repair",
            "",
            "event",
            "the connection to a source came back; text: how",
            "reprise de connexion",
            subject="source",
        ),
        Metric("lag", "ms", "gauge", "source time to durable", "délai source → disque", subject="source"),
        *(
            Metric(
                f"{stage}_{figure}",
                "ms",
                "gauge",
                f"source time to {meaning}: {of}, of all samples since the value before",
                f"délai source → {meaning_fr} : {of_fr}",
                subject="source",
            )
            for stage, meaning, meaning_fr in (
                ("received", "received by the collector", "reçu"),
                ("durable", "on disk in the spool", "sur disque"),
                ("queryable", "answered by the store", "consultable"),
            )
            for figure, of, of_fr in (
                ("p50", "median", "médiane"),
                ("p99", "99 %", "99e centile"),
                ("max", "the slowest", "le plus lent"),
            )
        ),
        Metric(
            "spool_fill",
            "%",
            "gauge",
            "share of the room on disk that waiting samples fill",
            "place prise par les mesures en attente",
            0,
            subject="source",
        ),
        Metric(
            "spooled_samples",
            "",
            "gauge",
            "samples on disk that the store does not have yet",
            "mesures en attente sur disque",
            0,
            subject="source",
        ),
        Metric(
            "dead_letters",
            "",
            "counter",
            "messages set aside since the platform started",
            "messages mis de côté depuis le démarrage",
            0,
            subject="source",
        ),
        Metric(
            "samples_lost",
            "",
            "counter",
            "samples that could not be kept since the platform started",
            "mesures perdues depuis le démarrage",
            0,
            subject="source",
        ),
        Metric(
            "reconnects",
            "",
            "counter",
            "collectors started again since the platform started",
            "reprises de collecteurs depuis le démarrage",
            0,
            subject="source",
        ),
        Metric(
            "mqtt_connected",
            "s",
            "gauge",
            "how long every broker has been connected; 0 while one is not",
            "depuis quand tous les brokers sont connectés",
            0,
            subject="source",
        ),
        Metric(
            "mqtt_in_flight",
            "",
            "gauge",
            "messages read from brokers and not yet acknowledged",
            "messages lus, pas encore acquittés",
            0,
            subject="source",
        ),
        *(
            Metric(
                f"mqtt_{name}",
                unit,
                "counter",
                f"{meaning} since the platform started",
                f"{meaning_fr} depuis le démarrage",
                0,
                subject="source",
            )
            for name, unit, meaning, meaning_fr in (
                ("messages", "", "messages received from brokers", "messages reçus des brokers"),
                ("bytes", "B", "bytes of such messages", "octets de ces messages"),
                ("acknowledged", "", "messages acknowledged to brokers, once on disk", "messages acquittés"),
                ("duplicates", "", "messages that brokers sent again", "messages renvoyés par les brokers"),
                (
                    "sessions_lost",
                    "",
                    "sessions that brokers forgot, with what they kept for us",
                    "sessions oubliées par les brokers, avec ce qu'ils gardaient pour nous",
                ),
                ("refused_syntax", "", "refused: not the format of its dialect", "refus : format"),
                ("refused_shape", "", "refused: a field missing or of the wrong type", "refus : champ absent ou faux"),
                ("refused_time", "", "refused: the time is not readable", "refus : heure illisible"),
                ("refused_value", "", "refused: the value is none of its metric", "refus : valeur"),
                ("refused_gate", "", "refused by the glossary or the plant model", "refus : glossaire ou modèle"),
                ("refused_bug", "", "refused by a bug of the decoder", "refus : défaut du décodeur"),
            )
        ),
    )
}


def holds(metric: str) -> bool:
    """Whether a value of the metric is in force until the next one. An unknown metric does not hold."""
    known = METRICS.get(metric)
    return known is not None and known.holds

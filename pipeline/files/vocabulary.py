"""What columns and states are called in French and English workshops: words to look for, not a norm.

Words are compared without case, accents or punctuation. A heading matches best when it is the word, less when it begins
or ends with it, least when it holds it; a longer word beats a shorter one.
"""

import re
import unicodedata
from typing import Final, Literal, get_args

from pipeline.kpis.states import REASON
from telemetry.dialects import Dialect, state_of
from telemetry.errors import DecodeError
from telemetry.glossary import MachineState
from telemetry.plant import StateName

Role = Literal[
    "time", "clock", "end", "duration", "state", "parts", "parts_good", "parts_scrap", "product", "reason", "order",
    "name", "value", "machine",
]  # fmt: skip
"""What a column may be. "machine": names one of several machines in one file."""

OPENING: Final = (
    "temps d ouverture",
    "temps ouverture",
    "temps requis",
    "temps de presence",
    "duree poste",
    "duree du poste",
    "temps travaille",
    "heures travaillees",
    "opening time",
    "planned time",
    "scheduled time",
    "shift length",
)
"""What the length of a shift is called."""

HEADINGS: Final[dict[Role, tuple[str, ...]]] = {
    "time": (
        "horodatage", "horodate", "timestamp", "date heure", "date et heure", "dateheure", "datetime", "date time",
        "time", "temps", "date", "debut", "date debut", "heure debut", "start", "start time", "begin", "from",
        "instant", "ts", "quand", "when", "jour", "du", "timestring", "time string",
    ),
    "clock": (
        "heure", "hour", "time of day", "heure debut", "hh mm", "clock", "time", "utc time", "time utc", "heure utc",
    ),
    "end": ("fin", "date fin", "heure fin", "end", "end time", "stop time", "to", "jusqu a", "au"),
    "duration": (
        "duree", "duree arret", "temps d arret", "duration", "length", "downtime", "elapsed", "duree min",
        *OPENING,
    ),
    "state": (
        "etat", "etat machine", "evenement", "situation", "activite", "event",
        "statut", "status", "state", "machine state", "mode", "execution", "marche arret",
        "statecurrent", "packml", "run", "running", "marche", "en marche", "en production",
    ),
    "parts": (
        "pieces", "nb pieces", "nombre de pieces", "compteur", "compteur pieces", "total pieces", "quantite", "qte",
        "qte produite", "quantite produite", "produites", "realisees", "pieces realisees", "npr", "parts", "part count",
        "partcount", "count", "counter", "quantity", "qty", "produced", "total", "total count", "output", "cadence",
    ),
    "parts_good": (
        "bonnes", "pieces bonnes", "bons", "conformes", "pieces conformes", "qte bonne", "quantite bonne", "npb",
        "good", "good parts", "good count", "ok", "accepted", "yield",
    ),
    "parts_scrap": (
        "rebut", "rebuts", "pieces rebutees", "non conformes", "nc", "mauvaises", "defauts", "defectueuses", "dechets",
        "qte rebut", "scrap", "rejects", "rejected", "bad", "bad parts", "nok", "ko", "defective", "defects",
    ),
    "product": (
        "article", "code article", "produit", "reference", "ref", "reference produit", "designation", "product", "item",
        "part number", "material", "sku", "programme", "program",
    ),
    "reason": (
        "cause", "cause arret", "motif", "motif arret", "raison", "code arret", "libelle arret", "nature",
        "commentaire", "type arret", "reason", "stop reason", "downtime reason", "reason code", "fault", "alarm",
        "alarme", "comment",
    ),
    "order": (
        "of", "ordre", "ordre de fabrication", "num of", "n of", "lot", "order", "work order", "job", "batch",
        "production order",
    ),
    "name": (
        "variable", "tag", "tagname", "varname", "signal", "mesure", "data item", "dataitem", "name",
        "item name", "metric",
    ),
    "value": ("valeur", "value", "val", "varvalue"),
    "machine": ("machine", "poste", "ligne", "equipement", "moyen", "line", "workstation", "equipment", "asset"),
}  # fmt: skip

SHIFTS: Final = frozenset((
    "matin", "apres midi", "nuit", "jour", "journee", "soir", "am", "pm", "equipe 1", "equipe 2", "equipe 3", "poste 1",
    "poste 2", "poste 3", "morning", "afternoon", "evening", "night", "day", "shift 1", "shift 2", "shift 3",
))  # fmt: skip
"""What shifts are called."""

_STATES: Final[tuple[tuple[StateName, tuple[str, ...]], ...]] = (
    # the first that is found in a word wins: "arret panne" is a breakdown, not a stop
    ("OUT_OF_SERVICE", (
        "panne", "defaut", "defaillance", "casse", "fault", "error", "erreur", "alarm", "breakdown", "failure",
        "failed", "down", "hors service", "abort", "urgence", "emergency", "bourrage", "jam", "out of service",
    )),
    ("MAINTENANCE", (
        "maintenance", "entretien", "nettoyage", "graissage", "cleaning", "lubrification", "preventif", "service",
    )),
    ("SETUP", (
        "reglage", "changement", "chgt", "cht", "changeover", "setup", "set up", "preparation", "montage", "outil",
        "tool", "serie", "mise au point", "adjust", "format",
    )),
    ("STARVED", (
        "manque", "attente matiere", "attente piece", "rupture", "starved", "no material", "no part", "waiting part",
        "appro", "amont", "sans matiere", "wait part", "absence operateur", "no operator", "personnel",
    )),
    ("BLOCKED", ("satur", "blocked", "bloque", "aval", "full", "plein", "evacuation", "output full")),
    ("NOT_AVAILABLE", (
        "fin de poste", "fin poste", "fin equipe", "hors poste", "end of shift",
        "hors tension", "eteint", "off", "power off", "arret machine eteinte", "ferme", "not available", "offline",
        "deconnecte",
    )),
    ("NOT_EXECUTING", (
        "arret", "stop", "idle", "pause", "attente", "ready", "pret", "wait", "halt", "standby", "veille", "repos",
        "inactif", "inactive", "interrupted", "hold", "suspend",
    )),
    ("EXECUTING", (
        "marche", "production", "prod", "produc", "run", "running", "active", "actif", "auto", "cycle", "usinage",
        "execut", "on", "working", "travail", "en cours", "fonctionnement",
    )),
)  # fmt: skip


NAMES: Final[dict[MachineState, StateName]] = {MachineState[name]: name for name in get_args(StateName)}


def plain(text: str) -> str:
    """Without case, accents and punctuation: "Qté  produite (pcs)" → "qte produite pcs"."""
    bare = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", bare)
    return " ".join(re.sub(r"[^a-z0-9]+", " ", spaced.lower()).split())


def likeness(heading: str, role: Role) -> float:
    """How much [0…1] the name of a column is one of a role."""
    told = plain(re.sub(r"[(\[].*?[)\]]", " ", heading)) or plain(heading)
    last = plain(heading.rpartition("/")[2])
    best = 0.0
    for word in HEADINGS[role]:
        if word in (told, last):
            best = max(best, 1.0 if word == told else 0.95)
        elif (len(word) > 2 and told.startswith(word + " ")) or (len(word) > 1 and told.endswith(" " + word)):
            best = max(best, 0.7 + 0.01 * min(len(word), 15))
        elif len(word) > 3 and f" {word} " in f" {told} ":
            best = max(best, 0.6)
        elif len(word) > 4 and word in told.replace(" ", ""):
            best = max(best, 0.5)
    return best


def state_for(word: str, dialect: Dialect) -> tuple[StateName | None, float]:
    """What state a word stands for and how sure that is [0…1]; (None, 1.0) when it says that nothing is known, and
    (None, 0.0) when it is like no word that is known."""
    try:
        known = state_of(word, dialect)
    except DecodeError:
        known = None
    else:
        return (None, 1.0) if known is None else (NAMES[known], 1.0)
    told = plain(word)
    for state, stems in _STATES:
        for stem in stems:
            if told == stem:
                return state, 0.9
            if len(stem) > 2 and (told.startswith(stem) or f" {stem}" in told):
                return state, 0.7
    if word.strip().lower().replace("_", " ") in REASON:
        return "NOT_EXECUTING", 0.6
    return None, 0.0

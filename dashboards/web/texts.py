"""The page's words: English in the templates, French here, behind gettext's interface so that .mo files can follow."""

import gettext
from typing import Final, Literal

Language = Literal["fr", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("fr", "en")

FRENCH: Final[dict[str, str]] = {
    # states
    "Running": "En production",
    "Stopped": "À l'arrêt",
    "Out of service": "En panne",
    "Switched off": "Hors tension",
    "Setup": "Réglage",
    "Starved": "Manque pièces",
    "Blocked": "Saturation aval",
    "Maintenance": "Maintenance",
    "Unknown": "État inconnu",
    # page
    "Plant now": "Atelier en direct",
    "Skip to the machines": "Aller aux machines",
    "Language": "Langue",
    "Live": "En direct",
    "Connecting…": "Connexion…",
    "Connection lost, trying again…": "Connexion perdue, nouvel essai…",
    "Not live: reload the page to update it": "Page figée : rechargez-la pour l'actualiser",
    "Page of %(time)s": "Page de %(time)s",
    "Machines": "Machines",
    "Network": "Réseau",
    "Data path": "Chaîne de données",
    "TRS and latency on one time axis": "TRS et latence sur le même axe de temps",
    "last 24 hours, hour by hour": "24 dernières heures, heure par heure",
    "No machine in the plant file yet: add one under [[plant.assets]].": (
        "Aucune machine dans le fichier d'atelier : ajoutez-en une sous [[plant.assets]]."
    ),
    # machine
    "for %(duration)s": "depuis %(duration)s",
    "since %(time)s": "depuis %(time)s",
    "never heard from": "jamais entendue",
    "last heard %(duration)s ago": "dernière donnée il y a %(duration)s",
    "stale": "périmé",
    "Product": "Produit",
    "Reason": "Cause",
    "TRS today": "TRS du jour",
    "TRS, shift": "TRS, équipe",
    "shift": "équipe",
    "today": "jour",
    "no data": "pas de donnée",
    "outside shifts": "hors équipe",
    "target %(target)s": "objectif %(target)s",
    "above target": "objectif tenu",
    "below target": "sous l'objectif",
    "coverage": "couverture",
    "coverage %(share)s": "couverture %(share)s",
    "good parts": "pièces bonnes",
    "Availability": "Disponibilité",
    "Performance": "Performance",
    "Quality": "Qualité",
    "States, last 24 hours": "États, 24 dernières heures",
    "TRS per hour": "TRS par heure",
    "now": "maintenant",
    "provisional": "provisoire",
    # how a figure is made
    "How this figure is made": "D'où vient ce chiffre",
    "Formula": "Formule",
    "Standard": "Norme",
    "Calculation": "Calcul",
    "Coverage": "Couverture",
    "Samples": "Mesures",
    "Window": "Fenêtre",
    "Close": "Fermer",
    "%(share)s of the required time is known": "%(share)s du temps requis est connu",
    "open until %(time)s: provisional": "ouverte jusqu'à %(time)s : provisoire",
    "final": "définitive",
    "useful time ÷ required time = Do × Tp × Tq": "temps utile ÷ temps requis = Do × Tp × Tq",
    "operating time ÷ required time": "temps de fonctionnement ÷ temps requis",
    "net time ÷ operating time": "temps net ÷ temps de fonctionnement",
    "good parts ÷ parts made, each weighted with its reference cycle": (
        "pièces bonnes ÷ pièces réalisées, pondérées par leur cycle de référence"
    ),
    "TRS, overall equipment effectiveness": "TRS, taux de rendement synthétique",
    "Do, operational availability": "Do, disponibilité opérationnelle",
    "Tp, performance rate": "Tp, taux de performance",
    "Tq, quality rate": "Tq, taux de qualité",
    # network
    "Round trip": "Aller-retour",
    "Round trip now": "Aller-retour",
    "Round trip, last hour": "Aller-retour, dernière heure",
    "median": "médiane",
    "99th percentile": "99e centile",
    "median and slowest per 30 s": "médiane et plus lente par 30 s",
    "slowest": "la plus lente",
    "jitter": "gigue",
    "loss": "perte",
    "lost probes": "sondes perdues",
    "%(minutes)s min": "%(minutes)s min",
    "1 h": "1 h",
    "probes": "sondes",
    "Radio": "Radio",
    "Cell": "Cellule",
    "no probe answered": "aucune sonde n'a répondu",
    "nearest-rank percentiles of the round trips": "centiles des allers-retours",
    # data path
    "samples stored": "mesures stockées",
    "lost": "perdues",
    "source to stored": "source → stockage",
    "batches waiting": "lots en attente",
    "dead letters": "messages écartés",
    "components": "composants",
    "all working": "tous en marche",
    "%(count)s failing": "%(count)s en défaut",
    "%(value)s of %(total)s": "%(value)s sur %(total)s",
    # asset page
    "Last values": "Dernières valeurs",
    "Metric": "Mesure",
    "Value": "Valeur",
    "Age": "Âge",
    "Meaning": "Signification",
    "This page does not exist": "Cette page n'existe pas",
    "Back to the plant": "Retour à l'atelier",
    "Stops of the last 24 hours": "Arrêts des 24 dernières heures",
    "State": "État",
    "From": "Début",
    "Duration": "Durée",
    "All times are those of %(zone)s.": "Heures de %(zone)s.",
    "No stop.": "Aucun arrêt.",
}


class Dictionary(gettext.NullTranslations):
    """Translations from a dict; a text that is missing stays English."""

    def __init__(self, texts: dict[str, str]) -> None:
        super().__init__()
        self._texts = texts

    def gettext(self, message: str) -> str:
        return self._texts.get(message, message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


def translations(language: Language) -> gettext.NullTranslations:
    return Dictionary(FRENCH if language == "fr" else {})


def preferred(asked: str | None, remembered: str | None, accept: str) -> Language:
    """The language asked for, else the one remembered, else the browser's first that we have, else French."""
    for choice in (asked, remembered):
        for language in LANGUAGES:
            if choice == language:
                return language
    ranked: list[tuple[float, int, str]] = []
    for position, item in enumerate(accept.split(",")[:20]):
        tag, _, weight = item.strip().partition(";q=")
        try:
            ranked.append((-float(weight or 1), position, tag[:2].lower()))
        except ValueError:
            continue
    for _, _, tag in sorted(ranked):
        for language in LANGUAGES:
            if tag == language:
                return language
    return "fr"

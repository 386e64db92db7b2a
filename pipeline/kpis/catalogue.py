"""The KPI catalogue: one row per figure, with unit, windows, inputs, function, reference and meaning.

All figures of an asset over a window come from one model of it, made once from one read of its inputs: an Oee of a
machine, the Probes of a link. A row says how its figure is taken from that model. To add a KPI, add a row.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import nan
from typing import Any, Final, Literal

import numpy as np

from pipeline.kpis import iso22400, link
from pipeline.kpis.figure import Amount, Figure
from pipeline.kpis.knowledge import INPUTS
from pipeline.kpis.link_rows import LINK_ROWS
from pipeline.kpis.machine import MachineHistory
from pipeline.kpis.numbers import chosen, missing
from pipeline.kpis.oee import Oee
from pipeline.kpis.states import Category
from telemetry.intervals import Instants

PER_MACHINE: Final = ("hour", "shift", "day", "week", "month")


Kind = Literal["machine", "link", "platform"]


@dataclass(frozen=True, slots=True)
class Kpi:
    """One row of the catalogue. `of`: kind of asset; `per`: kinds of window; `compute`: from the asset's model. The
    English meaning is its name too; in French they are two."""

    name: str
    unit: str
    of: Kind
    per: tuple[str, ...]
    inputs: tuple[str, ...]
    compute: Callable[[Any], Figure]  # the model is the Oee of a machine or the Probes of a link: `of` says which
    reference: str
    meaning: str
    name_fr: str
    meaning_fr: str
    reference_fr: str
    detail: Callable[[MachineHistory, Instants, Instants], list[str]] | None = None
    """Of a machine: what no number holds, for windows [ns] that are in order and do not overlap."""


def _machine(
    name: str, unit: str, compute: Callable[[Oee], Figure], reference: str, meaning: str, name_fr: str, meaning_fr: str,
    reference_fr: str | None = None,
) -> Kpi:  # fmt: skip
    return Kpi(
        name, unit, "machine", PER_MACHINE, INPUTS, compute, reference, meaning, name_fr, meaning_fr,
        reference if reference_fr is None else reference_fr,
    )  # fmt: skip


def _sum(value: float, coverage: float, samples: int) -> Amount:
    """An additive amount; not known at all when nothing of it was seen."""
    unknown = (coverage == 0) | missing(value)
    return Amount(chosen(unknown, nan, value), chosen(unknown, 0.0, coverage), samples, chosen(unknown, 0.0, value))


def _seconds(part: Callable[[Oee], float]) -> Callable[[Oee], Figure]:
    def compute(oee: Oee) -> Figure:
        coverage = oee.availability.coverage
        return _sum(part(oee), coverage, oee.samples)

    return compute


def _of_calendar(part: Callable[[Oee], float]) -> Callable[[Oee], Figure]:
    return lambda oee: _sum(part(oee), 1.0, oee.samples)


_NF: Final = "NF E60-182"
_ISO: Final = "ISO 22400-2"
_STOPS: Final[dict[Category, tuple[str, str, str]]] = {
    Category.BREAKDOWN: ("tP", "breakdowns", "pannes"),
    Category.OPERATION: ("tAE", "own stops without another cause", "arrêts d'exploitation"),
    Category.TOOL_CHANGE: ("tCOP", "programmed tool changes", "changements d'outil programmés"),
    Category.ADJUSTMENT: ("tRF", "adjustments", "réglages fréquentiels"),
    Category.INSPECTION: ("tDC", "inspections", "contrôles"),
    Category.CHANGEOVER: ("tCF", "changeovers", "changements de fabrication"),
    Category.UPKEEP: ("tEF", "routine upkeep", "entretien fréquentiel"),
    Category.MICRO_STOP: ("tMA", "micro-stops", "micro-arrêts"),
    Category.INDUCED: ("tAI", "stops induced from outside", "arrêts induits"),
}


def _stop(category: Category) -> Kpi:
    code, meaning, name_fr = _STOPS[category]
    own = " : arrêts propres sans autre cause" if category is Category.OPERATION else ""
    compute = _seconds(lambda oee: oee.stops[category])
    return _machine(
        f"{category.value}_time",
        "s",
        compute,
        f"{_NF} {code}",
        f"time lost to {meaning}",
        name_fr,
        f"temps perdu en {name_fr}{own}",
    )


def _by_reason(history: MachineHistory, starts: Instants, ends: Instants) -> list[str]:
    found = history.stopped(starts, ends)
    # json.dumps takes ten times as long over a year of hours: it makes an encoder for each
    quoted = [json.dumps(reason, ensure_ascii=False) for reason in found.words]
    seconds = np.round(found.seconds, 3).tolist()
    said = [f"{quoted[word]}: {length}" for word, length in zip(found.word.tolist(), seconds, strict=True)]
    bounds = found.window.searchsorted(np.arange(len(starts) + 1)).tolist()
    return [f"{{{', '.join(said[low:high])}}}" for low, high in pairwise(bounds)]


CATALOGUE: Final[tuple[Kpi, ...]] = (
    _machine(
        "trs", "", lambda oee: oee.trs, f"{_NF} TRS = tU/tR = Do·Tp·Tq",
        "useful share of required time; micro-stops lower Do", "taux de rendement synthétique",
        "part utile du temps requis ; les micro-arrêts abaissent Do",
    ),
    _machine(
        "do", "", lambda oee: oee.availability, f"{_NF} Do = tF/tR",
        "running share of required time", "disponibilité opérationnelle",
        "part du temps requis où la machine fonctionne",
    ),
    _machine(
        "tp", "", lambda oee: oee.performance, f"{_NF} Tp = tN/tF",
        "parts at their reference cycle ÷ running time; above 1: a reference cycle is too slow",
        "taux de performance",
        "pièces à leur cycle de référence ÷ temps de fonctionnement ; au-dessus de 1 : un cycle de référence trop lent",
    ),
    _machine(
        "tq", "", lambda oee: oee.quality, f"{_NF} Tq = tU/tN",
        "good ÷ all parts, weighted with their reference cycle", "taux de qualité",
        "pièces bonnes ÷ toutes les pièces, chacune pesée par son cycle de référence",
    ),
    _machine(
        "trg", "", lambda oee: oee.trg, f"{_NF} TRG = tU/tO = TRS·TC",
        "useful share of opening time", "taux de rendement global",
        "part utile du temps d'ouverture",
    ),
    _machine(
        "tre", "", lambda oee: oee.tre, f"{_NF} TRE = tU/tT = TRG·TS",
        "useful share of all time", "taux de rendement économique",
        "part utile du temps total",
    ),
    _machine(
        "tc", "", lambda oee: oee.tc, f"{_NF} TC = tR/tO", "required share of opening time", "taux de charge",
        "part requise du temps d'ouverture",
    ),
    _machine(
        "ts", "", lambda oee: oee.ts, f"{_NF} TS = tO/tT",
        "opening share of all time", "taux stratégique d'engagement",
        "part d'ouverture du temps total",
    ),
    _machine(
        "oee", "", lambda oee: oee.trs, f"{_ISO} OEE index = PRI·GQ/PBT", "overall equipment effectiveness",
        "indice OEE",
        "rendement global de l'équipement : le TRS, sous le nom de l'ISO",
    ),
    _machine(
        "availability", "", lambda oee: oee.availability, f"{_ISO} Availability = APT/PBT",
        "actual production time ÷ planned busy time", "disponibilité",
        "temps de production réel ÷ temps d'occupation planifié",
    ),
    _machine(
        "performance", "", lambda oee: oee.performance, f"{_ISO} Effectiveness = PRI·PQ/APT",
        "planned runtime of what was made ÷ actual production time", "efficacité",
        "temps prévu pour ce qui a été fait ÷ temps de production réel",
    ),
    _machine(
        "quality", "", lambda oee: oee.quality_ratio, f"{_ISO} Quality ratio = GQ/PQ",
        "good ÷ all parts, by count, in the whole window", "taux de qualité en pièces",
        "pièces bonnes ÷ toutes les pièces, en nombre, sur toute la fenêtre",
    ),
    _machine(
        "nee", "", lambda oee: oee.nee, f"{_ISO} NEE index = AUPT/PBT · Effectiveness · Quality",
        "OEE that does not hold set-up against the machine", "indice NEE",
        "OEE qui ne reproche pas la préparation à la machine",
    ),
    _machine(
        "parts", "part", lambda oee: _sum(oee.made_all, oee.made_coverage, oee.samples), f"{_NF} NPR; {_ISO} PQ",
        "parts made in the whole window", "pièces réalisées",
        "pièces faites dans toute la fenêtre",
    ),
    _machine(
        "parts_good", "part", lambda oee: _sum(oee.good_all, oee.good_coverage, oee.samples), f"{_NF} NPB; {_ISO} GQ",
        "good parts made in the whole window", "pièces bonnes",
        "pièces bonnes faites dans toute la fenêtre",
    ),
    _machine(
        "opening_time", "s", _of_calendar(lambda oee: oee.opening), f"{_NF} tO; {_ISO} POT",
        "time inside shifts", "temps d'ouverture",
        "temps compris dans les équipes",
    ),
    _machine(
        "required_time", "s", _of_calendar(lambda oee: oee.required), f"{_NF} tR; {_ISO} PBT",
        "opening time without planned stops", "temps requis",
        "temps d'ouverture sans les arrêts planifiés",
    ),
    _machine(
        "unknown_time", "s", _of_calendar(lambda oee: oee.unknown), "required time whose state is not known",
        "neither running nor stopped: nobody can tell", "temps inconnu",
        "ni en marche ni à l'arrêt : personne ne peut le dire",
        "temps requis dont l'état n'est pas connu",
    ),
    _machine(
        "running_time", "s", _seconds(lambda oee: oee.running), f"{_NF} tF; {_ISO} APT",
        "running time inside required time", "temps de fonctionnement",
        "temps de marche dans le temps requis",
    ),
    *(_stop(category) for category in _STOPS),
    Kpi(
        "stop_time", "s", "machine", ("hour",), INPUTS, _seconds(lambda oee: sum(oee.stops.values())),
        f"{_NF} tR − tF",
        "required time that was stopped; the detail is JSON of its seconds by reason",
        "temps d'arrêt",
        "temps requis passé à l'arrêt ; le détail est un JSON de ses secondes par cause",
        f"{_NF} tR − tF", _by_reason,
    ),
    _machine(
        "setup_time", "s", _seconds(iso22400.aust), f"{_ISO} AUST", "changeover, adjustment and tool change",
        "temps de préparation",
        "changement de fabrication, réglage et changement d'outil",
    ),
    _machine(
        "processing_time", "s", _seconds(iso22400.aupt), f"{_ISO} AUPT = AUST + APT", "set-up and production time",
        "temps de traitement",
        "temps de préparation et de production",
    ),
    _machine(
        "delay_time", "s", _seconds(iso22400.adet), f"{_ISO} ADET", "own stops that are no set-up",
        "temps de retard",
        "arrêts propres qui ne sont pas de la préparation",
    ),
    _machine(
        "down_time", "s", _seconds(iso22400.adot), f"{_ISO} ADOT", "waiting for transport or in a queue",
        "temps d'attente",
        "attente d'un transport ou dans une file",
    ),
    _machine(
        "busy_time", "s", _seconds(iso22400.aubt), f"{_ISO} AUBT = AUPT + ADET", "executing an order, with its delays",
        "temps d'occupation",
        "exécution d'un ordre, retards compris",
    ),
    _machine(
        "allocation_efficiency", "", iso22400.allocation_efficiency, f"{_ISO} Allocation efficiency = AUBT/PBT",
        "share of planned busy time spent on orders", "efficacité d'allocation",
        "part du temps d'occupation planifié passée sur des ordres",
    ),
    _machine(
        "utilization_efficiency", "", iso22400.utilization_efficiency, f"{_ISO} Utilization efficiency = APT/AUBT",
        "share of busy time that adds value", "efficacité d'utilisation",
        "part du temps d'occupation qui crée de la valeur",
    ),
    _machine(
        "technical_efficiency", "", iso22400.technical_efficiency, f"{_ISO} Technical efficiency = APT/(APT + ADET)",
        "production time against own delays", "efficacité technique",
        "temps de production face aux retards propres",
    ),
    _machine(
        "setup_ratio", "", iso22400.setup_ratio, f"{_ISO} Setup ratio = AUST/AUPT", "set-up share of processing",
        "part de préparation",
        "part de la préparation dans le temps de traitement",
    ),
    _machine(
        "scrap_ratio", "", iso22400.scrap_ratio, f"{_ISO} Scrap ratio = SQ/PQ", "parts that are not good ÷ all parts",
        "taux de rebut",
        "pièces qui ne sont pas bonnes ÷ toutes les pièces",
    ),
    _machine(
        "mtbf", "s", iso22400.mtbf, f"{_ISO} MTBF, n = FE", "operating time per breakdown",
        "temps moyen entre pannes",
        "temps de marche par panne",
    ),
    _machine(
        "mttr", "s", iso22400.mttr, f"{_ISO} MTTR, n = FE", "breakdown time per breakdown", "temps moyen de réparation",
        "temps passé en panne, par panne",
    ),
    *(
        Kpi(
            row.name, row.unit, "link", row.per, link.INPUTS, row.compute, row.reference, row.meaning, row.name_fr,
            row.meaning_fr, row.reference_fr or row.reference,
        )
        for row in LINK_ROWS
    ),
)  # fmt: skip
"""Every KPI."""

"""ISO 22400-2's time elements and the figures of its table that a machine's own times and counts can tell.

The elements are the same minutes as NF E60-182's, cut another way (OPC 40501-1 annex C gives the relations):

    POT = tO   PBT = tR   APT = tF   AUST = set-up (changeover, adjustment, tool change)   AUPT = APT + AUST
    ADOT = stops induced from outside (transport, queueing)   ADET = all other stops   AUBT = AUPT + ADET

so that PBT = AUBT + ADOT = APT + AUST + ADET + ADOT over known time. The whole table, for whoever knows what a machine
cannot (personnel, materials, rework, order plans), is in iso22400_table.
"""

from pipeline.kpis.iso22400_table import Denominator
from pipeline.kpis.oee import Oee
from pipeline.kpis.states import SETUP, Category
from telemetry.samples import Ratio


def aust(oee: Oee) -> float:
    """Actual unit setup time, in the unit of the Oee."""
    return sum(oee.stops.get(category, 0.0) for category in SETUP)


def aupt(oee: Oee) -> float:
    """Actual unit processing time = AUST + APT."""
    return aust(oee) + oee.running


def adot(oee: Oee) -> float:
    """Actual unit down time: the unit waits for transport or in a queue, so no order runs on it."""
    return oee.stops.get(Category.INDUCED, 0.0)


def adet(oee: Oee) -> float:
    """Actual unit delay time: malfunctions, minor stops and other unplanned time during an order."""
    running = oee.stops.get(Category.MICRO_STOP, 0.0) if oee.convention.micro_stops_run else 0.0
    return sum(oee.stops.values()) - running - aust(oee) - adot(oee)


def aubt(oee: Oee) -> float:
    """Actual unit busy time = AUPT + ADET."""
    return aupt(oee) + adet(oee)


def elements(oee: Oee) -> dict[str, float]:
    """Every element by its code, times in the unit of the Oee, quantities in parts."""
    made, good = oee.made_all, oee.good_all
    return {
        "POT": oee.opening, "PBT": oee.required, "APT": oee.running, "AUST": aust(oee), "AUPT": aupt(oee),
        "ADET": adet(oee), "ADOT": adot(oee), "AUBT": aubt(oee), "PQ": made, "GQ": good, "SQ": made - good,
        "FE": oee.failures,
    }  # fmt: skip


def allocation_efficiency(oee: Oee) -> Ratio:
    """AUBT / PBT."""
    return Ratio(aubt(oee), oee.known, oee.availability.coverage, oee.samples)


def utilization_efficiency(oee: Oee) -> Ratio:
    """APT / AUBT."""
    return Ratio(oee.running, aubt(oee), oee.availability.coverage, oee.samples)


def technical_efficiency(oee: Oee) -> Ratio:
    """APT / (APT + ADET)."""
    return Ratio(oee.running, oee.running + adet(oee), oee.availability.coverage, oee.samples)


def setup_ratio(oee: Oee) -> Ratio:
    """AUST / AUPT."""
    return Ratio(aust(oee), aupt(oee), oee.availability.coverage, oee.samples)


def scrap_ratio(oee: Oee) -> Ratio:
    """SQ / PQ, where every part that is not good is scrap: a machine does not know what will be reworked."""
    quality = oee.quality_ratio
    return Ratio(quality.denominator - quality.numerator, quality.denominator, quality.coverage, quality.samples)


def throughput_rate(oee: Oee) -> Ratio:
    """PQ / AOET [part/s] for an Oee over one order's execution, from its start to its end."""
    made = 0.0 if oee.made_coverage == 0 else oee.made_all
    return Ratio(made, oee.total, oee.made_coverage, oee.samples)


def production_process_ratio(oee: Oee) -> Ratio:
    """APT / AOET for an Oee over one order's execution."""
    return Ratio(oee.running, oee.total, oee.availability.coverage, oee.samples)


def mtbf(oee: Oee, denominator: Denominator = "fe") -> Ratio:
    """Operating time (set-up and production, no delay) / n; n is failure events FE unless asked for otherwise."""
    return _mean(aupt(oee), oee, denominator)


def mttr(oee: Oee, denominator: Denominator = "fe") -> Ratio:
    """Breakdown time / n; n as in `mtbf`."""
    return _mean(oee.stops.get(Category.BREAKDOWN, 0.0), oee, denominator)


def _mean(length: float, oee: Oee, denominator: Denominator) -> Ratio:
    events = oee.failures + (denominator == "fe_plus_one")
    return Ratio(length, events, oee.availability.coverage, oee.samples)

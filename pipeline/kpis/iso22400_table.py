"""The 34 KPIs of ISO 22400-2, each from the elements its formula names, in whatever unit they share.

A machine tells some of the elements (see iso22400.elements); a plant knows the others: people, orders, materials,
inspection, maintenance. Whoever gives them gets the KPIs they allow. Parts are PQ = GQ + SQ + RQ: a part that is made
is good, scrap or to be reworked.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isnan
from typing import Final, Literal

from telemetry.samples import Ratio

Elements = Mapping[str, float]
Denominator = Literal["fe", "fe_plus_one"]
"""Failure events, plain reliability practice; or failure events + 1, as the text of 2014 is widely reported."""

ELEMENTS: Final[dict[str, str]] = {
    "AOET": "actual order execution time", "ADET": "actual unit delay time", "ADOT": "actual unit down time",
    "APAT": "actual personnel attendance time", "APT": "actual production time", "APWT": "actual personnel work time",
    "AUBT": "actual unit busy time", "AUPT": "actual unit processing time", "AUST": "actual unit setup time",
    "AVI": "average inventory", "CM": "consumed material", "CMT": "corrective maintenance time",
    "E": "energy consumed", "EPC": "equipment production capacity", "FE": "failure events",
    "GP": "good parts at the first run", "GQ": "good quantity", "IGQ": "integrated good quantity",
    "IP": "inspected parts", "LSL": "lower specification limit", "MEAN": "mean of the measured values",
    "OL": "other loss", "PBT": "planned busy time", "PL": "production loss", "PMT": "preventive maintenance time",
    "POT": "planned operation time", "PQ": "produced quantity", "PQ1": "produced quantity of the first operation",
    "PRI": "planned runtime per item", "PSQ": "planned scrap quantity", "RQ": "rework quantity",
    "S": "standard deviation of one short series", "SIGMA": "estimated standard deviation of the process",
    "SQ": "scrap quantity", "STL": "storage and transport loss", "TBF": "times between failures, added",
    "TH": "throughput over the time of the inventory", "TTF": "times to failure, added",
    "TTR": "times to repair, added", "USL": "upper specification limit",
}  # fmt: skip
"""Codes as in the standard; E, AVI, TH, MEAN, S, SIGMA and PQ1 are ours, for what it names in words."""


@dataclass(frozen=True, slots=True)
class Row:
    """A KPI: its formula in codes, and the same as numerator and denominator."""

    name: str
    formula: str
    compute: Callable[[Elements], tuple[float, float]]

    @property
    def needs(self) -> frozenset[str]:
        """The elements that its formula names."""
        return frozenset(re.findall(r"[A-Z][A-Z0-9]*", self.formula))


def _over(name: str, part: str, whole: str) -> Row:
    return Row(name, f"{part} / {whole}", lambda e: (e[part], e[whole]))


def _capability(name: str, spread: str) -> tuple[Row, Row]:
    def centred(e: Elements) -> tuple[float, float]:
        return min(e["USL"] - e["MEAN"], e["MEAN"] - e["LSL"]), 3 * e[spread]

    return (
        Row(name, f"(USL − LSL) / (6·{spread})", lambda e: (e["USL"] - e["LSL"], 6 * e[spread])),
        Row(f"{name}k", f"min(USL − MEAN, MEAN − LSL) / (3·{spread})", centred),
    )


def _mean(name: str, times: str) -> tuple[Row, Row]:
    return (
        _over(name, times, "FE"),
        Row(name, f"{times} / (FE + 1)", lambda e: (e[times], e["FE"] + 1)),
    )


_MEANS: Final = [_mean(name, times) for name, times in (("mtbf", "TBF"), ("mttf", "TTF"), ("mttr", "TTR"))]

TABLE: Final[tuple[Row, ...]] = (
    _over("worker_efficiency", "APWT", "APAT"),
    _over("allocation_ratio", "AUBT", "AOET"),
    _over("throughput_rate", "PQ", "AOET"),
    _over("allocation_efficiency", "AUBT", "PBT"),
    _over("utilization_efficiency", "APT", "AUBT"),
    Row("oee_index", "PRI·GQ / PBT", lambda e: (e["PRI"] * e["GQ"], e["PBT"])),
    Row("nee_index", "AUPT·PRI·GQ / (PBT·APT)", lambda e: (e["AUPT"] * e["PRI"] * e["GQ"], e["PBT"] * e["APT"])),
    _over("availability", "APT", "PBT"),
    Row("effectiveness", "PRI·PQ / APT", lambda e: (e["PRI"] * e["PQ"], e["APT"])),
    _over("quality_ratio", "GQ", "PQ"),
    _over("setup_ratio", "AUST", "AUPT"),
    Row("technical_efficiency", "APT / (APT + ADET)", lambda e: (e["APT"], e["APT"] + e["ADET"])),
    _over("production_process_ratio", "APT", "AOET"),
    _over("actual_to_planned_scrap_ratio", "SQ", "PSQ"),
    _over("first_pass_yield", "GP", "IP"),
    _over("scrap_ratio", "SQ", "PQ"),
    _over("rework_ratio", "RQ", "PQ"),
    _over("fall_off_ratio", "SQ", "PQ1"),
    *_capability("cm", "S"),
    *_capability("cp", "SIGMA"),
    _over("comprehensive_energy_consumption", "E", "PQ"),
    _over("inventory_turns", "TH", "AVI"),
    _over("finished_goods_ratio", "GQ", "CM"),
    _over("integrated_goods_ratio", "IGQ", "CM"),
    _over("production_loss_ratio", "PL", "CM"),
    _over("storage_and_transport_loss_ratio", "STL", "CM"),
    _over("other_loss_ratio", "OL", "CM"),
    _over("equipment_load_ratio", "PQ", "EPC"),
    *(by_events for by_events, _ in _MEANS),
    Row("corrective_maintenance_ratio", "CMT / (CMT + PMT)", lambda e: (e["CMT"], e["CMT"] + e["PMT"])),
)
_PLUS_ONE: Final = {row.name: row for _, row in _MEANS}


def completed(elements: Elements) -> dict[str, float]:
    """Those that are known (no NaN), with the scrap that follows from them: what is neither good nor reworked."""
    known = {code: value for code, value in elements.items() if not isnan(value)}
    if "SQ" not in known and {"PQ", "GQ", "RQ"} <= known.keys():
        known["SQ"] = known["PQ"] - known["GQ"] - known["RQ"]
    return known


def table(elements: Elements, denominator: Denominator = "fe") -> dict[Row, Ratio]:
    """Each KPI that these elements allow, with the row that says how it was made. `denominator`: of the means between
    failures, to failure and to repair. Elements that are no number are not known."""
    known = completed(elements)
    rows = [_PLUS_ONE.get(row.name, row) if denominator == "fe_plus_one" else row for row in TABLE]
    return {row: Ratio(*row.compute(known), 1.0) for row in rows if row.needs <= known.keys()}

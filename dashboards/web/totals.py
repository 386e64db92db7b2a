"""Figures over a period: sums of stored KPI values, so that a year costs as little as a day. Ratios are pooled sums."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dashboards.web.periods import Period
from pipeline.kpis.losses import REJECTS, SPEED
from pipeline.kpis.states import STOPS
from telemetry.plant import Asset
from telemetry.protocols import Store
from telemetry.samples import KpiValue, Ratio, Window

RATIOS: Final = ("trs", "do", "tp", "tq", "trg", "tre")
SUMS: Final = ("opening_time", "required_time", "unknown_time", "running_time", "parts", "parts_good")
STOP_TIMES: Final = {category.value: f"{category.value}_time" for category in STOPS}


@dataclass(frozen=True)
class Lost:
    """Required time [s] lost to one cause: a category of stop, SPEED or REJECTS. `kpi`: whose definition says what."""

    name: str
    kpi: str
    seconds: float
    share: float
    cost: float


@dataclass(frozen=True)
class Totals:
    """What a machine (or several) did over a period. Times in seconds; NaN where nothing is known."""

    ratios: Mapping[str, Ratio]
    sums: Mapping[str, float]
    losses: Sequence[Lost]
    trend: Sequence[KpiValue] = field(default_factory=tuple)
    """TRS of each day or month of the period; only of one machine."""

    @property
    def coverage(self) -> float:
        return self.ratios["do"].coverage

    @property
    def useful(self) -> float:
        """tU [s]."""
        return self.ratios["trs"].numerator


def totals(store: Store, assets: Sequence[Asset], period: Period) -> dict[str, Totals]:
    """Of each machine, by its path: sums over the stored values of the period's windows, read in one question."""
    window = Window(period.whole.start_ns, period.whole.end_ns, period.kind)
    found = store.read_many_kpis([asset.path for asset in assets], (*RATIOS, *SUMS, *STOP_TIMES.values()), window)
    values: dict[str, dict[str, list[KpiValue]]] = {asset.path: {} for asset in assets}
    for (path, kpi), read in found.items():
        values[path][kpi] = [value for value in read if value.start_ns >= window.start_ns]
    return {asset.path: _of(asset, values[asset.path]) for asset in assets}


def _of(asset: Asset, values: Mapping[str, Sequence[KpiValue]]) -> Totals:
    required = {value.start_ns: value.numerator for value in values["required_time"] if value.coverage > 0}
    ratios = {kpi: _pooled(values[kpi], required) for kpi in RATIOS}
    sums = {kpi: _sum(values[kpi]) for kpi in SUMS}
    lost = {name: _sum(values[kpi]) for name, kpi in STOP_TIMES.items()}
    lost[SPEED] = ratios["tp"].denominator - ratios["tp"].numerator if ratios["tp"].coverage else math.nan
    lost[REJECTS] = ratios["tq"].denominator - ratios["tq"].numerator if ratios["tq"].coverage else math.nan
    rate = math.nan if asset.hourly_cost is None else asset.hourly_cost / 3600
    return Totals(ratios, sums, _losses(lost, {name: seconds * rate for name, seconds in lost.items()}), values["trs"])


def together(parts: Sequence[Totals]) -> Totals:
    """Several machines as one: sums of sums. A cost is that of the machines that have an hourly cost."""
    ratios = {}
    for kpi in RATIOS:
        known = [part.ratios[kpi] for part in parts if part.ratios[kpi].coverage > 0]
        whole = math.fsum(_zero(part.sums["required_time"]) for part in parts)
        covered = math.fsum(part.ratios[kpi].coverage * _zero(part.sums["required_time"]) for part in parts)
        ratios[kpi] = Ratio(
            math.fsum(one.numerator for one in known),
            math.fsum(one.denominator for one in known),
            covered / whole if whole else float(bool(known)),
            sum(part.ratios[kpi].samples for part in parts),
        )
    seconds: dict[str, list[float]] = {}
    costs: dict[str, list[float]] = {}
    for part in parts:
        for one in part.losses:
            seconds.setdefault(one.name, []).append(one.seconds)
            costs.setdefault(one.name, []).append(one.cost)
    return Totals(
        ratios,
        {kpi: _known_sum([part.sums[kpi] for part in parts]) for kpi in SUMS},
        _losses(
            {name: _known_sum(found) for name, found in seconds.items()},
            {name: _known_sum(found) for name, found in costs.items()},
        ),
    )


def _losses(seconds: Mapping[str, float], costs: Mapping[str, float]) -> list[Lost]:
    """The largest first; causes that took no time, or of which nothing is known, are left out."""
    known = {name: length for name, length in seconds.items() if length and math.isfinite(length)}
    whole = math.fsum(known.values())
    kpis = {**STOP_TIMES, SPEED: "tp", REJECTS: "tq"}
    found = [Lost(name, kpis[name], length, length / whole if whole else math.nan, costs[name])
             for name, length in known.items()]  # fmt: skip
    return sorted(found, key=lambda one: -one.seconds)


def _pooled(values: Sequence[KpiValue], required: Mapping[int, float]) -> Ratio:
    numerator = denominator = covered = whole = 0.0
    for value in values:
        size = required.get(value.start_ns, value.window.seconds)
        whole += size
        covered += value.coverage * size
        if value.coverage > 0:
            numerator += value.numerator
            denominator += value.denominator
    share = covered / whole if whole else float(any(value.coverage for value in values))
    return Ratio(numerator, denominator, share, sum(value.samples for value in values))


def _sum(values: Sequence[KpiValue]) -> float:
    return _known_sum([value.numerator for value in values if value.coverage > 0])


def _known_sum(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return math.fsum(known) if known else math.nan


def _zero(value: float) -> float:
    return value if math.isfinite(value) else 0.0

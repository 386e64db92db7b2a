"""The time model of NF E60-182 and the figures of NF E60-182 and ISO 22400-2 on it.

    tT ⊇ tO ⊇ tR ⊇ tF ⊇ tN ⊇ tU       total, opening, required, running, net, useful time
    Do = tF/tR   Tp = tN/tF   Tq = tU/tN   TRS = tU/tR   TRG = tU/tO   TRE = tU/tT   TC = tR/tO   TS = tO/tT

Where part of tR is unknown, every figure is over the part that is known, and its coverage says how large that is:
availability over `known` (the state is known), performance over `counted` (the count of parts and their reference
cycle are known too), quality and TRS over `judged` (the count of good parts too). Tp above 1 means that a reference
cycle is too slow: it is reported as a finding, never clipped.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from math import isnan, nan
from typing import Any, Final

from pipeline.kpis import totals
from pipeline.kpis.numbers import chosen, divided, missing
from pipeline.kpis.states import FUNCTIONAL, SETUP, Category
from pipeline.said import Said
from telemetry.samples import Ratio


@dataclass(frozen=True, slots=True)
class Convention:
    """How a school of OEE counts. `setup_required`: changeover lies inside required time; `micro_stops_run`:
    micro-stops are a loss of performance, so they count as running time."""

    name: str
    setup_required: bool = True
    micro_stops_run: bool = False


NF_E60_182: Final = Convention("NF E60-182")
ISO_22400_2: Final = Convention("ISO 22400-2")
NAKAJIMA: Final = Convention("Nakajima (TPM, six big losses)", micro_stops_run=True)
SETUP_PLANNED: Final = Convention("NF E60-182, but changeover outside required time", setup_required=False)
"""Not the norm's: met in practice and in textbooks. Named, so that nobody takes it for the norm."""


@dataclass(frozen=True, slots=True)
class Oee:
    """Every intermediate time of one machine over one window, all in one unit [s unless given otherwise].

    `known` ≤ `required` is the part whose state is known; `counted` ≤ `known` the part where the count of parts and
    their reference cycle are known too, with its running time `counted_running` and net time `net`; `judged` ≤
    `counted` the part where the count of good parts is known too, with its net time `judged_net`, its useful time
    `useful`, and its parts `made` and `good`. Without gaps they are all the same. `made_all`, `good_all`: parts counted
    in the whole window, planned stops included, with the share of the window over which the counter is known.
    `failures`: breakdowns that began in required time, NaN where nobody told.

    Every number may be a column instead, an array with one element per window: the figures are then columns too, and
    `row` is the Oee of one window.
    """

    convention: Convention
    total: float
    opening: float
    required: float
    known: float
    running: float
    counted: float
    counted_running: float
    net: float
    judged: float
    judged_net: float
    useful: float
    made: float = nan
    good: float = nan
    stops: Mapping[Category, float] = field(default_factory=dict)
    planned: float = 0.0
    made_all: float = nan
    good_all: float = nan
    made_coverage: float = 0.0
    good_coverage: float = 0.0
    failures: float = 0
    samples: int = 0
    findings: tuple[Said, ...] = ()

    @property
    def availability(self) -> Ratio:
        """Do = tF/tR (NF E60-182); Availability = APT/PBT (ISO 22400-2)."""
        return Ratio(self.running, self.known, _share(self.known, self.required), self.samples)

    @property
    def performance(self) -> Ratio:
        """Tp = tN/tF (NF E60-182); Effectiveness = PRI·PQ/APT (ISO 22400-2)."""
        return self._over(self.counted, self.net, self.counted_running)

    @property
    def quality(self) -> Ratio:
        """Tq = tU/tN (NF E60-182): good over all parts, each weighted with its reference cycle."""
        return self._over(self.judged, self.useful, self.judged_net)

    @property
    def trs(self) -> Ratio:
        """TRS = tU/tR = Do·Tp·Tq (NF E60-182); OEE index = PRI·GQ/PBT (ISO 22400-2)."""
        return self._over(self.judged, self.useful, self.judged)

    @property
    def trg(self) -> Ratio:
        """TRG = tU/tO = TRS·TC (NF E60-182)."""
        return self._widened(self.opening)

    @property
    def tre(self) -> Ratio:
        """TRE = tU/tT = TRS·TC·TS (NF E60-182)."""
        return self._widened(self.total)

    @property
    def tc(self) -> Ratio:
        """TC = tR/tO, taux de charge (NF E60-182)."""
        return Ratio(self.required, self.opening, 1.0, self.samples)

    @property
    def ts(self) -> Ratio:
        """TS = tO/tT, taux stratégique d'engagement (NF E60-182)."""
        return Ratio(self.opening, self.total, 1.0, self.samples)

    @property
    def quality_ratio(self) -> Ratio:
        """Quality ratio = GQ/PQ by count (ISO 22400-2), over the whole window: it needs no reference cycle."""
        coverage = chosen(self.made_coverage < self.good_coverage, self.made_coverage, self.good_coverage)
        return Ratio(_zero(self.good_all), _zero(self.made_all), coverage, self.samples)

    @property
    def nee(self) -> Ratio:
        """NEE index = AUPT/PBT · Effectiveness · Quality ratio (ISO 22400-2): set-up is not held against it.

        The numerator is the time that would have been useful, had set-up time been as useful as production time.
        """
        setup = sum(self.stops.get(category, 0.0) for category in SETUP)
        return self._over(self.judged, self.useful * divided(self.running + setup, self.running, nan), self.judged)

    @property
    def functional(self) -> float:
        """tAF, arrêts fonctionnels: the sum of its parts."""
        return sum(self.stops.get(category, 0.0) for category in FUNCTIONAL)

    @property
    def unknown(self) -> float:
        """The part of required time whose state is not known: neither running nor stopped."""
        return self.required - self.known

    def row(self, index: int) -> "Oee":
        """Of an Oee of columns, that of one window. Findings are not kept in columns."""
        numbers: dict[str, Any] = {name: getattr(self, name)[index].item() for name in NUMBERS}
        stops: Mapping[Category, Any] = self.stops
        return replace(self, **numbers, stops={one: float(lengths[index]) for one, lengths in stops.items()})

    def _over(self, part: float, numerator: float, denominator: float) -> Ratio:
        """A ratio over a part of required time."""
        untold = missing(numerator) | missing(denominator)
        coverage = chosen(untold, 0.0, _share(part, self.required))
        return Ratio(chosen(untold, 0.0, numerator), chosen(untold, 0.0, denominator), coverage, self.samples)

    def _widened(self, whole: float) -> Ratio:
        """tU over a time that contains tR. With gaps, the whole shrinks as tR does: TRG stays TRS × TC."""
        found = self._over(self.judged, self.useful, whole * divided(self.judged, self.required, 1.0))
        nothing = self.required == 0
        return Ratio(chosen(nothing, 0.0, found.numerator), chosen(nothing, whole, found.denominator),
                     chosen(nothing, 1.0, found.coverage), self.samples)  # fmt: skip


NUMBERS: Final = tuple(one.name for one in fields(Oee) if one.type in (float, int))
"""The fields that are numbers or columns."""


def _share(part: float, whole: float) -> float:
    """Where nothing is required, nothing is missing."""
    share: float = divided(part, whole, 1.0)
    return share


def _zero(value: float) -> float:
    number: float = chosen(missing(value), 0.0, value)
    return number


def pooled(figures: Iterable[tuple[Ratio, float]]) -> Ratio:
    """One ratio of several periods or machines: Σ numerators / Σ denominators, never the mean of the ratios.

    Each comes with its size, the required time it speaks of [s]: coverage is the share of all of it that is known.
    """
    numerator = denominator = covered = whole = 0.0
    samples = 0
    for figure, size in figures:
        samples += figure.samples
        covered += figure.coverage * size
        whole += size
        if figure.coverage > 0:
            numerator += figure.numerator
            denominator += figure.denominator
    return Ratio(numerator, denominator, _share(covered, whole), samples)


def from_totals(
    *,
    required: float | None = None,
    opening: float | None = None,
    total: float | None = None,
    planned_stops: float | None = None,
    stops: totals.Stops = 0.0,
    running: float | None = None,
    cycle: float | None = None,
    made: float | None = None,
    good: float | None = None,
    reject: float | None = None,
    speed_loss: float | None = None,
    convention: Convention = NF_E60_182,
) -> Oee:
    """The figures of a shift from its totals, as a paper form states them: any unit of time, the same throughout.

    Required time tR is given, or `opening` − `planned_stops`. Running time tF is given, or tR − Σ `stops`, or
    tN + `speed_loss` (écarts de cadence); stops that are then missing are own stops without a cause (tAE). `stops` are
    by category, or all together. `cycle` is tCR per part; two of `made`, `good`, `reject` give the third. What cannot
    be told is NaN; totals that disagree are told in `findings`. Raises ValueError that names what is missing, is no
    finite number of zero or more (`speed_loss` may be below zero), or cannot be inside what it is a part of.
    """
    totals.check({
        "required": required, "opening": opening, "total": total, "planned_stops": planned_stops, "running": running,
        "cycle": cycle, "made": made, "good": good, "reject": reject, "speed_loss": speed_loss,
    })  # fmt: skip
    causes = totals.causes_of(stops)
    changeover = 0.0 if convention.setup_required else causes.pop(Category.CHANGEOVER, 0.0)
    total, opening, required, findings = totals.times(total, opening, required, planned_stops, changeover)
    made, good = totals.parts(made, good, reject)
    net = nan if cycle is None else made * cycle
    useful = nan if cycle is None else good * cycle
    totals.fit(sum(causes.values()), required)
    minor = causes.get(Category.MICRO_STOP, 0.0) if convention.micro_stops_run else 0.0  # told, and part of running
    running, missing_stops, more = totals.running_time(required, sum(causes.values()) - minor, running, net, speed_loss)
    causes[Category.OPERATION] = causes.get(Category.OPERATION, 0.0) + missing_stops
    return Oee(
        convention, total, opening, required, required, running, required, running, net,
        required, net, useful, made, good,
        {category: length for category, length in causes.items() if length}, opening - required,
        made, good, float(not isnan(made)), float(not isnan(good)),
        findings=(*findings, *more, *performance_findings(net, running)),
    )  # fmt: skip


def performance_findings(net: float, running: float, products: Callable[[], str] = str) -> tuple[Said, ...]:
    """Says so when more was made than the reference cycle allows: the cycle is too slow, or counts are wrong."""
    if net > running * (1 + 1e-9) and running >= 0:
        of = products()
        more, plus = (f"{net / running:.3f}",) * 2 if running else ("without running", "sans marche")
        return (
            Said(
                f"Tp is above 1 ({more}): reference cycle too slow{f' for {of}' if of else ''}",
                f"Tp dépasse 1 ({plus.replace('.', ',')}) : temps de cycle de référence trop long"
                f"{f' pour {of}' if of else ''}",
            ),
        )
    return ()

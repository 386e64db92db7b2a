"""The totals of a paper form, one unit of time throughout: what is missing or cannot be is refused with a sentence,
what disagrees is told as a finding, and the rest follows."""

from collections.abc import Mapping
from math import inf, isfinite, isnan, nan
from typing import Final

from pipeline.kpis.states import STOPS, Category
from pipeline.said import Said

Stops = Mapping[Category, float] | Mapping[str, float] | float
"""By category, or all together."""

_ROUNDING: Final = 1e-9


def causes_of(stops: Stops) -> dict[Category, float]:
    """Stops by category. Raises ValueError for what is no kind of stop, or no length of one."""
    if not isinstance(stops, Mapping):
        check({"stops": stops})
        return {Category.OPERATION: stops}
    if wrong := [str(name) for name in stops if name not in STOPS]:
        raise ValueError(f"{wrong[0]!r} is no kind of stop in required time; there is {', '.join(STOPS)}")
    check({f"stops.{name}": length for name, length in stops.items()})
    return {Category(name): length for name, length in stops.items()}


def check(given: Mapping[str, float | None]) -> None:
    """Raises ValueError for what is given and is no finite number, or below zero; a loss of speed may be: more was made
    than the reference cycle allows."""
    for name, value in given.items():
        if value is None:
            continue
        if name == "speed_loss" and not isfinite(value):
            raise ValueError(f"{name} is {value}: give a finite number")
        if name != "speed_loss" and not 0 <= value < inf:
            raise ValueError(f"{name} is {value}: a total is a finite number, zero or more")


def times(
    total: float | None, opening: float | None, required: float | None, planned: float | None, changeover: float
) -> tuple[float, float, float, list[Said]]:
    """tT, tO and tR, with findings; `changeover` is what a convention takes out of required time. Raises ValueError
    when they are too few, or one is not inside the one before."""
    outside = (planned or 0) + changeover
    findings: list[Said] = []
    if required is None:
        if opening is None:
            raise ValueError("give the required time tR, or the opening time tO and the planned stops")
        required = opening - outside
    if opening is None:
        opening = required + outside
    elif planned is not None and differ(opening - outside, required):
        findings.append(Said(
            f"tO − planned stops is {float(opening - outside):g}, but tR is said to be {float(required):g}: "
            f"planned stops are taken as tO − tR = {float(opening - required):g}",
            f"tO − arrêts planifiés vaut {float(opening - outside):g}, mais tR est donné à {float(required):g} : "
            f"les arrêts planifiés sont pris comme tO − tR = {float(opening - required):g}",
        ))  # fmt: skip
    total = opening if total is None else total
    if not total >= opening >= required >= 0:
        raise ValueError(f"tT ≥ tO ≥ tR ≥ 0 does not hold: {float(total):g}, {float(opening):g}, {float(required):g}")
    return total, opening, required, findings


def fit(stopped: float, required: float) -> float:
    """What stops leave of required time. Raises ValueError where they are longer than it."""
    return _inside(required - stopped, required, f"stops of {float(stopped):g} do")


def running_time(
    required: float, stopped: float, running: float | None, net: float, speed_loss: float | None
) -> tuple[float, float, list[Said]]:
    """tF, the stops that are then missing, and findings. Raises ValueError where tF would not be inside tR, or nothing
    tells it."""
    left = fit(stopped, required)
    found = left
    if running is not None:
        found = _inside(running, required, f"running time {float(running):g} does")
    elif speed_loss is not None:
        if isnan(net):
            raise ValueError("speed_loss tells the running time only with the cycle and the parts made: give them")
        found = net + speed_loss
        found = _inside(found, required, f"tN + speed_loss = {float(found):g} does")
    missing, findings = 0.0, list[Said]()
    if differ(left, found):
        if found < left and not (stopped and running is not None):
            missing = left - found
        else:
            findings.append(Said(
                f"tR − stops is {float(left):g}, but tF is said to be {float(found):g}: "
                "the factors do not belong to one period; TRS is tU/tR",
                f"tR − arrêts vaut {float(left):g}, mais tF est donné à {float(found):g} : "
                "les taux ne sont pas de la même période ; TRS est tU/tR",
            ))  # fmt: skip
    if speed_loss is not None and isnan(net):
        findings.append(Said(
            f"speed_loss of {float(speed_loss):g} is not used: give the cycle and the parts made, which tell tN",
            f"les écarts de cadence ({float(speed_loss):g}) ne sont pas utilisés : donnez le temps de cycle et les "
            "pièces faites, qui disent tN",
        ))  # fmt: skip
    elif speed_loss is not None and differ(found - net, speed_loss):
        findings.append(Said(
            f"tF − tN is {float(found - net):g}, but speed_loss is {float(speed_loss):g}: Tp is tN/tF",
            f"tF − tN vaut {float(found - net):g}, mais les écarts de cadence {float(speed_loss):g} : Tp est tN/tF",
        ))  # fmt: skip
    return found, missing, findings


def parts(made: float | None, good: float | None, reject: float | None) -> tuple[float, float]:
    """Parts made and good ones, two of three given; NaN where nobody told. Raises ValueError where they do not add
    up."""
    if made is None and good is not None and reject is not None:
        made = good + reject
    if good is None and made is not None and reject is not None:
        good = made - reject
    if made is not None and good is not None:
        rejected = made - good if reject is None else reject
        if good < 0 or rejected < 0 or differ(good + rejected, made):
            raise ValueError(
                f"{float(good):g} good and {float(rejected):g} rejected do not add up to {float(made):g} made"
            )
    return nan if made is None else made, nan if good is None else good


def differ(one: float, other: float) -> bool:
    """Whether two totals are not the same but for rounding."""
    return abs(one - other) > _ROUNDING * max(one, other, 1)


def _inside(running: float, required: float, what: str) -> float:
    inner = min(max(running, 0), required)
    if differ(running, inner):
        raise ValueError(f"{what} not fit into required time {float(required):g}: correct the one or the other")
    return inner

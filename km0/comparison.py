"""Computed against true, window by window: what `km0 verify` says of the KPIs of every asset.

The truth is the simulated process's own; the definitions here are written from the standards, on its exact fractions,
and share no code with the pipeline. What a fault on the wire may do to a figure is stated in `Excuses`, nowhere else.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import partial
from typing import Any, Final

from simulators.truth import LinkTruth, MachineTruth, Truth
from telemetry.protocols import Store
from telemetry.samples import SECOND_NS, KpiValue, Window

HOUR_NS: Final = 3600 * SECOND_NS
LOSSES: Final = (
    "breakdown", "operation", "tool_change", "adjustment", "inspection", "changeover", "upkeep", "micro_stop", "induced"
)  # fmt: skip
Figure = Fraction | int | float | None
Figures = Callable[[str, int, int], MachineTruth]
"""The truth of (asset, start [ns], end [ns])."""


def _loss(loss: str, truth: MachineTruth) -> Fraction:
    return truth.losses.get(loss, Fraction(0))


MACHINE: Final[dict[str, Callable[[MachineTruth], Figure]]] = {
    "trs": lambda t: t.trs,
    "do": lambda t: t.availability,
    "tp": lambda t: t.performance,
    "tq": lambda t: t.quality,
    "parts": lambda t: t.parts,
    "parts_good": lambda t: t.parts_good,
    "required_time": lambda t: t.required_s,
    "running_time": lambda t: t.executing_s,
    **{f"{loss}_time": partial(_loss, loss) for loss in LOSSES},
}
"""KPI → its true value."""

_RATIOS: Final[dict[str, tuple[Callable[[MachineTruth], Fraction], Callable[[MachineTruth], Fraction]]]] = {
    "do": (lambda t: t.executing_s, lambda t: t.required_s),
    "tp": (lambda t: t.net_s, lambda t: t.executing_s),
    "tq": (lambda t: t.useful_s, lambda t: t.net_s),
    "trs": (lambda t: t.useful_s, lambda t: t.required_s),
}
"""The sums that a ratio of several stretches is made of."""

_TAILS: Final = {"rtt_p50": (0.50, 5), "rtt_p95": (0.95, 59), "rtt_p99": (0.99, 299), "rtt_p999": (0.999, 2995)}
"""Quantile, and how many packets it takes to be stated at all (published with the KPI)."""

LINK: Final = ("loss", *_TAILS)

_AMOUNTS: Final = frozenset({"parts", "parts_good"}) | {name for name in MACHINE if name.endswith("_time")}


@dataclass(frozen=True)
class Excuses:
    """What faults may do to the figures of one asset, as intervals [ns].

    `hidden`: nobody can know what was lost there, figures of windows that touch it are not judged. `silent`: the
    device said itself that nothing is known there; figures are over the rest. `skewed_ns` [ns]: how wrong times are in
    `skewed`, at most.
    """

    hidden: tuple[tuple[int, int], ...] = ()
    silent: tuple[tuple[int, int], ...] = ()
    skewed: tuple[tuple[int, int], ...] = ()
    skewed_ns: int = 0
    edges: tuple[int, ...] = ()
    """Where required time begins and ends [ns]; needed where times are skewed."""


@dataclass
class Line:
    """One KPI of one asset over the scenario. Errors are absolute, in the KPI's unit."""

    asset: str
    kpi: str
    truth: float | None = None
    computed: float | None = None
    error: float = 0.0
    """The largest of all windows."""
    tolerance: float = 0.0
    """The tolerance of that window."""
    coverage: float = 1.0
    """The smallest of all windows."""
    windows: int = 0
    not_judged: int = 0
    wrong: list[str] = field(default_factory=list)
    """What is outside its tolerance, window by window."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"ok": not self.wrong}


def tolerance(kpi: str) -> float:
    """How far a figure may be from the truth: the rounding of binary fractions and nothing else."""
    if kpi in ("parts", "parts_good"):
        return 1e-6
    return 1e-3 if kpi.endswith("_time") else 1e-9


def machine_lines(store: Store, figures: Figures, asset: str, span: Window, excuses: Excuses) -> list[Line]:
    """Every KPI of a machine, over every whole hour, shift and day of the span."""
    return [_machine_line(store, figures, asset, kpi, span, excuses) for kpi in MACHINE]


def link_lines(store: Store, truth: Truth, asset: str, span: Window, excuses: Excuses) -> list[Line]:
    """Loss and percentiles of a link, over every whole hour of the span."""
    lines = []
    for kpi in LINK:
        line = Line(asset, kpi)
        values = {v.start_ns: v for v in store.read_kpis(asset, kpi, Window(span.start_ns, span.end_ns, "hour"))}
        for start in hours(span):
            if _touches((*excuses.hidden, *excuses.skewed), start, start + HOUR_NS):
                line.not_judged += 1
                continue
            pieces = [truth.link(asset, *piece) for piece in _without(start, start + HOUR_NS, excuses.silent)]
            exact = _link_figure(pieces, kpi)
            covered = 1.0 if [(p.start_ns, p.end_ns) for p in pieces] == [(start, start + HOUR_NS)] else math.nan
            _judge(line, values.get(start), exact, covered, tolerance(kpi), f"hour {start}")
            if exact is not None:
                line.truth, value = float(exact), values.get(start)
                line.computed = None if value is None else value.value
        lines.append(line)
    return lines


def hours(span: Window) -> range:
    """The starts [ns] of the whole hours, UTC, inside the span."""
    return range(-(-span.start_ns // HOUR_NS) * HOUR_NS, span.end_ns - HOUR_NS + 1, HOUR_NS)


def _machine_line(store: Store, figures: Figures, asset: str, kpi: str, span: Window, excuses: Excuses) -> Line:
    line = Line(asset, kpi)
    stored = store.read_kpis(asset, kpi, Window(span.start_ns, span.end_ns))
    by_window = {(v.kind, v.start_ns): v for v in stored if v.start_ns >= span.start_ns and v.end_ns <= span.end_ns}
    wanted = {("hour", start): (start, start + HOUR_NS) for start in hours(span)}
    wanted |= {key: (value.start_ns, value.end_ns) for key, value in by_window.items()}
    numerator = denominator = 0.0
    exact_pieces: list[MachineTruth] = []
    for (kind, start), (_, end) in sorted(wanted.items(), key=lambda item: item[1]):
        value = by_window.get((kind, start))
        if _touches(excuses.hidden, start, end):
            line.not_judged += 1
            continue
        pieces = [figures(asset, *piece) for piece in _without(start, end, excuses.silent)]
        gap = len(pieces) != 1 or (pieces[0].start_ns, pieces[0].end_ns) != (start, end)
        skewed = _touches(excuses.skewed, start, end)
        if (gap or skewed) and not (kpi in ("do", "running_time") or (gap and kpi in ("parts", "required_time"))):
            line.not_judged += 1
            continue
        exact = _over(pieces, kpi)
        allowed, covered = tolerance(kpi), 1.0
        whole = figures(asset, start, end)
        if gap:
            if kpi == "required_time":
                exact = whole.required_s  # the calendar needs no samples
            elif kpi == "parts":
                exact = exact if pieces else None  # all of it silent: not even that there were none is known
                covered = sum(p.end_ns - p.start_ns for p in pieces) / (end - start)
            else:
                covered = float(sum(p.required_s for p in pieces) / whole.required_s) if whole.required_s else 1.0
        if skewed:
            # wrong by the skew at each end of the window (or at a jump of the clock inside), and wherever required
            # time begins or ends in it, for there the machine turns and the calendar does not wait for its clock
            seconds = (2 + sum(start < edge < end for edge in excuses.edges)) * excuses.skewed_ns / SECOND_NS
            allowed = seconds if kpi == "running_time" else seconds / max(1.0, float(whole.required_s))
            covered = math.nan
        _judge(line, value, exact, covered, allowed, f"{kind} {start}")
        if kind == "hour" and value is not None and not math.isnan(value.numerator):
            numerator += value.numerator
            denominator += value.denominator
            exact_pieces += pieces
    if exact_pieces:
        exact = _over(exact_pieces, kpi)
        line.truth = None if exact is None else float(exact)
        line.computed = numerator if kpi in _AMOUNTS else (numerator / denominator if denominator else None)
    return line


def _over(pieces: Sequence[MachineTruth], kpi: str) -> Figure:
    """A figure over several stretches of time: sums over sums."""
    if len(pieces) == 1:
        return MACHINE[kpi](pieces[0])
    if kpi in _AMOUNTS:
        return sum((Fraction(MACHINE[kpi](piece) or 0) for piece in pieces), Fraction(0))
    above_of, below_of = _RATIOS[kpi]
    above = sum((above_of(piece) for piece in pieces), Fraction(0))
    below = sum((below_of(piece) for piece in pieces), Fraction(0))
    return above / below if below else None


def _link_figure(pieces: Sequence[LinkTruth], kpi: str) -> Figure:
    lost, ordered = sum(piece.lost for piece in pieces), sorted(rtt for piece in pieces for rtt in piece.rtt_ms)
    sent = len(ordered) + lost
    if kpi == "loss":
        return Fraction(lost, sent) if sent else None
    quantile, needed = _TAILS[kpi]
    if sent < needed:
        return None
    rank = max(1, math.ceil(sent * quantile - 1e-6))
    return ordered[rank - 1] if rank <= len(ordered) else math.inf


def _judge(line: Line, value: KpiValue | None, exact: Figure, covered: float, allowed: float, where: str) -> None:
    line.windows += 1
    if value is None:
        line.wrong.append(f"{where}: no value")
        return
    if exact is None or not math.isfinite(exact):
        if not (math.isnan(value.value) if exact is None else value.value == exact):
            line.wrong.append(
                f"{where}: {value.value:g}, where there is {'nothing to say' if exact is None else exact}"
            )
        return
    line.coverage = min(line.coverage, value.coverage)
    error = abs(value.value - float(exact)) if not math.isnan(value.value) else math.inf
    if error >= line.error:
        line.error, line.tolerance = error, allowed
    if error > allowed:
        line.wrong.append(f"{where}: {value.value:.9g}, in truth {float(exact):.9g}")
    elif not math.isnan(covered) and abs(value.coverage - covered) > 1e-9:
        line.wrong.append(f"{where}: coverage {value.coverage:.9g}, in truth {covered:.9g}")


def _touches(intervals: Iterable[tuple[int, int]], start: int, end: int) -> bool:
    return any(first < end and last >= start for first, last in intervals)


def _without(start: int, end: int, holes: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """What remains of [start, end) without the holes."""
    pieces = [(start, end)]
    for first, last in holes:
        pieces = [
            piece
            for a, b in pieces
            for piece in ((a, min(b, max(a, first))), (max(a, min(b, last)), b))
            if piece[1] > piece[0]
        ]
    return pieces

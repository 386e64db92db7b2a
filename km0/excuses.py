"""What the faults of a scenario may do to the figures of an asset: where they are not judged, or not so sharply."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np

from km0.comparison import Excuses
from km0.samples_account import Latest
from simulators.faults import Done, Fault
from simulators.scenario import Scenario
from telemetry.glossary import holds
from telemetry.samples import SECOND_NS, Window

_MS_NS: Final = 1_000_000


def excuses(path: str, kind: str, scenario: Scenario, span: Window, latest: Latest, done: Done) -> Excuses:
    """What the faults of this run may have done to one asset."""
    mine = [fault for fault in scenario.faults if fault.concerns(path, kind)]
    skews = [fault for fault in mine if fault.kind in ("skew", "drift")]
    skew_ns = sum(round(abs(fault.by_s) * SECOND_NS) for fault in skews)
    silent = tuple(f.window_ns(span.start_ns) for f in mine if f.kind == "silence")
    skewed = tuple((start - skew_ns, end + skew_ns) for start, end in (f.window_ns(span.start_ns) for f in skews))
    hidden = _hidden(path, scenario, latest, done) + _turned_round(path, skews, span.start_ns, latest)
    edges: tuple[int, ...] = ()
    if skews and path in scenario.models:
        stretches = scenario.models[path].calendar.working(span.start_ns // _MS_NS, span.end_ns // _MS_NS)
        edges = tuple(_MS_NS * edge for stretch in stretches for edge in stretch)
    return Excuses(tuple(hidden), silent, skewed, skew_ns, edges)


def _turned_round(path: str, skews: Sequence[Fault], start_ns: int, latest: Latest) -> list[tuple[int, int]]:
    """Where a clock jumps back over what its device has just told, nobody can tell the order; till the next value."""
    found = []
    for fault in skews:
        first, last = fault.window_ns(start_ns)
        by_ns = round(fault.by_s * SECOND_NS)
        if by_ns < 0 and fault.kind == "drift":
            continue  # it falls behind little by little, and is set forward
        jump = (last, last + by_ns) if by_ns > 0 else (first + by_ns, first)
        for metric in ("state", "reason"):
            times = sorted(latest.get((path, metric), ()))
            if any(jump[0] <= time_ns < jump[1] for time_ns in times):
                found.append((jump[0], next((time_ns for time_ns in times if time_ns >= jump[1]), 2**62)))
    return found


def _hidden(path: str, scenario: Scenario, latest: Latest, done: Done) -> list[tuple[int, int]]:
    """From the last value before a lost one to the next after it: in between nobody can know better."""
    limit_ns = {m.path: round(m.micro_stop_s * SECOND_NS) for m in scenario.machines}.get(path, 0)
    lost: dict[str, list[int]] = defaultdict(list)
    for asset, metric, time_ns in done.withheld:
        if asset == path:
            lost[metric].append(time_ns)
    found: list[tuple[int, int]] = []
    for metric, times in lost.items():
        if not holds(metric):
            found += [(time_ns, time_ns) for time_ns in times]
            continue
        known = np.array(sorted(latest.get((path, metric), ())), np.int64)
        for time_ns in times:
            place = int(np.searchsorted(known, time_ns))
            before = int(known[place - 1]) if place else time_ns
            after = int(known[place]) if place < len(known) else 2**62
            found.append((before - limit_ns, after + limit_ns))
    return found

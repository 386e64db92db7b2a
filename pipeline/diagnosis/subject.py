"""What rules look at: a machine or a link over an interval, read once, and windows of it at the cost of a few sums."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from pipeline.kpis.categories import CATEGORIES, UNKNOWN
from pipeline.kpis.link import Probes
from pipeline.kpis.losses import Loss, Point, losses, point_of_trs
from pipeline.kpis.machine import MachineHistory, Stretches
from pipeline.kpis.oee import Oee
from pipeline.kpis.service import Judgement, judge
from pipeline.kpis.states import Category
from telemetry import calendar
from telemetry.intervals import Instants, Intervals, elapsed
from telemetry.plant import Asset, Plant
from telemetry.samples import SECOND_NS, Series, Window

Read = Callable[[str, Window], Series]


@dataclass(frozen=True)
class Machine:
    """A machine over a window. `read` gives its series; `history` was made from them once."""

    asset: Asset
    plant: Plant
    window: Window
    history: MachineHistory
    read: Read

    @cached_property
    def oee(self) -> Oee:
        """The time model of the whole window."""
        return self.history.over(self.window)

    @cached_property
    def losses(self) -> list[Loss]:
        """Every loss, the largest first."""
        return losses(self.history, self.window)

    @cached_property
    def point(self) -> Point:
        """What a point of TRS is worth."""
        return point_of_trs(self.oee, self.asset)

    @cached_property
    def stretches(self) -> Stretches:
        """The window cut where anything changes."""
        return self.history.stretches(self.window)

    def of(self, *categories: Category) -> Intervals:
        """When the machine was in one of the categories, in required time or not."""
        return _merged(self._pieces[np.isin(self.stretches.category, [CATEGORIES.index(one) for one in categories])])

    @cached_property
    def _pieces(self) -> Intervals:
        """The stretches as intervals."""
        starts = self.stretches.starts_ns
        ends = np.append(starts, self.window.end_ns)[1:]
        return np.column_stack((starts.clip(self.window.start_ns), ends))

    @cached_property
    def unknown(self) -> Intervals:
        """When nobody knows what it did."""
        return _merged(self._pieces[self.stretches.category == UNKNOWN])

    def cut(self, windows: Sequence[Window]) -> list[tuple[Window, Oee]]:
        """The time model of each window, cut to that of the diagnosis; those without required time left out."""
        inner = [
            Window(max(one.start_ns, self.window.start_ns), min(one.end_ns, self.window.end_ns), one.kind)
            for one in windows
            if one.end_ns > self.window.start_ns and one.start_ns < self.window.end_ns
        ]
        if not inner:
            return []
        starts, ends = (np.array([getattr(one, name) for one in inner], np.int64) for name in ("start_ns", "end_ns"))
        columns = self.history.columns(starts, ends)
        rows = [(one, columns.row(number)) for number, one in enumerate(inner)]
        return [(one, oee) for one, oee in rows if oee.required > 0]

    @cached_property
    def days(self) -> list[tuple[Window, Oee]]:
        """Local days with required time, in order."""
        return self.cut(calendar.days(self.window, self.plant.zone))

    @cached_property
    def hours(self) -> list[tuple[Window, Oee]]:
        """Hours with required time, in order; of the last 400 days at most."""
        latest = max(self.window.start_ns, self.window.end_ns - _MOST_HOURS * 3600 * SECOND_NS)
        return self.cut(calendar.hours(Window(latest, self.window.end_ns)))

    @property
    def shown(self) -> str:
        """What people call it."""
        return self.asset.name


@dataclass(frozen=True)
class Link:
    """A network link over a window, and its verdict on the use case it is for."""

    asset: Asset
    window: Window
    probes: Probes
    cells: Series = field(default_factory=Series.empty)
    """The radio cell it was in, where it has one: words that hold."""

    @cached_property
    def judgement(self) -> Judgement | None:
        """None without a use case."""
        case = self.probes.use_case
        return None if case is None else judge(case, self.probes.times_ns, self.probes.delay_ms)


@dataclass(frozen=True, slots=True)
class Source:
    """Where the figures come from: a file with its bad rows and digest, or a store."""

    name: str
    rows: int = 0
    bad_rows: int = 0
    bad_times: int = 0
    skipped_times: int = 0
    out_of_order: int = 0
    digest: str = ""


@dataclass(frozen=True)
class Subject:
    """All that a diagnosis looks at."""

    window: Window
    plant: Plant
    machines: tuple[Machine, ...]
    links: tuple[Link, ...]
    source: Source
    lags_s: Mapping[str, float]

    def machine(self, path: str) -> Machine:
        """The machine of that path."""
        return next(one for one in self.machines if one.asset.path == path)


_MOST_HOURS: Final = 400 * 24


def _merged(pieces: Intervals) -> Intervals:
    """Pieces that touch, as one; in order already."""
    if len(pieces) < 2:
        return pieces
    breaks = pieces[1:, 0] > pieces[:-1, 1]
    first = np.concatenate(([True], breaks))
    last = np.concatenate((breaks, [True]))
    return np.column_stack((pieces[first, 0], pieces[last, 1]))


def lengths_in(intervals: Intervals, edges_ns: Instants) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """How much of the intervals [s] lies between each edge and the next."""
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = np.diff(elapsed(intervals, edges_ns)) / SECOND_NS
    return found

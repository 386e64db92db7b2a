"""From one store to another, and the proof that both hold the same: samples field by field, KPI values too.

A series is read in windows that hold about CHUNK samples if they are evenly spread, so memory stays bounded.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from telemetry.errors import RejectedError
from telemetry.protocols import Store
from telemetry.samples import KpiValue, Sample, SeriesInfo, Window

CHUNK: Final = 50_000

EVER: Final = Window(-(2**63), 2**63 - 1)

Progress = Callable[[int], None]
"""Told how many samples more were moved."""

KpiName = tuple[str, str]
"""(asset, kpi)."""


@dataclass
class Moved:
    """What a transfer did. `refused` has the reasons of samples that the target will never take."""

    samples: int = 0
    kpis: int = 0
    refused: list[tuple[Sample, str]] = field(default_factory=list)


def windows(held: SeriesInfo) -> Iterator[Window]:
    """The time of a series in windows, in order."""
    length = held.last_ns - held.first_ns + 1
    parts = -(-held.samples // CHUNK)
    step = -(-length // max(1, parts))
    for start in range(held.first_ns, held.last_ns + 1, step):
        yield Window(start, min(start + step, held.last_ns + 1))


def chunks(store: Store, inventory: Sequence[SeriesInfo]) -> Iterator[list[Sample]]:
    """Every sample that a store holds. Raises StoreError."""
    for held in inventory:
        for window in windows(held):
            if found := store.samples(held.asset, held.metric, window):
                yield found


def kpi_values(store: Store, names: Iterable[KpiName]) -> Iterator[list[KpiValue]]:
    """The values of each KPI of each asset. Raises StoreError."""
    for asset, kpi in names:
        if found := store.read_kpis(asset, kpi, EVER):
            yield found


def put(target: Store, samples: Sequence[Sample], moved: Moved) -> None:
    """Write, and note what is refused. Raises StoreError."""
    refused: dict[int, str] = {}
    try:
        target.write(samples)
    except RejectedError as error:
        refused = error.reasons
    moved.samples += len(samples) - len(refused)
    moved.refused += [(samples[index], reason) for index, reason in refused.items()]


def copy(source: Store, target: Store, names: Sequence[KpiName], progress: Progress) -> Moved:
    """All samples and the named KPI values. May be repeated: what is there already is replaced by itself.

    What the source has computed the target need not: its cursor is set to its own newest change. What has changed in
    the source since is written once more after that, so that this, and no more, is due. Raises StoreError.
    """
    moved = Moved()
    computed = source.cursor()
    unseen = source.changes(computed).spans
    inventory = source.inventory()
    for samples in chunks(source, inventory):
        put(target, samples, moved)
        progress(len(samples))
    for values in kpi_values(source, names):
        target.write_kpis(values, target.cursor())
        moved.kpis += len(values)
    if not computed and unseen:
        return moved  # nothing ever was: all is due
    target.write_kpis([], target.changes(target.cursor()).cursor)
    counts = {(held.asset, held.metric): held.samples for held in inventory}
    for span in unseen:
        count = counts.get((span.asset, span.metric), 0)
        for window in windows(SeriesInfo(span.asset, span.metric, count, span.first_ns, span.last_ns)):
            put(target, source.samples(span.asset, span.metric, window), Moved())
    return moved


def differences(source: Store, target: Store, names: Iterable[KpiName]) -> Iterator[str]:
    """What the target does not hold exactly as the source does, in words. It may hold more. Raises StoreError."""
    for held in source.inventory():
        for window in windows(held):
            expected = source.samples(held.asset, held.metric, window)
            found = target.samples(held.asset, held.metric, window)
            if expected != found:
                same = len(set(expected) & set(found))
                yield f"{held.asset} {held.metric}: {same} of {len(expected)} samples are the same in {window}"
    for asset, kpi in names:
        ours, theirs = (
            {(value.kind, value.start_ns): _comparable(value) for value in store.read_kpis(asset, kpi, EVER)}
            for store in (source, target)
        )
        wrong = [key for key, value in ours.items() if theirs.get(key) != value]
        if wrong:
            yield f"{asset} {kpi}: {len(wrong)} of {len(ours)} values differ, first {wrong[0]}"


def _comparable(value: KpiValue) -> tuple[object, ...]:
    figures = (value.value, value.numerator, value.denominator, value.coverage)
    known = tuple(None if math.isnan(figure) else figure for figure in figures)  # NaN is not equal to itself
    return value.end_ns, value.samples, value.final, value.detail, *known

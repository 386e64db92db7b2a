"""Reading a long series in pieces, so that no question makes us hold a year of it.

The store answers windows, not row counts; windows grow while they come back sparse and never exceed MAX_STEP_NS.
"""

from collections.abc import Iterator
from typing import Final, Literal

from telemetry.glossary import METRICS, MachineState
from telemetry.protocols import Store
from telemetry.samples import SECOND_NS, Quality, Sample, Series, Window

FIRST_STEP_NS: Final = 600 * SECOND_NS
MAX_STEP_NS: Final = 24 * 3600 * SECOND_NS

Order = Literal["oldest", "newest"]


def rows(series: Series, asset: str, metric: str) -> list[Sample]:
    """A series as samples, for small ones."""
    columns = zip(
        series.times_ns.tolist(), series.values.tolist(), series.texts.tolist(), series.quality.tolist(), strict=True
    )
    return [Sample(time, asset, metric, value, text, quality) for time, value, text, quality in columns]


def samples(store: Store, asset: str, metric: str, window: Window, order: Order, limit: int) -> list[Sample]:
    """At most `limit` samples inside the window, oldest or newest first."""
    found: list[Sample] = []
    for piece in _pieces(store, asset, metric, window, order):
        inside = [row for row in rows(store.read(asset, metric, piece), asset, metric) if row.time_ns >= piece.start_ns]
        found += inside if order == "oldest" else reversed(inside)
        if len(found) >= limit:
            break
    return found[:limit]


def pieces(store: Store, asset: str, metric: str, window: Window) -> Iterator[list[Sample]]:
    """All samples inside the window in time order, in lists that each fit in memory."""
    for piece in _pieces(store, asset, metric, window, "oldest"):
        yield store.samples(asset, metric, piece)


def _pieces(store: Store, asset: str, metric: str, window: Window, order: Order) -> Iterator[Window]:
    held = next((info for info in store.inventory() if (info.asset, info.metric) == (asset, metric)), None)
    if held is None:
        return
    start, end = max(window.start_ns, held.first_ns), min(window.end_ns, held.last_ns + 1)
    step = FIRST_STEP_NS
    while start < end:
        if order == "oldest":
            cut = min(start + step, end)
            yield Window(start, cut)
            following = store.next_time(asset, metric, cut - 1)
            start = end if following is None else following
        else:
            cut = max(end - step, start)
            yield Window(cut, end)
            end = cut
        step = min(step * 4, MAX_STEP_NS)


def in_force(store: Store, asset: str, metric: str, at_ns: int) -> Sample | None:
    """The sample of a metric that holds, in force at an instant."""
    if not METRICS[metric].holds:
        return None
    found = rows(store.read(asset, metric, Window(at_ns, at_ns + 1)), asset, metric)
    return found[-1] if found else None


def word(sample: Sample) -> str | None:
    """What a sample says in words: its text, or the name of its state."""
    if sample.metric == "state" and sample.value in MachineState.__members__.values():
        return MachineState(int(sample.value)).name
    return sample.text or None


def quality_name(quality: int) -> Literal["good", "uncertain", "bad"]:
    names: dict[int, Literal["good", "uncertain", "bad"]] = {
        Quality.GOOD: "good",
        Quality.UNCERTAIN: "uncertain",
        Quality.BAD: "bad",
    }
    return names.get(quality, "bad")

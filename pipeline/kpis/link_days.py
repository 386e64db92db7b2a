"""A link's windows evaluated: minutes and hours from their packets, days from the figures of their hours.

Invariant: a day is the same whether its hours are read from the store or computed, for they are taken from the store
only when they are settled there. Packets are read where a window needs them, and nowhere else.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, Protocol

from pipeline.kpis.figure import Amount, Figure
from pipeline.kpis.link import LinkHistory
from pipeline.kpis.link_hours import Hours
from pipeline.kpis.link_rows import LINK_ROWS
from pipeline.kpis.use_cases import USE_CASES
from telemetry import calendar
from telemetry.plant import Asset
from telemetry.samples import KpiValue, Series, Window

_ADDED: Final = frozenset(row.name for row in LINK_ROWS if row.adds)


class _Reads(Protocol):
    def read(self, asset: str, metric: str, window: Window) -> Series: ...

    def read_kpis(self, asset: str, kpi: str, window: Window) -> list[KpiValue]: ...


def evaluate(
    store: _Reads, asset: Asset, due: Sequence[Window], now_ns: int, settled: Callable[[Window], bool]
) -> list[KpiValue]:
    """As `evaluate.evaluate`, for a link."""
    case = USE_CASES.get(asset.use_case or "")
    days = [window for window in due if window.kind == "day"]
    asked = [window for window in due if window.kind != "day"]
    known: dict[Window, list[KpiValue]] = {}
    for day in days:
        known |= _stored(store, asset, day, [hour for hour in _hours(day, now_ns) if settled(hour)])
    wanted = {*asked, *(hour for day in days for hour in _hours(day, now_ns) if hour not in known)}
    for group in _together(sorted(wanted)):
        span = Window(group[0].start_ns, max(window.end_ns for window in group))
        history = LinkHistory(span, now_ns, partial(store.read, asset.path), case)
        for window in group:
            model, final = history.over(window), history.final(window)
            rows = (row for row in LINK_ROWS if window.kind in row.per)
            known[window] = [_value(asset, row.name, window, row.compute(model), final) for row in rows]
    values = [value for window in asked for value in known[window]]
    for day in days:
        hours = Hours((value for hour in _hours(day, now_ns) for value in known[hour]), now_ns, case)
        final = now_ns >= day.end_ns
        values += [_value(asset, row.name, day, row.of_day(hours), final) for row in LINK_ROWS if "day" in row.per]
    return values


def _hours(day: Window, now_ns: int) -> list[Window]:
    """The hours of a day that have begun. Where days do not start on the hour, the first and the last are cut."""
    return [
        Window(max(hour.start_ns, day.start_ns), min(hour.end_ns, day.end_ns), "hour")
        for hour in calendar.hours(day)
        if max(hour.start_ns, day.start_ns) < now_ns
    ]


def _stored(store: _Reads, asset: Asset, day: Window, hours: Sequence[Window]) -> dict[Window, list[KpiValue]]:
    """The hours of which the store has all figures that a day is made of, and final."""
    if not hours:
        return {}
    found: dict[Window, list[KpiValue]] = {hour: [] for hour in hours}
    span = Window(day.start_ns, day.end_ns, "hour")
    for kpi in _ADDED:
        for value in store.read_kpis(asset.path, kpi, span):
            if value.final and value.window in found:
                found[value.window].append(value)
    return {hour: values for hour, values in found.items() if len(values) == len(_ADDED)}


def _together(windows: Sequence[Window]) -> Iterator[list[Window]]:
    """Windows that touch or overlap, in groups, each to be read at once."""
    group: list[Window] = []
    end_ns = 0
    for window in windows:
        if group and window.start_ns > end_ns:
            yield group
            group = []
        end_ns = max(end_ns, window.end_ns) if group else window.end_ns
        group.append(window)
    if group:
        yield group


def _value(asset: Asset, kpi: str, window: Window, figure: Figure, final: bool) -> KpiValue:
    return KpiValue(
        asset.path, kpi, window.kind, window.start_ns, window.end_ns,
        float(figure.value), float(figure.numerator), float(figure.denominator), float(figure.coverage),
        figure.samples, final, figure.detail if isinstance(figure, Amount) else "",
    )  # fmt: skip

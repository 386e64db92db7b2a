"""The plant of the store contract: two machines, one instant, and samples, windows and KPI values around it."""

from collections.abc import Callable

from telemetry.protocols import Store
from telemetry.samples import SECOND_NS, KpiValue, Sample, Window

MILL = "km0/fabrication/cell-1/mill-1"
PRESS = "km0/fabrication/cell-2/press-1"
T0 = 1_795_300_000 * SECOND_NS
HOUR = 3600 * SECOND_NS
EVER = Window(0, 2**63 - 1)

Reopen = Callable[[], Store]


def at(seconds: float, value: float = 0.0, metric: str = "state", asset: str = MILL, **more: object) -> Sample:
    return Sample(T0 + round(seconds * SECOND_NS), asset, metric, value, **more)  # type: ignore[arg-type]  # test rows


def rows(store: Store, metric: str = "state", window: Window = EVER, asset: str = MILL) -> list[tuple[float, float]]:
    """(seconds after T0, value) of what is read."""
    series = store.read(asset, metric, window)
    lengths = {len(column) for column in (series.times_ns, series.values, series.quality, series.texts)}
    assert len(lengths) == 1
    return [((t - T0) / SECOND_NS, v) for t, v in zip(series.times_ns.tolist(), series.values.tolist(), strict=True)]


def window(start: float, end: float, kind: str = "interval") -> Window:
    return Window(T0 + round(start * SECOND_NS), T0 + round(end * SECOND_NS), kind)


def kpi(start: float, value: float, name: str = "oee", kind: str = "hour") -> KpiValue:
    begin = T0 + round(start * SECOND_NS)
    length = {"hour": HOUR, "day": 24 * HOUR, "minute": HOUR // 60}[kind]
    return KpiValue(MILL, name, kind, begin, begin + length, value, value * 10, 10.0, 0.5, 7, final=True)

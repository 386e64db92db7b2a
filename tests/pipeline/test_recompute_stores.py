"""Recompute over the real stores: after a restart, a late sample and an import it does the windows that they touch."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pipeline.recompute import Recompute
from pipeline.stores import DuckDbConfig
from telemetry.health import Component
from telemetry.plant import Asset, Plant
from telemetry.protocols import Store
from telemetry.samples import SECOND_NS, KpiValue, Sample

MINUTE = 60 * SECOND_NS
HOUR = 60 * MINUTE
DAY = 24 * HOUR
T0 = 1_767_222_000 * SECOND_NS  # Thursday 2026-01-01 00:00 in Paris
NOW = T0 + 2 * DAY + 3 * HOUR + 30 * MINUTE
MILL, PRESS = (
    Asset(path=f"km0/a/{name}", name=name, cycle_s={"*": 60}, stale_after_s=360) for name in ("mill", "press")
)
PLANT = Plant(assets=(MILL, PRESS))
Open = Callable[[], Store]


@pytest.fixture(params=["duckdb", "influxdb"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the store, the one before closed: a restart."""
    held: list[Store] = []
    config = DuckDbConfig(path=tmp_path / "km0.duckdb")
    if request.param == "influxdb":
        config = request.getfixturevalue("own_influxd").databases("recompute_")

    def again() -> Store:
        for store in held:
            store.close()
        held[:] = [config.open()]
        return held[0]

    yield again
    for store in held:
        store.close()


def said(asset: Asset, first_min: int, last_min: int) -> list[Sample]:
    """Running and stopped in turn, each 30 min from 10 past and 20 to; a gauge each 5 min."""
    minutes = range(first_min, last_min)
    return [Sample(T0 + m * MINUTE, asset.path, "state", 2.0 + m // 30 % 2) for m in minutes if m % 30 == 10] + [
        Sample(T0 + m * MINUTE, asset.path, "power", float(m)) for m in minutes if m % 5 == 0
    ]


def settled(store: Store, recompute: Recompute) -> set[tuple[str, str, int]]:
    """(asset, kind, start [h after T0]) of the hours and days of the past that were written until nothing is due. Not
    what reaches into the day that is open or the hour before it: a process that starts does that anew."""
    written: list[KpiValue] = []
    write = store.write_kpis

    def watched(values: Sequence[KpiValue], cursor: int) -> None:
        written.extend(values)
        write(values, cursor)

    store.write_kpis = watched  # type: ignore[method-assign]  # watched, not replaced
    while recompute.step().waiting:
        pass
    store.write_kpis = write  # type: ignore[method-assign]
    past = [value for value in written if value.kind in ("hour", "day") and value.end_ns <= T0 + 47 * HOUR]
    return {(value.asset, value.kind, (value.start_ns - T0) // HOUR) for value in past}


def test_exactly_the_windows_that_were_touched_are_computed(opened: Open) -> None:
    """Two days and a morning of two machines. After a restart nothing of the past is computed again; after a late state
    at 5:15 of the first day, in force until 5:40, the hour of 5 and the day; after another import from 2:10 to 2:55,
    whose last state is in force until 3:10, the hours of 2 and 3 and the day. Never the other machine."""

    def started(store: Store) -> Recompute:
        return Recompute(store, PLANT, Component("recompute"), now_ns=lambda: NOW)

    store = opened()
    for asset in (MILL, PRESS):
        store.write(said(asset, 0, 51 * 60 + 30))
    everything = settled(store, started(store))
    assert {hour for asset, kind, hour in everything if (asset, kind) == (PRESS.path, "hour")} == set(range(47))

    store = opened()
    recompute = started(store)
    assert settled(store, recompute) == set()
    store.write([Sample(T0 + 5 * HOUR + 15 * MINUTE, MILL.path, "state", 3.0)])
    assert settled(store, recompute) == {(MILL.path, "hour", 5), (MILL.path, "day", 0)}
    store.write(said(MILL, 130, 180))
    store = opened()  # what was not computed before the restart is computed after it
    assert settled(store, started(store)) == {(MILL.path, "hour", 2), (MILL.path, "hour", 3), (MILL.path, "day", 0)}
    store = opened()
    assert settled(store, started(store)) == set()

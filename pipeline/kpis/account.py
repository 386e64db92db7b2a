"""Where the required time of a machine, line, cell or site went over any interval: one read of each machine.

    found = account(store, plant, "km0/fabrication", window, now_ns)
    found.oee.trs.value, found.pareto("reason"), found.point.cost

An order is such an interval: `order_accounts` gives each order that a machine executed with its Oee.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.kpis import rollup
from pipeline.kpis.losses import Bar, By, Loss, Point, losses, pareto, point_of_trs, pooled_point
from pipeline.kpis.oee import Oee
from telemetry.plant import Asset, Plant
from telemetry.protocols import Store
from telemetry.samples import Window


@dataclass(frozen=True, slots=True)
class Account:
    """The sums of all machines at or below `path`, each machine's own, and every loss, the largest first.

    `point` is what one point of TRS on every machine is worth: the sum of the machines' points, NaN where one of those
    that were required does not say.
    """

    path: str
    window: Window
    oee: Oee
    machines: Mapping[str, Oee]
    losses: tuple[Loss, ...]
    point: Point

    def pareto(self, by: By) -> list[Bar]:
        """The losses grouped, the largest first."""
        return pareto(self.losses, by)


def account(store: Store, plant: Plant, path: str, window: Window, now_ns: int) -> Account:
    """The account of a machine, line, cell or site, as known at `now_ns`. Raises ValueError when no machine is there,
    and StoreError."""
    machines: dict[str, Oee] = {}
    found: list[Loss] = []
    points: list[Point] = []
    for asset in rollup.machines(plant, path):
        history = rollup.history(store, plant, asset, window, now_ns)
        machines[asset.path] = history.over(window)
        found += losses(history, window)
        points.append(point_of_trs(machines[asset.path], asset))
    return Account(
        path,
        window,
        rollup.summed(list(machines.values())),
        machines,
        tuple(sorted(found, key=lambda loss: -loss.seconds)),
        pooled_point(points),
    )


@dataclass(frozen=True, slots=True)
class OrderAccount:
    """One production order: its name, from its start to its end (or to now, then `open`), and its Oee."""

    name: str
    window: Window
    open: bool
    oee: Oee


def order_accounts(store: Store, plant: Plant, asset: Asset, window: Window, now_ns: int) -> list[OrderAccount]:
    """The orders that a machine executed within the window, in time order, from one read of its samples."""
    named = rollup.orders(store, asset.path, window, now_ns)
    if not named:
        return []
    span = Window(named[0][1].start_ns, named[-1][1].end_ns)
    history = rollup.history(store, plant, asset, span, now_ns)
    end_ns = max(window.start_ns, min(window.end_ns, now_ns))
    return [OrderAccount(name, one, one.end_ns == end_ns, history.over(one)) for name, one in named]

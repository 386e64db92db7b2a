"""The plant now: one snapshot for the page, the API and every event stream, computed once.

Invariants: `now()` and `day()` are computed at most once per their period, by one thread, whoever asks and however
often; nobody waits for it who can be given what was known a moment ago (see memo); nothing here writes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dashboards.web import figures, history, states
from dashboards.web.context import WebContext
from dashboards.web.memo import Memo
from dashboards.web.models import (
    FactorsNow,
    Figure,
    LinkNow,
    LinkWindow,
    MachineNow,
    PathNow,
    PlantNow,
    RadioNow,
    StateNow,
)
from pipeline.kpis import latency
from telemetry import calendar
from telemetry.glossary import METRICS, MachineState
from telemetry.health import Condition
from telemetry.plant import Asset
from telemetry.samples import SECOND_NS, KpiValue, Quality, Sample, SeriesInfo, Window

DRAIN: Final = "drain"
"""The component that knows how long samples take to the store, and how many wait for it."""
RADIO: Final = ("rsrp", "rsrq", "sinr", "cqi", "mcs", "cell", "throughput_down", "throughput_up")
KPI_PERIOD_S: Final = 3.0
DAY_PERIOD_S: Final = 10.0
RECENT_MINUTES: Final = 5


@dataclass(frozen=True)
class PlantDay:
    """What the page draws: the last 24 hours of machines and links, the last hour of links; by asset path."""

    window: Window
    machines: Mapping[str, history.MachineDay]
    hours: Mapping[str, history.LinkHour]
    links: Mapping[str, history.LinkDay]


Values = dict[tuple[str, str], list[KpiValue]]


class PlantReader:
    """Reads the plant as it is now. Synchronous and thread-safe: call it from threads."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._catalogue = figures.Catalogue(context.catalogue)
        self._machines = [asset for asset in context.plant.assets if asset.kind == "machine"]
        self._links = [asset for asset in context.plant.assets if asset.kind == "link"]
        self._plant_now: Memo[PlantNow] = Memo(context.config.refresh_s * 0.9, context.now_ns)
        self._plant_day: Memo[PlantDay] = Memo(DAY_PERIOD_S, context.now_ns)
        self._values: Memo[Values] = Memo(KPI_PERIOD_S, context.now_ns)
        self._hours: Memo[dict[str, LinkWindow]] = Memo(DAY_PERIOD_S, context.now_ns)
        self._inventory: Memo[list[SeriesInfo]] = Memo(DAY_PERIOD_S, context.now_ns)

    def now(self) -> PlantNow:
        return self._plant_now.get("", self._read_now)

    def day(self) -> PlantDay:
        return self._plant_day.get("", self._read_day)

    def held(self) -> list[SeriesInfo]:
        """What the store holds."""
        return self._inventory.get("", self._context.store.inventory)

    def _read_values(self) -> Values:
        now_ns = self._context.now_ns()
        paths = [asset.path for asset in self._machines]
        return self._context.store.read_many_kpis(paths, (*figures.FACTORS, *figures.PARTS), Window(now_ns, now_ns + 1))

    def _read_hours(self) -> dict[str, LinkWindow]:
        now_ns = self._context.now_ns()
        return {asset.path: self._link_window(asset, 60, now_ns) for asset in self._links}

    def _read_day(self) -> PlantDay:
        now_ns, store, held = self._context.now_ns(), self._context.store, self.held()
        # cut at whole minutes, less than a pixel of a day: what did not change is then drawn, and sent, only once
        end_ns = -(-now_ns // history.MINUTE_NS) * history.MINUTE_NS
        window = Window(end_ns - history.DAY_NS, end_ns)
        return PlantDay(
            window,
            history.machine_days(store, self._machines, held, window),
            {asset.path: history.link_hour(store, asset, now_ns) for asset in self._links},
            {asset.path: history.link_day(store, asset, window) for asset in self._links},
        )

    def _read_now(self) -> PlantNow:
        now_ns = self._context.now_ns()
        latest: dict[str, dict[str, Sample]] = {}
        for sample in self._context.store.latest():
            latest.setdefault(sample.asset, {})[sample.metric] = sample
        day, values = self.day(), self._values.get("", self._read_values)
        plant = self._context.plant
        return PlantNow(
            time=now_ns,
            plant=plant.name,
            timezone=plant.timezone,
            machines=[
                self._machine(asset, latest.get(asset.path, {}), values, day.machines[asset.path], now_ns)
                for asset in self._machines
            ],
            links=[self._link(asset, latest.get(asset.path, {}), now_ns) for asset in self._links],
            path=path_now(self._context, self.held()),
        )

    def _machine(
        self, asset: Asset, latest: Mapping[str, Sample], values: Values, day: history.MachineDay, now_ns: int
    ) -> MachineNow:
        last_ns = max((sample.time_ns for sample in latest.values()), default=None)
        stale = _stale(asset, last_ns, now_ns)
        today = next(iter(calendar.days(Window(now_ns, now_ns + 1), self._context.plant.zone)))
        shift = self._shift(asset, now_ns)
        return MachineNow(
            asset=asset.path,
            name=asset.name,
            state=_state(latest, day, stale, last_ns),
            stale=stale,
            last_sample=last_ns,
            target_trs=asset.target_trs,
            today=self._factors(asset, "day", today, values),
            shift=self._factors(asset, *shift, values) if shift else None,
        )

    def _shift(self, asset: Asset, now_ns: int) -> tuple[str, Window] | None:
        rota = self._context.plant.calendar(asset.path)
        if rota is None:
            return None
        return next(iter(calendar.turns(Window(now_ns, now_ns + 1), rota, self._context.plant.zone)), None)

    def _factors(self, asset: Asset, label: str, window: Window, values: Values) -> FactorsNow:
        def figure(kpi: str) -> Figure | None:
            found = [
                value
                for value in values[asset.path, kpi]
                if value.kind == window.kind and value.start_ns == window.start_ns
            ]
            return self._catalogue.figure(found[0]) if found else None

        made, good = (figure(kpi) for kpi in figures.PARTS)
        trs, do, tp, tq = (figure(kpi) for kpi in figures.FACTORS)
        return FactorsNow(
            label=label,
            start=window.start_ns,
            end=window.end_ns,
            trs=trs,
            do=do,
            tp=tp,
            tq=tq,
            parts=made.value if made else None,
            parts_good=good.value if good else None,
        )

    def _link(self, asset: Asset, latest: Mapping[str, Sample], now_ns: int) -> LinkNow:
        last_ns = max((sample.time_ns for sample in latest.values()), default=None)
        stale = _stale(asset, last_ns, now_ns)
        rtt = latest.get("rtt")
        return LinkNow(
            asset=asset.path,
            name=asset.name,
            stale=stale,
            last_sample=last_ns,
            rtt_ms=rtt.value if rtt is not None and not stale else None,
            recent=self._link_window(asset, RECENT_MINUTES, now_ns),
            hour=self._hours.get("", self._read_hours)[asset.path],
            radio=[_radio(latest[metric]) for metric in RADIO if metric in latest],
        )

    def _link_window(self, asset: Asset, minutes: int, now_ns: int) -> LinkWindow:
        window = Window(now_ns - minutes * 60 * SECOND_NS, now_ns)
        store = self._context.store
        times_ns, delays = latency.packets(
            store.read(asset.path, "rtt", window), store.read(asset.path, "rtt_lost", window)
        )
        answered = ~np.isnan(delays)
        lost = int((~answered).sum())
        p50, p99 = (latency.percentile(delays[answered], q, lost) for q in (0.5, 0.99))
        return LinkWindow(
            minutes=minutes,
            p50_ms=figures.known(p50),
            p99_ms=figures.known(p99),
            jitter_ms=figures.known(latency.jitter_rfc3550(times_ns[answered], delays[answered])),
            loss=lost / len(delays) if len(delays) else None,
            answered=len(delays) - lost,
            lost=lost,
        )


def _stale(asset: Asset, last_ns: int | None, now_ns: int) -> bool:
    return last_ns is None or now_ns - last_ns > asset.stale_after_s * SECOND_NS


def _state(latest: Mapping[str, Sample], day: history.MachineDay, stale: bool, last_ns: int | None) -> StateNow:
    sample = latest.get("state")
    name = states.UNKNOWN if stale else states.name_of(sample)
    since = last_ns if stale else sample.time_ns if sample else None
    if day.states and day.states[-1].state == name:
        since = day.states[-1].start_ns
    stopped = name not in (states.UNKNOWN, MachineState.EXECUTING.name)
    return StateNow(
        name=name,
        known=name != states.UNKNOWN,
        since=since,
        reason=_text(latest, "reason") if stopped else None,
        product=_text(latest, "product"),
    )


def _text(latest: Mapping[str, Sample], metric: str) -> str | None:
    sample = latest.get(metric)
    return sample.text or None if sample is not None and sample.quality != Quality.BAD else None


def _radio(sample: Sample) -> RadioNow:
    metric = METRICS[sample.metric]
    return RadioNow(
        metric=sample.metric,
        unit=metric.unit,
        value=None if metric.kind == "word" or sample.quality == Quality.BAD else sample.value,
        text=sample.text or None,
        time=sample.time_ns,
    )


def path_now(context: WebContext, held: list[SeriesInfo]) -> PathNow:
    """The data path, from what its components say of themselves."""
    components: list[dict[str, Any]] = context.health.snapshot()
    gauges: dict[str, float] = next((component["gauges"] for component in components if component["name"] == DRAIN), {})
    return PathNow(
        stored=sum(info.samples for info in held),
        lag_ms=figures.known(gauges.get("lag_ms", np.nan)),
        waiting=round(gauges["spooled_batches"]) if "spooled_batches" in gauges else None,
        lost=sum(component["lost"] for component in components),
        dead_letters=context.dead_letters.count(),
        components=len(components),
        failing=[part["name"] for part in components if part["condition"] == Condition.FAILING],
    )

"""A link's day from the figures of its hours, by hand, and which packets are read for it."""

import math
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from pipeline.kpis.evaluate import evaluate, windows
from pipeline.kpis.histogram import Histogram
from pipeline.recompute import Recompute
from telemetry.calendar import days
from telemetry.health import Component
from telemetry.plant import Asset, Plant
from telemetry.samples import SECOND_NS, KpiValue, Sample, Series, Window
from tests.contracts.memory import MemoryStore

HOUR = 3600 * SECOND_NS
LINK = Asset(path="km0/a/link", name="link", kind="link", use_case="voltage-control")  # 100 ms, every 200 ms
PARIS, KOLKATA = (Plant(assets=(LINK,), timezone=zone) for zone in ("Europe/Paris", "Asia/Kolkata"))


def day_of(plant: Plant) -> Window:
    noon = datetime(2026, 11, 20, 12, tzinfo=ZoneInfo(plant.timezone))
    (day,) = days(Window(int(noon.timestamp()) * SECOND_NS, int(noon.timestamp()) * SECOND_NS + 1), plant.zone)
    return day


class Watched(MemoryStore):
    """A store that remembers which stretches of round trips were read."""

    def __init__(self) -> None:
        super().__init__()
        self.stretches: list[Window] = []

    def read(self, asset: str, metric: str, window: Window) -> Series:
        if metric == "rtt":
            self.stretches.append(window)
        return super().read(asset, metric, window)


def packets(start_ns: int, count: int, rtt_ms: float, lost: tuple[int, ...] = ()) -> Iterator[Sample]:
    """So many packets, a second apart, those of the numbers lost."""
    for n in range(count):
        at_ns = start_ns + n * SECOND_NS
        yield (
            Sample(at_ns, LINK.path, "rtt_lost", 1.0, "up") if n in lost else Sample(at_ns, LINK.path, "rtt", rtt_ms)
        )


def figures(values: list[KpiValue], kind: str) -> dict[str, KpiValue]:
    return {value.kpi: value for value in values if value.kind == kind}


@pytest.mark.parametrize("plant", [PARIS, KOLKATA])
def test_a_day_of_two_hours(plant: Plant) -> None:
    """400 packets at 4 ms in one hour, 2 of them lost one after the other; 600 at 8 ms in another, 1 lost: everything
    that can be counted is the sum, the median is that of all, and what was not measured lowers the coverage. Where the
    day starts at half past, it is the same."""
    day, store = day_of(plant), MemoryStore()
    store.write(
        [*packets(day.start_ns + 5 * HOUR, 400, 4.0, (7, 8)), *packets(day.start_ns + 9 * HOUR, 600, 8.0, (5,))]
    )
    told = figures(evaluate(store, plant, LINK, [day], day.end_ns, {"rtt"}), "day")
    assert (told["loss"].numerator, told["loss"].denominator) == (3, 1000)
    assert (told["loss_up"].numerator, told["loss_up"].denominator) == (3, 1000)
    assert (told["loss_runs"].value, told["loss_run_longest"].value) == (2, 2)
    assert told["rtt_p50"].value == pytest.approx(8.0, rel=0.004)
    assert told["pdv_p99"].value == pytest.approx(4.0, rel=0.008)
    assert told["ipdv"].value == 0.0
    assert told["loss"].coverage == pytest.approx((400 + 600 + 2 * 10) / 86400, rel=0.03)  # and ten intervals each
    assert told["deadline_misses"].numerator == 3
    # lost for 2 s and 1 s: down from 100 ms after the deadline to the next good arrival
    assert told["service_failures"].value == 2
    assert told["service_availability"].denominator == pytest.approx(1000)
    assert told["service_verdict"].value == -1.0
    assert math.isnan(told["delay_up_p50"].value)
    merged = Histogram.decode(told["rtt_histogram"].detail)
    assert (merged.size, merged.lost, merged.minimum, merged.maximum) == (997, 3, 4.0, 8.0)
    assert all(value.final for value in told.values())


def test_a_day_with_nothing() -> None:
    """No packet: every figure is there, and none is known."""
    day = day_of(PARIS)
    told = figures(evaluate(MemoryStore(), PARIS, LINK, [day], day.end_ns, {"rtt"}), "day")
    assert told.keys() >= {"rtt_p50", "loss", "service_verdict", "jitter", "delay_down_histogram"}
    assert {value.coverage for value in told.values()} == {0.0}
    known = {name for name, value in told.items() if not math.isnan(value.value)}
    assert known <= {"rtt_histogram", "delay_up_histogram", "delay_down_histogram"}  # of no packets


def test_settled_hours_are_not_read_again() -> None:
    """At half past nine the packets of hours that are settled stay where they are: only the open hour is read. The day
    is the same as when everything is read; while an hour is not settled, that hour is read as well."""
    day, store = day_of(PARIS), Watched()
    now_ns = day.start_ns + 9 * HOUR + HOUR // 2
    for hour in range(10):
        store.write(list(packets(day.start_ns + hour * HOUR, 300, 4.0 + hour, (hour,))))
    whole = evaluate(store, PARIS, LINK, [day], now_ns, {"rtt"})
    assert store.stretches == [Window(day.start_ns, now_ns)]
    hours = [one for one in windows(PARIS, LINK, Window(day.start_ns, now_ns)) if one.kind == "hour"]
    store.write_kpis(evaluate(store, PARIS, LINK, hours, now_ns, {"rtt"}), 1)
    store.stretches.clear()
    assert evaluate(store, PARIS, LINK, [day], now_ns, {"rtt"}, lambda window: window != hours[-1]) == whole
    assert store.stretches == [Window(day.start_ns + 9 * HOUR, now_ns)]
    store.stretches.clear()
    late = {hours[2], hours[-1]}
    assert evaluate(store, PARIS, LINK, [day], now_ns, {"rtt"}, lambda window: window not in late) == whole
    assert [one.start_ns for one in store.stretches] == [hours[2].start_ns, hours[-1].start_ns]


def test_a_late_packet_of_an_hour_that_is_still_to_be_computed() -> None:
    """A packet comes late into the first hour of a day long past, and one window is computed at a time, the day before
    its hour: the day counts it all the same, though the store still has the hour's old figures."""
    day, store = day_of(PARIS), MemoryStore()

    def compute(windows_per_step: int) -> None:
        recompute = Recompute(
            store, PARIS, Component("recompute"), now_ns=lambda: day.end_ns + 1, windows_per_step=windows_per_step
        )
        while recompute.step().waiting:
            pass

    store.write(list(packets(day.start_ns, 300, 4.0)))
    compute(2000)
    store.write(list(packets(day.start_ns + HOUR // 2, 1, 9.0)))
    compute(1)
    for kind in ("hour", "day"):
        (loss,) = store.read_kpis(LINK.path, "loss", Window(day.start_ns, day.start_ns + 1, kind))
        assert (loss.denominator, loss.final) == (301, True)


def test_an_hour_without_all_its_figures_is_read() -> None:
    """Figures that an older release kept, without the histograms of each way, are not enough: the packets are read."""
    day, store = day_of(PARIS), Watched()
    store.write(list(packets(day.start_ns + HOUR, 300, 4.0)))
    hours = [one for one in windows(PARIS, LINK, day) if one.kind == "hour"]
    values = evaluate(store, PARIS, LINK, hours, day.end_ns, {"rtt"})
    store.write_kpis([value for value in values if value.kpi != "delay_up_histogram"], 1)
    store.stretches.clear()
    told = figures(evaluate(store, PARIS, LINK, [day], day.end_ns, {"rtt"}, lambda _: True), "day")
    assert store.stretches == [Window(day.start_ns, day.end_ns)]
    assert told["loss"].denominator == 300

"""Whatever order samples arrive in, the KPI values end up those of the batch that saw everything at once."""

import itertools
import math
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.kpis.evaluate import evaluate, windows
from pipeline.recompute import Recompute
from telemetry.health import Component
from telemetry.plant import Asset, CalendarConfig, Plant, Turn
from telemetry.samples import SECOND_NS, KpiValue, Quality, Sample, Window
from tests.contracts.memory import MemoryStore

MINUTE = 60 * SECOND_NS
START = 1_774_735_200 * SECOND_NS  # 2026-03-28T22:00Z: the clock changes three hours later
MILL = Asset(path="km0/a/mill", name="mill", calendar="shifts", cycle_s={"a": 60, "b": 100}, stale_after_s=600)
LINK = Asset(path="km0/a/link", name="link", kind="link", use_case="voltage-control")
PLANT = Plant(
    calendars=(
        CalendarConfig(
            name="shifts",
            shifts=(Turn(name="night", start=21 * 60, end=5 * 60), Turn(name="day", start=5 * 60, end=13 * 60)),
            breaks=(Turn(name="pause", start=60, end=80), Turn(name="gone", start=150, end=180)),
        ),
    ),
    assets=(MILL, LINK),
)
SPAN = 9 * 60 * MINUTE


def machine_samples() -> st.SearchStrategy[list[Sample]]:
    # instants on a coarse grid, so that samples meet edges of windows, breaks and each other
    when = st.integers(0, SPAN // (30 * SECOND_NS)).map(lambda n: START + n * 30 * SECOND_NS)
    quality = st.sampled_from([Quality.GOOD] * 6 + [Quality.BAD, Quality.UNCERTAIN])
    counters = ["parts", "parts", "parts_good", "parts_good", "parts_scrap"]
    number = st.one_of(
        st.tuples(st.just("state"), st.sampled_from([0, 1, 2, 3, 3, 3, 4, 5, 7])),
        st.tuples(st.sampled_from(counters), st.integers(0, 40)),
        st.tuples(st.just("power"), st.integers(0, 9)),
        st.tuples(st.just("online"), st.integers(0, 1)),
    )
    word = st.one_of(
        st.tuples(st.just("product"), st.sampled_from(["a", "b", "x", ""])),
        st.tuples(st.just("reason"), st.sampled_from(["", "no order", "réglage", "?"])),
    )
    sample = st.one_of(
        st.builds(lambda t, m, q: Sample(t, MILL.path, m[0], float(m[1]), "", q), when, number, quality),
        st.builds(lambda t, m, q: Sample(t, MILL.path, m[0], 0.0, m[1], q), when, word, quality),
    )
    return st.lists(sample, min_size=1, max_size=25, unique_by=identity)


_OF_LINKS = ["delay_up", "delay_down", "clock_error", "duplicates", "reordered"]


def link_samples() -> st.SearchStrategy[list[Sample]]:
    # packets over two and a half hours, some lost on a named way; clocks, one-way delays, answers that came twice
    when = st.integers(0, 900).map(lambda n: START + n * 10 * SECOND_NS)
    number = st.integers(1, 90).map(float)
    what = st.one_of(
        st.tuples(st.just("rtt"), number, st.just("")),
        st.tuples(st.just("rtt_lost"), st.sampled_from([0.0, 1.0]), st.sampled_from(["", "up", "down"])),
        st.tuples(
            st.sampled_from(["delay_up", "delay_down", "clock_error", "duplicates", "reordered"]), number, st.just("")
        ),
    )
    sample = st.builds(lambda t, m: Sample(t, LINK.path, m[0], m[1], m[2]), when, what)
    return st.lists(sample, min_size=1, max_size=60, unique_by=identity)


def identity(sample: Sample) -> tuple[str, str, int]:
    return sample.asset, sample.metric, sample.time_ns


def known(values: Sequence[KpiValue]) -> dict[tuple[str, str, str, int], tuple[object, ...]]:
    """By identity, the figures of every window of which anything is known: no row says as much as a row with NaN."""
    told = {(v.asset, v.window) for v in values if v.samples or (v.kpi in ("do", "parts") and not math.isnan(v.value))}
    return {
        (v.asset, v.kpi, v.kind, v.start_ns): tuple(
            "nan" if isinstance(x, float) and math.isnan(x) else x
            for x in (v.value, v.numerator, v.denominator, v.coverage, v.samples, v.final, v.end_ns, v.detail)
        )
        for v in values
        if (v.asset, v.window) in told
    }


def batch(samples: Sequence[Sample], now_ns: int) -> list[KpiValue]:
    """The answer computed on everything at once, one window at a time: no dirty spans, no shared reads."""
    store = MemoryStore()
    store.write(samples)
    metrics = {asset.path: {s.metric for s in samples if s.asset == asset.path} for asset in PLANT.assets}
    span = Window(min(now_ns, *(sample.time_ns for sample in samples)), now_ns)
    return [
        value
        for asset in PLANT.assets
        for window in windows(PLANT, asset, span)
        for value in evaluate(store, PLANT, asset, [window], now_ns, metrics[asset.path])
    ]


def stored(store: MemoryStore) -> list[KpiValue]:
    return list(store._kpis.values())


def split(samples: Sequence[Sample], cuts: Sequence[int]) -> list[Sequence[Sample]]:
    bounds = [0, *sorted(cut % (len(samples) + 1) for cut in cuts), len(samples)]
    return [samples[low:high] for low, high in itertools.pairwise(bounds)]


ORDERS = 25
"""Orders of arrival tried per set of samples."""


def arrive(samples: list[Sample], random: Random, restart: bool, begin: int, end: int) -> MemoryStore:
    """Samples shuffled, some twice, over a few steps while time passes from begin to end; perhaps restarts."""
    clock = [begin]

    def started() -> Recompute:
        return Recompute(store, PLANT, Component("recompute"), now_ns=lambda: clock[0], windows_per_step=40)

    store = MemoryStore()
    recompute = started()
    arriving = samples + random.choices(samples, k=random.randint(0, 10))
    random.shuffle(arriving)
    cuts = [random.randint(0, len(arriving)) for _ in range(random.randint(0, 6))]
    for part in split(arriving, cuts):
        store.write(part)
        recompute.step()
        clock[0] = min(end, clock[0] + random.choice([0, SECOND_NS, 7 * MINUTE, 3 * 60 * MINUTE]))
        if restart and random.random() < 0.3:
            recompute = started()
    clock[0] = end
    while recompute.step(all_open=True).waiting:
        pass
    return store


def check(samples: list[Sample], seed: int, restart: bool) -> None:
    random = Random(seed)
    begin = START + (SPAN // 3 if samples[0].asset == MILL.path else 10 * MINUTE)
    end = begin + random.choice([0, 7 * MINUTE, SPAN])
    expected = known(batch(samples, end))
    for _ in range(ORDERS):
        assert known(stored(arrive(samples, random, restart, begin, end))) == expected


FAST = settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],  # explaining a failure takes minutes
)


@FAST
@given(machine_samples(), st.integers(0, 2**32), st.booleans())
def test_every_order_of_arrival_ends_in_the_batch_answer_of_a_machine(
    samples: list[Sample], seed: int, restart: bool
) -> None:
    """Shuffled, repeated, late, split over steps, restarted, across a clock change: same values and finals."""
    check(samples, seed, restart)


@settings(FAST, max_examples=1)
@given(link_samples(), st.integers(0, 2**32), st.booleans())
def test_every_order_of_arrival_ends_in_the_batch_answer_of_a_link(
    samples: list[Sample], seed: int, restart: bool
) -> None:
    """As for a machine; probes are events, so a late one changes its own windows only."""
    check(samples, seed, restart)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@settings(FAST, max_examples=200, derandomize=False)
@given(machine_samples(), st.integers(0, 2**32), st.booleans())
def test_thousands_of_orders_of_arrival(samples: list[Sample], seed: int, restart: bool) -> None:
    """5,000 orders."""
    check(samples, seed, restart)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@settings(FAST, max_examples=20, derandomize=False)
@given(link_samples(), st.integers(0, 2**32), st.booleans())
def test_hundreds_of_orders_of_arrival_of_a_link(samples: list[Sample], seed: int, restart: bool) -> None:
    """500 orders."""
    check(samples, seed, restart)


def test_forgetting_the_next_sample_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the dirty span cut to the window the sample falls in, the orders above do not end in the batch answer."""
    monkeypatch.setattr(Recompute, "_dirty", lambda _self, _asset, span, _now: (span.first_ns, span.last_ns, 0))
    random = Random(3)
    samples = [
        Sample(START + minutes * MINUTE, MILL.path, "state", float(state))
        for minutes, state in ((0, 3), (50, 2), (65, 3), (115, 1), (130, 3), (175, 2), (190, 3))
    ] + [Sample(START + n * 5 * MINUTE, MILL.path, "power", 1.0) for n in range(60)]

    end = START + SPAN + 60 * MINUTE
    expected = known(batch(samples, end))
    found = [known(stored(arrive(samples, random, False, end, end))) for _ in range(20)]
    assert any(one != expected for one in found)

"""What every Store owes: inherit StoreContract and give the fixture `reopen`; run over the real ones and the fake.

Longer than a module should be: a store is held to one contract, in one place.
"""

import math
import threading
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.errors import RejectedError
from telemetry.protocols import Store
from telemetry.samples import SECOND_NS, KpiValue, Quality, Sample, SeriesInfo, Span, Window

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


def kpi(start: float, value: float, name: str = "oee", kind: str = "hour", **more: object) -> KpiValue:
    begin = T0 + round(start * SECOND_NS)
    length = {"hour": HOUR, "day": 24 * HOUR, "minute": HOUR // 60}[kind]
    return KpiValue(MILL, name, kind, begin, begin + length, value, value * 10, 10.0, 0.5, 7, final=True)


_BATCHES = st.lists(
    st.builds(
        at,
        st.sampled_from([0, 1, 599, 600, 601, 1300, 86400]),
        st.floats(0, 7),
        st.sampled_from(["state", "power"]),
        st.sampled_from([MILL, PRESS]),
    ),
    min_size=1,
    max_size=5,
)


class StoreContract:
    """Inherit, and give `reopen`: each call closes the store, if open, and opens it again on the same data."""

    @pytest.fixture
    def reopen(self) -> Reopen:
        raise NotImplementedError

    @pytest.fixture
    def store(self, reopen: Reopen) -> Store:
        return reopen()

    # --- samples ---

    def test_what_is_written_is_read_back_exactly(self, store: Store) -> None:
        """Times, values, qualities and texts come back as they went in, also beyond the precision of a float."""
        store.write([
            Sample(T0 + 1, MILL, "spindle_load", 0.1 + 0.2, quality=Quality.UNCERTAIN, received_ns=T0 + 5),
            Sample(T0 + 2, MILL, "product", 0.0, "pièce n° 7 — \N{GEAR} \N{GRINNING FACE} \x00 '\"\\"),
            Sample(T0 + 3, MILL, "product", 0.0, "a" * 1024, Quality.BAD),
        ])  # fmt: skip
        load, product = store.read(MILL, "spindle_load", EVER), store.read(MILL, "product", EVER)
        assert load.times_ns.tolist() == [T0 + 1]
        assert load.values.tolist() == [0.30000000000000004]
        assert load.quality.tolist() == [1]
        assert load.texts.tolist() == [""]
        assert product.times_ns.tolist() == [T0 + 2, T0 + 3]
        assert product.texts.tolist() == ["pièce n° 7 — \N{GEAR} \N{GRINNING FACE} \x00 '\"\\", "a" * 1024]
        assert product.quality.tolist() == [0, 2]

    def test_columns_have_the_types_that_series_promises(self, store: Store) -> None:
        """int64, float64, int8 and objects, also of a series that holds nothing in the window."""
        store.write([at(0, 3), at(0, 1, "spindle_load")])
        for metric, span in (("state", EVER), ("spindle_load", window(5, 9)), ("power", EVER)):
            series = store.read(MILL, metric, span)
            types = [str(c.dtype) for c in (series.times_ns, series.values, series.quality, series.texts)]
            assert types == ["int64", "float64", "int8", "object"]

    def test_rows_come_in_time_order_whatever_the_order_of_arrival(self, store: Store) -> None:
        """Late data takes its place."""
        store.write([at(30, 3), at(10, 1)])
        store.write([at(20, 2), at(0, 0)])
        assert rows(store) == [(0, 0), (10, 1), (20, 2), (30, 3)]

    def test_a_repeated_write_changes_nothing(self, store: Store) -> None:
        """Redelivery is harmless: the same rows, the same count."""
        batch = [at(0, 3), at(10, 2), at(5, 40, "power")]
        store.write(batch)
        store.write(batch)
        store.write(list(reversed(batch)))
        assert rows(store) == [(0, 3), (10, 2)]
        assert store.inventory() == [SeriesInfo(MILL, "power", 1, T0 + 5 * SECOND_NS, T0 + 5 * SECOND_NS),
                                     SeriesInfo(MILL, "state", 2, T0, T0 + 10 * SECOND_NS)]  # fmt: skip

    def test_the_last_write_of_an_identity_wins(self, reopen: Reopen) -> None:
        """Inside one write, across writes, and across restarts."""
        store = reopen()
        store.write([at(0, 1), at(0, 2)])
        assert rows(store) == [(0, 2)]
        store.write([at(0, 5)])
        assert rows(store) == [(0, 5)]
        store = reopen()
        store.write([at(0, 3, quality=Quality.BAD)])
        store.write([at(1, 0)])
        store = reopen()
        assert rows(store) == [(0, 3), (1, 0)]
        assert store.read(MILL, "state", EVER).quality.tolist() == [2, 0]
        assert store.latest() == [at(1, 0)]

    def test_a_window_is_half_open(self, store: Store) -> None:
        """What lies at its start is inside, what lies at its end is not."""
        store.write([at(second, second, "spindle_load") for second in range(5)])
        assert rows(store, "spindle_load", window(1, 3)) == [(1, 1), (2, 2)]
        assert rows(store, "spindle_load", window(2, 2)) == []

    @pytest.mark.parametrize(
        ("metric", "expected"), [("state", [(10, 1), (20, 2)]), ("parts", [(10, 1), (20, 2)]), ("power", [(20, 2)])]
    )
    def test_a_metric_that_holds_is_preceded_by_the_value_in_force(
        self, store: Store, metric: str, expected: list[tuple[float, float]]
    ) -> None:
        """The last sample before the start comes first, so the window begins with something known; a gauge has none."""
        store.write([at(0, 0, metric), at(10, 1, metric), at(20, 2, metric), at(30, 3, metric)])
        assert rows(store, metric, window(15, 25)) == expected

    def test_the_value_before_the_start_comes_even_when_there_is_one_at_the_start(self, store: Store) -> None:
        """A counter that grows at the very start of a window needs the value before it, or the part is lost."""
        store.write([at(0, 5, "parts"), at(10, 6, "parts")])
        assert rows(store, "parts", window(10, 20)) == [(0, 5), (10, 6)]

    def test_the_value_in_force_may_be_long_past_replaced_or_bad(self, store: Store) -> None:
        """A month later it still holds; it is the last one written, with its quality; none before the first."""
        store.write([at(-30 * 86400, 1), at(-30 * 86400, 4, quality=Quality.BAD)])
        store.write([at(100, 2)])
        assert rows(store, window=window(0, 50)) == [(-30 * 86400, 4)]
        assert store.read(MILL, "state", window(0, 50)).quality.tolist() == [2]
        assert rows(store, window=window(-31 * 86400, -30 * 86400)) == []
        assert rows(store, window=window(500, 600)) == [(100, 2)]

    def test_series_do_not_mix(self, store: Store) -> None:
        """Another asset or metric at the same instant is another sample."""
        store.write([at(0, 1), at(0, 2, asset=PRESS), at(0, 3, "power")])
        assert rows(store) == [(0, 1)]
        assert rows(store, asset=PRESS) == [(0, 2)]
        assert rows(store, "power") == [(0, 3)]
        assert rows(store, "power", asset=PRESS) == []

    def test_whole_samples_come_back_for_moving_them_elsewhere(self, store: Store) -> None:
        """Every field, in time order, the last write of each, half-open, and none before the window."""
        first = at(0, 1, "product", text="gear", quality=Quality.BAD, received_ns=T0 + 7)
        power = [at(1, 50.5, "power", received_ns=5), at(2, 60, "power", text="hot", quality=Quality.UNCERTAIN)]
        store.write([at(5, 0, "product", text="lid"), first, *power, at(2, 0, "product", text="old")])
        store.write([at(2, 0, "product", text="new"), at(9, 3)])
        assert store.samples(MILL, "product", window(0, 5)) == [first, at(2, 0, "product", text="new")]
        assert store.samples(MILL, "power", EVER) == power
        assert store.samples(MILL, "state", window(9.5, 20)) == []
        assert store.samples(PRESS, "state", EVER) == []

    def test_latest_is_the_newest_by_source_time(self, reopen: Reopen) -> None:
        """Not the last to arrive; the whole sample, also after a restart; of one asset or of all."""
        store = reopen()
        newest = at(20, 0, "product", text="gear", received_ns=T0 + 77)
        store.write([newest, at(10, 0, "product", text="shaft"), at(0, 7, "power", asset=PRESS)])
        store.write([at(15, 0, "product", text="late")])
        for _ in range(2):
            assert store.latest(MILL) == [newest]
            assert store.latest() == [newest, at(0, 7, "power", asset=PRESS)]
            assert store.latest("km0/nowhere") == []
            store = reopen()

    def test_next_time_is_strictly_after(self, store: Store) -> None:
        """The first sample after an instant, in the order of time; None after the last and for what is not held."""
        store.write([at(20), at(10), at(30)])
        assert store.next_time(MILL, "state", T0) == T0 + 10 * SECOND_NS
        assert store.next_time(MILL, "state", T0 + 10 * SECOND_NS) == T0 + 20 * SECOND_NS
        assert store.next_time(MILL, "state", T0 + 20 * SECOND_NS - 1) == T0 + 20 * SECOND_NS
        assert store.next_time(MILL, "state", T0 + 30 * SECOND_NS) is None
        assert store.next_time(PRESS, "state", 0) is None

    def test_inventory_counts_identities(self, reopen: Reopen) -> None:
        """Ordered by asset and metric; a sample replaced counts once; the same after a restart."""
        store = reopen()
        assert store.inventory() == []
        store.write([at(2, 1), at(1, 1), at(2, 2), at(0, 1, asset=PRESS)])
        store.write([at(0, 3), at(2, 9), at(3, 0)])
        for _ in range(2):
            assert store.inventory() == [SeriesInfo(MILL, "state", 4, T0, T0 + 3 * SECOND_NS),
                                         SeriesInfo(PRESS, "state", 1, T0, T0)]  # fmt: skip
            store = reopen()

    def test_an_empty_write_is_nothing(self, store: Store) -> None:
        """No sample, no error, no change."""
        store.write([])
        assert store.changes(0).spans == ()
        assert store.inventory() == []

    def test_what_can_never_be_kept_is_refused_by_index_and_the_others_stored(self, store: Store) -> None:
        """NaN, infinity, times beyond 64 bits, unknown qualities, text that is not Unicode."""
        batch = [at(0, 1), at(1, math.nan), at(2, 2), at(3, math.inf), Sample(2**63, MILL, "state", 1.0),
                 at(4, 1, quality=7), at(5, 0, text="\ud800"), at(6, 3), at(7, -math.inf)]  # fmt: skip
        with pytest.raises(RejectedError) as refused:
            store.write(batch)
        assert sorted(refused.value.reasons) == [1, 3, 4, 5, 6, 8]
        assert all(refused.value.reasons.values())
        assert rows(store) == [(0, 1), (2, 2), (6, 3)]

    def test_refused_from_first_to_last(self, store: Store) -> None:
        """A write of which nothing can be kept names every index and leaves nothing."""
        with pytest.raises(RejectedError) as refused:
            store.write([at(0, math.nan), at(1, math.nan)])
        assert sorted(refused.value.reasons) == [0, 1]
        assert store.inventory() == []
        store.write([at(0, 1)])
        assert rows(store) == [(0, 1)]

    def test_threads_read_while_another_writes(self, store: Store) -> None:
        """Each reader sees whole writes, in order: a write of ten never as nine."""
        faults: list[str] = []
        done = threading.Event()

        def read() -> None:
            seen = 0
            while not done.is_set():
                count = len(store.read(MILL, "power", EVER))
                store.latest()
                if count % 10 or count < seen:
                    faults.append(f"{count} samples after {seen}")
                seen = count

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        try:
            for batch in range(40):
                store.write([at(batch * 10 + n, n, "power") for n in range(10)])
        finally:
            done.set()
            for reader in readers:
                reader.join(10)
        assert faults == []
        assert len(store.read(MILL, "power", EVER)) == 400

    # --- changes ---

    def test_changes_name_what_was_touched_since_the_cursor(self, store: Store) -> None:
        """First and last instant of each series; nothing new, no spans."""
        assert store.changes(0).spans == ()
        store.write([at(0, 1), at(10, 2), at(5, 1, "power")])
        first = store.changes(0)
        assert _hulls(first.spans) == {
            "state": (T0, T0 + 10 * SECOND_NS),
            "power": (T0 + 5 * SECOND_NS, T0 + 5 * SECOND_NS),
        }
        assert store.changes(first.cursor).spans == ()
        assert store.changes(first.cursor).cursor == first.cursor
        store.write([at(3, 3)])
        second = store.changes(first.cursor)
        assert [(span.metric, span.first_ns, span.last_ns) for span in second.spans] == [
            ("state", T0 + 3 * SECOND_NS, T0 + 3 * SECOND_NS)
        ]
        assert second.cursor > first.cursor

    def test_a_late_sample_among_live_ones_does_not_dirty_the_time_between(self, store: Store) -> None:
        """Otherwise one sample of this morning would have the whole day computed again."""
        store.write([at(0, 1), at(8 * 3600, 2), at(8 * 3600 + 60, 3)])
        touched = sorted((span.first_ns, span.last_ns) for span in store.changes(0).spans)
        between = T0 + 4 * HOUR
        assert not any(first <= between <= last for first, last in touched)

    def test_changes_survive_a_restart(self, reopen: Reopen) -> None:
        """What was not computed before the restart is computed after it; the cursor goes on, never back."""
        store = reopen()
        store.write([at(0, 1)])
        seen = store.changes(0).cursor
        store.write([at(60, 2)])
        store = reopen()
        after = store.changes(seen)
        assert [(span.first_ns, span.last_ns) for span in after.spans] == [(T0 + 60 * SECOND_NS, T0 + 60 * SECOND_NS)]
        store.write_kpis([], after.cursor)
        store = reopen()
        assert store.cursor() == after.cursor
        assert store.changes(after.cursor).spans == ()
        store.write([at(120, 3)])
        assert [span.first_ns for span in store.changes(after.cursor).spans] == [T0 + 120 * SECOND_NS]

    def test_changes_since_ever_cover_everything_even_when_the_cursor_went_on(self, store: Store) -> None:
        """A new KPI asks from 0 and gets all that is held, though the others are up to date."""
        store.write([at(0, 1), at(7200, 2)])
        store.write_kpis([], store.changes(0).cursor)
        store.write([at(9000, 3)])
        touched = store.changes(0).spans
        for second in (0, 7200, 9000):
            assert any(span.first_ns <= T0 + second * SECOND_NS <= span.last_ns for span in touched)

    def test_changes_cover_every_write(self, reopen: Reopen) -> None:
        """Random writes, questions, prunings and restarts: what was touched since a cursor is in the spans it gives."""

        # An inner function: hypothesis wants one executor, and this test runs in a class per store.
        @settings(deadline=None, max_examples=12, database=None)
        @given(steps=st.lists(st.one_of(_BATCHES, st.sampled_from(["ask", "keep", "restart"])), max_size=8))
        def covered(steps: list[list[Sample] | str]) -> None:
            store = reopen()
            cursor = store.changes(0).cursor
            touched: set[Sample] = set()
            for step in [*steps, "ask"]:
                if isinstance(step, list):
                    store.write(step)
                    touched |= set(step)
                elif step == "restart":
                    store = reopen()
                else:
                    changes = store.changes(cursor)
                    assert [sample for sample in touched if not _covers(changes.spans, sample)] == []
                    if step == "keep":
                        store.write_kpis([], changes.cursor)
                        cursor, touched = changes.cursor, set()

        covered()

    # --- KPI values ---

    def test_a_kpi_value_replaces_the_one_of_the_same_identity(self, reopen: Reopen) -> None:
        """Also inside one call; all its fields come back; the cursor comes with it."""
        store = reopen()
        assert store.cursor() == 0
        store.write_kpis([kpi(0, 0.5), kpi(3600, 0.6), kpi(0, 0.7)], 0)
        store.write_kpis([kpi(0, 0.8)], 0)
        for _ in range(2):
            assert store.read_kpis(MILL, "oee", EVER) == [kpi(0, 0.8), kpi(3600, 0.6)]
            store = reopen()

    def test_a_kpi_that_is_not_known_stays_not_known(self, store: Store) -> None:
        """NaN with coverage 0 is an answer, neither missing nor zero."""
        nothing = KpiValue(MILL, "oee", "hour", T0, T0 + HOUR, math.nan, math.nan, math.nan, 0.0, 0, final=False)
        store.write_kpis([nothing], 0)
        [found] = store.read_kpis(MILL, "oee", EVER)
        assert all(math.isnan(figure) for figure in (found.value, found.numerator, found.denominator))
        assert (found.coverage, found.samples, found.final) == (0.0, 0, False)

    def test_a_kpi_that_became_unknown_leaves_nothing_of_before(self, reopen: Reopen) -> None:
        """Late data takes a figure away: no number and no detail of the earlier write is given, and back again."""
        known = KpiValue(MILL, "oee", "hour", T0, T0 + HOUR, 0.7, 7.0, 10.0, 1.0, 9, True, "histogram")
        gone = KpiValue(MILL, "oee", "hour", T0, T0 + HOUR, math.nan, math.nan, math.nan, 0.0, 0, final=False)
        reopen().write_kpis([known], 1)
        reopen().write_kpis([gone], 2)
        [found] = reopen().read_kpis(MILL, "oee", EVER)
        assert all(math.isnan(figure) for figure in (found.value, found.numerator, found.denominator))
        assert (found.coverage, found.samples, found.final, found.detail) == (0.0, 0, False, "")
        reopen().write_kpis([known], 3)
        assert reopen().read_kpis(MILL, "oee", EVER) == [known]

    def test_a_kpi_may_be_infinite_and_carry_what_no_number_holds(self, store: Store) -> None:
        """A percentile with too many losses is infinite; a histogram is text; another value has neither."""
        late = KpiValue(MILL, "oee", "hour", T0, T0 + HOUR, math.inf, math.nan, 0.0, 1.0, 9, True, "c-rL{%e'\"\\")
        store.write_kpis([late, kpi(3600, 0.2)], 0)
        [found, plain] = store.read_kpis(MILL, "oee", EVER)
        assert (found.value, found.detail, plain.value, plain.detail) == (math.inf, late.detail, 0.2, "")

    @pytest.mark.parametrize("hours", [1, 4, 5, 40])
    def test_a_kpi_value_replaces_its_own_and_no_other(self, store: Store, hours: int) -> None:
        """However many windows are written at once: another KPI, asset or kind of window at the same instant stays."""
        others = [
            kpi(0, 0.1, "trs"), msgspec.structs.replace(kpi(0, 0.2), asset=PRESS),
            msgspec.structs.replace(kpi(0, 0.3), kind="shift"),
        ]  # fmt: skip
        store.write_kpis([*others, *(kpi(3600 * hour, 0.5) for hour in range(50))], 0)
        store.write_kpis([kpi(3600 * hour, 0.9) for hour in range(hours)], 0)
        expected = [0.9] * hours + [0.5] * (50 - hours)
        found = store.read_kpis(MILL, "oee", EVER)
        assert [one.value for one in found if one.kind == "hour"] == expected
        assert [one.value for one in found if one.kind == "shift"] == [0.3]
        assert store.read_kpis(MILL, "trs", EVER) == others[:1]
        assert store.read_kpis(PRESS, "oee", EVER) == others[1:2]

    def test_kpis_are_read_by_the_windows_that_overlap(self, store: Store) -> None:
        """Half-open on both sides, in time order; of one kind when the window names one, of all for an interval."""
        day = kpi(0, 0.1, kind="day")
        store.write_kpis([kpi(7200, 0.3), day, kpi(3600, 0.2), kpi(0, 0.1), kpi(0, 9, "trs")], 0)
        assert store.read_kpis(MILL, "oee", window(3600, 7200, "hour")) == [kpi(3600, 0.2)]
        assert store.read_kpis(MILL, "oee", window(3599, 7201, "hour")) == [kpi(0, 0.1), kpi(3600, 0.2), kpi(7200, 0.3)]
        assert store.read_kpis(MILL, "oee", window(80000, 80001)) == [day]
        assert store.read_kpis(MILL, "oee", window(0, 3600)) == [kpi(0, 0.1), day]
        assert store.read_kpis(PRESS, "oee", EVER) == []

    def test_many_kpis_are_read_in_one_question(self, store: Store) -> None:
        """For each pair of an asset and a KPI what read_kpis gives, an empty list where there is nothing."""
        mine = [kpi(0, 0.1), kpi(0, 0.2, kind="day"), kpi(3600, 0.3), kpi(0, 0.4, "trs"), kpi(0, 0.5, "other")]
        pressed = [msgspec.structs.replace(kpi(0, 0.6), asset=PRESS), msgspec.structs.replace(kpi(0, 0.7), asset="x")]
        store.write_kpis([*mine, *pressed], 0)
        hours = window(0, 3600, "hour")
        assert store.read_many_kpis([MILL, PRESS], ["oee", "trs", "never"], hours) == {
            (MILL, "oee"): [kpi(0, 0.1)],
            (MILL, "trs"): [kpi(0, 0.4, "trs")],
            (PRESS, "oee"): [pressed[0]],
            (PRESS, "trs"): [],
            (MILL, "never"): [],
            (PRESS, "never"): [],
        }
        assert store.read_many_kpis([MILL], ["oee"], window(0, 7200)) == {(MILL, "oee"): mine[:3]}
        assert store.read_many_kpis([], ["oee"], hours) == store.read_many_kpis([MILL], [], hours) == {}
        assert store.read_many_kpis(["no path"], ["oee"], hours) == {("no path", "oee"): []}

    def test_closing_twice_is_harmless(self, store: Store) -> None:
        """A shutdown may come from two sides."""
        store.close()
        store.close()


def _hulls(spans: tuple[Span, ...]) -> dict[str, tuple[int, int]]:
    """First and last touched instant of each metric."""
    return {
        metric: (
            min(span.first_ns for span in spans if span.metric == metric),
            max(span.last_ns for span in spans if span.metric == metric),
        )
        for metric in {span.metric for span in spans}
    }


def _covers(spans: tuple[Span, ...], sample: Sample) -> bool:
    return any(
        (span.asset, span.metric) == (sample.asset, sample.metric) and span.first_ns <= sample.time_ns <= span.last_ns
        for span in spans
    )

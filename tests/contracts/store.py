"""What every Store owes: inherit StoreContract and give the fixture `reopen`; run over the real ones and the fake."""

import math
import threading

import pytest

from telemetry.errors import RejectedError
from telemetry.protocols import Store
from telemetry.samples import SECOND_NS, Quality, Sample, SeriesInfo
from tests.contracts.store_changes import ChangesContract
from tests.contracts.store_kpis import KpiContract
from tests.contracts.stored import EVER, MILL, PRESS, T0, Reopen, at, rows, window


class StoreContract(ChangesContract, KpiContract):
    """Inherit, and give `reopen`: each call closes the store, if open, and opens it again on the same data."""

    @pytest.fixture
    def reopen(self) -> Reopen:
        raise NotImplementedError

    @pytest.fixture
    def store(self, reopen: Reopen) -> Store:
        return reopen()

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

    def test_closing_twice_is_harmless(self, store: Store) -> None:
        """A shutdown may come from two sides."""
        store.close()
        store.close()

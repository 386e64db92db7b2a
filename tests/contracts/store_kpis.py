"""What every Store owes to KPI values. Part of StoreContract."""

import math

import msgspec
import pytest

from telemetry.protocols import Store
from telemetry.samples import KpiValue
from tests.contracts.stored import EVER, HOUR, MILL, PRESS, T0, Reopen, kpi, window


class KpiContract:
    """Needs the fixtures of StoreContract."""

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

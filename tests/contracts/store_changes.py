"""What every Store owes to whoever computes from it: `changes`, and a cursor that goes on. Part of StoreContract."""

from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.protocols import Store
from telemetry.samples import SECOND_NS, Sample, Span
from tests.contracts.stored import HOUR, MILL, PRESS, T0, Reopen, at

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


class ChangesContract:
    """Needs the fixtures of StoreContract."""

    def test_changes_name_what_was_touched_since_the_cursor(self, store: Store) -> None:
        """First and last instant of each series; nothing new, no spans."""
        assert store.changes(0).spans == ()
        assert store.kept_since() == 0
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

"""Samples kept in memory answer as the store would, whatever is written in between."""

from random import Random

import pytest

from pipeline.recent import Recent
from telemetry.samples import Changes, Sample, Series, Window
from tests.contracts.memory import MemoryStore

MILL = "km0/a/mill"


class Counted(MemoryStore):
    """A store that remembers what was read of it."""

    reads: list[Window]

    def __init__(self) -> None:
        super().__init__()
        self.reads = []

    def read(self, asset: str, metric: str, window: Window) -> Series:
        self.reads.append(window)
        return super().read(asset, metric, window)


def at(time_ns: int, value: float, metric: str = "state", text: str = "") -> Sample:
    return Sample(time_ns, MILL, metric, value, text)


def rows(series: Series) -> list[tuple[int, float, str]]:
    return list(zip(series.times_ns.tolist(), series.values.tolist(), series.texts.tolist(), strict=True))


def test_only_what_changed_is_read_again() -> None:
    """A read of everything, then none, then of the instant that was written; another window costs nothing."""
    store = Counted()
    recent = Recent(store)
    store.write([at(n, n) for n in range(10, 50)])
    recent.now_ns = 50
    first = store.changes(0).cursor
    assert rows(recent.read(MILL, "state", Window(20, 50)))[0] == (19, 19, "")
    recent.read(MILL, "state", Window(30, 40))
    assert len(store.reads) == 1
    store.write([at(60, 60)])
    recent.now_ns = 61
    recent.tell(store.changes(first).spans)
    assert rows(recent.read(MILL, "state", Window(59, 61))) == [(49, 49, ""), (60, 60, "")]
    assert [(one.start_ns, one.end_ns) for one in store.reads[1:]] == [(60, 61)]


def test_what_ended_long_ago_is_asked_of_the_store() -> None:
    """A backfill keeps nothing."""
    store = Counted()
    recent = Recent(store)
    store.write([at(n, n) for n in range(10)])
    recent.now_ns = 1000
    for _ in range(2):
        recent.read(MILL, "state", Window(2, 5))
    assert len(store.reads) == 2


def test_a_change_before_the_start_changes_the_value_in_force_there() -> None:
    """The series is read again from the beginning."""
    store = Counted()
    recent = Recent(store)
    store.write([at(5, 1), at(30, 2)])
    recent.now_ns = 40
    assert rows(recent.read(MILL, "state", Window(20, 40)))[0] == (5, 1, "")
    store.write([at(10, 7)])
    recent.tell(store.changes(1).spans)
    assert rows(recent.read(MILL, "state", Window(20, 40)))[0] == (10, 7, "")


def test_it_starts_afresh_when_it_holds_too_much() -> None:
    """Ten rows at most: the second metric takes the place of the first; one with more is not kept at all."""
    store = Counted()
    recent = Recent(store, most_rows=10)
    for metric, count in (("state", 6), ("parts", 6), ("rtt", 11)):
        store.write([at(n, n, metric) for n in range(count)])
    recent.now_ns = 20
    for metric, reads in (("state", 1), ("parts", 1), ("parts", 0), ("state", 1), ("rtt", 1), ("rtt", 1)):
        before = len(store.reads)
        assert len(recent.read(MILL, metric, Window(0, 20))) == (11 if metric == "rtt" else 6)
        assert len(store.reads) - before == reads, metric


@pytest.mark.parametrize("seed", range(20))
def test_it_answers_as_the_store_after_any_writes(seed: int) -> None:
    """Appended, late, replaced, before the start, words and numbers, with a small memory: always the same rows."""
    random, store = Random(seed), MemoryStore()
    recent = Recent(store, most_rows=random.choice([5, 60, 10_000]))
    told = Changes(0, ())
    for now in range(1, 80):
        store.write(
            [
                at(
                    random.choice([now, random.randint(0, now)]),
                    random.randint(0, 7),
                    metric,
                    random.choice(["", "a", "b"]),
                )
                for metric in ("state", "reason", "rtt")
                for _ in range(random.randint(0, 3))
            ]
        )
        recent.now_ns = now + 1
        told = store.changes(told.cursor)
        recent.tell(told.spans)
        for metric in ("state", "reason", "rtt", "parts"):
            start = random.randint(0, now)
            window = Window(start, random.choice([now + 1, random.randint(start, now + 1)]))
            assert rows(recent.read(MILL, metric, window)) == rows(store.read(MILL, metric, window))

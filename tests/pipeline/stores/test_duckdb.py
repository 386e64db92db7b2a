"""The embedded store: the contract, and what only a file can get wrong."""

import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from pipeline.stores import DuckDbConfig
from pipeline.stores.duckdb import DuckDbStore
from telemetry.errors import ConfigError, StoreError
from telemetry.protocols import Store
from telemetry.samples import Changes, Sample, Span
from tests.contracts.store import StoreContract
from tests.contracts.stored import EVER, MILL, T0, Reopen, at, kpi, rows, window
from tests.pipeline.stores.writer import BATCH


def reopening(path: Path, compact_rows: int) -> Iterator[Reopen]:
    held: list[DuckDbStore] = []

    def again() -> Store:
        for store in held:
            store.close()
        held[:] = [DuckDbStore(path, compact_rows=compact_rows)]
        return held[0]

    yield again
    for store in held:
        store.close()


class TestDuckDbStore(StoreContract):
    """As shipped."""

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Reopen]:
        yield from reopening(tmp_path / "store.duckdb", 1_000_000)


class TestDuckDbStoreCompacting(StoreContract):
    """The same when every write compacts: nobody can tell."""

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Reopen]:
        yield from reopening(tmp_path / "store.duckdb", 1)


def killed_writer(path: Path, run: int, writes: int, seconds: float) -> int:
    """The number of the last write that returned in a process killed so long after so many."""
    command = [sys.executable, "-m", "tests.pipeline.stores.writer", str(path), str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = [process.stdout.readline() for _ in range(writes)]
        time.sleep(seconds)
        process.kill()
        lines = [*first, *process.stdout.read().splitlines(keepends=True)]
    return int([line for line in lines if line.endswith("\n")][-1])


def test_what_was_written_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    """Kills -9 at random instants, compactions included: each write whole or absent, KPI and cursor together."""
    path = tmp_path / "store.duckdb"
    rng = random.Random(3)
    for run in range(3):
        last = killed_writer(path, run, rng.randint(6, 15), rng.uniform(0, 0.05))
        store = DuckDbStore(path)
        asset = f"site/run-{run}"
        times = store.read(asset, "parts", EVER).times_ns.tolist()
        [value] = store.read_kpis(asset, "oee", EVER)
        held = store.inventory()[-1]
        changes = store.changes(0)
        assert times == list(range(len(times)))
        assert len(times) % BATCH == 0
        assert len(times) >= (last + 1) * BATCH
        assert held.samples == len(times)
        assert value.value >= last
        assert store.cursor() == run * 10**6 + value.value
        assert max(span.last_ns for span in changes.spans if span.asset == asset) == len(times) - 1
        store.close()


def test_a_second_process_is_told_who_has_the_file(tmp_path: Path) -> None:
    """One process per file: the other gets a sentence that says what to do, and the first one is not disturbed."""
    path = tmp_path / "store.duckdb"
    store = DuckDbStore(path)
    store.write([at(0, 1)])
    command = [sys.executable, "-m", "tests.pipeline.stores.writer", str(path), "0"]
    other = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert other.returncode != 0
    assert "is open in another process: a DuckDB file belongs to one process" in other.stderr
    with pytest.raises(ConfigError, match="already open in this process"):
        DuckDbStore(path)
    assert rows(store) == [(0, 1)]
    store.close()
    DuckDbStore(path).close()


def test_a_file_that_is_no_store_is_left_alone(tmp_path: Path) -> None:
    """Rubbish, somebody else's database, or a newer version's: a sentence, and the file stays as it was."""
    rubbish = tmp_path / "rubbish.duckdb"
    rubbish.write_bytes(b"no database" * 1000)
    with pytest.raises(ConfigError, match=r"cannot be opened.*backup"):
        DuckDbStore(rubbish)
    assert rubbish.read_bytes() == b"no database" * 1000
    foreign = tmp_path / "foreign.duckdb"
    with duckdb.connect(str(foreign)) as connection:
        connection.execute("CREATE TABLE invoices (id INTEGER)")
    with pytest.raises(ConfigError, match=r"something else.*invoices"):
        DuckDbStore(foreign)
    newer = tmp_path / "newer.duckdb"
    DuckDbStore(newer).close()
    with duckdb.connect(str(newer)) as connection:
        connection.execute("UPDATE house SET version = 99")
    with pytest.raises(ConfigError, match="schema version 99"):
        DuckDbStore(newer)


def test_the_section_makes_the_file_and_its_folder(tmp_path: Path) -> None:
    """A newcomer names a path; nothing else has to exist."""
    store = DuckDbConfig(path=tmp_path / "new" / "folder" / "store.duckdb").open()
    store.write([at(0, 1)])
    store.close()
    assert (tmp_path / "new" / "folder" / "store.duckdb").exists()


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    """StoreError, which the drain handles, and no crash in a thread that came late."""
    store = DuckDbStore(tmp_path / "store.duckdb")
    store.write([at(0, 1)])
    store.close()
    for call in (lambda: store.write([at(1, 1)]), lambda: store.read(MILL, "state", EVER)):
        with pytest.raises(StoreError, match="closed"):
            call()


def test_a_full_disk_is_a_store_error_and_passes(tmp_path: Path) -> None:
    """While no file can grow, write raises StoreError and keeps nothing; when it can, the same write is stored."""
    store = DuckDbStore(tmp_path / "store.duckdb")
    store.write([at(0, 1)])
    batch = [at(n, n % 7, "power", text=f"{n * 7919} unlike") for n in range(20_000)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        for _ in range(3):
            with pytest.raises(StoreError):
                store.write(batch)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    store.write(batch)
    store.write([at(1, 2)])
    assert len(store.read(MILL, "power", EVER)) == 20_000
    assert rows(store) == [(0, 1), (1, 2)]
    assert [held.samples for held in store.inventory()] == [20_000, 2]
    store.close()
    store = DuckDbStore(tmp_path / "store.duckdb")
    assert [held.samples for held in store.inventory()] == [20_000, 2]
    store.close()


def test_change_records_do_not_pile_up(tmp_path: Path) -> None:
    """Once the cursor passed them they are gone: a year of writes must not be searched for the last minute."""
    path = tmp_path / "store.duckdb"
    store = DuckDbStore(path)
    for n in range(50):
        store.write([at(n, 1)])
        store.write_kpis([], store.changes(store.cursor()).cursor)
    cursor = store.cursor()
    store.close()
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT count(*) FROM changes").fetchall() == [(0,)]
    store = DuckDbStore(path)
    store.write([at(99, 1)])
    touched = Span(MILL, "state", T0 + 99 * 10**9, T0 + 99 * 10**9)
    assert store.changes(cursor) == Changes(cursor + 1, (touched,))
    store.close()


def test_a_cursor_of_another_store_gets_everything(tmp_path: Path) -> None:
    """A cursor ahead of all writes cannot be ours: better too much than a write missed."""
    store = DuckDbStore(tmp_path / "store.duckdb")
    store.write([at(0, 1), at(10, 2)])
    assert store.changes(10**9).spans == (Span(MILL, "state", T0, T0 + 10 * 10**9),)
    store.close()


def test_the_same_imported_again_and_again_takes_no_more_room(tmp_path: Path) -> None:
    """Compaction drops from the history what a later write replaced: one row per identity is left, the last one."""
    path = tmp_path / "store.duckdb"
    store = DuckDbStore(path, compact_rows=50)
    for value in range(4):
        store.write([at(second, value, "power") for second in range(100)])
        store.write([at(second, value + 0.5, "power") for second in range(0, 100, 10)])
    store.compact()
    assert rows(store, "power") == [(n, 3.5 if n % 10 == 0 else 3.0) for n in range(100)]
    store.close()
    with duckdb.connect(str(path), read_only=True) as db:
        assert db.execute("SELECT count(*), count(DISTINCT time_ns) FROM samples").fetchall() == [(100, 100)]


@pytest.mark.parametrize("many", [0, 10**9])
def test_rare_words_and_qualities_are_found_among_many_good_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """Some rows of a gauge are uncertain, one has a word: each at its own time, before and after compaction, whether
    DuckDB hands the rows over as if they were many or as if they were few."""
    monkeypatch.setattr("pipeline.stores.duckdb_reading.MANY_ROWS", many)
    store = DuckDbStore(tmp_path / "store.duckdb")
    given = [at(n, n, "power", quality=n % 7 == 3, text="checked" if n == 500 else "") for n in range(1000)]
    store.write(given[500:])
    store.write(given[:500])  # late: not in order before compaction
    for _ in range(2):
        found = store.read(MILL, "power", EVER)
        assert [index for index, quality in enumerate(found.quality.tolist()) if quality] == list(range(3, 1000, 7))
        assert [(index, text) for index, text in enumerate(found.texts) if text] == [(500, "checked")]
        assert found.values.tolist() == list(range(1000))
        assert rows(store, "power", window=window(10, 13)) == [(10, 10), (11, 11), (12, 12)]
        assert rows(store, "power", window=window(5000, 6000)) == []
        found.values[:] = 0  # arrays of one's own: nobody else sees this
        store.compact()
    store.close()


def test_compaction_leaves_out_what_was_replaced(tmp_path: Path) -> None:
    """The same sample a hundred times is one row afterwards, and it is the last one written."""
    path = tmp_path / "store.duckdb"
    store = DuckDbStore(path, compact_rows=100)
    for n in range(100):
        store.write([at(0, n % 8)])
    assert rows(store) == [(0, 99 % 8)]
    store.close()
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT count(*) FROM samples").fetchall() == [(1,)]


def test_samples_are_whole_numbers_of_nanoseconds_to_the_last_digit(tmp_path: Path) -> None:
    """The extremes of 64 bits are stored and found."""
    store = DuckDbStore(tmp_path / "store.duckdb")
    extremes = [Sample(time_ns, MILL, "state", 1.0) for time_ns in (-(2**63), 0, 2**63 - 1)]
    store.write(extremes)
    assert store.latest() == extremes[-1:]
    assert store.next_time(MILL, "state", -(2**63)) == 0
    assert store.next_time(MILL, "state", 0) == 2**63 - 1
    assert len(store.changes(0).spans) == 3
    store.close()


def test_old_samples_go_and_what_is_in_force_stays(tmp_path: Path) -> None:
    """After keep_days, also across a restart: a state set years ago still holds; a gauge of then is gone; KPIs stay."""
    day, now = 86400, T0 + 100 * 86400 * 10**9
    clock = [T0]
    path = tmp_path / "store.duckdb"
    store = DuckDbStore(path, keep_days=30, now_ns=lambda: clock[0], compact_rows=4)
    old = [at(n * day, n % 8) for n in range(60)] + [at(n * day, n, "power") for n in range(60)]
    store.write(old)
    store.write([at(0, 1, "product", text="gear")])
    store.write_kpis([kpi(0, 0.5)], store.changes(0).cursor)
    assert len(store.read(MILL, "state", EVER)) == 60
    clock[0] = now
    store.write([at(100 * day, 5, "power")])
    for _ in range(2):
        assert rows(store) == [(59 * day, 3)]
        assert rows(store, "power") == [(100 * day, 5)]
        assert store.read(MILL, "product", EVER).texts.tolist() == ["gear"]
        assert [held.samples for held in store.inventory()] == [1, 1, 1]
        assert store.read_kpis(MILL, "oee", EVER) == [kpi(0, 0.5)]
        limit = now - 30 * day * 10**9
        assert store.kept_since() == limit
        assert all(span.first_ns >= limit for span in store.changes(0).spans)
        store.close()
        store = DuckDbStore(path, keep_days=30, now_ns=lambda: clock[0])
    store.close()


def test_a_file_of_the_first_version_is_migrated(tmp_path: Path) -> None:
    """What version 1 wrote is read, written on, and from then on of this version; killed before, it is tried again."""
    path = tmp_path / "store.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(VERSION_1)
    store = DuckDbStore(path)
    assert rows(store) == [(0, 3)]
    assert store.cursor() == 7
    store.write([at(1, 4)])
    store.close()
    store = DuckDbStore(path)
    assert rows(store) == [(0, 3), (1, 4)]
    store.close()


VERSION_1 = f"""
CREATE TABLE house (version INTEGER NOT NULL, cursor BIGINT NOT NULL, pruned BIGINT NOT NULL, counted BIGINT NOT NULL);
INSERT INTO house VALUES (1, 7, 7, 8);
CREATE TABLE series (id INTEGER NOT NULL, asset VARCHAR NOT NULL, metric VARCHAR NOT NULL, samples BIGINT);
INSERT INTO series VALUES (0, '{MILL}', 'state', 1);
CREATE TABLE recent (write BIGINT NOT NULL, series INTEGER NOT NULL, time_ns BIGINT NOT NULL, value DOUBLE NOT NULL,
    quality TINYINT NOT NULL, received_ns BIGINT NOT NULL, text VARCHAR);
CREATE TABLE history AS SELECT * FROM recent;
INSERT INTO recent VALUES (8, 0, {T0}, 3.0, 0, 0, NULL);
CREATE VIEW samples AS SELECT * FROM history UNION ALL SELECT * FROM recent;
CREATE TABLE changes (
    write BIGINT NOT NULL, series INTEGER NOT NULL, first_ns BIGINT NOT NULL, last_ns BIGINT NOT NULL
);
INSERT INTO changes VALUES (8, 0, {T0}, {T0});
CREATE TABLE kpi_series (id INTEGER NOT NULL, asset VARCHAR NOT NULL, kpi VARCHAR NOT NULL, kind VARCHAR NOT NULL);
CREATE TABLE kpis (
    series INTEGER NOT NULL, start_ns BIGINT NOT NULL, end_ns BIGINT NOT NULL, value DOUBLE NOT NULL,
    numerator DOUBLE NOT NULL, denominator DOUBLE NOT NULL, coverage DOUBLE NOT NULL, samples BIGINT NOT NULL,
    final BOOLEAN NOT NULL
);
"""

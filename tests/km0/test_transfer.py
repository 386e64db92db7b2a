"""Data in and out: what was exported, imported, backed up or moved is the same, sample by sample and KPI by KPI."""

import asyncio
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from msgspec import structs

from km0.cli import main
from km0.transfer_spool import drained
from pipeline.ingest.spool import Spool
from pipeline.kpis.catalogue import CATALOGUE
from pipeline.recompute import Recompute
from pipeline.stores import DuckDbConfig, parquet
from pipeline.stores.duckdb import DuckDbStore
from pipeline.stores.duckdb_retention import DAY_NS
from pipeline.stores.transfer import EVER as ALWAYS
from pipeline.stores.transfer import copy, differences
from telemetry.errors import StoreError
from telemetry.health import Component
from telemetry.plant import Asset, Plant
from telemetry.protocols import Store
from telemetry.samples import SECOND_NS, KpiValue, Sample
from tests.contracts.memory import MemoryStore
from tests.contracts.stored import EVER, MILL, PRESS, T0, at, kpi
from tests.pipeline.stores.influxd import Influxd

NAMES = [(asset, name) for asset in (MILL, PRESS) for name in ("oee", "trs", "availability", "stop_time")]
PLANT = f'[[plant.assets]]\npath = "{MILL}"\nname = "M"\n[[plant.assets]]\npath = "{PRESS}"\nname = "P"\n'


@dataclass
class Answer:
    returncode: int
    stdout: str
    stderr: str


Km0 = Callable[..., Answer]


@pytest.fixture
def km0(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Km0:
    """The command in this process: starting one for each call would take the most of the time."""

    def run(folder: Path, *arguments: str) -> Answer:
        monkeypatch.chdir(folder)
        monkeypatch.setattr("sys.argv", ["km0", *arguments])
        capsys.readouterr()
        try:
            code = main()
        except SystemExit as end:
            code = int(end.code or 0)
        told = capsys.readouterr()
        return Answer(code, told.out, told.err)

    return run


def fill(store: Store) -> None:
    """Late, repeated, replaced and bad samples of every kind, and KPI values, some of them unknown."""
    rng = random.Random(1)
    metrics = {"state": "", "parts": "", "power": "", "product": "gear", "alarm": "hot: 7 % ±2", "energy": ""}
    for _ in range(30):
        batch = []
        for _ in range(200):
            metric = rng.choice(list(metrics))
            asset, second = rng.choice([MILL, PRESS]), rng.randrange(5000)
            text = f"{metrics[metric]} {rng.randrange(3)} 'é\"\\" if metrics[metric] else ""
            value = 0.0 if metric == "product" else rng.choice([0.1 + 0.2, 1e-300, 3.0, float(rng.randrange(8))])
            if metric == "state":
                value = float(rng.randrange(8))
            batch.append(
                Sample(T0 + second * SECOND_NS + second, asset, metric, value, text, rng.choice([0, 0, 0, 1, 2]), T0)
            )
        store.write(batch)
    unknown = KpiValue(PRESS, "trs", "day", T0, T0 + 86400 * SECOND_NS, math.nan, math.nan, 0.0, 0.0, 0, final=False)
    told = structs.replace(kpi(0, 3.0, "stop_time"), detail='{"breakdown": 3.5, "réglage": 1}')
    store.write_kpis([kpi(n * 3600, n / 10) for n in range(50)] + [unknown, told], store.changes(0).cursor)


def plant(folder: Path, store: str, name: str = "plant.toml") -> Path:
    path = folder / name
    path.write_text(PLANT + store)
    return path


def filled(folder: Path) -> Path:
    """A plant with a DuckDB store that holds something."""
    folder.mkdir()
    store = DuckDbConfig(path=folder / "km0.duckdb").open()
    fill(store)
    store.close()
    return plant(folder, '[store]\nkind = "duckdb"\n')


def test_a_plant_moves_to_influxdb_and_is_equal(km0: Km0, own_influxd: Influxd, tmp_path: Path) -> None:
    """`km0 move`: every field of every sample, every KPI value, NaN included; nothing is computed again for nothing."""
    old = filled(tmp_path / "old")
    config = own_influxd.databases("move_")
    new = plant(
        tmp_path,
        f'[store]\nkind = "influxdb"\nurl = "{config.url}"\nbucket = "{config.bucket}"\n'
        f'kpi_bucket = "{config.kpi_bucket}"\njournal_bucket = "{config.journal_bucket}"\nwriter = "test"\n',
        "new.toml",
    )
    answer = km0(old.parent, "move", str(old), str(new))
    assert answer.returncode == 0, answer.stderr
    assert "both stores are equal" in answer.stdout
    source, target = DuckDbConfig(path=old.parent / "km0.duckdb").open(), config.open()
    assert source.inventory() == target.inventory()
    for held in source.inventory():
        assert source.samples(held.asset, held.metric, EVER) == target.samples(held.asset, held.metric, EVER)
    assert len(target.read_kpis(MILL, "oee", ALWAYS)) == 50
    [unknown] = target.read_kpis(PRESS, "trs", ALWAYS)
    assert math.isnan(unknown.value)
    assert target.changes(target.cursor()).spans == ()
    target.write([at(0, 1)])
    assert len(target.changes(target.cursor()).spans) == 1
    other = source.samples(MILL, "state", EVER)[7]
    target.write([Sample(other.time_ns, MILL, "state", other.value, other.text, 2 - other.quality, 1)])
    assert "state" in next(differences(source, target, NAMES))
    target.write_kpis([structs.replace(unknown, detail="histogram")], target.cursor())
    assert any("trs" in words for words in differences(source, target, NAMES))
    source.close()


def test_what_was_not_computed_yet_is_computed_after_the_move() -> None:
    """What changed in the source since its figures were computed is due in the target, and nothing else."""
    source, target = MemoryStore(), MemoryStore()
    fill(source)
    source.write([at(9000, 1)])
    copy(source, target, NAMES, lambda _: None)
    assert list(differences(source, target, NAMES)) == []
    due = {(span.asset, span.metric, span.first_ns, span.last_ns) for span in target.changes(target.cursor()).spans}
    assert due == {(MILL, "state", T0 + 9000 * SECOND_NS, T0 + 9000 * SECOND_NS)}


def test_of_a_plant_that_computed_nothing_everything_is_due_after_the_move() -> None:
    """Its cursor stays at the beginning."""
    source, target = MemoryStore(), MemoryStore()
    source.write([at(0, 1), at(60, 2)])
    copy(source, target, NAMES, lambda _: None)
    assert target.cursor() == 0
    assert {span.first_ns for span in target.changes(0).spans} == {T0, T0 + 60 * SECOND_NS}


async def waiting(path: Path, *samples: Sample) -> None:
    """A spool in which these wait, and a dead letter."""
    async with Spool(path) as spool:
        await spool.put(samples)
        await spool.set_aside("mqtt:topic", "no JSON", b"{")


def test_what_waits_in_the_spool_is_moved_too(km0: Km0, tmp_path: Path) -> None:
    """Three samples that nobody drained are in the new store; the dead letter stays, and is named."""
    old, new = filled(tmp_path / "old"), tmp_path / "new.duckdb"
    late = [at(9000 + n, 3.0) for n in range(3)]
    asyncio.run(waiting(old.parent / "spool.sqlite", *late))
    answer = km0(
        old.parent, "move", str(old), str(plant(tmp_path, f'[store]\nkind = "duckdb"\npath = "{new}"\n', "new.toml"))
    )
    assert answer.returncode == 0, answer.stderr
    assert "3 samples that waited in the spool" in answer.stdout
    assert "1 dead letters stay in spool.sqlite: km0 deadletters list --plant" in answer.stdout
    target = DuckDbConfig(path=new).open()
    assert target.samples(MILL, "state", EVER)[-3:] == late
    target.close()


def test_a_store_that_does_not_take_what_waits_ends_the_move(tmp_path: Path) -> None:
    """A sentence says how many samples wait where, and why; they wait on."""
    store = MemoryStore()
    store.fail_with = StoreError("disk full")
    path = tmp_path / "spool.sqlite"
    asyncio.run(waiting(path, at(0, 1), at(1, 2)))
    with pytest.raises(StoreError, match=r"2 samples wait in the spool .* does not take them \(disk full\)"):
        drained(path, store)
    store.fail_with = None
    assert drained(path, store) == (2, 1)
    assert drained(path, store) == (0, 1)
    assert len(store.samples(MILL, "state", EVER)) == 2


def test_the_first_start_after_a_move_computes_nothing_of_the_past_again(km0: Km0, tmp_path: Path) -> None:
    """The source dropped samples after it had computed them: their final figures cannot be computed again, and stay."""
    machine = Plant(assets=(Asset(path=MILL, name="M"), Asset(path=PRESS, name="P")))
    now = T0 + 3 * DAY_NS

    def settled(store: Store) -> dict[tuple[str, ...], str]:
        """Every final value, once nothing waits."""
        recompute = Recompute(store, machine, Component("recompute"), now_ns=lambda: now)
        while recompute.step().waiting:
            pass
        names = {kpi.name for kpi in CATALOGUE}
        values = (value for name in names for value in store.read_kpis(MILL, name, ALWAYS) if value.final)
        return {(value.kpi, value.kind, str(value.start_ns)): repr(value) for value in values}

    def opened(path: Path) -> Store:
        return DuckDbStore(path / "km0.duckdb", keep_days=1, now_ns=lambda: now)

    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        plant(tmp_path / name, f'[store]\nkind = "duckdb"\npath = "{tmp_path / name / "km0.duckdb"}"\n')
    source = DuckDbConfig(path=tmp_path / "old" / "km0.duckdb").open()
    source.write([at(minutes * 60, 2 + minutes // 20 % 2) for minutes in range(0, 2 * 24 * 60, 20)])
    before = settled(source)
    source.close()
    source = opened(tmp_path / "old")
    source.write([at(3 * 86400 - 1, 3.0)])  # a write of a store that keeps a day drops the rest
    assert len(source.samples(MILL, "state", EVER)) == 2
    assert settled(source) == before
    source.close()
    answer = km0(tmp_path / "old", "move", "plant.toml", "../new/plant.toml")
    assert answer.returncode == 0, answer.stderr
    target = opened(tmp_path / "new")
    assert settled(target) == before
    assert len(before) > 500
    target.close()


@pytest.mark.parametrize("form", ["parquet", "line"])
def test_export_and_import_give_the_same_store(km0: Km0, tmp_path: Path, form: str) -> None:
    """Twice imported is once; Parquet carries KPI values too."""
    old = filled(tmp_path / "old")
    answer = km0(old.parent, "export", "out", "--format", form)
    assert answer.returncode == 0, answer.stderr
    assert ("no KPI values" in answer.stdout) == (form == "line")
    assert sorted(path.suffix for path in (old.parent / "out").iterdir()) == (
        [".lp"] if form == "line" else [".parquet"] * 2
    )
    new = tmp_path / "new"
    new.mkdir()
    plant(new, '[store]\nkind = "duckdb"\n')
    for _ in range(2):
        answer = km0(new, "import", str(old.parent / "out"))
        assert answer.returncode == 0, answer.stderr
    source, target = (DuckDbConfig(path=folder / "km0.duckdb").open() for folder in (old.parent, new))
    assert list(differences(source, target, NAMES if form == "parquet" else [])) == []
    assert source.inventory() == target.inventory()
    source.close()
    target.close()


def test_parquet_is_what_other_programs_expect(km0: Km0, tmp_path: Path) -> None:
    """A time column with a type, one row per sample."""
    old = filled(tmp_path / "old")
    assert km0(old.parent, "export", "out").returncode == 0
    with duckdb.connect() as db:
        [(kind, rows, first)] = db.execute(
            f"SELECT any_value(typeof(time)), count(*), min(time_ns) FROM '{old.parent}/out/samples.parquet'"
        ).fetchall()
    assert (kind, first >= T0) == ("TIMESTAMP_NS", True)
    assert 4000 < rows < 6000


def test_a_parquet_file_of_before_details_is_read(tmp_path: Path) -> None:
    """It has no such column: there were none."""
    parquet.write_kpis(tmp_path, [[structs.replace(kpi(0, 0.5), detail="histogram")]])
    path = tmp_path / parquet.KPIS
    with duckdb.connect() as db:
        db.execute(f"COPY (SELECT * EXCLUDE (detail) FROM '{path}') TO '{path}.old' (FORMAT parquet)")
    path.with_name(f"{path.name}.old").replace(path)
    assert list(parquet.read_kpis(tmp_path)) == [[kpi(0, 0.5)]]


def test_an_import_refuses_what_the_plant_does_not_know(km0: Km0, tmp_path: Path) -> None:
    """Unknown assets, impossible values and rubbish are said with their number; the rest is stored."""
    plant(tmp_path, '[store]\nkind = "duckdb"\n')
    lines = [
        f"machine,area=fabrication,asset=mill-1,line=cell-1,site=km0 state={n}.0,state_quality=0i,state_received=0i "
        f"{T0 + n * SECOND_NS}"
        for n in range(3, 12)
    ]
    lines.append(f"machine,asset=lathe-9,site=km0 state=1.0,state_quality=0i {T0}")
    (tmp_path / "in.lp").write_text("\n".join(lines))
    answer = km0(tmp_path, "import", "in.lp")
    assert answer.returncode == 1
    assert "5 samples and 0 KPI values" in answer.stdout
    assert "unknown asset 'km0/lathe-9'" in answer.stderr
    (tmp_path / "in.lp").write_text("machine,asset=x nonsense\n")
    answer = km0(tmp_path, "import", "in.lp")
    assert (answer.returncode, "point 1" in answer.stderr) == (2, True)
    answer = km0(tmp_path, "import", "nowhere")
    assert (answer.returncode, "km0 export" in answer.stderr) == (2, True)


def test_a_backup_is_a_plant_that_runs(km0: Km0, tmp_path: Path) -> None:
    """Its store opens and holds the same; a second backup does not overwrite the first."""
    old = filled(tmp_path / "old")
    answer = km0(old.parent, "backup", str(tmp_path / "saved"))
    assert answer.returncode == 0, answer.stderr
    source, target = (DuckDbConfig(path=tmp_path / name / "km0.duckdb").open() for name in ("old", "saved"))
    assert list(differences(source, target, NAMES)) == []
    answer = km0(old.parent, "backup", str(tmp_path / "another"))
    assert (answer.returncode, "already open" in answer.stderr or "another process" in answer.stderr) == (2, True)
    source.close()
    target.close()
    answer = km0(old.parent, "backup", str(tmp_path / "saved"))
    assert (answer.returncode, "folder of its own" in answer.stderr) == (2, True)

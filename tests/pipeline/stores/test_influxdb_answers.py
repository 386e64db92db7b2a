"""What InfluxDB answers when it does not take everything: on a real 1.6.7, and as 2.x and 3.x document it."""

import json
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from pipeline.stores import InfluxDbConfig
from pipeline.stores.influxdb import InfluxDbStore
from pipeline.stores.influxdb_server import _results
from telemetry.config import Secret
from telemetry.errors import RejectedError, StoreError
from telemetry.samples import SECOND_NS, Sample
from tests.contracts.stored import EVER, MILL, T0, at, rows
from tests.pipeline.stores.influx_answers import AnsweringServer, Answers
from tests.pipeline.stores.influxd import Influxd


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Influxd]:
    """An influxd that the test may set up as it likes."""
    server = Influxd(tmp_path / "influxd")
    yield server
    server.stop()


# --- a real 1.6.7 ---


def test_what_lies_before_the_retention_is_refused_line_by_line(influxd: Influxd) -> None:
    """Exactly the old ones, wherever they are in the write; the others are stored."""
    config = influxd.databases("retention_")
    influxd.run(f'ALTER RETENTION POLICY autogen ON "{config.bucket}" DURATION 1d SHARD DURATION 1h DEFAULT')
    store, now = InfluxDbStore(config), time.time_ns()
    old = now - 3 * 86400 * SECOND_NS
    batch = [Sample((old if n % 7 == 3 else now) + n, MILL, "power", float(n)) for n in range(300)]
    with pytest.raises(RejectedError) as refused:
        store.write(batch)
    assert sorted(refused.value.reasons) == [n for n in range(300) if n % 7 == 3]
    assert "retention" in refused.value.reasons[3]
    assert store.read(MILL, "power", EVER).values.tolist() == [n for n in range(300) if n % 7 != 3]


def test_a_field_of_another_type_is_refused_and_its_neighbours_stored(influxd: Influxd) -> None:
    """Somebody else wrote words into `power`: its samples become dead letters, whatever else is in the write stays."""
    config = influxd.databases("conflict_")
    store = InfluxDbStore(config)
    store._server.write(config.bucket, f'machine,asset=other power="words" {T0}\n'.encode())
    with pytest.raises(RejectedError) as refused:
        store.write([at(0, 3), at(1, 50, "power"), at(2, 2), at(3, 60, "power"), at(4, 7, "spindle_load")])
    assert sorted(refused.value.reasons) == [1, 3]
    assert "conflict" in refused.value.reasons[1]
    assert rows(store) == [(0, 3), (2, 2)]
    assert rows(store, "spindle_load") == [(4, 7)]
    assert {span.metric for span in store.changes(0).spans} == {"state", "spindle_load"}


def test_an_identity_given_twice_is_refused_twice(influxd: Influxd) -> None:
    """The last of them is what the server saw; neither is stored, so both are dead letters."""
    store = InfluxDbStore(influxd.databases("twice_"))
    bad = [at(1, value, asset="km0/ends-in-a-backslash\\") for value in (1, 2)]
    with pytest.raises(RejectedError) as refused:
        store.write([*bad, at(0, 3)])
    assert sorted(refused.value.reasons) == [0, 1]
    assert rows(store) == [(0, 3)]


@pytest.mark.parametrize(
    "asset", ["", "a//b", "/a", "a/", "a/b\\", "mill", "a/b/c/d/e/f", "a b/c,d=e/f\"g'h\\i/é \N{GEAR}/x"]
)
def test_any_asset_is_stored_exactly_or_refused(influxd: Influxd, asset: str) -> None:
    """No two paths may meet in one series, and no character may break out of a line or a query."""
    store = InfluxDbStore(influxd.databases("paths_"))
    try:
        store.write([at(0, 5, asset=asset)])
    except RejectedError:
        assert store.inventory() == []
    else:
        assert [series.asset for series in store.inventory()] == [asset]
        assert rows(store, asset=asset) == [(0, 5)]
        assert store.latest(asset) == [at(0, 5, asset=asset)]


def test_a_body_that_is_too_large_is_halved_until_it_fits(own: Influxd) -> None:
    """413: all arrive, in smaller bodies."""
    own.settings["HTTP_MAX_BODY_SIZE"] = "20000"
    own.start()
    store = InfluxDbStore(own.databases())
    store.write([at(n, n, "power") for n in range(3000)])
    assert len(store.read(MILL, "power", EVER)) == 3000


def test_a_limit_of_rows_cuts_no_answer(own: Influxd) -> None:
    """`max-row-limit` of 1.x: numbers, words, whole samples and the journal are read to their end all the same."""
    own.settings["HTTP_MAX_ROW_LIMIT"] = "10"
    own.start()
    store = InfluxDbStore(own.databases())
    for n in range(30):
        store.write([at(n, n, "power"), at(n, text=f"gear {n}", metric="product")])
    assert rows(store, "power") == [(n, n) for n in range(30)]
    assert store.read(MILL, "product", EVER).texts.tolist() == [f"gear {n}" for n in range(30)]
    assert len(store.samples(MILL, "power", EVER)) == 30
    store.close()
    store = InfluxDbStore(own.databases())
    for n in range(30):
        store.write([at(n * 3600, n, "power")])
    assert len(store.changes(0).spans) == 30


def test_an_error_in_the_middle_of_an_answer_is_told() -> None:
    """A question that took too long ends in a line of its own: nobody takes what came before for all."""
    said = b'{"results":[{"statement_id":0,"series":[]}]}\n{"error":"query interrupted"}\n'
    with pytest.raises(StoreError, match="query interrupted"):
        list(_results(said))


@pytest.mark.parametrize(("setting", "limit"), [("MAX_VALUES_PER_TAG", "3"), ("MAX_SERIES_PER_DATABASE", "4")])
def test_a_full_database_takes_nothing_for_the_moment(own: Influxd, setting: str, limit: str) -> None:
    """A limit of its configuration is no fault of the samples: they stay in the spool until somebody raises it."""
    own.settings |= {f"DATA_{setting}": limit, "DATA_INDEX_VERSION": "inmem"}
    own.start()
    config = own.databases()
    batch = [at(n, n, asset=f"km0/machine-{n}") for n in range(10)]
    store = InfluxDbStore(config)

    def write_one_by_one() -> None:
        for sample in batch:
            store.write([sample])

    with pytest.raises(StoreError, match="limit"):
        write_one_by_one()
    own.stop()
    own.settings[f"DATA_{setting}"] = "1000"
    own.start()
    store = InfluxDbStore(config)
    store.write(batch)
    assert [series.samples for series in store.inventory()] == [1] * 10


def test_users_of_1x_are_named_by_the_token(own: Influxd) -> None:
    """No token, a wrong one, or one that may only read: a sentence that says so, and the samples stay."""
    own.start()
    config = own.databases()
    own.run(
        "CREATE USER admin WITH PASSWORD 'p' WITH ALL PRIVILEGES",
        "CREATE USER reader WITH PASSWORD 'r:d'",
        *(f'GRANT READ ON "{name}" TO reader' for name in ("km0", "km0_kpi", "km0_journal")),
    )
    own.stop()
    own.settings["HTTP_AUTH_ENABLED"] = "true"
    own.start()

    def store(token: str) -> InfluxDbStore:
        path = own.folder / "token"
        path.write_text(token)
        return InfluxDbStore(config.model_copy(update={"token": Secret(file=path)}))

    with pytest.raises(StoreError, match="token"):
        InfluxDbStore(config).write([at(0, 1)])
    with pytest.raises(StoreError, match="401"):
        store("admin:wrong").write([at(0, 1)])
    store("admin:p").write([at(0, 1)])
    assert rows(store("reader:r:d")) == [(0, 1)]
    with pytest.raises(StoreError, match="403"):
        store("reader:r:d").write([at(0, 2)])


# --- 2.x and 3.x, as documented ---


def opened(answers: Answers, server: AnsweringServer, tmp_path: Path, **more: object) -> InfluxDbStore:
    (tmp_path / "token").write_text(answers.token + "\n")
    given = {"url": server.url, "token": Secret(file=tmp_path / "token"), "writer": "w", "compress": "always"} | more
    return InfluxDbStore(InfluxDbConfig(**given))  # type: ignore[arg-type]  # a test's settings


def times(answers: Answers, series: str) -> list[int]:
    """Seconds after T0 that are stored of a series."""
    found = [int(time) for bucket, name, time in answers.stored if (bucket, name) == ("km0", series)]
    return sorted((time - T0) // SECOND_NS for time in found)


MACHINE = "machine,area=fabrication,asset=mill-1,line=cell-1,site=km0"


@pytest.mark.parametrize("version", ["v2.9.1", "3.10.0"])
def test_partly_refused_writes_name_exactly_the_refused(tmp_path: Path, version: str) -> None:
    """422 of 2.x (the rest is stored, nobody says which) and 400 of 3.x (nothing is stored, lines are named)."""
    answers = Answers(version.lstrip("v"), refused={"link"})
    batch = [at(n, n, ["state", "rtt", "power"][n % 3]) for n in range(100)]
    with AnsweringServer(answers) as server, pytest.raises(RejectedError) as refused:
        opened(answers, server, tmp_path).write(batch)
    assert sorted(refused.value.reasons) == [n for n in range(100) if n % 3 == 1]
    assert times(answers, MACHINE) == [n for n in range(100) if n % 3 != 1]
    assert answers.faults == []


def test_a_write_of_2x_is_a_token_an_organisation_and_a_bucket(tmp_path: Path) -> None:
    """Samples in one bucket, what they touched in the other; gzip when asked for; a wrong token is a sentence."""
    answers = Answers("2.9.1")
    with AnsweringServer(answers) as server:
        opened(answers, server, tmp_path).write([at(0, 1)])
        answers.token = "another"
        with pytest.raises(StoreError, match="401"):
            InfluxDbStore(InfluxDbConfig(url=server.url)).write([at(0, 1)])
    assert [bucket for bucket, _, _ in answers.stored] == ["km0", "km0_journal"]
    assert answers.stored["km0", MACHINE, str(T0)] == "state=1.0,state_quality=0i,state_received=0i"


def test_bodies_over_the_limit_of_3x_are_split(tmp_path: Path) -> None:
    """413 for 10 MiB by default: in halves."""
    answers = Answers("3.10.0", max_bytes=3000)
    with AnsweringServer(answers) as server:
        opened(answers, server, tmp_path, compress="never").write([at(n, n) for n in range(500)])
    assert times(answers, MACHINE) == list(range(500))


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [
        (429, {"Retry-After": "7"}, 7.0),
        (503, {"Retry-After": "2.5"}, 2.5),
        (503, {"Retry-After": "soon"}, 10.0),
        (503, {"Retry-After": "nan"}, 10.0),
        (503, {"Retry-After": "999999"}, 600.0),
        (503, {"Retry-After": "-3"}, 0.0),
        (503, {}, None),
        (500, {}, None),
        (502, {"Retry-After": "7"}, 7.0),
        (404, {}, None),
        (408, {}, None),
        (409, {}, None),
        (301, {}, None),
        (200, {}, None),
    ],
)
def test_every_other_answer_keeps_the_samples(
    tmp_path: Path, status: int, headers: dict[str, str], wait_s: float | None
) -> None:
    """Only 204 is success. What does not plainly refuse lines is tried again, after the wait asked for."""
    answers = Answers("2.9.1", scripted=[(status, headers, b'{"code":"x","message":"because"}')])
    with AnsweringServer(answers) as server:
        store = opened(answers, server, tmp_path)
        with pytest.raises(StoreError) as failed:
            store.write([at(0, 1)])
        assert failed.value.retry_after_s == wait_s
        assert "because" in str(failed.value)
        store.write([at(0, 1)])
    assert times(answers, MACHINE) == [0]


def test_a_date_to_come_back_at_is_understood(tmp_path: Path) -> None:
    """Retry-After may be a date."""
    later = formatdate(time.time() + 30, usegmt=True)
    answers = Answers("2.9.1", scripted=[(503, {"Retry-After": later}, b"")])
    with AnsweringServer(answers) as server, pytest.raises(StoreError) as failed:
        opened(answers, server, tmp_path).write([at(0, 1)])
    assert failed.value.retry_after_s is not None
    assert 25 < failed.value.retry_after_s <= 30


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_full_disk_refuses_no_lines(tmp_path: Path, status: int) -> None:
    """Whatever the number of the answer, and though it speaks of a partial write: they are kept, and told to wait."""
    words = b"partial write: engine: error writing WAL entry: write 00042.wal: no space left on device dropped=0"
    answers = Answers("2.9.1", scripted=[(status, {}, json.dumps({"code": "x", "message": words.decode()}).encode())])
    answers.metrics = lambda: b"influxdb_uptime_seconds %f\n" % time.monotonic()
    with AnsweringServer(answers) as server:
        store = opened(answers, server, tmp_path)
        with pytest.raises(StoreError, match="disk is full"):
            store.write([at(0, 1)])
        store.write([at(0, 1)])
    assert times(answers, MACHINE) == [0]


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b'{"results":[]}', b'{"results":[{"statement_id":1}]}'])
def test_an_answer_without_a_result_is_not_taken_for_nothing_there(tmp_path: Path, body: bytes) -> None:
    """A proxy's empty page said that the cursor is 0: all history was due again."""
    answers = Answers("2.9.1", asked=body)
    with AnsweringServer(answers) as server:
        store = opened(answers, server, tmp_path)
        asked: list[Callable[[], object]] = [
            store.cursor, store.inventory, lambda: store.changes(0), lambda: store.read(MILL, "power", EVER),
            lambda: store._server.execute("CREATE DATABASE x"),
        ]  # fmt: skip
        for ask in asked:
            with pytest.raises(StoreError, match="InfluxDB at"):
                ask()


@pytest.mark.parametrize("body", [b'{"code":"invalid","message":"organization id must be 16 bytes"}', b"", b"<html>"])
def test_a_400_that_is_not_about_lines_refuses_none(tmp_path: Path, body: bytes) -> None:
    """A proxy's page or a wrong setting must not send a plant's samples to the dead letters."""
    answers = Answers("2.9.1", scripted=[(400, {}, body)])
    with AnsweringServer(answers) as server, pytest.raises(StoreError):
        opened(answers, server, tmp_path).write([at(0, 1)])


def test_what_is_no_influxdb_is_told(tmp_path: Path) -> None:
    """Somebody gave Grafana's address."""
    answers = Answers("Grafana")
    with AnsweringServer(answers) as server, pytest.raises(StoreError, match="is it an InfluxDB"):
        opened(answers, server, tmp_path).write([at(0, 1)])

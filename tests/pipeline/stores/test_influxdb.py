"""InfluxDB: the contract on a real influxd, and what somebody with Grafana finds there."""

import os
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from km0.init_influxdb import JOURNAL_DAYS, steps
from pipeline.stores import InfluxDbConfig
from pipeline.stores.influxdb import InfluxDbStore
from telemetry.config import Secret
from telemetry.errors import RejectedError, StoreError
from telemetry.protocols import Store
from telemetry.samples import SECOND_NS, Sample
from tests.contracts.store import StoreContract
from tests.contracts.stored import EVER, MILL, Reopen, at, kpi, rows
from tests.pipeline.stores.influxd import Influxd

_numbers = count()


def reopening(config: InfluxDbConfig) -> Iterator[Reopen]:
    """Opens the store anew, the one before closed."""
    held: list[InfluxDbStore] = []

    def again() -> Store:
        for store in held:
            store.close()
        held[:] = [InfluxDbStore(config)]
        return held[0]

    yield again
    for store in held:
        store.close()


class TestInfluxDbStore(StoreContract):
    """Debian's influxd 1.6.7."""

    @pytest.fixture
    def reopen(self, influxd: Influxd) -> Iterator[Reopen]:
        yield from reopening(influxd.databases(f"contract_{next(_numbers)}_"))


def prepared(tokens: Path, keep_days: int) -> InfluxDbConfig:
    """Buckets of one's own in the server that is named, and the tokens for them."""
    url = os.environ.get("KM0_TEST_INFLUX_URL")
    if url is None:
        pytest.skip("KM0_TEST_INFLUX_URL names no server")
    lead = f"test_{time.time_ns()}_"
    token = Secret(env="KM0_TEST_INFLUX_TOKEN") if "KM0_TEST_INFLUX_TOKEN" in os.environ else None
    config = InfluxDbConfig(
        url=url, token=token, bucket=f"{lead}km0", kpi_bucket=f"{lead}kpi", journal_bucket=f"{lead}journal"
    )
    days = {"bucket": keep_days, "kpi_bucket": 0, "journal_bucket": JOURNAL_DAYS}
    for step in steps(config, token, tokens, days):
        step.do()
    assert list(steps(config, token, tokens, days)) == []
    return config


class TestNamedServer(StoreContract):
    """Any server named by KM0_TEST_INFLUX_URL, with an operator's token in KM0_TEST_INFLUX_TOKEN: a real 2.x, say."""

    def test_what_is_older_than_it_keeps_is_refused_by_index(self, tmp_path: Path) -> None:
        """Of three samples the one from 40 days ago, for a bucket that keeps 30; the others are stored."""
        store = InfluxDbStore(prepared(tmp_path, 30))
        now = time.time_ns() // SECOND_NS * SECOND_NS
        times = [now, now - 40 * 86400 * SECOND_NS, now - SECOND_NS]
        with pytest.raises(RejectedError) as refused:
            store.write([Sample(time_ns, MILL, "power", 1.0) for time_ns in times])
        assert list(refused.value.reasons) == [1]
        assert store.read(MILL, "power", EVER).times_ns.tolist() == [now - SECOND_NS, now]
        store.close()

    def test_each_token_may_do_its_own(self, tmp_path: Path) -> None:
        """The reader reads and writes nothing; the pipeline writes KPI values and no samples."""
        config = prepared(tmp_path, 0)

        def store(role: str) -> InfluxDbStore:
            token = Secret(file=tmp_path / f"influxdb-{role}-token")
            return InfluxDbStore(config.model_copy(update={"token": token}))

        store("writer").write([at(0, 1)])
        assert rows(store("reader")) == rows(store("pipeline")) == [(0, 1)]
        store("pipeline").write_kpis([kpi(0, 0.5)], store("pipeline").changes(0).cursor)
        assert store("reader").read_kpis(MILL, "oee", EVER) == [kpi(0, 0.5)]
        for role in ("reader", "pipeline"):
            with pytest.raises(StoreError):
                store(role).write([at(1, 1)])
        for role in ("reader", "writer"):
            with pytest.raises(StoreError):
                store(role).write_kpis([kpi(0, 0.7)], 1)

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Reopen]:
        yield from reopening(prepared(tmp_path, 0))


def test_after_more_than_a_week_away_everything_is_due_that_is_not_about_to_be_dropped(influxd: Influxd) -> None:
    """Of a bucket that keeps 30 days: the journal's entries are gone, samples from 40 days ago are still there."""
    config = influxd.databases("away_").model_copy(update={"keep_days": 30})
    store = InfluxDbStore(config)
    now, day = time.time_ns(), 86400 * SECOND_NS
    store.write([Sample(now - days * day, MILL, "power", 1.0) for days in (40, 35, 20, 1)])
    store.write([Sample(now - 40 * day, MILL, "state", 3.0)])
    influxd.run('DROP MEASUREMENT "km0_journal"', database=config.journal_bucket)
    assert abs(store.kept_since() - (now - 30 * day)) < 60 * SECOND_NS
    [power] = store.changes(0).spans
    assert (power.metric, power.last_ns) == ("power", now - day)
    assert abs(power.first_ns - (now - 30 * day)) < 60 * SECOND_NS
    store.close()

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
from telemetry.protocols import Store
from tests.contracts.store import Reopen, StoreContract
from tests.pipeline.stores.influxd import Influxd

_numbers = count()


class TestInfluxDbStore(StoreContract):
    """Debian's influxd 1.6.7."""

    @pytest.fixture
    def reopen(self, influxd: Influxd) -> Iterator[Reopen]:
        config = influxd.databases(f"contract_{next(_numbers)}_")
        held: list[InfluxDbStore] = []

        def again() -> Store:
            for store in held:
                store.close()
            held[:] = [InfluxDbStore(config)]
            return held[0]

        yield again
        for store in held:
            store.close()


class TestNamedServer(StoreContract):
    """Any server named by KM0_TEST_INFLUX_URL, with an operator's token in KM0_TEST_INFLUX_TOKEN: a real 2.x, say."""

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Reopen]:
        url = os.environ.get("KM0_TEST_INFLUX_URL")
        if url is None:
            pytest.skip("KM0_TEST_INFLUX_URL names no server")
        lead = f"test_{time.time_ns()}_"
        token = Secret(env="KM0_TEST_INFLUX_TOKEN") if "KM0_TEST_INFLUX_TOKEN" in os.environ else None
        config = InfluxDbConfig(
            url=url, token=token, bucket=f"{lead}km0", kpi_bucket=f"{lead}kpi", journal_bucket=f"{lead}journal"
        )
        days = {"bucket": 0, "kpi_bucket": 0, "journal_bucket": JOURNAL_DAYS}
        for step in steps(config, token, tmp_path, days):
            step.do()
        held: list[InfluxDbStore] = []

        def again() -> Store:
            for store in held:
                store.close()
            held[:] = [InfluxDbStore(config)]
            return held[0]

        yield again
        for store in held:
            store.close()
